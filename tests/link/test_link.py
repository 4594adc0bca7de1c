"""Worker and control process over a real socket: calls, pushes, deaths, returns."""

import asyncio
import os
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from extproc.link.client import BACK, Link, LinkDown, LinkFailed
from extproc.link.frames import Frame, FrameReader, Kind, encode
from extproc.link.server import LinkServer, Peer

pytestmark = pytest.mark.asyncio


def echo(peer: Peer, payload: bytes) -> bytes:
    return payload


async def slow(peer: Peer, payload: bytes) -> bytes:
    await asyncio.sleep(float(payload))
    return b"late"


def broken(peer: Peer, payload: bytes) -> bytes:
    raise RuntimeError("a bug")


HANDLERS: dict[str, Callable[[Peer, bytes], bytes | Awaitable[bytes]]] = {"echo": echo, "slow": slow, "broken": broken}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_calls_are_multiplexed(socket_path: str) -> None:
    server = LinkServer(socket_path, HANDLERS)
    await server.start()
    assert stat.S_IMODE(os.stat(socket_path).st_mode) == 0o600
    link = await Link.connect(socket_path)
    waiting = asyncio.create_task(link.call("slow", b"0.2"))
    assert await asyncio.gather(*[link.call("echo", b"%d" % number) for number in range(200)]) == [b"%d" % n for n in range(200)]
    assert not waiting.done()
    assert await waiting == b"late"
    large = os.urandom(20 << 20)
    assert await link.call("echo", large) == large
    with pytest.raises(LinkFailed, match="a bug"):
        await link.call("broken")
    with pytest.raises(LinkFailed, match="unknown method"):
        await link.call("nothing")
    with pytest.raises(LinkDown):
        await link.call("slow", b"9", timeout=0.05)
    with pytest.raises(LinkDown):
        await link.call("echo", bytes(81 << 20))
    assert await link.call("echo", b"still") == b"still"
    await link.close()
    with pytest.raises(LinkDown):
        await link.call("echo")
    await server.close()
    assert not os.path.exists(socket_path)


async def test_pushes_are_acknowledged(socket_path: str) -> None:
    server = LinkServer(socket_path, {}, on_connect=lambda peer: peer.push("snapshot", b"first"))
    await server.start()
    seen: list[list[bytes]] = [[], [], []]

    def bad(payload: bytes) -> None:
        raise ValueError("cannot use it")

    links = [await Link.connect(socket_path, {"snapshot": one.append}) for one in seen]
    links.append(await Link.connect(socket_path, {"snapshot": bad}))
    assert await server.push("snapshot", b"second", timeout=0.3) == 3
    assert seen == [[b"first", b"second"]] * 3
    for link in links:
        await link.close()
    await until(lambda: not server.peers)
    assert await server.push("snapshot", b"third") == 0
    await server.close()


async def test_a_dead_control_process_comes_back(socket_path: str) -> None:
    server = LinkServer(socket_path, HANDLERS)
    await server.start()
    ups: list[int] = []
    link = await Link.connect(socket_path, on_up=lambda: ups.append(1))
    waiting = asyncio.create_task(link.call("slow", b"9"))
    await asyncio.sleep(0.05)
    await server.close()
    with pytest.raises(LinkDown):
        await waiting
    began = time.monotonic()
    with pytest.raises(LinkDown):
        await link.call("echo")
    assert time.monotonic() - began < 0.05
    assert not link.notify("echo")
    await asyncio.sleep(0.1)
    again = LinkServer(socket_path, HANDLERS)
    await again.start()
    assert await link.ready(3)
    assert await link.call("echo", b"x") == b"x"
    assert len(ups) == 2
    await link.close()
    await again.close()


async def test_one_that_is_replaced_loses_nothing_that_must_not_be_lost(socket_path: str) -> None:
    told: list[bytes] = []
    done: list[bytes] = []

    async def tell(peer: Peer, payload: bytes) -> bytes:
        await asyncio.sleep(0.1)
        done.append(payload)
        return payload

    def note(peer: Peer, payload: bytes) -> bytes:
        told.append(payload)
        return payload

    old = LinkServer(socket_path, {"tell": tell, "note": note})
    await old.start()
    ups: list[int] = []
    link = await Link.connect(socket_path, on_up=lambda: ups.append(len(told)))
    await until(lambda: bool(old.peers))
    under_way = asyncio.create_task(link.call("tell", b"before"))
    await asyncio.sleep(0)
    await old.away(5)
    # What was asked before has been answered.
    assert (done, await under_way) == ([b"before"], b"before")
    # What can do without fails at once, the rest waits; also what is asked while there is nobody.
    with pytest.raises(LinkDown):
        await link.call("note", b"cache")
    assert not link.notify("note", b"notice")
    assert link.notify("note", b"first", hold=True)
    calls = [asyncio.create_task(link.call("note", b"second", timeout=0.01, hold=True))]
    door = socket.socket(fileno=old.keep())
    for peer in old.peers:
        peer.close()
    await until(lambda: not link.up)
    calls.append(asyncio.create_task(link.call("note", b"third", timeout=0.01, hold=True)))
    # Nobody is refused meanwhile: the socket is the same. But there is nobody to ask yet.
    assert await link.ready(5)
    assert not link.up
    assert ups == [0]
    assert not any(call.done() for call in calls)
    assert told == []
    fresh = LinkServer(socket_path, {"note": note}, on_connect=lambda peer: peer.push(BACK))
    await fresh.start(door)
    assert await asyncio.gather(*calls) == [b"second", b"third"]
    assert told == [b"first", b"second", b"third"]
    assert ups == [0, 0]
    assert link.up
    assert await link.call("note", b"fourth") == b"fourth"
    await link.close()
    await fresh.close()
    await old.close()


