"""What all dialects do alike with an error of a provider's: whatever it looks like it is read, and what its words alone tell is told.

Providers answer with their dialect's JSON, with somebody else's, with a list of one (Google), FastAPI's `detail`, a load balancer's page,
or nothing. And one status means several things: who calls which ones how is in the tables of `MEANINGS`, made of what providers say.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from extproc.errors import Fault, come_again
from extproc.resets import reset_of_limits, seconds_told

LONGEST = 2000
"""Characters of a provider's message that are passed on."""

UNTOLD = "the provider answered with status {} and nothing that says why"

_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})</title>", re.IGNORECASE)


_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    402: "insufficient_quota",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "request_too_large",
    422: "invalid_request",
    429: "rate_limit_exceeded",
    498: "overloaded",  # Groq's, https://console.groq.com/docs/flex-processing
    500: "internal_error",
    502: "bad_gateway",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def code_for(status: int) -> str:
    """What a status means, where nothing better is known."""
    return _CODES.get(status, "invalid_request" if status < 500 else "provider_error")


def decoded(body: bytes) -> Any:
    """An error's body: its JSON, the only one of a list; or else its text, of a page its title, as a string."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        title = _TITLE.search(body)
        return (title[1] if title else b"" if b"<" in body[:200] else body).decode("utf-8", "replace").strip()
    return value[0] if type(value) is list and value else value


def inside(value: Any) -> Any:
    """What an error object says, in `error` or beside it."""
    return value.get("error") or value if type(value) is dict else value


def told(status: int, message: str) -> str:
    """A message to pass on: not too long, and never nothing."""
    return message[:LONGEST] or UNTOLD.format(status)


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


MEANINGS: tuple[tuple[str, frozenset[str], re.Pattern[str]], ...] = (
    (
        "invalid_api_key",
        frozenset({"invalid_request"}),
        # xAI, Google and others have 400 for a key that they do not know.
        _any(r"^(incorrect|invalid) api[ _]key", r"^api[ _]key (not valid|not found|expired)", r"^no such api[ _]key"),
    ),
    (
        "insufficient_quota",
        frozenset({"invalid_request", "rate_limit_exceeded", "permission_denied"}),
        # Not "exceeded your current quota": Google says so of a minute's.
        _any(
            r"credit balance is too low",
            r"insufficient (account )?(balance|credits?|funds)",
            r"billing hard limit",
            r"^out of credits",
            r"payment required",
            r"requires more credits",
        ),
    ),
    (
        "context_length_exceeded",
        frozenset({"invalid_request", "request_too_large", "internal_error"}),
        _any(
            r"maximum (context|prompt) length",
            r"prompt is too long",
            r"input is too long",
            r"^too many tokens",
            r"too many input tokens",
            r"exceed\w* (the )?((model'?s |available |maximum )+)?context",
            r"context (length|limit|window)\b.{0,40}exceed",
            r"reduce the length of the (messages|prompt|input)",
            r"input token count.{0,60}exceed",
            r"maximum number of tokens allowed",
            r"inputs?`? tokens \+ `?max_new_tokens",
            r"input.{0,40}exceed.{0,40}tokens",
        ),
    ),
    (
        "model_not_found",
        frozenset({"invalid_request", "not_found", "permission_denied"}),
        _any(
            r"\bmodel\b.{0,200}(does not exist|doesn't exist|not found|was removed|decommissioned|end of its life)",
            r"^models?[/:] ?\S+",
            r"^publisher model",
            r"model identifier is invalid",
            r"^deployment .{0,100}not found",
            r"^unknown model",
            r"^invalid model",
        ),
    ),
    (
        "content_filter",
        frozenset({"invalid_request", "permission_denied", "cancelled"}),
        _any(
            r"content management policy",
            r"content[ _]filter",
            r"content polic",
            r"usage (guidelines|polic)",
            r"safety system",
            r"input was flagged",
            r"blocked (input|output)",
            r"blocked by (our |the )?(content|safety|guardrail)",
        ),
    ),
)
"""A code that says more, the codes that it is looked for behind, and the words that tell it."""


_OF_KEYS = frozenset({"invalid_api_key", "insufficient_quota"})
"""What is said of the gateway's own key, and not of what was asked for."""

_REFUSED = "permission_denied"
_ASKED_FOR = _any(
    r"permission to (access|use|read|view|download|delete) (the |this |that )?(requested )?(file|batch|cached ?content|corpus|tuned model)",
    r"(country|region|territory|location) (is )?not (supported|available)",
    r"not (supported|available) in your (country|region|territory|location)",
    r"\bquota\b",
    r"rate.?limit",
)


def speaks_of_what_is_asked_for(message: str) -> bool:
    """Whether the words of a refusal (status 403) are about what is asked for, such as somebody else's file, or how often it is. The one
    who asks is the gateway.
    """
    return _ASKED_FOR.search(message) is not None or meant(_REFUSED, message) != _REFUSED


_QUOTED = re.compile(r"""(?<!\w)['"`\u2018\u201c](?:.*['"`\u2019\u201d](?!\w)|.*\Z)""", re.DOTALL)
"""From the first quotation mark to the last one, or to the end of a message that was cut: what a caller has sent may have marks in it."""


def meant(code: str, message: str) -> str:
    """The code of an error, where its words say more than its status did. Words that are quoted may be the caller's own, which a provider
    repeats ("Invalid value: '...'"): they tell nothing that would count against the provider or its key.
    """
    for found, behind, words in MEANINGS:
        if code in behind and words.search(message) and (found not in _OF_KEYS or words.search(_QUOTED.sub("''", message))):
            return found
    return code


# How long to wait, as providers say it beside `retry-after`.

_RESET = (429, 503, 529)
"""Statuses of what is over after a while."""


def advised(fault: Fault, headers: Mapping[str, str]) -> tuple[Fault, dict[str, str]]:
    """A provider's error with all that is known of when to try again, and headers that tell it where the provider's own do not. What need
    not be tried again says that, too.
    """
    if fault.code == "insufficient_quota":
        return fault, {"x-should-retry": "false"}
    if fault.status not in _RESET:
        return fault, {}
    if (wait := seconds_told(headers)) is not None:
        return msgspec.structs.replace(fault, retry_after=wait), {}
    if headers.get("retry-after"):
        return fault, {}  # a date, which crosses as it is
    wait_told = fault.retry_after if fault.retry_after is not None else reset_of_limits(headers)
    if wait_told is None:
        return fault, {}
    return msgspec.structs.replace(fault, retry_after=wait_told), dict((come_again(wait_told),))
