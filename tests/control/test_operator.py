"""The operator's port."""

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from extproc.control.operator import build_app
from extproc.ledger.metrics import CONTENT_TYPE

Client = TestClient[web.Request, web.Application]


class Desk:
    """A client, and what the gateway would say."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.client: Client = TestClient(TestServer(build_app(self.render, self.ready, lambda: {"status": "ok"})))

    async def render(self) -> bytes:
        return b"# TYPE x counter\nx 1\n"

    async def ready(self) -> list[str]:
        return self.missing


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    async with made.client:
        yield made


async def test_metrics(desk: Desk) -> None:
    async with desk.client.get("/metrics") as response:
        assert (response.status, await response.text()) == (200, "# TYPE x counter\nx 1\n")
        assert response.headers["content-type"] == CONTENT_TYPE


async def test_alive_and_ready(desk: Desk) -> None:
    async with desk.client.get("/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with desk.client.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ready", "missing": []})
    desk.missing = ["envoy"]
    async with desk.client.get("/readyz") as response:
        assert (response.status, await response.json()) == (503, {"status": "waiting", "missing": ["envoy"]})
    async with desk.client.get("/healthz") as response:
        assert response.status == 200


async def test_what_there_is(desk: Desk) -> None:
    async with desk.client.get("/") as response:
        assert await response.json() == {"headgate": ["/metrics", "/healthz", "/readyz", "/v1/providers/status", "/v1/limits"]}
    async with desk.client.get("/v1/providers/status") as response:
        assert await response.json() == {"status": "ok"}
    async with desk.client.get("/v1/models") as response:
        assert response.status == 404
    async with desk.client.post("/metrics") as response:
        assert response.status == 405
