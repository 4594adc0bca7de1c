"""Cohere's errors: https://docs.cohere.com/reference/errors"""

import re
from typing import Any

from extproc.dialects.failing import code_for, decoded, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault

# Cohere's alone; of others that answer with them, they mean something else.
_CODES = {498: "invalid_api_key", 499: "cancelled"}

_BLOCKING, _REFUSED = 498, 400
_BLOCKED = re.compile(r"blocked (input|output)|toxic", re.IGNORECASE)


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    value = decoded(body)
    return fault(status, value if type(value) is str else _message(value))


def _message(value: Any) -> str:
    if type(value) is dict:
        found = next((value[key] for key in ("message", "data", "detail", "error") if value.get(key)), "")
        return _message(found) if type(found) is dict and found is not value else found if type(found) is str else ""
    return value if type(value) is str else ""


def fault(status: int, message: str) -> Fault:
    """An error of a provider's, by its status and words: there are no codes."""
    code = _blocked(_CODES.get(status) or code_for(status), message)
    # Its own status for what it does not want to hear or to say is no status of anybody else's.
    return Fault(_REFUSED if status == _BLOCKING and code == "content_filter" else status, code, told(status, message))


def _blocked(code: str, message: str) -> str:
    return "content_filter" if _BLOCKED.search(message) else meant(code, message)


def write_error(given: Fault, request_id: str) -> Extra:
    """An error body."""
    return {**({"id": request_id} if request_id else {}), "message": given.message}


def write_end(given: Fault, request_id: str) -> Extra:
    """The event that ends a stream which has failed: https://docs.cohere.com/reference/chat-stream#response.body.message-end"""
    identifier = {"id": request_id} if request_id else {}
    return {"type": "message-end", **identifier, "delta": {"error": given.message, "finish_reason": "ERROR"}}
