"""The errors of OpenAI's APIs, chat completions and responses alike: https://platform.openai.com/docs/guides/error-codes

Written as OpenAI writes them. Read as anybody does who speaks its dialect: an object, a list of one (Gemini), a string, FastAPI's
`detail`, or a load balancer's HTML.
"""

import re
from typing import Any

import msgspec

from extproc.dialects.hub import Extra
from extproc.errors import Fault

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
    500: "internal_error",
    502: "bad_gateway",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_TYPES = {402: "insufficient_quota", 429: "rate_limit_error"}
_KNOWN = ("invalid_request_error", "insufficient_quota", "server_error", "rate_limit_error", "tokens", "requests")

_WORD = re.compile(r"[a-z][a-z0-9_]{1,63}")
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})</title>", re.IGNORECASE)
_LONGEST = 2000
"""Characters of a provider's message that are passed on."""

_STREAM = 502
"""What an error of a stream has for a status."""

_STATUSES = {"invalid_request_error": 400, "rate_limit_error": 429, "insufficient_quota": 429, "overloaded_error": 503}
"""What an error of a stream would have had for a status. Who we are to a provider is no business of the client's."""


def code_for(status: int) -> str:
    """What a status means, where nothing better is known."""
    return _CODES.get(status, "invalid_request" if status < 500 else "provider_error")


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault(status, code_for(status), _from_text(status, body))
    if type(value) is list and value:
        value = value[0]
    if type(value) is dict:
        value = value.get("error") or value
    return read_object(value, status)


def _from_text(status: int, body: bytes) -> str:
    title = _TITLE.search(body)
    text = (title[1] if title else b"" if b"<" in body[:200] else body).decode("utf-8", "replace").strip()
    return text[:_LONGEST] or f"the provider answered with status {status} and nothing that says why"


def read_object(value: Any, status: int) -> Fault:
    """An error object, inside a body or a stream (status 502). A stream has no status; some providers put one in `code` or `status_code`,
    and what kind of error it is tells it, too.
    """
    if type(value) is not dict:
        message = value if type(value) is str else ""
        return Fault(status, code_for(status), message[:_LONGEST] or f"the provider failed with status {status}")
    given, kind, param = value.get("code"), value.get("type"), value.get("param")
    numbers = [number for number in (given, value.get("status_code")) if type(number) is int and 400 <= number < 600]
    if numbers:
        status = numbers[0]
    elif status == _STREAM and type(kind) is str:
        status = _STATUSES.get(kind, status)
    message = _message(value)
    word = given if type(given) is str and _WORD.fullmatch(given) else code_for(status)
    if "maximum context length" in message and status == 400:
        word = "context_length_exceeded"  # vLLM and others give no code
    return Fault(
        status,
        word,
        message[:_LONGEST] or f"the provider failed with status {status}",
        param if type(param) is str else None,
        kind if type(kind) is str else None,
    )


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
