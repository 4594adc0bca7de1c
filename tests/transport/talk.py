"""A server of either transport, sessions that do as their messages say, and grpcio's own client."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from extproc.drive import Waiting, begin
from extproc.transport import grpcio, health, native
from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Methods, Refused, Replies, Server, Speaker, Status
from extproc.transport.tls import Tls
from tests.e2e.ports import free_port

SERVICE = "acme.Service"
METHOD = f"/{SERVICE}/Talk"
KINDS = ("native", "grpcio")
Stream = Any
"""A `grpc.aio.StreamStreamCall` of bytes."""
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


def server(kind: str, address: str, methods: Methods, *, tls: Tls | None = None, limits: Limits | None = None) -> Server:
    """A server that does not listen yet."""
    if kind == "native":
        return native.Server(address, methods, tls=tls, limits=limits or Limits())
    return grpcio.Server(address, methods, tls=tls, limits=limits or Limits())


class Session(Speaker):
    """Answers as its messages say: `n` replies for a number, an exception, a wait, or itself. It can be made to say more."""

    def __init__(self, scene: "Scene") -> None:
        self.scene = scene

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        self.scene.received.append(message)
        match message:
            case b"bug":
                raise ZeroDivisionError("a bug")
            case b"refuse":
                raise self.scene.refusal
            case b"nonsense":
                return self._nonsense()
            case b"cancelled":
                raise asyncio.CancelledError
            case _ if message.startswith(b"wait"):
                return begin(self._later(message))
        if message.isdigit() and len(message) < 4:
            return [message + b"." + b"%d" % number for number in range(int(message))]
        return [message]

    def _nonsense(self) -> Replies:
        """What is no message at all."""
        nothing: Any = None
        return [nothing]

    async def _later(self, message: bytes) -> Replies:
        try:
            await self.scene.go.wait()
        except asyncio.CancelledError:
            if message.endswith(b"tidy up"):
                await asyncio.sleep(0)
            self.scene.cancelled.set()
            if message.endswith(b"for ever"):
                await self.scene.go.wait()
            if message.endswith(b"happens"):
                return [b"nobody hears this"]
            raise
        if message.endswith(b"cancelled"):
            # By somebody else, who shares it: nobody has given the stream up.
            shared = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(shared.cancel)
            await shared
        if message.endswith(b"bug"):
            raise ZeroDivisionError("a bug")
        if message.endswith(b"refuse"):
            raise self.scene.refusal
        return self._nonsense() if message.endswith(b"nonsense") else [b"waited"]

    def close(self) -> Waiting[None] | None:
        self.scene.closed += 1
        self.scene.ends.put_nowait("closed")
        if self.scene.cancelled_close:
            raise asyncio.CancelledError
        if self.scene.bad_close:
            raise ZeroDivisionError("a bug in the end")
        rest = begin(self._ending())
        return rest if isinstance(rest, Waiting) else None

    async def _ending(self) -> None:
        if self.scene.ending is not None:
            await asyncio.sleep(0)
            self.scene.ending()
            self.scene.ends.put_nowait("ended")


class Scene:
    """What the sessions of a server saw, and what they are to do."""

    def __init__(self, kind: str, address: str, *, tls: Tls | None = None, limits: Limits | None = None) -> None:
        self.kind = kind
        self.address = address
        self.received: list[bytes] = []
        self.opened = self.closed = 0
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ending: Callable[[], None] | None = None
        self.bad_close = self.cancelled_close = False
        self.refusal = Refused(Status.UNAVAILABLE, "later")
        self.newest: Session
        self.unopened: Exception | None = None
        """What opening a session raises."""
        self.health = health.Health({SERVICE})
        self.server = server(kind, address, {METHOD: self.open, health.CHECK: self.health}, tls=tls, limits=limits)
        self.channel: grpc.aio.Channel

    def open(self) -> Session:
        """The opener."""
        self.opened += 1
        if self.unopened is not None:
            raise self.unopened
        self.newest = Session(self)
        return self.newest

    def stream(self, method: str = METHOD, **options: Any) -> Stream:
        """A call by grpcio's client."""
        return self.channel.stream_stream(method)(**options)

    async def talk(self, *messages: bytes) -> list[bytes]:
        """A whole call: all messages, and all answers."""
        stream = self.stream()
        for message in messages:
            await stream.write(message)
        await stream.done_writing()
        got = [reply async for reply in stream]
        assert await stream.code() is grpc.StatusCode.OK
        return got

    async def ask(self, method: str, message: bytes) -> bytes:
        """A call of one message each way."""
        call: Any = self.channel.unary_unary(method)
        return bytes(await call(message, timeout=10))

    async def end(self) -> str:
        """The next end of a session."""
        async with asyncio.timeout(10):
            return await self.ends.get()

    async def until(self, message: bytes) -> None:
        """Waits until a session has this message."""
        async with asyncio.timeout(10):
            while message not in self.received:
                await asyncio.sleep(0.001)


async def failure(stream: Stream) -> tuple[grpc.StatusCode, str]:
    """How a call fails, with its next answer."""
    try:
        answer = await stream.read()
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError(f"an answer: {answer!r}")


@asynccontextmanager
async def running(kind: str, where: str = "unix", *, limits: Limits | None = None) -> AsyncIterator[Scene]:
    """A server, and a channel to it."""
    with tempfile.TemporaryDirectory(prefix="hg-t-") as folder:
        address = f"unix:{folder}/gate.sock" if where == "unix" else f"127.0.0.1:{free_port()}"
        scene = Scene(kind, address, limits=limits)
        await scene.server.start()
        scene.channel = grpc.aio.insecure_channel(address, options=UNBOUNDED)
        try:
            yield scene
        finally:
            await scene.channel.close()
            await scene.server.stop(0)
