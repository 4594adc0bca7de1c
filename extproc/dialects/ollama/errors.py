"""Ollama's errors: https://docs.ollama.com/api/errors"""

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
    413: "request_too_large",
    429: "rate_limit_exceeded",
    500: "internal_error",
    502: "bad_gateway",
    503: "overloaded",
    504: "timeout",
}

# There are no codes: what is known of an error are its words.
_WORDS = (
    (re.compile(r"exceed\w* (the )?(available )?context|context (length|window|size)|prompt (is )?too long"), "context_length_exceeded"),
    (re.compile(r"^model .*not found"), "model_not_found"),
    (re.compile(r"server (is )?busy|maximum pending requests"), "overloaded"),
    (re.compile(r"usage limit|rate limit"), "rate_limit_exceeded"),
)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})</title>", re.IGNORECASE)
_LONGEST = 2000
"""Characters of a provider's message that are passed on."""


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        title = _TITLE.search(body)
        return _fault(status, (title[1] if title else b"" if b"<" in body[:200] else body).decode("utf-8", "replace").strip())
    return read_object(value.get("error") or value if type(value) is dict else value, status)


def read_object(value: Any, status: int) -> Fault:
    """What stands in `error`: mostly a string."""
    if type(value) is dict:
        value = next((value[key] for key in ("message", "detail", "error") if type(value.get(key)) is str), "")
    return _fault(status, value if type(value) is str else "")


def _fault(status: int, message: str) -> Fault:
    code = _CODES.get(status, "invalid_request" if status < 500 else "provider_error")
    lower = message.lower()
    code = next((word for pattern, word in _WORDS if pattern.search(lower)), code)
    return Fault(status, code, message[:_LONGEST] or f"the provider answered with status {status} and nothing that says why")


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body, and a stream's last line."""
    return {"error": fault.message, **({"request_id": request_id} if request_id else {})}
