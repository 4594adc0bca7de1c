"""How servers of both transports begin and stop, with grpcio's own client."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from extproc.transport import endings
from tests.transport.talk import KINDS, Scene, failure, running, server


@pytest_asyncio.fixture(params=[(kind, where) for kind in KINDS for where in ("unix", "tcp")], ids="-".join)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    kind, where = request.param
    async with running(kind, where) as made:
        yield made


async def test_stopping_ends_what_is_under_way(scene: Scene) -> None:
    stream = scene.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    await scene.server.stop(0)
    assert await scene.end() == "closed"
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()


async def refused(scene: Scene) -> grpc.StatusCode:
    """What new calls end with, once the client has heard the goodbye."""
    while True:
        stream = scene.stream()
        try:
            await stream.write(b"x")
            await stream.read()
        except grpc.aio.AioRpcError as error:
            return error.code()
        stream.cancel()


async def test_stopping_gives_time(scene: Scene) -> None:
    stream, long = scene.stream(), scene.stream()
    for one in (stream, long):
        await one.write(b"x")
        assert await one.read() == b"x"
    stopping = asyncio.create_task(scene.server.stop(60))
    code = await refused(scene)
    # grpcio's own server says one thing or another.
    assert code is grpc.StatusCode.UNAVAILABLE or (scene.kind == "grpcio" and code is not grpc.StatusCode.OK)
    # What is under way goes on.
    await stream.write(b"y")
    assert await stream.read() == b"y"
    await stream.done_writing()
    assert (await stream.read(), await stream.code()) == (grpc.aio.EOF, grpc.StatusCode.OK)
    # Until the time is over.
    assert (stopping.done(), scene.opened - scene.closed) == (False, 1)
    await scene.server.stop(0)
    await stopping
    assert scene.opened == scene.closed
    assert (await failure(long))[0] in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_stopping_ends_when_all_have_ended(scene: Scene) -> None:
    ends: list[str] = []
    scene.ending = lambda: ends.append("x")
    stream = scene.stream()
    await stream.write(b"wait")
    await stream.done_writing()
    await scene.until(b"wait")
    stopping = asyncio.create_task(scene.server.stop(60))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    scene.go.set()
    async with asyncio.timeout(10):
        await stopping
    assert [reply async for reply in stream] == [b"waited"]
    assert ends == ["x"]


@pytest.mark.parametrize("message", [b"x", b"wait", b"wait, then tidy up", b"wait, whatever happens"])
async def test_stopping_waits_until_all_sessions_are_closed(scene: Scene, message: bytes) -> None:
    scene.ending = lambda: None
    streams = [scene.stream() for _ in range(3)]
    for stream in streams:
        await stream.write(message)
        await scene.until(message)
    while len(scene.received) < 3:
        await asyncio.sleep(0.001)
    await scene.server.stop(0)
    assert [scene.ends.get_nowait() for _ in range(scene.ends.qsize())].count("ended") == scene.closed == 3


async def test_stopping_does_not_wait_for_an_end_that_never_comes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "_PATIENCE", 0.2)
    stream = scene.stream()
    await stream.write(b"wait, for ever")
    await scene.until(b"wait, for ever")
    async with asyncio.timeout(10):
        await scene.server.stop(0)
    assert (scene.cancelled.is_set(), scene.closed) == (True, 0)
    scene.go.set()
    assert await scene.end() == "closed"


async def test_stopping_with_nobody_there(scene: Scene) -> None:
    async with asyncio.timeout(5):
        await scene.server.stop(60)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["203.0.113.1:50051", "unix:/nowhere/at/all/gate.sock", "unix:/" + "x" * 200])
async def test_an_address_that_cannot_be_had(kind: str, address: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the words are the system's
        await server(kind, address, {}).start()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_port_that_is_taken(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):  # noqa: PT011 - see above
        await server(kind, f"127.0.0.1:{taken.getsockname()[1]}", {}).start()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_socket_that_somebody_left_behind(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    made = server(kind, f"unix:{path}", {})
    await made.start()
    await made.stop(0)
