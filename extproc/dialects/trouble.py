"""Errors where an answer was due: an event of a stream, or the body of an answer with status 200, that tells one.

They are read as a stream's reader reads them, so that what is translated and what passes untouched have the same errors. Bytes are looked
at first: what cannot be one is not decoded.
"""

import re
from typing import Any

import msgspec

from extproc.dialects.dialect import Dialect
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import Answer, Error, StopReason, Text
from extproc.errors import Fault

UNREADABLE = ("bad_provider_event", "stream_interrupted")
"""Codes of faults that a stream's reader finds; their messages hold nothing of what was said."""

_ERRORS = re.compile(
    rb'"error"\s*:\s*[{"\[]|"(?:type|object)"\s*:\s*"error"|"status"\s*:\s*"failed"|"finish_reason"\s*:\s*"(?:ERROR|error)"'
    rb"|^event:\s*error|:exception-type",
    re.MULTILINE,
)

_WORDS = (b'error"', b'failed"', b'ERROR"')
_NONE = (b":null", b": null")
"""What stands behind the word in every answer of a Responses API."""
_NEAR = 64
"""Bytes before and behind a word that may make it an error."""


def is_suspect(body: bytes) -> bool:
    """Whether something in it may be an error."""
    # One word after the other is found many times faster than one of several; and only what stands around it is looked at.
    for word in _WORDS:
        at = body.find(word)
        while at >= 0:
            if not body.startswith(_NONE, at + len(word)) and _ERRORS.search(body, max(0, at - _NEAR), at + _NEAR):
                return True
            at = body.find(word, at + 1)
    return False


def may_be(document: Any) -> bool:
    """Whether a decoded body, of whatever dialect, may be an error. Most are known not to be by what stands at their top, whatever words
    are in them: then nobody has to look for those.
    """
    if type(document) is not dict or document.get("error") or type(document.get("message")) is str:
        return True
    return bool(document.get("type", "message") != "message")


def in_event(raw: bytes, provider: Dialect) -> Fault | None:
    """The error that an event of a stream tells, if it does."""
    if not _ERRORS.search(raw):
        return None
    event = provider.framing.parse(raw)
    return read(event, provider) if event is not None else None


def in_answer(body: bytes, provider: Dialect) -> Fault | None:
    """The error that a whole body which `is_suspect` is, though it came with the status of an answer; None if it is none."""
    # A list of one is Gemini's way where a stream was asked for.
    bare = body.strip()
    if bare.startswith(b"[") and bare.endswith(b"]"):
        bare = bare[1:-1]
    return read(RawEvent("", bare), provider) if bare.startswith(b"{") else None


_SAYS = frozenset({"message", "Message", "__type", "detail", "msg", "error", "errors"})
_SAID_BESIDE = frozenset({"code", "details", "param", "request_id", "requestId", "status", "timestamp", "type"})
_SILENT = (b"", b"null", b"false", b'""', b"{}", b"[]")
_NO_STATUS = 502


def instead(body: bytes, provider: Dialect) -> Fault | None:
    """The error that a whole JSON body is, where an answer was due that has no reader: it has an `error`, or nothing but what errors are
    made of, as a gateway's `{"message": "..."}`. None if it is none.
    """
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    failed = bytes(members.get("error", b"")) not in _SILENT or bytes(members.get("type", b"")) == b'"error"'
    if not failed and (_SAYS.isdisjoint(members) or not members.keys() <= _SAYS | _SAID_BESIDE):
        return None
    return provider.read_error(_NO_STATUS, body)


def read(event: RawEvent, provider: Dialect) -> Fault | None:
    """The error that an event tells, by itself. What cannot be read by itself is none."""
    said = provider.stream_reader().feed(event)
    return next((one.fault for one in said if type(one) is Error and one.fault.code not in UNREADABLE), None)


_UNDER_WAY = ("queued", "in_progress")
"""A Responses API's words for what is made in the background, and not there yet."""


def empty(answer: Answer) -> str | None:
    """The provider's word for why nothing was said, where the model failed and nothing was; None: there is something, or need not be."""
    if _says_something(answer):
        return None
    if answer.extra.get("status") in _UNDER_WAY and all(choice.stop is None for choice in answer.choices):
        return str(answer.extra["status"])
    return _failure(answer)


def failed(answer: Answer) -> str | None:
    """As `empty`, to a client who knows what is under way."""
    return None if _says_something(answer) else _failure(answer)


def _says_something(answer: Answer) -> bool:
    return any(type(block) is not Text or block.text for choice in answer.choices for block in choice.blocks)


def _failure(answer: Answer) -> str | None:
    choice = next((choice for choice in answer.choices if choice.stop is StopReason.ERROR), None)
    if choice is None:
        return None
    word = choice.stop_raw or "error"
    why = choice.extra.get("finishMessage") or choice.extra.get("error")
    if isinstance(why, dict):
        why = why.get("message")
    return f"{word}: {why}" if isinstance(why, str) else word
