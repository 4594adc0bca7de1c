"""Providers to test against: real HTTP servers on loopback, in a thread of their own, so that tests may block."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from aiohttp import web

from extproc.demo.app import build_app
from tests.e2e.ports import free_port

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Upstream:
    """An aiohttp application, served on `http://127.0.0.1:<port>`."""

    def __init__(self, app: web.Application) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _start(self) -> None:
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    def stop(self) -> None:
        """Closes it: from now on connections are refused."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            self.do(runner.cleanup())


class Demo(Upstream):
    """The demo provider, with its witness: what it was asked, and who hung up."""

    def __init__(self) -> None:
        super().__init__(build_app(inspect=True))

    def requests(self) -> list[dict[str, Any]]:
        """What it was asked since the last `reset`, oldest first."""
        found = httpx.get(f"{self.url}/__demo/requests", verify=False).json()["requests"]
        assert isinstance(found, list)
        return found

    def reset(self) -> None:
        """Forgets what it was asked."""
        httpx.delete(f"{self.url}/__demo/requests", verify=False)

    def open(self) -> dict[str, Any]:
        """Requests that it is answering now, and those whose client hung up."""
        found = httpx.get(f"{self.url}/__demo/open", verify=False).json()
        assert isinstance(found, dict)
        return found


class Scripted(Upstream):
    """A provider that answers every path by one function, which a test may swap at any time."""

    def __init__(self, handler: Handler | None = None) -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        super().__init__(app)
        self.handler = handler
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path_qs)
        if self.handler is None:
            return web.Response(status=500, text="no script")
        return await self.handler(request)
