"""Ollama's errors: https://docs.ollama.com/api/errors"""

import re
from typing import Any

from extproc.dialects.failing import code_for, decoded, inside, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault

# There are no codes: what is known of an error are its words.
_WORDS = (
    (re.compile(r"server (is )?busy|maximum pending requests"), "overloaded"),
    (re.compile(r"usage limit|rate limit"), "rate_limit_exceeded"),
)


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    return read_object(inside(decoded(body)), status)


def read_object(value: Any, status: int) -> Fault:
    """What stands in `error`: mostly a string."""
    if type(value) is dict:
        value = next((value[key] for key in ("message", "detail", "error") if type(value.get(key)) is str), "")
    return _fault(status, value if type(value) is str else "")


def _fault(status: int, message: str) -> Fault:
    code = code_for(status)
    lower = message.lower()
    code = next((word for pattern, word in _WORDS if pattern.search(lower)), None) or meant(code, message)
    return Fault(status, code, told(status, message))


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body, and a stream's last line."""
    return {"error": fault.message, **({"request_id": request_id} if request_id else {})}
