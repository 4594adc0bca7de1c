"""Remembers what the demo provider was asked, for tests: requests as they came, and who hung up when. Off in the product."""

import base64
import hashlib
import time
from collections import deque
from typing import Any

from aiohttp import web

_BODY = 1 << 20
"""Bytes of each body that are kept; size and hash are of all of it."""


class Witness:
    """The last requests, oldest first."""

    def __init__(self, keep: int = 200) -> None:
        self._requests: deque[dict[str, Any]] = deque(maxlen=keep)

    def begin(self, request: web.Request, body: bytes) -> dict[str, Any]:
        """Remembers a request, and gives its record, for `end`. Times are Unix seconds."""
        try:
            text, binary = body[:_BODY].decode(), None
        except UnicodeDecodeError:
            text, binary = None, base64.b64encode(body[:_BODY]).decode()
        record: dict[str, Any] = {
            "method": request.method,
            "path": request.path_qs,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "body": text,
            "body_base64": binary,
            "began": time.time(),
            "ended": None,
            "client_gone": None,
        }
        self._requests.append(record)
        return record

    def end(self, record: dict[str, Any], *, client_gone: bool) -> None:
        """The request is over: answered, or the client hung up first."""
        record["ended"] = time.time()
        record["client_gone"] = record["ended"] if client_gone else None

    async def requests(self, request: web.Request) -> web.Response:
        """`GET /__demo/requests`."""
        return web.json_response({"requests": list(self._requests)})

    async def reset(self, request: web.Request) -> web.Response:
        """`DELETE /__demo/requests`."""
        self._requests.clear()
        return web.Response(status=204)

    async def open(self, request: web.Request) -> web.Response:
        """`GET /__demo/open`: how many requests are being answered, and those that the client left."""
        kept = ("method", "path", "began", "client_gone")
        left = [{key: record[key] for key in kept} for record in self._requests if record["client_gone"] is not None]
        return web.json_response({"open": sum(record["ended"] is None for record in self._requests), "hung_up": left})
