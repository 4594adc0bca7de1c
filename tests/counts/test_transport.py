"""What the transport does in Python for a stream, a message and a byte. Limits as in `test_engine`."""

from collections.abc import AsyncIterator

import pytest_asyncio

from bench import noop
from bench.counts import Line
from extproc.transport.http2 import codes
from tests.counts.counting import allocated, blocks, bytecodes

HEAD, BODY = b"\x12" + bytes(1_600), b"\x22" + bytes(10_000)
ANSWER_HEAD, ANSWER_BODY = b"\x1a" + bytes(800), b"\x2a" + bytes(300)
FOUR = [HEAD, BODY, ANSWER_HEAD, ANSWER_BODY]
LARGE = b"\x22" + bytes(400_000)


@pytest_asyncio.fixture
async def line() -> AsyncIterator[Line]:
    """A connection whose sessions say "go on", and on which there was a stream before."""
    made = Line(noop.Session)
    hear(made, made.stream(FOUR))
    yield made
    assert not made.driver._core.closed
    assert not made.driver._core.streams


def hear(line: Line, reads: list[bytes]) -> bytes:
    return b"".join([line.hear(data) for data in reads])


def counted(line: Line) -> int:
    """Bytecodes of one more stream. From CPython 3.12 on, what was not traced the time before is not counted in full."""
    bytecodes(hear, line, line.stream(FOUR))
    return bytecodes(hear, line, line.stream(FOUR))


async def test_a_stream(line: Line) -> None:
    """Its head, four messages there and four back, its end."""
    reads = line.stream(FOUR)
    assert bytecodes(hear, line, reads) <= 3500
    assert bytecodes(hear, line, line.stream(FOUR)) == bytecodes(hear, line, line.stream(FOUR))


async def test_a_message(line: Line) -> None:
    """There and back."""
    few, many = (bytecodes(hear, line, line.stream([HEAD, *[ANSWER_BODY] * count])) for count in (10, 110))
    assert (many - few) / 100 <= 575


async def test_messages_that_come_together(line: Line) -> None:
    """One read costs less than many."""
    apart = line.stream([HEAD, *[ANSWER_BODY] * 100])
    counted = bytecodes(hear, line, apart)
    assert bytecodes(hear, line, [b"".join(line.stream([HEAD, *[ANSWER_BODY] * 100]))]) < 0.8 * counted


async def test_the_thousandth_stream(line: Line) -> None:
    """It costs what the first does, with as many under way."""
    first = counted(line)
    open_ones = [line.stream(FOUR) for _ in range(1000)]
    for reads in open_ones:
        hear(line, reads[:2])
    assert counted(line) == first
    for reads in open_ones:
        hear(line, reads[2:])


async def test_copies_of_what_comes(line: Line) -> None:
    """A body of 400 KB: out of its frames, and into one piece. A frame that is cut by the end of a read makes one of that and the next."""
    reads = line.stream([HEAD, LARGE])
    assert allocated(hear, line, reads).peak <= 2.6 * len(LARGE)


async def test_copies_of_what_goes() -> None:
    """An answer of 400 KB: in frames, and all of them in one write."""
    large = allocated(send, LARGE).peak
    assert large <= 2.2 * len(LARGE)
    small = allocated(send, BODY).peak
    assert small <= 1.1 * len(BODY) + 40_000


def send(answer: bytes) -> None:
    """An answer on a connection of its own."""

    class Answers:
        def receive(self, message: bytes) -> list[bytes]:
            return [answer]

        def close(self) -> None:
            pass

    line = Line(Answers)
    assert len(hear(line, line.stream([HEAD]))) > len(answer)


async def test_nothing_of_a_stream_is_left(line: Line) -> None:
    """Of whole ones and of those that are reset."""

    def serve(count: int) -> None:
        for _ in range(count):
            hear(line, line.stream(FOUR))
            *reads, _ = line.stream(FOUR)
            hear(line, reads)
            (number,) = line.driver._core.streams
            line.hear(codes.rst_stream(number, codes.Code.CANCEL))

    # The connection remembers how its last 1,024 streams ended.
    serve(600)
    before = blocks()
    serve(100)
    assert blocks() - before <= 20
