"""What goes wrong, as it is answered: one form for all of it, and nothing of what only the log is to know."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Struct
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from extproc.errors import INTERNAL, Fault, Reject

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 409: "conflict_error", 412: "conflict_error"}
_CODES = {404: "not_found", 415: "unsupported_media_type"}
_MESSAGES = {404: "There is nothing at this path."}
_METHOD = "This is not to be had with this method."
_AWAY = Fault(503, "store_unavailable", "The store does not answer at the moment. Nothing has been changed. Try again.")


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong."""

    type: str
    """The kind: `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `conflict_error`, `api_error`."""
    code: str
    """What it is, for programs."""
    message: str
    """The same, for people."""
    param: str | None
    """The field or parameter that it is about, if it is about one."""
    request_id: str
    """By which the gateway's log knows the request."""


class Failure(Struct, frozen=True):
    """The body of every answer that is no success."""

    error: Problem


def request_id(request: Request) -> str:
    """As `edge.Edge` has set it."""
    return str(request.scope["state"]["request_id"])


def told(request: Request, fault: Fault, headers: Mapping[str, str] | None = None) -> Response:
    """A fault as an answer."""
    kind = _TYPES.get(fault.status, "api_error" if fault.status >= 500 else "invalid_request_error")
    problem = Problem(type=kind, code=fault.code, message=fault.message, param=fault.param, request_id=request_id(request))
    return Response(msgspec.json.encode(Failure(problem)), fault.status, headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Reject)
    return told(request, error.fault, dict(error.headers))


async def _misasked(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: Sequence[Any] = error.errors()
    where = [str(part) for part in found[0]["loc"][1:]]
    return told(request, Fault(422, "invalid", f"{'.'.join(where)}: {found[0]['msg']}", where[0] if where else None))


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return told(request, Fault(405, "method_not_allowed", _METHOD), {"allow": ", ".join(sorted(_methods(request)))})
    code, message = _CODES.get(error.status_code, "invalid"), _MESSAGES.get(error.status_code, str(error.detail))
    return told(request, Fault(error.status_code, code, message), error.headers)


def _methods(request: Request) -> set[str]:
    """All that are taken at its path: each of them is a route of its own."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def _away(request: Request, _: Exception) -> Response:
    return told(request, _AWAY, {"retry-after": "2"})


def internal(request: Request) -> Response:
    """What is answered to a bug of ours."""
    return told(request, INTERNAL)


def add_handlers(app: FastAPI) -> None:
    """Answers for everything that is raised on purpose."""
    app.add_exception_handler(Reject, _refused)
    app.add_exception_handler(RequestValidationError, _misasked)
    app.add_exception_handler(HTTPException, _unrouted)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(away, _away)
