"""The transport against grpcio's own client, over a Unix socket: bytes in, bytes out, and every end is told."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from extproc.drive import Waiting, begin
from extproc.transport.grpcio import SERVICE, Server
from extproc.transport.seam import Replies

METHOD = f"/{SERVICE}/Process"
Stream = Any
"""A `grpc.aio.StreamStreamCall` of bytes."""


class Session:
    """Answers as its messages say: `n` replies for a number, an exception, a wait, or itself."""

    def __init__(self, scene: "Scene") -> None:
        self.scene = scene

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        self.scene.received.append(message)
        if message == b"bug":
            raise ZeroDivisionError("a bug")
        if message == b"wait":
            return begin(self._later())
        if message.isdigit():
            return [message + b"." + b"%d" % number for number in range(int(message))]
        return [message]

    async def _later(self) -> Replies:
        try:
            await self.scene.go.wait()
        except asyncio.CancelledError:
            self.scene.cancelled.set()
            raise
        return [b"waited"]

    def close(self) -> Waiting[None] | None:
        self.scene.closed += 1
        self.scene.ends.put_nowait("closed")
        rest = begin(self._ending())
        return rest if isinstance(rest, Waiting) else None

    async def _ending(self) -> None:
        if self.scene.ending is not None:
            await asyncio.sleep(0)
            self.scene.ending()
            self.scene.ends.put_nowait("ended")


class Scene:
    """A server, a channel to it, and what its sessions saw."""

    def __init__(self, folder: str) -> None:
        self.received: list[bytes] = []
        self.closed = 0
        self.opened = 0
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ending: Callable[[], None] | None = None
        self.address = f"unix:{folder}/gate.sock"
        self.server = Server(self.address, self.open)
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.aio.insecure_channel(self.address, options=options)

    def open(self) -> Session:
        self.opened += 1
        return Session(self)

    def stream(self, method: str = METHOD) -> Stream:
        return self.channel.stream_stream(method)()

    async def end(self) -> str:
        async with asyncio.timeout(10):
            return await self.ends.get()


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="hg-grpc-") as folder:
        made = Scene(folder)
        await made.server.start()
        yield made
        await made.channel.close()
        await made.server.stop(0)


async def test_replies_come_in_order(scene: Scene) -> None:
    stream = scene.stream()
    for message in (b"3", b"", b"0", b"x", b"2"):
        await stream.write(message)
    got = [await stream.read() for _ in range(7)]
    assert got == [b"3.0", b"3.1", b"3.2", b"", b"x", b"2.0", b"2.1"]
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK
    assert await scene.end() == "closed"
    assert scene.received == [b"3", b"", b"0", b"x", b"2"]


async def test_what_waits_holds_up_only_its_own_stream(scene: Scene) -> None:
    one, two = scene.stream(), scene.stream()
    await one.write(b"wait")
    await one.write(b"after")
    await two.write(b"x")
    assert await two.read() == b"x"
    scene.go.set()
    assert [await one.read(), await one.read()] == [b"waited", b"after"]
    assert scene.opened == 2


async def test_a_hang_up_closes_the_session_once(scene: Scene) -> None:
    stream = scene.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    stream.cancel()
    assert await scene.end() == "closed"
    assert scene.closed == 1


async def test_a_hang_up_reaches_what_waits(scene: Scene) -> None:
    stream = scene.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    await stream.write(b"wait")
    async with asyncio.timeout(10):
        while b"wait" not in scene.received:
            await asyncio.sleep(0)
    stream.cancel()
    assert await scene.end() == "closed"
    assert scene.cancelled.is_set()


async def test_an_end_that_waits_is_waited_for(scene: Scene) -> None:
    ends: list[str] = []
    scene.ending = lambda: ends.append("x")
    for number in range(2):
        stream = scene.stream()
        await stream.write(b"x")
        assert await stream.read() == b"x"
        if number:
            stream.cancel()
        else:
            await stream.done_writing()
        assert [await scene.end(), await scene.end()] == ["closed", "ended"]
    assert ends == ["x", "x"]


async def test_a_bug_in_an_end_is_told(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    told = asyncio.Event()

    class Waiter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def bug() -> None:
        raise ZeroDivisionError

    scene.ending = bug
    logger = logging.getLogger("extproc.transport.grpcio")
    handler = Waiter()
    logger.addHandler(handler)
    try:
        stream = scene.stream()
        await stream.write(b"x")
        assert await stream.read() == b"x"
        await stream.done_writing()
        async with asyncio.timeout(10):
            await told.wait()
    finally:
        logger.removeHandler(handler)
    assert "the end of an exchange failed" in caplog.text


async def test_a_bug_ends_the_stream_and_no_other(scene: Scene) -> None:
    other, stream = scene.stream(), scene.stream()
    await other.write(b"x")
    assert await other.read() == b"x"
    await stream.write(b"bug")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    # What went wrong is for our log, not for Envoy's.
    assert (raised.value.code(), "bug" in (raised.value.details() or "")) == (grpc.StatusCode.INTERNAL, False)
    assert await scene.end() == "closed"
    await other.write(b"y")
    assert await other.read() == b"y"


@pytest.mark.parametrize(
    "method", [f"/{SERVICE}/Other", "/grpc.health.v1.Health/Check", "/envoy.service.ext_proc.v2.ExternalProcessor/Process"]
)
async def test_other_methods(scene: Scene, method: str) -> None:
    stream = scene.stream(method)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert scene.opened == 0


async def test_a_big_message(scene: Scene) -> None:
    stream = scene.stream()
    big = bytes(range(256)) * (20 << 12)
    assert len(big) == 20 << 20
    await stream.write(big)
    assert await stream.read() == big


async def test_many_streams(scene: Scene) -> None:
    async def talk(number: int) -> bytes:
        stream = scene.stream()
        await stream.write(b"x%d" % number)
        got: bytes = await stream.read()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        return got

    assert await asyncio.gather(*map(talk, range(100))) == [b"x%d" % number for number in range(100)]
    assert [await scene.end() for _ in range(100)] == ["closed"] * 100


async def test_stopping_ends_what_is_under_way(scene: Scene) -> None:
    stream = scene.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    await scene.server.stop(0)
    assert await scene.end() == "closed"
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()


async def test_an_address_that_cannot_be_had() -> None:
    with pytest.raises((OSError, RuntimeError)):
        Server("203.0.113.1:50051", lambda: None)  # type: ignore[arg-type,return-value]
    assert Path().exists()
