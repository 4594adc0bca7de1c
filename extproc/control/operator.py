"""The operator's own port: metrics for Prometheus, and whether the gateway is alive and ready. Never on the callers' listener."""

from collections.abc import Awaitable, Callable

from aiohttp import web

Render = Callable[[], Awaitable[bytes]]
Ready = Callable[[], Awaitable[list[str]]]


def build_app(render: Render, ready: Ready) -> web.Application:
    """`render`: the metrics in Prometheus' text format. `ready`: what is missing; empty when requests would be answered."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await render(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        missing = await ready()
        return web.json_response({"status": "waiting" if missing else "ready", "missing": missing}, status=503 if missing else 200)

    async def index(_: web.Request) -> web.Response:
        return web.json_response({"headgate": ["/metrics", "/healthz", "/readyz"]})

    app = web.Application()
    app.add_routes([web.get("/", index), web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app
