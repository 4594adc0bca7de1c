"""Both transports against grpcio's own client: bytes in, bytes out, and every end is told."""

import asyncio
import logging
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Refused, Status
from tests.frames import PREFACE
from tests.transport.talk import KINDS, SERVICE, Scene, failure, running


@pytest_asyncio.fixture(params=[(kind, where) for kind in KINDS for where in ("unix", "tcp")], ids="-".join)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    kind, where = request.param
    async with running(kind, where) as made:
        yield made


@pytest_asyncio.fixture(params=KINDS)
async def local(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """For what has nothing to do with the kind of socket."""
    async with running(request.param) as made:
        yield made


@pytest_asyncio.fixture
async def native() -> AsyncIterator[Scene]:
    async with running("native", limits=Limits(message=100_000)) as made:
        yield made


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
    assert (scene.opened, scene.closed) == (1, 1)


async def test_many_streams(scene: Scene) -> None:
    got = await asyncio.gather(*(scene.talk(b"x%d" % number, b"0", b"y") for number in range(50)))
    assert got == [[b"x%d" % number, b"y"] for number in range(50)]
    assert [await scene.end() for _ in range(50)] == ["closed"] * 50


async def test_a_call_that_says_nothing_opens_no_session(local: Scene) -> None:
    assert await local.talk() == []
    assert (local.opened, local.closed) == (0, 0)


async def test_no_replies(local: Scene) -> None:
    assert await local.talk(b"0", b"0") == []
    assert await local.end() == "closed"


async def test_what_is_said_unasked(local: Scene) -> None:
    stream = local.stream()
    await stream.write(b"2")
    await local.until(b"2")
    long = b"x" * 200_000
    for number in range(3):
        local.newest.say([b"unasked %d" % number, long])
    await stream.write(b"asked")
    wanted = [b"2.0", b"2.1", b"unasked 0", long, b"unasked 1", long, b"unasked 2", long, b"asked"]
    assert [await stream.read() for _ in wanted] == wanted
    await stream.done_writing()
    assert await stream.code() is grpc.StatusCode.OK
    await local.end()
    # Nobody is there any more.
    local.newest.say([b"late"])
    assert await local.talk(b"1") == [b"1.0"]


async def test_what_is_said_to_who_has_hung_up(local: Scene) -> None:
    stream = local.stream()
    await stream.write(b"1")
    assert await stream.read() == b"1.0"
    stream.cancel()
    local.newest.say([b"to nobody" * 10_000])
    await local.end()
    local.newest.say([b"late"])
    assert await local.talk(b"1") == [b"1.0"]


async def test_a_client_that_says_all_at_once(local: Scene) -> None:
    assert await local.talk(b"x", b"", b"2") == [b"x", b"", b"2.0", b"2.1"]


async def test_what_waits_holds_up_only_its_own_stream(local: Scene) -> None:
    one, two = local.stream(), local.stream()
    for message in (b"wait", b"after", b"2", b"wait", b"last"):
        await one.write(message)
    await two.write(b"x")
    assert await two.read() == b"x"
    local.go.set()
    assert [await one.read() for _ in range(6)] == [b"waited", b"after", b"2.0", b"2.1", b"waited", b"last"]
    assert local.opened == 2


async def test_a_half_close_while_it_waits(local: Scene) -> None:
    stream = local.stream()
    await stream.write(b"wait")
    await stream.write(b"after")
    await stream.done_writing()
    await local.until(b"wait")
    assert local.closed == 0
    local.go.set()
    assert [reply async for reply in stream] == [b"waited", b"after"]
    assert (await stream.code(), await local.end()) == (grpc.StatusCode.OK, "closed")


async def test_a_hang_up_closes_the_session_once(local: Scene) -> None:
    stream = local.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    stream.cancel()
    assert await local.end() == "closed"
    assert await local.talk(b"y") == [b"y"]
    assert await local.end() == "closed"
    assert (local.opened, local.closed) == (2, 2)


@pytest.mark.parametrize("message", [b"wait", b"wait, whatever happens", b"wait, then tidy up"])
async def test_a_hang_up_reaches_what_waits(local: Scene, message: bytes) -> None:
    stream = local.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    await stream.write(message)
    await local.until(message)
    stream.cancel()
    assert await local.end() == "closed"
    assert local.cancelled.is_set()
    assert await local.talk(b"y") == [b"y"]
    assert (await local.end(), local.closed) == ("closed", 2)


async def test_a_channel_that_is_closed_closes_all_sessions(local: Scene) -> None:
    streams = [local.stream() for _ in range(5)]
    for stream in streams:
        await stream.write(b"x")
        assert await stream.read() == b"x"
    await local.channel.close()
    assert [await local.end() for _ in streams] == ["closed"] * 5


async def test_an_end_that_waits_is_waited_for(local: Scene) -> None:
    ends: list[str] = []
    local.ending = lambda: ends.append("x")
    for number in range(2):
        stream = local.stream()
        await stream.write(b"x")
        assert await stream.read() == b"x"
        if number:
            stream.cancel()
        else:
            await stream.done_writing()
        assert [await local.end(), await local.end()] == ["closed", "ended"]
    assert ends == ["x", "x"]


async def test_a_bug_in_an_end_is_told(local: Scene, caplog: pytest.LogCaptureFixture) -> None:
    told = asyncio.Event()

    class Waiter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def bug() -> None:
        raise ZeroDivisionError

    local.ending = bug
    logger = logging.getLogger("extproc.transport")
    handler = Waiter()
    logger.addHandler(handler)
    try:
        assert await local.talk(b"x") == [b"x"]
        async with asyncio.timeout(10):
            await told.wait()
    finally:
        logger.removeHandler(handler)
    assert "the end of an exchange failed" in caplog.text


@pytest.mark.parametrize("bug", ["bad_close", "cancelled_close"])
async def test_a_bug_at_an_end_ends_no_other_stream(local: Scene, caplog: pytest.LogCaptureFixture, bug: str) -> None:
    other = local.stream()
    await other.write(b"x")
    assert await other.read() == b"x"
    setattr(local, bug, True)
    assert await local.talk(b"y") == [b"y"]
    assert await local.end() == "closed"
    await other.write(b"z")
    assert await other.read() == b"z"
    assert "the end of an exchange failed" in caplog.text


@pytest.mark.parametrize("message", [b"bug", b"wait, then bug", b"cancelled", b"wait, then cancelled"])
async def test_a_bug_ends_the_stream_and_no_other(local: Scene, message: bytes) -> None:
    other, stream = local.stream(), local.stream()
    await other.write(b"x")
    assert await other.read() == b"x"
    await stream.write(message)
    await local.until(message)
    local.go.set()
    # What went wrong is for our log, not for Envoy's.
    assert await failure(stream) == (grpc.StatusCode.INTERNAL, "broken off")
    assert await local.end() == "closed"
    await other.write(b"y")
    assert await other.read() == b"y"
    assert local.closed == 1


async def test_replies_before_a_bug_are_heard(local: Scene) -> None:
    stream = local.stream()
    await stream.write(b"2")
    assert [await stream.read(), await stream.read()] == [b"2.0", b"2.1"]
    await stream.write(b"bug")
    assert await failure(stream) == (grpc.StatusCode.INTERNAL, "broken off")


@pytest.mark.parametrize("status", [status for status in Status if status], ids=lambda status: status.name)
async def test_statuses(local: Scene, status: Status) -> None:
    local.refusal = Refused(status, "so it is")
    stream = local.stream()
    await stream.write(b"refuse")
    assert await failure(stream) == (grpc.StatusCode[status.name], "so it is")
    assert await local.end() == "closed"


@pytest.mark.parametrize("message", [b"refuse", b"wait, then refuse"])
@pytest.mark.parametrize("text", ["", "100 % grün\r\n\ttwo lines \N{PERSONAL COMPUTER}", "x" * 1000, "~!@#$^&*()%41"])
async def test_words(local: Scene, message: bytes, text: str) -> None:
    local.refusal = Refused(Status.UNAVAILABLE, text)
    stream = local.stream()
    await stream.write(b"x")
    assert await stream.read() == b"x"
    await stream.write(message)
    await local.until(message)
    local.go.set()
    assert await failure(stream) == (grpc.StatusCode.UNAVAILABLE, text)


@pytest.mark.parametrize("letter", ["x", "ü", "\N{PERSONAL COMPUTER}", "\udc80"])
async def test_very_many_words(native: Scene, letter: str) -> None:
    # A client refuses headers that are too long, and then nobody learns the status.
    native.refusal = Refused(Status.UNAVAILABLE, letter * 100_000)
    stream = native.stream()
    await stream.write(b"refuse")
    code, text = await failure(stream)
    assert (code, len(text) > 100) == (grpc.StatusCode.UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Refused(Status.UNAVAILABLE, "not yet"), (grpc.StatusCode.UNAVAILABLE, "not yet")),
        (ZeroDivisionError("a bug"), (grpc.StatusCode.INTERNAL, "broken off")),
    ],
)
async def test_a_session_that_cannot_be_opened(local: Scene, error: Exception, expected: tuple[grpc.StatusCode, str]) -> None:
    local.unopened = error
    stream = local.stream()
    await stream.write(b"x")
    assert await failure(stream) == expected
    assert local.closed == 0


