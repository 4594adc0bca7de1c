"""What drives a connection, on asyncio's loop and on uvloop: sockets, tasks, time-outs, and what happens when the other end is gone."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop

from extproc.transport import native
from extproc.transport.http2.codes import ACK, PREFACE, Code, Setting
from extproc.transport.http2.limits import Limits
from extproc.transport.native import Driver
from extproc.transport.seam import Server
from tests.transport.talk import METHOD, Scene, Session, free_port, running
from tests.transport.talk import server as made_server
from tests.transport.wire import METHOD as TALK
from tests.transport.wire import PROBE, Frame, data, frame, frames, message, request, reset, settings, window_update

assert METHOD == TALK
HELLO = PREFACE + settings() + frame("SETTINGS", ACK)
GREEDY = PREFACE + settings((Setting.INITIAL_WINDOW_SIZE, 2**31 - 1)) + window_update(0, 2**30) + frame("SETTINGS", ACK)
"""Of a client whose windows are never in the way."""

Test = Callable[[], Coroutine[Any, Any, None]]


def each_loop(test: Test) -> Callable[[Callable[[], asyncio.AbstractEventLoop]], None]:
    """Runs a test on asyncio's loop and on uvloop."""

    @pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    def run(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(test(), 20))

    return run


class Client:
    """A socket, and frames by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.loop = asyncio.get_running_loop()
        self._rest = b""

    async def say(self, *said: bytes) -> None:
        await self.loop.sock_sendall(self.socket, b"".join(said))

    async def hear(self) -> Frame | None:
        """The next frame; None when the other end has closed."""
        while len(self._rest) < 9 or len(self._rest) < 9 + int.from_bytes(self._rest[:3]):
            try:
                piece = await self.loop.sock_recv(self.socket, 1 << 20)
            except ConnectionError:
                return None
            if not piece:
                return None
            self._rest += piece
        size = 9 + int.from_bytes(self._rest[:3])
        said, self._rest = self._rest[:size], self._rest[size:]
        return frames(said)[0]

    async def until(self, kind: str) -> Frame:
        """The next frame of that type."""
        while (heard := await self.hear()) is not None:
            if heard.kind == kind and not (kind == "SETTINGS" and heard.flags & ACK):
                return heard
        raise AssertionError(f"closed before {kind}")

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


# Tasks and writes.


@each_loop
async def test_a_session_that_does_not_wait_costs_no_task_and_no_turn() -> None:
    async with piped() as (scene, protocol, pipe):
        before = asyncio.all_tasks()
        protocol.data_received(b"".join(request(number) + data(number, message(b"x")) for number in range(1, 101, 2)))
        protocol.data_received(b"".join(data(number, message(b"2"), end=True) for number in range(1, 101, 2)))
        # No turn of the loop has passed, and all is done.
        assert asyncio.all_tasks() == before
        assert (scene.opened, scene.closed, len(scene.received)) == (50, 50, 100)
        assert [len(frames(written)) for written in pipe.written] == [100, 150]


@each_loop
async def test_a_session_that_waits_costs_one_task() -> None:
    async with piped() as (scene, protocol, pipe):
        before = asyncio.all_tasks()
        protocol.data_received(request(1) + data(1, message(b"wait") * 3))
        assert len(asyncio.all_tasks() - before) == 1
        scene.go.set()
        async with asyncio.timeout(5):
            while asyncio.all_tasks() != before:
                await asyncio.sleep(0)
        assert b"".join(pipe.written).count(b"waited") == 3


@each_loop
async def test_what_needs_no_answer_writes_nothing() -> None:
    async with piped() as (_scene, protocol, pipe):
        for piece in (request(1), data(1, message(b"0")), window_update(1, 1), PROBE[:5]):
            protocol.data_received(piece)
        assert pipe.written == []


@each_loop
async def test_reading_stops_while_nothing_can_be_written() -> None:
    async with piped() as (_scene, protocol, pipe):
        protocol.pause_writing()
        assert not pipe.reading
        protocol.resume_writing()
        assert pipe.reading


# A client that does not read.


@each_loop
async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    async with serving() as scene, client(scene, GREEDY) as peer:
        said = data(1, message(b"x" * 16_000))
        answered = 0
        saying = asyncio.create_task(peer.say(request(1), said * 500))
        # 8 MB to send; the server stops when a few of them have been answered.
        while answered < len(scene.received) or not scene.received:
            answered = len(scene.received)
            await asyncio.sleep(0.2)
        assert not saying.done()
        assert answered < 100
        # Now it reads; with this window, what it says may all be answered.
        got = 0
        while got < 500 * 16_005:
            got += len((await peer.until("DATA")).payload)
        await saying
        assert len(scene.received) == 500


@each_loop
async def test_stopping_does_not_wait_for_a_client_that_does_not_read() -> None:
    async with serving() as scene, client(scene, GREEDY) as peer:
        saying = asyncio.create_task(peer.say(request(1), *[data(1, message(b"x" * 16_000))] * 2000))
        await scene.until(b"x" * 16_000)
        await scene.server.stop(0.1)
        assert scene.closed == 1
        with pytest.raises(ConnectionError):
            await saying


@each_loop
async def test_an_error_of_a_client_that_does_not_read_closes_its_sessions() -> None:
    async with serving() as scene, client(scene, GREEDY) as peer:
        await peer.say(
            request(1), data(1, message(b"x" * 4_000) * 3), request(3), data(3, message(b"wait")), frame("PING", payload=b"short")
        )
        assert [await scene.end() for _ in range(2)] == ["closed"] * 2
        assert scene.cancelled.is_set()


@each_loop
async def test_a_deaf_client_that_broke_the_rules_is_not_kept() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_PATIENCE", 0.3)
        async with serving() as scene, client(scene, GREEDY) as peer:
            # A small read with very many replies: more than the sockets take, and nobody takes it from them.
            await peer.say(request(1), data(1, message(b"999")) * 100, frame("PING", payload=b"short"))
            assert await scene.end() == "closed"
            assert isinstance(scene.server, native.Server)
            assert scene.server.connections
            async with asyncio.timeout(3):
                while scene.server.connections:
                    await asyncio.sleep(0.01)


# Ends.


@each_loop
async def test_a_connection_that_is_lost_closes_every_session_once() -> None:
    async with serving() as scene:
        async with client(scene) as peer:
            for number in range(1, 41, 2):
                await peer.say(request(number), data(number, message(b"wait" if number % 3 else b"x")))
            await peer.say(request(41), data(41, message(b"last")), request(43))
            await scene.until(b"last")
        assert [await scene.end() for _ in range(21)] == ["closed"] * 21
        await asyncio.sleep(0.01)
        assert (scene.opened, scene.closed) == (21, 21)


@each_loop
async def test_a_bug_at_an_end_keeps_no_other_session_from_its_own() -> None:
    async with serving() as scene:
        scene.bad_close = True
        async with client(scene) as peer:
            await peer.say(*(request(number) + data(number, message(b"x%d" % number)) for number in range(1, 11, 2)))
            await scene.until(b"x9")
        assert [await scene.end() for _ in range(5)] == ["closed"] * 5


@each_loop
async def test_an_error_closes_every_session_once() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"x")), request(3), data(3, message(b"wait")), frame("PING", payload=b"short"))
        heard = await peer.closed()
        assert (heard[-1].kind, heard[-1].code) == ("GOAWAY", Code.FRAME_SIZE_ERROR)
        assert [await scene.end() for _ in range(2)] == ["closed"] * 2
        assert scene.closed == 2


@each_loop
async def test_a_client_that_says_no_more() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"x")))
        await peer.until("DATA")
        peer.socket.shutdown(socket.SHUT_WR)
        await peer.closed()
        assert await scene.end() == "closed"


@each_loop
async def test_a_wait_that_is_given_up_before_its_first_step() -> None:
    async with piped() as (scene, protocol, _):
        protocol.data_received(request(1) + data(1, message(b"wait, then tidy up")) + reset(1))
        assert await scene.end() == "closed"
        # It is told as it is told any other time, and may wait while it tidies up.
        assert (scene.opened, scene.closed, scene.cancelled.is_set()) == (1, 1, True)


@each_loop
async def test_a_wait_that_goes_on_although_it_was_given_up() -> None:
    async with piped() as (scene, protocol, pipe):
        protocol.data_received(request(1) + data(1, message(b"wait, whatever happens")))
        await asyncio.sleep(0)
        protocol.data_received(reset(1))
        assert await scene.end() == "closed"
        await asyncio.sleep(0.01)
        assert (scene.closed, pipe.written) == (1, [])


@each_loop
async def test_a_stream_that_ends_in_the_turn_in_which_it_waits_again() -> None:
    async with piped() as (scene, protocol, _):
        protocol.data_received(request(1) + data(1, message(b"wait")) + data(1, message(b"wait, for ever")))
        await asyncio.sleep(0)
        # The first wait is over, the second begins, and right behind it the stream is reset.
        scene.go.set()
        scene.go.clear()
        asyncio.get_running_loop().call_soon(protocol.data_received, reset(1))
        await scene.cancelled.wait()
        await asyncio.sleep(0.01)
        assert scene.received == [b"wait", b"wait, for ever"]
        assert scene.closed == 0
        scene.go.set()
        assert await scene.end() == "closed"


# Bugs of the driver.


@pytest.mark.parametrize("said", [b"nonsense", b"wait, then nonsense"])
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_bug_outside_of_the_sessions_ends_the_connection(
    factory: Callable[[], asyncio.AbstractEventLoop], said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with serving() as scene, client(scene) as peer, client(scene) as other:
            await peer.say(request(1), data(1, message(said)), request(3), data(3, message(b"x")))
            await scene.until(said)
            scene.go.set()
            heard = await peer.closed()
            assert (heard[-1].kind, heard[-1].code) == ("GOAWAY", Code.INTERNAL_ERROR)
            await scene.end()
            await other.say(request(1), data(1, message(b"y")))
            assert (await other.until("DATA")).payload == message(b"y")
            assert scene.closed == scene.opened - 1

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(test(), 20))
    assert "a connection is closed" in caplog.text
    assert "never retrieved" not in caplog.text


# The beginning.


@each_loop
async def test_a_host_that_vanishes_over_tcp_is_found_out() -> None:
    port = free_port()
    scene = Scene("native", f"127.0.0.1:{port}")
    await scene.server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(9)
    assert isinstance(scene.server, native.Server)
    (connection,) = scene.server.connections
    theirs = connection._transport.get_extra_info("socket")
    assert theirs.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    options = [getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT") if hasattr(socket, name)]
    idle, *more = [theirs.getsockopt(socket.IPPROTO_TCP, option) for option in options]
    assert (idle, more) == (15, [5, 3])
    writer.close()
    await scene.server.stop(0)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_too_many_connections(factory: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    async def test() -> None:
        scene = Scene("native", f"unix:{tmp_path}/s")
        scene.server = native.Server(scene.address, {METHOD: scene.open}, most=2)
        await scene.server.start()
        async with client(scene) as one:
            async with client(scene) as two:
                for peer in (one, two):
                    await peer.until("SETTINGS")
                for _ in range(3):
                    async with client(scene, b"") as three:
                        assert await three.closed() == []
                await two.say(request(1), data(1, message(b"x")))
                assert (await two.until("DATA")).payload == message(b"x")
            assert await scene.end() == "closed"
            async with client(scene) as three:
                await three.until("SETTINGS")
        await scene.server.stop(0)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(test(), 20))
    # Told once, not three times.
    assert [record.getMessage() for record in caplog.records if "more are closed" in record.message] == [
        f"unix:{tmp_path}/s has 2 connections; more are closed as they come"
    ]


@each_loop
async def test_a_client_that_does_not_finish_its_greeting_is_dropped() -> None:
    async with serving(Limits(handshake=0.4)) as scene, client(scene) as other:
        for hello in (b"", PREFACE[:-1], PREFACE, PREFACE + settings((Setting.ENABLE_PUSH, 0))[:-1]):
            async with client(scene, hello) as peer:
                assert [heard.kind for heard in await peer.closed()] == ["SETTINGS", "WINDOW_UPDATE"]
        await asyncio.sleep(0.5)
        await other.say(request(1), data(1, message(b"x")))
        assert (await other.until("DATA")).payload == message(b"x")


@each_loop
async def test_another_protocol() -> None:
    async with serving() as scene, client(scene, b"GET / HTTP/1.1\r\n\r\n") as peer:
        heard = await peer.closed()
        assert (heard[-1].kind, heard[-1].code) == ("GOAWAY", Code.PROTOCOL_ERROR)


@each_loop
async def test_bytes_one_by_one() -> None:
    async with serving() as scene, client(scene, b"") as peer:
        for byte in HELLO + request(1) + data(1, message(b"2"), end=True):
            await peer.say(bytes((byte,)))
        assert (await peer.until("DATA")).payload == message(b"2.0")


# Stopping.


@each_loop
async def test_goodbye_is_said_in_two_steps() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"x")))
        await peer.until("DATA")
        stopping = asyncio.create_task(scene.server.stop(10))
        assert (await peer.until("GOAWAY")).payload[:4] == b"\x7f\xff\xff\xff"
        ping = await peer.until("PING")
        await peer.say(request(3), data(3, message(b"y")), frame("PING", ACK, 0, ping.payload))
        assert (await peer.until("DATA")).payload == message(b"y")
        assert (await peer.until("GOAWAY")).payload[:4] == b"\0\0\0\x03"
        await peer.say(data(1, end=True), data(3, end=True))
        assert [heard.last for heard in await peer.closed()] == [True, True]
        await stopping
        assert scene.closed == 2


@each_loop
async def test_a_client_that_does_not_answer_a_goodbye() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.until("SETTINGS")
        await scene.server.stop(0.1)
        assert [heard.kind for heard in await peer.closed()][-1] == "GOAWAY"


@each_loop
async def test_stopping_before_starting_and_twice() -> None:
    with tempfile.TemporaryDirectory(prefix="hg-n-") as folder:
        server: Server = made_server("native", f"unix:{folder}/s", {})
        await server.stop(0)
        await server.start()
        await server.stop(0)
        await server.stop(0)


@each_loop
async def test_grpcios_client() -> None:
    async with running("native", "tcp") as scene:
        assert await asyncio.gather(*(scene.talk(b"x%d" % number, b"2") for number in range(20))) == [
            [b"x%d" % number, b"2.0", b"2.1"] for number in range(20)
        ]
        stream = scene.stream()
        await stream.write(b"wait")
        await scene.until(b"wait")
        stream.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await stream.code() is grpc.StatusCode.CANCELLED
        assert [await scene.end() for _ in range(21)] == ["closed"] * 21


def test_sessions_are_what_the_seam_says() -> None:
    assert isinstance(Session(Scene("native", "unix:/nowhere")).receive(b"x"), list)
