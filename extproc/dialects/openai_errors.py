"""The errors of OpenAI's APIs, chat completions and responses alike: https://platform.openai.com/docs/guides/error-codes

Written as OpenAI writes them. Read as anybody does who speaks its dialect: an object, a list of one (Gemini), a string, FastAPI's
`detail`, or a load balancer's HTML.
"""

import re
from typing import Any

import msgspec

from extproc.dialects.failing import code_for, decoded, inside, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault

_TYPES = {402: "insufficient_quota", 429: "rate_limit_error"}
_KNOWN = ("invalid_request_error", "insufficient_quota", "server_error", "rate_limit_error", "tokens", "requests")

_WORD = re.compile(r"[a-z][a-z0-9_]{1,63}")

# Codes that say what others say with a word of their own: Azure's, those of accounts, and Groq's for no room.
_SAME = {
    "DeploymentNotFound": "model_not_found",
    "billing_hard_limit_reached": "insufficient_quota",
    "billing_not_active": "insufficient_quota",
    "capacity_exceeded": "overloaded",
}
_QUOTA = "insufficient_quota"
_NO_ROOM, _OVERLOADED = 498, 503
"""Groq's own status for it, and what others have."""

_STREAM = 502
"""What an error of a stream has for a status."""

_STATUSES = {
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "insufficient_quota": 402,
    "overloaded_error": 503,
}
"""What an error of a stream would have had for a status, by its type or code; `requests` and `tokens` are what a limit of OpenAI's is of.
Who we are to a provider is no business of the client's.
"""


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    return read_object(inside(decoded(body)), status)


def read_object(value: Any, status: int) -> Fault:
    """An error object, inside a body or a stream (status 502). A stream has no status; some providers put one in `code` or `status_code`,
    and what kind of error it is tells it, too.
    """
    if type(value) is not dict:
        message = value if type(value) is str else ""
        return Fault(status, meant(code_for(status), message), told(status, message))
    given, kind, param = value.get("code"), value.get("type"), value.get("param")
    numbers = [number for number in (given, value.get("status_code")) if type(number) is int and 400 <= number < 600]
    if numbers:
        status = numbers[0]
    elif status == _STREAM:
        status = next((_STATUSES[word] for word in (given, kind) if type(word) is str and word in _STATUSES), status)
    message = _message(value)
    code = "content_filter" if _flagged(value) else _code(given, kind, status, message)
    # OpenAI's own status for it is that of a limit which is soon reset; this one is not.
    status = 402 if code == _QUOTA and status < 500 else _OVERLOADED if status == _NO_ROOM else status
    return Fault(status, code, told(status, message), param if type(param) is str else None, kind if type(kind) is str else None)


def _code(given: Any, kind: Any, status: int, message: str) -> str:
    if type(given) is str and given in _SAME:
        return _SAME[given]
    if _QUOTA in (given, kind):
        return _QUOTA
    known = code_for(status)
    # A word that says no more than the status leaves it to the message.
    if type(given) is not str or not _WORD.fullmatch(given) or given.startswith("invalid_request") or given == known:
        return meant(known, message)
    return given


def _flagged(value: Extra) -> bool:
    """OpenRouter's moderation has its reasons beside the message: https://openrouter.ai/docs/api-reference/errors#moderation-errors"""
    metadata = value.get("metadata")
    return type(metadata) is dict and type(metadata.get("reasons")) is list and bool(metadata["reasons"])


def _message(value: Extra) -> str:
    for key in ("message", "detail", "error", "msg"):
        found = value.get(key)
        if type(found) is str:
            return found
        if found and type(found) in (list, dict):
            return msgspec.json.encode(found).decode()
    return ""


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body. The SDK shows the inner object, so the request's id stands there."""
    kind = (
        fault.type if fault.type in _KNOWN else _TYPES.get(fault.status, "invalid_request_error" if fault.status < 500 else "server_error")
    )
    error = {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code}
    return {"error": {**error, "request_id": request_id} if request_id else error}
