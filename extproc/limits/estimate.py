"""The most that a request can use, before anybody knows what it does: what is reserved for it.

For a request of text alone whose answer is capped, it is never exceeded: no tokenizer makes more tokens than a text has bytes of UTF-8,
what JSON adds to a text is more than what a model's template adds to it, and an answer has no more tokens than it is allowed. Of what is no
text (pictures, sound, films, files), and of what a provider fetches by itself, nobody knows the tokens beforehand; the first are estimated,
generously, and `Asked.bounded` says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extproc.limits.enduser import end_user
from extproc.limits.money import reserved
from extproc.limits.rule import MOST, Unit
from extproc.price import Price

MEDIUM = 5_000
"""Tokens of a picture, a sound, a film or a file, at least."""
_DATA = 64
"""Bytes of base64 of a token in these: sound and film of a low rate."""
_LEAST = 32
"""Bytes of a string that may be one of these: the smallest picture has more."""
_KEYS = frozenset((b"data", b"url", b"image_url", b"file_data", b"bytes", b"b64_json", b"image", b"video_url"))
"""Where base64 stands: Anthropic, Gemini, OpenAI's sound; OpenAI's and Cohere's pictures; files; Bedrock."""
_BASE64 = re.compile(rb"(?:data:[^,]{0,128},)?([A-Za-z0-9+/_=-]+)")
_PDF = b"JVBER"
"""How base64 of a PDF begins: it has text, and may have nothing else."""
_ELSEWHERE = re.compile(
    rb'"(?:url|image_url|file_url|video_url|fileUri|file_uri)"\s*:\s*"(?:https?|gs|s3):|"(?:file_id|uri|s3Location|previous_response_id)"\s*:\s*["{]'
)
"""What lies elsewhere."""
_TOOLS = re.compile(rb'"(?:tools|functions|toolConfig)"\s*:')
_ABOUT_TOOLS = 1_000
"""Tokens by which a provider tells a model of tools, beside the tools themselves: Anthropic's are up to some 700."""
_FETCHED = re.compile(
    rb'"(?:web_search|web_fetch|code_interpreter|code_execution|file_search|computer|mcp|google_?[sS]earch|url_?[cC]ontext|codeExecution)\w*"'
)
"""Tools of a provider's own, whose results are input that nobody has seen."""
_CACHED = re.compile(rb'"(?:cache_control|cachePoint)"\s*:')
_WANTED = MOST >> 10
"""What is reserved of a unit at most, whatever a request says: more than any can use, and counters can add up a million of these."""
_DEARER = 2
"""Writing into a provider's cache costs up to twice what input costs (Anthropic, for an hour)."""


class Asked(Struct, frozen=True, tag=True):
    """The most that one attempt can use."""

    input: int
    """Tokens."""
    output: int
    """Tokens, of all choices together."""
    bounded: bool
    """It cannot be more. False: it has what is no text, or nobody caps its answer."""
    dearer: int = 1
    """How many times the price of input its input may cost."""
    end_user: str = ""
    """Whom the body names as the user of whoever calls, where that was asked."""


class Measure(Struct, frozen=True, tag=True):
    """The job to find the most that a bulky request can use, and for whom it is; see `aside`."""

    unknown: int
    generates: bool
    """As of `asked`."""

    def work(self, body: bytes) -> Asked:
        """Does it."""
        return replace(asked(body, most=0, unknown=self.unknown, generates=self.generates), end_user=end_user(body))


class _Inner(Struct):
    """What Gemini, Bedrock and Ollama have in an object of its own."""

    maxOutputTokens: Any = None  # noqa: N815 - the wire's
    candidateCount: Any = None  # noqa: N815
    maxTokens: Any = None  # noqa: N815
    num_predict: Any = None


class _Body(Struct):
    """What is read of a body: its own members alone, and not what has the same name further in."""

    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    max_tokens_to_sample: Any = None
    n: Any = None
    best_of: Any = None
    prompt: Any = None
    generationConfig: Any = None  # noqa: N815
    generation_config: Any = None
    inferenceConfig: Any = None  # noqa: N815
    options: Any = None


