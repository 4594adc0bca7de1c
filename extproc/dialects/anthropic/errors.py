"""Anthropic's errors: https://docs.claude.com/en/api/errors"""

from typing import Any

from extproc.dialects.failing import decoded, inside, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault

# Their own names, with the status that each has and our word for it. A stream's error has no status but its name.
_KINDS = {
    "invalid_request_error": (400, "invalid_request"),
    "authentication_error": (401, "invalid_api_key"),
    "billing_error": (402, "insufficient_quota"),
    "permission_error": (403, "permission_denied"),
    "not_found_error": (404, "not_found"),
    "request_too_large": (413, "request_too_large"),
    "rate_limit_error": (429, "rate_limit_exceeded"),
    "api_error": (500, "internal_error"),
    "timeout_error": (504, "timeout"),
    "overloaded_error": (529, "overloaded"),
}

_NAMES = {status: name for name, (status, _) in _KINDS.items()} | {
    408: "timeout_error",
    422: "invalid_request_error",
    503: "overloaded_error",
}


def kind_for(status: int) -> str:
    """Anthropic's name for an error of that status."""
    return _NAMES.get(status, "invalid_request_error" if status < 500 else "api_error")


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    return read_object(inside(decoded(body)), status)


def read_object(value: Any, status: int | None = None) -> Fault:
    """An error object. In a stream it comes without a status."""
    if type(value) is not dict:
        return _fault(status or 502, kind_for(status or 502), None, value if type(value) is str else "")
    kind, message = value.get("type"), value.get("message", value.get("detail"))
    known = kind if type(kind) is str and kind in _KINDS else kind_for(status or 500)
    return _fault(
        status or _KINDS[known][0], known, kind if type(kind) is str and kind != "error" else None, message if type(message) is str else ""
    )


def _fault(status: int, kind: str, given: str | None, message: str) -> Fault:
    code = meant(_KINDS[kind][1] if _KINDS[kind][0] == status or status < 500 else _code(status), message)
    # What an account lacks is an invalid request by its kind.
    status = 402 if code == "insufficient_quota" and status < 500 else status
    return Fault(status, code, told(status, message), None, given)


def _code(status: int) -> str:
    return {502: "bad_gateway", 503: "overloaded"}.get(status, _KINDS[kind_for(status)][1])


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body."""
    # OpenAI has words of the same spelling that mean more: its `invalid_request_error` may be a 404.
    kind = fault.type if fault.type in _KINDS and _KINDS[fault.type][0] == fault.status else kind_for(fault.status)
    body: Extra = {"type": "error", "error": {"type": kind, "message": fault.message}}
    return {**body, "request_id": request_id} if request_id else body
