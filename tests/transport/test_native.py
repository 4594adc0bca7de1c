"""What drives a connection, on asyncio's loop and on uvloop: tasks, writes, clients that do not read, and how streams end."""

import asyncio
import socket

import pytest

from extproc.transport import native
from extproc.transport.http2.limits import Limits
from tests.frames import DATA, GOAWAY, PING, Code, data, frame, message, parse, reset, window_update
from tests.transport.driving import GREEDY, client, each_loop, piped, serving
from tests.transport.talk import METHOD
from tests.transport.wire import METHOD as TALK
from tests.transport.wire import PROBE, request

assert METHOD == TALK

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
        assert [len(parse(written)) for written in pipe.written] == [100, 150]


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
            got += len((await peer.until(DATA)).payload)
        await saying
        assert len(scene.received) == 500


@each_loop
async def test_what_waited_for_a_filter_is_not_answered_to_a_client_that_does_not_read() -> None:
    """One message waits, and behind it come some that ask for a thousand answers each."""
    async with serving(Limits(answers=65_536)) as scene, client(scene, GREEDY) as peer:
        assert isinstance(scene.server, native.Server)
        await peer.say(request(1), data(1, message(b"wait")), data(1, message(b"999")) * 50)
        await scene.until(b"wait")
        scene.go.set()
        await scene.until(b"999")
        (protocol,) = scene.server.connections
        # Until nothing happens any more: a turn of the loop for each message, and a few more.
        for _ in range(200):
            await asyncio.sleep(0)
            assert protocol._transport.get_write_buffer_size() < 300_000
        assert protocol._core.choked and len(scene.received) < 30
        # It reads, and all is answered.
        for _ in range(1 + 50 * 999):
            await peer.until(DATA)
        assert scene.received == [b"wait"] + [b"999"] * 50
        assert not protocol._core.choked


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
        await peer.say(request(1), data(1, message(b"x" * 4_000) * 3), request(3), data(3, message(b"wait")), frame(PING, payload=b"short"))
        assert [await scene.end() for _ in range(2)] == ["closed"] * 2
        assert scene.cancelled.is_set()


@each_loop
async def test_a_deaf_client_that_broke_the_rules_is_not_kept() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_PATIENCE", 0.3)
        async with serving() as scene, client(scene, GREEDY) as peer:
            # A small read with very many replies: more than the sockets take, and nobody takes it from them.
            await peer.say(request(1), data(1, message(b"999")) * 100, frame(PING, payload=b"short"))
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
        await peer.say(request(1), data(1, message(b"x")), request(3), data(3, message(b"wait")), frame(PING, payload=b"short"))
        heard = await peer.closed()
        assert (heard[-1].kind, heard[-1].code) == (GOAWAY, Code.FRAME_SIZE_ERROR)
        assert [await scene.end() for _ in range(2)] == ["closed"] * 2
        assert scene.closed == 2


@each_loop
async def test_a_client_that_says_no_more() -> None:
    async with serving() as scene, client(scene) as peer:
        await peer.say(request(1), data(1, message(b"x")))
        await peer.until(DATA)
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