_DIGITS = 20
"""Of a number in a text: more, and no provider takes it for one."""

_read = msgspec.json.Decoder(_Body).decode


def asked(body: bytes, *, most: int, unknown: int, generates: bool = True) -> Asked:
    """The most that a request with this body can use.

    `most`: tokens of the longest answer that any of its targets' models gives; 0: nobody knows. `unknown`: what is reserved where neither
    that nor the request says it. `generates`: False where the answer is no text (vectors, ranks), so it has no tokens.
    """
    given, plain = _input(body)
    if _TOOLS.search(body):
        given += _ABOUT_TOOLS
        plain = plain and not _FETCHED.search(body)
    dearer = _DEARER if _CACHED.search(body) else 1
    if not generates:
        return Asked(given, 0, plain, dearer)
    caps, choices = _caps(body)
    cap = min(filter(None, (caps, most)), default=0)
    return Asked(given, (cap or unknown) * choices, plain and cap > 0, dearer)


def is_capped(body: bytes) -> bool:
    """Whether a request says how long its answer may be."""
    return _caps(body)[0] > 0


def dollars(request: Asked, prices: Sequence[Price | None], attempts: int) -> Decimal | None:
    """What it can cost at most: all attempts at the target that charges most. None: nobody knows the price of any."""
    known = [price.cost(request.input, request.output) + price.cost(request.input, 0) * (request.dearer - 1) for price in prices if price]
    return max(known) * attempts if known else None


def amounts(request: Asked, cost: Decimal | None, attempts: int) -> Mapping[Unit, int]:
    """What is reserved of each unit. Nothing is reserved of money where nobody knows a price."""
    given, made = request.input * attempts, min(_WANTED, request.output * attempts)
    money = 0 if cost is None else min(_WANTED, reserved(cost))
    return {"requests": 1, "concurrency": 1, "input_tokens": given, "output_tokens": made, "tokens": given + made, "cost": money}


def _input(body: bytes) -> tuple[int, bool]:
    """Tokens of input, and whether it is text alone."""
    elsewhere = sum(1 for _ in _ELSEWHERE.finditer(body))
    data = list(_data(body))
    size = len(body) + MEDIUM * (elsewhere + len(data))
    return size + sum(len(string) // _DATA - len(string) for string in data if _PDF not in string[:160]), not (elsewhere or data)


def _data(body: bytes) -> Iterator[bytes]:
    """Strings that are base64, where base64 stands. Nobody has to decode a body for that: no quote is in one."""
    parts = body.split(b'"')
    for at in range(3, len(parts), 2):
        string = parts[at]
        if len(string) >= _LEAST and parts[at - 2] in _KEYS and parts[at - 1].strip() == b":" and _BASE64.fullmatch(string):
            yield string


def _caps(body: bytes) -> tuple[int, int]:
    """The most tokens that the answer may have, 0 where the client does not say it, and how many choices it is to have."""
    try:
        read = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0, 1
    inner = [_inner(each) for each in (read.generationConfig, read.generation_config, read.inferenceConfig, read.options)]
    caps = [read.max_tokens, read.max_completion_tokens, read.max_output_tokens, read.max_tokens_to_sample]
    # Where it is said twice, nobody knows which one counts.
    caps += [cap for each in inner for cap in (each.maxOutputTokens, each.maxTokens, each.num_predict)]
    choices = [read.n, read.best_of, *(each.candidateCount for each in inner)]
    return max(map(_count, caps)), max(1, *map(_count, choices)) * _prompts(read.prompt)


def _prompts(prompt: Any) -> int:
    """How many OpenAI's completions are asked for at once: each of several texts, or lists of tokens, has answers of its own."""
    return max(1, sum(not isinstance(one, int) for one in prompt)) if isinstance(prompt, list) else 1


def _inner(value: Any) -> _Inner:
    return msgspec.convert(value, _Inner) if isinstance(value, dict) else _NONE


def _count(value: Any) -> int:
    """Providers that are lenient take `1e3` and `"1000"` as well."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < _DIGITS else 0
    return int(min(value, _WANTED)) if isinstance(value, int | float) and value > 0 else 0


_NONE = _Inner()