@pytest.mark.parametrize(
    "method", [f"/{SERVICE}/Other", "/grpc.health.v1.Health/Watch", "/envoy.service.ext_proc.v2.ExternalProcessor/Process", "/"]
)
async def test_other_methods(local: Scene, method: str) -> None:
    code, _ = await failure(local.stream(method))
    assert (code, local.opened) == (grpc.StatusCode.UNIMPLEMENTED, 0)


@pytest.mark.parametrize("size", [0, 1, 16_378, 16_379, 16_380, 16_383, 16_384, 16_385, 65_530, 65_531, 1 << 20])
async def test_messages_of_all_sizes(local: Scene, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    messages = [content[:size], b"x", content[1 : size + 1]]
    assert await local.talk(*messages) == messages


async def test_messages_of_64_mib(local: Scene) -> None:
    content = bytes(range(256)) * (1 << 18)
    assert len(content) == 64 << 20
    assert await local.talk(content) == [content]


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_that_are_too_long(kind: str) -> None:
    async with running(kind, limits=Limits(message=100_000)) as scene:
        assert await scene.talk(bytes(100_000)) == [bytes(100_000)]
        assert await scene.end() == "closed"
        other = scene.stream()
        await other.write(b"x")
        assert await other.read() == b"x"
        for size in (100_001, 5_000_000):
            stream = scene.stream()
            await stream.write(b"y")
            assert await stream.read() == b"y"
            await stream.write(bytes(size))
            code, text = await failure(stream)
            assert (code, "100000" in text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
            assert await scene.end() == "closed"
        await other.write(b"y")
        assert await other.read() == b"y"


@pytest.mark.parametrize("kind", KINDS)
async def test_streams_at_once(kind: str) -> None:
    async with running(kind, limits=Limits(streams=2)) as scene:
        # The client has heard of the limit when it has its first answer.
        assert await scene.talk(b"x") == [b"x"]
        streams = [scene.stream() for _ in range(3)]
        writing = [asyncio.create_task(stream.write(b"wait")) for stream in streams]
        while len(scene.received) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert scene.opened == 3
        scene.go.set()
        for stream, written in zip(streams, writing, strict=True):
            await written
            await stream.done_writing()
            assert [reply async for reply in stream] == [b"waited"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hello", [b"", PREFACE])
async def test_half_a_greeting(kind: str, hello: bytes) -> None:
    async with running(kind, limits=Limits(handshake=0.3)) as scene:
        reader, writer = await asyncio.open_unix_connection(scene.address.removeprefix("unix:"))
        writer.write(hello)
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()


async def test_compressed_messages(native: Scene) -> None:
    stream = native.stream(compression=grpc.Compression.Gzip)
    await stream.write(b"x" * 10_000)
    code, text = await failure(stream)
    assert (code, "compressed" in text) == (grpc.StatusCode.UNIMPLEMENTED, True)
    assert native.opened == 0


async def test_metadata_and_deadlines_are_nothing_to_us(local: Scene) -> None:
    stream = local.stream(metadata=[("x-request-id", "1"), ("x-bin", b"\x00\xff")], timeout=30)
    await stream.write(b"x")
    assert await stream.read() == b"x"
    stream.cancel()
    assert await local.end() == "closed"


async def test_a_deadline_that_passes_is_a_hang_up(local: Scene) -> None:
    assert await local.talk(b"0") == []
    assert await local.end() == "closed"
    stream = local.stream(timeout=0.5)
    await stream.write(b"wait")
    assert (await failure(stream))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await local.end() == "closed"
    assert local.cancelled.is_set()


async def test_a_thousand_streams_at_once(local: Scene) -> None:
    streams = [local.stream() for _ in range(1000)]
    for number, stream in enumerate(streams):
        await stream.write(b"wait")
        await stream.write(b"x%d" % number)
    async with asyncio.timeout(30):
        while len(local.received) < 1000:
            await asyncio.sleep(0.01)
    # All are open, and none has gone on.
    assert (local.opened, set(local.received)) == (1000, {b"wait"})
    local.go.set()
    for number, stream in enumerate(streams):
        assert [await stream.read(), await stream.read()] == [b"waited", b"x%d" % number]
        stream.cancel()
    assert [await local.end() for _ in streams] == ["closed"] * 1000
