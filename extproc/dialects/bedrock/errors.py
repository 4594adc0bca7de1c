"""Bedrock's errors: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors

Their kind stands in the header `x-amzn-errortype`, which is not the body's; some have it there as `__type`. In a stream they are
exceptions, with the name as their kind.
"""

from typing import Any

from extproc.dialects.failing import decoded, meant, told
from extproc.dialects.hub import Extra
from extproc.errors import Fault

# Their names, with the status that each has and our word for it.
_KINDS = {
    "ValidationException": (400, "invalid_request"),
    "AccessDeniedException": (403, "permission_denied"),
    "ResourceNotFoundException": (404, "not_found"),
    "ModelTimeoutException": (408, "timeout"),
    "ConflictException": (409, "conflict"),
    "ModelErrorException": (424, "provider_error"),
    "ThrottlingException": (429, "rate_limit_exceeded"),
    "InternalServerException": (500, "internal_error"),
    "ServiceUnavailableException": (503, "overloaded"),
}

# Others that they send, or that AWS answers before it looks at the request.
_OTHERS = {
    "UnrecognizedClientException": (403, "invalid_api_key"),
    "InvalidSignatureException": (403, "invalid_api_key"),
    "ExpiredTokenException": (403, "invalid_api_key"),
    "MissingAuthenticationTokenException": (403, "invalid_api_key"),
    "ServiceQuotaExceededException": (400, "insufficient_quota"),
    "ModelNotReadyException": (429, "rate_limit_exceeded"),
    "ModelStreamErrorException": (424, "provider_error"),
}
_ALL = _KINDS | _OTHERS

_NAMES = {status: name for name, (status, _) in _KINDS.items()} | {
    401: "AccessDeniedException",
    402: "ServiceQuotaExceededException",
    502: "InternalServerException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}
_CODES = {
    401: "invalid_api_key",
    402: "insufficient_quota",
    413: "request_too_large",
    502: "bad_gateway",
    504: "timeout",
    529: "overloaded",
} | dict(_KINDS.values())

_STREAMED = {
    400: "validationException",
    429: "throttlingException",
    503: "serviceUnavailableException",
    529: "serviceUnavailableException",
    424: "modelStreamErrorException",
    408: "modelStreamErrorException",
    504: "modelStreamErrorException",
}


def read_error(status: int, body: bytes) -> Fault:
    """A provider's error, of whatever shape."""
    return read_object(decoded(body), status)


def read_object(value: Any, status: int, kind: str = "") -> Fault:
    """An error object. `kind` is its name, where that is known already."""
    message = value if type(value) is str else ""
    if type(value) is dict:
        inner = value.get("error")
        value = inner if type(inner) is dict else value
        message = next((value[key] for key in ("message", "Message", "originalMessage", "error") if type(value.get(key)) is str), "")
        kind = kind or next((_bare(value[key]) for key in ("__type", "code", "type") if type(value.get(key)) is str), "")
    code = _ALL[kind][1] if kind in _ALL else _CODES.get(status, "invalid_request" if status < 500 else "provider_error")
    return Fault(status, meant(code, message), told(status, message), None, kind or None)


def _bare(kind: str) -> str:
    """`com.amazon.coral.service#ThrottlingException:http://...` is a ThrottlingException."""
    return kind.rpartition("#")[2].partition(":")[0][:80]


def read_exception(kind: str, value: Any) -> Fault:
    """An exception of a stream, which has no status but its name: `throttlingException`."""
    name = kind[:1].upper() + kind[1:]
    fault = read_object(value, _ALL.get(name, (502, ""))[0], name)
    # A model that fails in mid-stream is the provider's trouble, whatever number that has.
    return Fault(502, fault.code, fault.message, None, fault.type) if fault.status == 424 else fault


def write_error(fault: Fault, request_id: str) -> Extra:
    """An error body. SDKs look for the kind in a header first, and then here."""
    body: Extra = {"__type": _kind(fault), "message": fault.message}
    return {**body, "requestId": request_id} if request_id else body


def _kind(fault: Fault) -> str:
    if fault.type in _ALL and fault.type is not None:
        return fault.type
    return _NAMES.get(fault.status, "ValidationException" if fault.status < 500 else "InternalServerException")


def exception_of(fault: Fault) -> str:
    """The name of an exception that says so in a stream, which has few of them."""
    return _STREAMED.get(fault.status, "validationException" if fault.status < 500 else "internalServerException")
