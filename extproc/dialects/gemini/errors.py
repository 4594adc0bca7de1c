"""Google's errors: https://cloud.google.com/apis/design/errors and https://ai.google.dev/gemini-api/docs/troubleshooting"""

from typing import Any

from extproc.dialects.failing import decoded, inside, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault
from extproc.resets import seconds

# google.rpc.Code by name, with the HTTP status of each (googleapis/google/rpc/code.proto) and our word for it.
_KINDS = {
    "INVALID_ARGUMENT": (400, "invalid_request"),
    "FAILED_PRECONDITION": (400, "invalid_request"),
    "OUT_OF_RANGE": (400, "invalid_request"),
    "UNAUTHENTICATED": (401, "invalid_api_key"),
    "PERMISSION_DENIED": (403, "permission_denied"),
    "NOT_FOUND": (404, "not_found"),
    "ABORTED": (409, "conflict"),
    "ALREADY_EXISTS": (409, "conflict"),
    "RESOURCE_EXHAUSTED": (429, "rate_limit_exceeded"),
    "CANCELLED": (499, "cancelled"),
    "INTERNAL": (500, "internal_error"),
    "UNKNOWN": (500, "internal_error"),
    "DATA_LOSS": (500, "internal_error"),
    "UNIMPLEMENTED": (501, "not_implemented"),
    "UNAVAILABLE": (503, "overloaded"),
    "DEADLINE_EXCEEDED": (504, "timeout"),
}

_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

# Reasons of an ErrorInfo: https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
_KEYS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING"})
_UNPAID = frozenset({"BILLING_DISABLED"})

_CODES = {402: "insufficient_quota", 413: "request_too_large", 408: "timeout", 502: "bad_gateway", 529: "overloaded"}


def kind_for(status: int) -> str:
    """Google's name for an error of that status."""
    return _NAMES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape. What was asked for as a stream without `alt=sse` fails as a list of one."""
    return read_object(inside(decoded(body)), status)


def read_object(value: Any, status: int | None = None) -> Fault:
    """An error object. In a stream it comes without a status but its own `code`."""
    if type(value) is not dict:
        return _fault(status or 502, None, value if type(value) is str else "", [])
    given, kind, message, details = value.get("code"), value.get("status"), value.get("message"), value.get("details")
    if status is None:
        status = given if type(given) is int and 400 <= given < 600 else 500
    found = [one for one in details if type(one) is dict] if type(details) is list else []
    return _fault(status, kind if type(kind) is str else None, message if type(message) is str else "", found)


def _fault(status: int, kind: str | None, message: str, details: list[Extra]) -> Fault:
    known = kind if kind in _KINDS and _KINDS[kind][0] == status else kind_for(status)
    code = _CODES.get(status) or _KINDS[known][1]
    reasons = {reason for one in details if type(reason := one.get("reason")) is str}
    # With status 400, where others have 401.
    code = "invalid_api_key" if reasons & _KEYS else "insufficient_quota" if reasons & _UNPAID else meant(code, message)
    return Fault(status, code, told(status, message), None, kind, _delay(details))


def _delay(details: list[Extra]) -> float | None:
    """What a RetryInfo says: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto"""
    delays = [one.get("retryDelay") for one in details if str(one.get("@type")).endswith("google.rpc.RetryInfo")]
    return next((wait for delay in delays if type(delay) is str and (wait := seconds(delay)) is not None), None)


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body. Our code is the `reason` of an ErrorInfo, as https://google.aip.dev/193 wants it."""
    given = fault.type
    kind = given if given in _KINDS and _KINDS[given][0] == fault.status else kind_for(fault.status)
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.code.upper(), "domain": "headgate"}
    details: list[Extra] = [info]
    if fault.retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after:g}s"})
    if request_id:
        details.append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id})
    return {"error": {"code": fault.status, "message": fault.message, "status": kind, "details": details}}