async def test_one_that_says_that_another_comes_and_then_serves_on(socket_path: str) -> None:
    server = LinkServer(socket_path, HANDLERS)
    await server.start()
    link = await Link.connect(socket_path, {"settings": lambda _: None})
    await until(lambda: bool(server.peers))
    await server.away(5)
    waiting = asyncio.create_task(link.call("echo", b"x", hold=True))
    assert await server.push("settings") == 1
    assert await waiting == b"x"
    # The connection is lost, and nobody comes: what waits fails when the link is closed.
    await server.away(5)
    waiting = asyncio.create_task(link.call("echo", b"x", hold=True))
    await asyncio.sleep(0)
    await server.close()
    await link.close()
    with pytest.raises(LinkDown):
        await waiting


async def test_a_dead_worker_is_noticed(socket_path: str) -> None:
    left: list[int] = []
    server = LinkServer(socket_path, HANDLERS, on_disconnect=lambda peer: left.append(peer.number))
    await server.start()
    link = await Link.connect(socket_path)
    await until(lambda: len(server.peers) == 1)
    (peer,) = server.peers
    call = asyncio.create_task(link.call("slow", b"9"))
    await asyncio.sleep(0.05)
    call.cancel()
    await link.close()
    await until(lambda: left == [peer.number])
    assert not await peer.push("snapshot")
    # Somebody who talks nonsense is cut off; nobody else minds.
    reader, writer = await asyncio.open_unix_connection(socket_path)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    other = await Link.connect(socket_path)
    assert await other.call("echo", b"x") == b"x"
    await other.close()
    await server.close()


async def test_the_path(socket_path: str) -> None:
    with pytest.raises(LinkDown):
        await Link.connect(socket_path, wait=0.1)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(socket_path)
    server = LinkServer(socket_path, HANDLERS)
    await server.start()
    with pytest.raises(OSError, match="in use"):
        await LinkServer(socket_path, HANDLERS).start()
    link = await Link.connect(socket_path)
    assert await link.call("echo", b"x") == b"x"
    await link.close()
    await server.close()
    with open(socket_path, "w") as file:
        file.write("precious")
    with pytest.raises(FileExistsError):
        await LinkServer(socket_path, HANDLERS).start()


def by_hand(coroutine: Coroutine[Any, Any, bytes], done: "asyncio.Future[bytes]") -> None:
    """Drives a coroutine as the engine does: outside of a task, from one future to the next."""

    def step(_: Any = None) -> None:
        try:
            future = coroutine.send(None)
        except StopIteration as end:
            done.set_result(end.value)
        else:
            future._asyncio_future_blocking = False
            future.add_done_callback(step)

    step()


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_outside_of_a_task_and_on_uvloop(socket_path: str, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scene() -> bytes:
        server = LinkServer(socket_path, HANDLERS)
        await server.start()
        link = await Link.connect(socket_path)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()
        loop.call_soon(by_hand, link.call("slow", b"0.01"), done)
        result = await done
        await link.close()
        await server.close()
        return result

    def run() -> bytes:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(scene())

    assert await asyncio.to_thread(run) == b"late"


class Written(asyncio.Transport):
    """A transport that keeps what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


async def test_what_is_asked_together_is_answered_together(socket_path: str) -> None:
    sent, peer = Written(), Peer(LinkServer(socket_path, HANDLERS), 1)
    peer.connection_made(sent)
    peer.data_received(b"".join(encode(Frame(Kind.CALL, number, "echo", b"%d" % number)) for number in range(5)))
    assert [(frame.id, frame.payload) for frame in FrameReader().feed(b"".join(sent.pieces))] == [(n, b"%d" % n) for n in range(5)]
    assert len(sent.pieces) == 1
    # Large ones do not pile up, one that is pushed later does not wait for anything, and nothing is told twice.
    peer.data_received(b"".join(encode(Frame(Kind.CALL, number, "echo", bytes(100_000))) for number in range(3)))
    peer.push("told")
    peer.data_received(encode(Frame(Kind.NOTIFY, 0, "echo", b"")))
    assert [len(FrameReader().feed(piece)) for piece in sent.pieces] == [5, 1, 1, 1, 1]
