"""Cohere's errors: https://docs.cohere.com/reference/errors"""

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
    422: "invalid_request",
    429: "rate_limit_exceeded",
    498: "invalid_api_key",
    499: "cancelled",
    500: "internal_error",
    502: "bad_gateway",
    503: "overloaded",
    504: "timeout",
}

# There are no codes: what is known of an error are its words.
_WORDS = (
    (re.compile(r"^too many tokens|prompt is too long|exceeds? the (model's )?(maximum )?context"), "context_length_exceeded"),
    (re.compile(r"^(finetuned )?model .*not found|^model .* was removed"), "model_not_found"),
    (re.compile(r"blocked (input|output)|toxic"), "content_filter"),
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
        return fault(status, (title[1] if title else b"" if b"<" in body[:200] else body).decode("utf-8", "replace").strip())
    return fault(status, _message(value))


def _message(value: Any) -> str:
    if type(value) is dict:
        found = next((value[key] for key in ("message", "data", "detail", "error") if value.get(key)), "")
        return _message(found) if type(found) is dict and found is not value else found if type(found) is str else ""
    return value if type(value) is str else ""


def fault(status: int, message: str) -> Fault:
    """An error of a provider's, by its status and words."""
    code = _CODES.get(status, "invalid_request" if status < 500 else "provider_error")
    lower = message.lower()
    code = next((word for pattern, word in _WORDS if pattern.search(lower)), code)
    return Fault(status, code, message[:_LONGEST] or f"the provider answered with status {status} and nothing that says why")


def write_error(given: Fault, request_id: str) -> Extra:
    """An error body."""
    return {**({"id": request_id} if request_id else {}), "message": given.message}


def write_end(given: Fault, request_id: str) -> Extra:
    """The event that ends a stream which has failed: https://docs.cohere.com/reference/chat-stream#response.body.message-end"""
    identifier = {"id": request_id} if request_id else {}
    return {"type": "message-end", **identifier, "delta": {"error": given.message, "finish_reason": "ERROR"}}
