"""The life of native connections, on asyncio's loop and on uvloop: how they begin, how many there may be, how they stop, and bugs."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from extproc.transport import native
from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Server
from tests.e2e.ports import free_port
from tests.frames import ACK, DATA, ENABLE_PUSH, GOAWAY, HELLO, PING, PREFACE, SETTINGS, WINDOW_UPDATE, Code, data, frame, message, settings
from tests.transport.driving import LOOPS, client, each_loop, serving
from tests.transport.talk import METHOD, Scene, Session, running
from tests.transport.talk import server as made_server
from tests.transport.wire import request

# Bugs of the driver.


@pytest.mark.parametrize("said", [b"nonsense", b"wait, then nonsense"])
@LOOPS
def test_a_bug_outside_of_the_sessions_ends_the_connection(
    factory: Callable[[], asyncio.AbstractEventLoop], said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with serving() as scene, client(scene) as peer, client(scene) as other:
            await peer.say(request(1), data(1, message(said)), request(3), data(3, message(b"x")))
            await scene.until(said)
            scene.go.set()
            heard = await peer.closed()
            assert (heard[-1].kind, heard[-1].code) == (GOAWAY, Code.INTERNAL_ERROR)
            await scene.end()
            await other.say(request(1), data(1, message(b"y")))
            assert (await other.until(DATA)).payload == message(b"y")
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


@LOOPS
def test_too_many_connections(factory: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    async def test() -> None:
        scene = Scene("native", f"unix:{tmp_path}/s")
        scene.server = native.Server(scene.address, {METHOD: scene.open}, most=2)
        await scene.server.start()
        async with client(scene) as one:
            async with client(scene) as two:
                for peer in (one, two):
                    await peer.until(SETTINGS)
                for _ in range(3):
                    async with client(scene, b"") as three:
                        assert await three.closed() == []
                await two.say(request(1), data(1, message(b"x")))
                assert (await two.until(DATA)).payload == message(b"x")
            assert await scene.end() == "closed"
            async with client(scene) as three:
                await three.until(SETTINGS)
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
        for hello in (b"", PREFACE[:-1], PREFACE, PREFACE + settings((ENABLE_PUSH, 0))[:-1]):
            async with client(scene, hello) as peer:
                assert [heard.kind for heard in await peer.closed()] == [SETTINGS, WINDOW_UPDATE]
        await asyncio.sleep(0.5)
        await other.say(request(1), data(1, message(b"x")))
        assert (await other.until(DATA)).payload == message(b"x")


@each_loop
async def test_another_protocol() -> None:
    async with serving() as scene, client(scene, b"GET / HTTP/1.1\r\n\r\n") as peer:
        heard = await peer.closed()
        assert (heard[-1].kind, heard[-1].code) == (GOAWAY, Code.PROTOCOL_ERROR)


@each_loop
async def test_bytes_one_by_one() -> None:
    async with serving() as scene, client(scene, b"") as peer:
        for byte in HELLO + request(1) + data(1, message(b"2"), end=True):
            await peer.say(bytes((byte,)))
        assert (await peer.until(DATA)).payload == message(b"2.0")


# Stopping.


@each_loop
async def test_goodbye_is_said_in_two_steps() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"x")))
        await peer.until(DATA)
        stopping = asyncio.create_task(scene.server.stop(10))
        assert (await peer.until(GOAWAY)).payload[:4] == b"\x7f\xff\xff\xff"
        ping = await peer.until(PING)
        await peer.say(request(3), data(3, message(b"y")), frame(PING, ACK, 0, ping.payload))
        assert (await peer.until(DATA)).payload == message(b"y")
        assert (await peer.until(GOAWAY)).payload[:4] == b"\0\0\0\x03"
        await peer.say(data(1, end=True), data(3, end=True))
        assert [heard.last for heard in await peer.closed()] == [True, True]
        await stopping
        assert scene.closed == 2


@each_loop
async def test_a_client_that_does_not_answer_a_goodbye() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.until(SETTINGS)
        await scene.server.stop(0.1)
        assert [heard.kind for heard in await peer.closed()][-1] == GOAWAY


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
