"""Google's errors: https://cloud.google.com/apis/design/errors and https://ai.google.dev/gemini-api/docs/troubleshooting"""

import re
from typing import Any

import msgspec

from extproc.dialects.hub import Extra
from extproc.errors import Fault

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

_CODES = {402: "insufficient_quota", 413: "request_too_large", 408: "timeout", 502: "bad_gateway", 529: "overloaded"}

_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})</title>", re.IGNORECASE)
_LONG = re.compile(r"input token count|exceeds the maximum number of tokens", re.IGNORECASE)
_LONGEST = 2000
"""Characters of a provider's message that are passed on."""


def kind_for(status: int) -> str:
    """Google's name for an error of that status."""
    return _NAMES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape. What was asked for as a stream without `alt=sse` fails as a list of one."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        title = _TITLE.search(body)
        text = (title[1] if title else b"" if b"<" in body[:200] else body).decode("utf-8", "replace").strip()
        return _fault(status, None, text, ())
    if type(value) is list and value:
        value = value[0]
    return read_object(value.get("error") or value if type(value) is dict else value, status)


def read_object(value: Any, status: int | None = None) -> Fault:
    """An error object. In a stream it comes without a status but its own `code`."""
    if type(value) is not dict:
        return _fault(status or 502, None, value if type(value) is str else "", ())
    given, kind, message, details = value.get("code"), value.get("status"), value.get("message"), value.get("details")
    if status is None:
        status = given if type(given) is int and 400 <= given < 600 else 500
    reasons = [one.get("reason") for one in details if type(one) is dict] if type(details) is list else []
    return _fault(status, kind if type(kind) is str else None, message if type(message) is str else "", reasons)


def _fault(status: int, kind: str | None, message: str, reasons: Any) -> Fault:
    known = kind if kind in _KINDS and _KINDS[kind][0] == status else kind_for(status)
    code = _CODES.get(status) or _KINDS[known][1]
    if "API_KEY_INVALID" in reasons:
        code = "invalid_api_key"  # with status 400
    elif status == 400 and _LONG.search(message):
        code = "context_length_exceeded"
    elif code == "not_found" and message.startswith(("models/", "Publisher Model")):
        code = "model_not_found"
    return Fault(status, code, message[:_LONGEST] or f"the provider answered with status {status} and nothing that says why", None, kind)


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body. Our code is the `reason` of an ErrorInfo, as https://google.aip.dev/193 wants it."""
    given = fault.type
    kind = given if given in _KINDS and _KINDS[given][0] == fault.status else kind_for(fault.status)
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.code.upper(), "domain": "headgate"}
    details: list[Extra] = [info]
    if request_id:
        details.append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id})
    return {"error": {"code": fault.status, "message": fault.message, "status": kind, "details": details}}
