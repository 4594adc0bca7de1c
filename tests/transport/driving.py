"""A native server and what talks to it frame by frame: over a socket, or straight into its driver, on asyncio's loop and on uvloop."""

import asyncio
import socket
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from extproc.transport import native
from extproc.transport.http2.limits import Limits
from extproc.transport.native import Driver
from tests.frames import ACK, HELLO, INITIAL_WINDOW_SIZE, PREFACE, SETTINGS, SETTINGS_ACK, Frame, Reader, settings, window_update
from tests.transport.talk import Scene

GREEDY = PREFACE + settings((INITIAL_WINDOW_SIZE, 2**31 - 1)) + window_update(0, 2**30) + SETTINGS_ACK
"""Of a client whose windows are never in the way."""

LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
Test = Callable[[], Coroutine[Any, Any, None]]


def each_loop(test: Test) -> Callable[[Callable[[], asyncio.AbstractEventLoop]], None]:
    """Runs a test on asyncio's loop and on uvloop."""

    @LOOPS
    def run(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(), 20))

    return run


class Client:
    """A socket, and frames by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._heard: deque[Frame] = deque()

    async def say(self, *said: bytes) -> None:
        await self.loop.sock_sendall(self.socket, b"".join(said))

    async def hear(self) -> Frame | None:
        """The next frame; None when the other end has closed."""
        while not self._heard:
            try:
                piece = await self.loop.sock_recv(self.socket, 1 << 20)
            except ConnectionError:
                return None
            if not piece:
                return None
            self._heard += self._reader.feed(piece)
        return self._heard.popleft()

    async def until(self, kind: int) -> Frame:
        """The next frame of that type."""
        while (heard := await self.hear()) is not None:
            if heard.kind == kind and not (kind == SETTINGS and heard.flags & ACK):
                return heard
        raise AssertionError(f"closed before {kind!r}")

    async def closed(self) -> list[Frame]:
        """All that still comes."""
        heard = []
        while (one := await self.hear()) is not None:
            heard.append(one)
        return heard


@asynccontextmanager
async def serving(limits: Limits | None = None) -> AsyncIterator[Scene]:
    """A server on a Unix socket, without a client."""
    with tempfile.TemporaryDirectory(prefix="hg-n-") as folder:
        scene = Scene("native", f"unix:{folder}/s", limits=limits)
        await scene.server.start()
        try:
            yield scene
        finally:
            await scene.server.stop(0)


@asynccontextmanager
async def client(scene: Scene, hello: bytes = HELLO) -> AsyncIterator[Client]:
    """A connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made = Client(connection)
        await made.loop.sock_connect(connection, scene.address.removeprefix("unix:"))
        await made.say(hello)
        yield made


class Pipe(asyncio.Transport):
    """A transport that remembers what was written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@asynccontextmanager
async def piped() -> AsyncIterator[tuple[Scene, Driver, Pipe]]:
    """A server with a connection on a pipe."""
    async with serving() as scene:
        assert isinstance(scene.server, native.Server)
        protocol, pipe = Driver(scene.server), Pipe()
        protocol.connection_made(pipe)
        protocol.data_received(HELLO)
        pipe.written.clear()
        try:
            yield scene, protocol, pipe
        finally:
            protocol.connection_lost(None)
