"""The outermost layer: every request has an id, and a bug of ours is logged once, under that id."""

import logging
import re
import secrets
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from extproc.admin.problems import internal

_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")
"""What is taken for an id of somebody else's."""
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]

_log = logging.getLogger(__name__)


class Edge:
    """Around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _id(scope["headers"])
        # Starlette's own: what `request.state` is made of.
        scope["state"] = {**scope.get("state", {}), "request_id": id}
        begun = False

        async def tell(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*_missing(message["headers"]), *message["headers"], (b"x-request-id", id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, tell)
        except Exception:
            _log.exception("%s %r failed (request %s)", scope["method"], scope["path"], id)
            if begun:
                raise
            await internal(Request(scope))(scope, receive, tell)


def _missing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name for name, _ in headers}
    return [header for header in _HEADERS if header[0] not in there]


def _id(headers: Any) -> str:
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _ID.fullmatch(given) else secrets.token_hex(16)
