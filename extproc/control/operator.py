"""The operator's own port: metrics for Prometheus, and whether the gateway is alive and ready. Never on the callers' listener."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.hosts import is_loopback_name
from extproc.ledger.metrics import CONTENT_TYPE

Render = Callable[[], Awaitable[bytes]]
Ready = Callable[[], Awaitable[list[str]]]
Status = Callable[[], dict[str, Any]]
Limits = Callable[[], Awaitable[dict[str, Any]]]


async def _no_limits() -> dict[str, Any]:
    return {"data": [], "next_cursor": None}


def build_app(render: Render, ready: Ready, status: Status, limits: Limits = _no_limits, *, private: bool = False) -> web.Application:
    """`render`: the metrics in Prometheus' text format. `ready`: what is missing; empty when requests would be answered. `status`:
    how providers stand, see `extproc.standing.status`. `limits`: how those stand, see `extproc.control.counted`.

    `private`: it listens on loopback.
    """

    @web.middleware
    async def loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A web page that has had its own name resolved to this machine must not read what it costs (DNS rebinding).
        if private and not is_loopback_name(request.url.host or ""):
            return web.json_response({"error": "this port answers to loopback names only"}, status=403)
        return await handler(request)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await render(), headers={"content-type": CONTENT_TYPE})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        missing = await ready()
        return web.json_response({"status": "waiting" if missing else "ready", "missing": missing}, status=503 if missing else 200)

    async def providers(_: web.Request) -> web.Response:
        return web.json_response(status())

    async def counters(_: web.Request) -> web.Response:
        return web.json_response(await limits())

    async def index(_: web.Request) -> web.Response:
        return web.json_response({"headgate": ["/metrics", "/healthz", "/readyz", "/v1/providers/status", "/v1/limits"]})

    app = web.Application(middlewares=[loopback_only])
    app.add_routes([web.get("/", index), web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    app.add_routes([web.get("/v1/providers/status", providers), web.get("/v1/limits", counters)])
    return app
