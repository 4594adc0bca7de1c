"""Whatever one client does, it costs a bounded amount of memory and of work, and it is told to go (RFC 9113, section 10.5).

Time is given, so no test waits. Memory is measured (tracemalloc), work is counted in calls of functions: both say the same anywhere.
"""

from collections.abc import Callable

import pytest

from extproc.transport.http2.connection import Connection
from extproc.transport.http2.limits import Limits, Rate
from extproc.transport.http2.stream import End, Stream
from tests import frames
from tests.frames import LARGEST, METHOD, WINDOW_UPDATE, Code, literal, message, number, request
from tests.transport.rogue import (
    BLOCK,
    MIB,
    SMALL,
    Rogue,
    memory,
    work,
)

# Floods of what costs a client nothing: so many at once (limits.py, connection.py), and then goodbye.

BAD_TRAILERS = literal(b"Upper", b"case")
RESETS = {
    "hung up on at once": lambda stream: number(frames.RST_STREAM, stream, Code.CANCEL),
    "begun and hung up on": lambda stream: frames.data(stream, message(b"x")) + number(frames.RST_STREAM, stream, Code.CANCEL),
    # CVE-2025-8671: the server is made to reset them itself.
    "widened by nothing": lambda stream: frames.data(stream, message(b"x")) + number(WINDOW_UPDATE, stream, 0),
    "widened too far": lambda stream: frames.data(stream, message(b"x")) + number(WINDOW_UPDATE, stream, LARGEST),
    "talking after the end": lambda stream: frames.data(stream, message(b"x"), end=True) + frames.data(stream),
    "with bad trailers": lambda stream: frames.data(stream, message(b"x")) + frames.headers(stream, BAD_TRAILERS, end=True),
    "with a priority of 4 bytes": lambda stream: frames.data(stream, message(b"x")) + frames.frame(frames.PRIORITY, 0, stream, bytes(4)),
}


@pytest.mark.parametrize("end", RESETS.values(), ids=RESETS)
def test_streams_that_come_to_nothing(end: Callable[[int], bytes]) -> None:
    peer = Rogue()

    def flood() -> bytes:
        peer.newest += 2
        return frames.headers(peer.newest, BLOCK) + end(peer.newest)

    count = peer.until_goodbye(flood, 1_000, peer.hold)
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM
    assert 2 * SMALL.streams <= count <= 2 * SMALL.streams + 1


@pytest.mark.parametrize("end", RESETS.values(), ids=RESETS)
def test_streams_that_end_when_they_were_answered(end: Callable[[int], bytes]) -> None:
    """As Envoy ends each of its calls; but it does not make so many in no time."""
    peer = Rogue(Limits(hang_ups=Rate(10, 300)))

    def flood() -> bytes:
        peer.newest += 2
        return frames.headers(peer.newest, BLOCK) + frames.data(peer.newest, message(b"x")) + end(peer.newest)

    def answer(stream: Stream, what: bytes | End) -> None:
        if isinstance(what, bytes):
            peer.connection.reply(stream, what)

    if end(1) == number(frames.RST_STREAM, 1, Code.CANCEL):
        # With time, it may go on.
        for _ in range(600):
            peer.now += 0.1
            peer.send(flood(), answer)
            peer.heard.clear()
        peer.now += 0.1
    assert peer.until_goodbye(flood, 1_000, answer) in {300, 301}
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_eight_thousand_answers_a_second() -> None:
    """As much as comes of one Envoy, and then some, for eight seconds."""
    peer = Rogue(Limits())
    for _ in range(80):
        said = b""
        for _ in range(800):
            peer.newest += 2
            said += frames.headers(peer.newest, BLOCK) + frames.data(peer.newest, message(b"x"))
            said += number(frames.RST_STREAM, peer.newest, Code.CANCEL)
        peer.send(said, peer.echo)
        peer.heard.clear()
        peer.now += 0.1
    assert not peer.connection.closed


def test_requests_that_are_none() -> None:
    peer = Rogue()
    bad = request(METHOD, (b"connection", b"close"))

    def flood() -> bytes:
        peer.newest += 2
        return frames.headers(peer.newest, bad)

    assert peer.until_goodbye(flood, 1_000) <= 2 * SMALL.streams + 1
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_more_streams_than_are_allowed() -> None:
    peer = Rogue()
    for _ in range(SMALL.streams):
        peer.begin()
    assert not peer.heard
    refused = peer.begin()
    assert [(frame.kind, frame.stream, frame.code) for frame in peer.heard] == [(frames.RST_STREAM, refused, Code.REFUSED_STREAM)]

    def flood() -> bytes:
        peer.newest += 2
        return frames.headers(peer.newest, BLOCK)

    assert peer.until_goodbye(flood, 1_000) <= 2 * SMALL.streams + 1
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


CHATTER = {
    "PRIORITY": frames.frame(frames.PRIORITY, 0, 1, b"\0\0\0\x05\x07"),
    "a type that nobody knows": frames.frame(0xAA, 0xFF, 0, b"?"),
    "GOAWAY": frames.frame(frames.GOAWAY, payload=bytes(8)),
    "settings that are heard": frames.SETTINGS_ACK,
    "RST_STREAM of what is over": number(frames.RST_STREAM, 1, Code.CANCEL),
    "WINDOW_UPDATE of what is over": number(WINDOW_UPDATE, 1, 1),
    "WINDOW_UPDATE by one byte": number(WINDOW_UPDATE, 0, 1),
    "empty DATA": frames.data(3),
    "DATA of padding only": frames.data(3, padding=200),
    "DATA for what was reset": frames.data(5, b"x"),
}


@pytest.mark.parametrize("flood", CHATTER.values(), ids=CHATTER)
def test_frames_that_say_nothing(flood: bytes) -> None:
    peer = Rogue()
    peer.begin()
    peer.begin()
    peer.send(number(WINDOW_UPDATE, 5, 0))
    for _ in range(99_000):
        peer.connection._patience._chatter.spend(peer.now)
    with memory(300_000):
        # Some window updates more: what we say may be the reason for them.
        assert peer.until_goodbye(flood, 1_050) >= 900
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_how_many_frames_may_say_nothing_in_a_second() -> None:
    peer = Rogue()
    flood = CHATTER["a type that nobody knows"] * 1_000
    for _ in range(150):
        # As many as there may be: for fifteen seconds, and then 100,000 more.
        peer.now += 0.1
        peer.send(flood)
    assert not peer.connection.closed
    peer.now += 0.1
    assert peer.until_goodbye(flood, 110) in {100, 101}
    # What was not used is not kept for later without bounds.
    peer = Rogue()
    peer.now += 1_000
    assert peer.until_goodbye(flood, 110) in {100, 101}
    # Twice as many are too many, though not at once.
    peer = Rogue()

    def hasty() -> bytes:
        peer.now += 0.05
        return flood

    assert 195 <= peer.until_goodbye(hasty, 300) <= 201


def test_window_updates_are_not_earned_without_bounds() -> None:
    """One is free for each piece of an answer; who takes a million of them, and says nothing, has not saved a million."""
    peer = Rogue(window=LARGEST)
    peer.send(number(WINDOW_UPDATE, 0, LARGEST - 65_535))
    stream = peer.connection.streams[peer.begin()]
    for _ in range(220):
        for _ in range(500):
            peer.connection.reply(stream, b"")
        peer.send(b"")
        peer.heard.clear()
    flood = number(WINDOW_UPDATE, 1, 1) * 1_000
    assert peer.until_goodbye(flood, 400) in {200, 201}
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_how_many_frames_may_say_nothing() -> None:
    peer = Rogue()
    # As much as comes at one read.
    assert peer.until_goodbye(CHATTER["a type that nobody knows"] * 1_000, 110) in {100, 101}
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("flags", [0, frames.ACK])
def test_pings(flags: int) -> None:
    peer = Rogue()
    assert peer.until_goodbye(frames.frame(frames.PING, flags, 0, bytes(8)), 1_100) in {1_000, 1_001}
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_settings() -> None:
    peer = Rogue()
    assert peer.until_goodbye(frames.settings((frames.INITIAL_WINDOW_SIZE, 1)), 110) in {99, 100}
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("piece", [b"", b"x"])
def test_headers_without_end(piece: bytes) -> None:
    peer = Rogue()
    peer.send(frames.frame(frames.HEADERS, 0, 3, b"\x83\x86"))
    with memory(50_000):
        assert peer.until_goodbye(frames.frame(frames.CONTINUATION, 0, 3, piece), 40) <= SMALL.continuations + 1
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


def test_headers_without_end_in_large_pieces() -> None:
    peer = Rogue()
    peer.send(frames.frame(frames.HEADERS, 0, 3, bytes(16_384)))
    assert peer.until_goodbye(frames.frame(frames.CONTINUATION, 0, 3, bytes(16_384)), 3) == 1
    assert peer.goodbye == Code.ENHANCE_YOUR_CALM


# What a header block may do to the one who reads it.

ENTRY = literal(b"x", b"y" * 4_000, 0x40)
BOMBS = {
    "a large entry, a thousand times": (ENTRY + b"\xbe" * 1_000, Code.ENHANCE_YOUR_CALM),
    "many small headers": (literal(b"a", b"") * 520, Code.ENHANCE_YOUR_CALM),
    "one that is too large": (literal(b"x", b"y" * 16_360), Code.ENHANCE_YOUR_CALM),
    "an index without end": (b"\xff" * 16_000, Code.COMPRESSION_ERROR),
    "a length without end": (b"\x00\x7f" + b"\x80" * 16_000 + b"\x01", Code.COMPRESSION_ERROR),
    "a length of 2^31 - 1": (b"\x00\x01x" + frames.integer(LARGEST, 7) + b"y", Code.COMPRESSION_ERROR),
    "an index of 2^31 - 1": (frames.integer(LARGEST, 7, 0x80), Code.COMPRESSION_ERROR),
    "a table of 2^31 - 1": (frames.integer(LARGEST, 5, 0x20), Code.COMPRESSION_ERROR),
    "a table that changes all the time": (b"\x3f\xe1\x1f\x20" * 4_000, Code.COMPRESSION_ERROR),
    "Huffman's end of the string": (b"\x00\x01x" + frames.integer(4, 7, 0x80) + b"\xff\xff\xff\xff", Code.COMPRESSION_ERROR),
    "Huffman's padding of zeros": (b"\x00\x01x" + frames.integer(2, 7, 0x80) + b"\x00\x00", Code.COMPRESSION_ERROR),
    "Huffman, packed small": (b"\x00\x01x" + frames.integer(15_000, 7, 0x80) + bytes(15_000), Code.ENHANCE_YOUR_CALM),
    "an entry that is not there": (b"\xbf", Code.COMPRESSION_ERROR),
}


@pytest.mark.parametrize(("block", "code"), BOMBS.values(), ids=BOMBS)
def test_header_blocks(block: bytes, code: int) -> None:
    # The table has its usual size: the client has not heard of ours yet.
    connection = Connection({METHOD}, SMALL)
    list(connection.receive(frames.PREFACE + frames.settings(), 0))
    connection.take()
    cuts = [16_384] if len(block) > 16_384 else []
    with memory(300_000):
        assert work(lambda: list(connection.receive(frames.headers(1, block, cuts=cuts), 0))) < 50_000
    assert frames.parse(b"".join(connection.take()))[-1].code == code
    assert connection.closed


def test_a_refusal_is_not_larger_than_what_asked_for_it_by_much() -> None:
    """A path that stands in the table costs one byte to send; so little of it is said again."""
    connection = Connection({METHOD}, SMALL)
    list(connection.receive(frames.PREFACE + frames.settings(), 0))
    list(
        connection.receive(
            frames.headers(
                1, b"\x83\x86" + literal(b":path", b"/\xff" * 1_900, 0x40) + literal(b"content-type", b"application/grpc", 0x40)
            ),
            0,
        )
    )
    connection.take()
    flood = b"".join(frames.headers(stream, b"\x83\x86\xbf\xbe", end=True) for stream in range(3, 2_003, 2))
    list(connection.receive(flood, 0))
    heard = b"".join(connection.take())
    assert len([frame for frame in frames.parse(heard) if frame.kind == frames.HEADERS]) == 1_000
    assert len(heard) < 100 * len(flood)


def test_blocks_that_are_all_different() -> None:
    peer = Rogue()
    with memory(SMALL.known_blocks * 1_500 + 100_000):
        for index in range(3 * SMALL.known_blocks):
            peer.begin(request(b"/who/knows", (b"x-request", b"%0500d" % index)), end=True)
            peer.heard.clear()
    assert not peer.connection.closed
    assert len(peer.connection._blocks._known) <= SMALL.known_blocks


def test_streams_that_are_over_are_forgotten() -> None:
    peer = Rogue()
    with memory(300_000):
        for _ in range(5_000):
            peer.now += 1
            peer.send(frames.headers(peer.newest + 2, BLOCK, end=True), peer.echo)
            peer.newest += 2
            peer.heard.clear()
    assert not peer.connection.closed and not peer.connection.streams


# Windows.

WINDOWS = {
    "the connection's by nothing": (number(WINDOW_UPDATE, 0, 0), Code.PROTOCOL_ERROR),
    "the connection's too far": (number(WINDOW_UPDATE, 0, LARGEST), Code.FLOW_CONTROL_ERROR),
    "all streams' too far": (
        number(WINDOW_UPDATE, 3, LARGEST - 65_535) + frames.settings((frames.INITIAL_WINDOW_SIZE, 65_536)),
        Code.FLOW_CONTROL_ERROR,
    ),
    "all streams' to more than there can be": (frames.settings((frames.INITIAL_WINDOW_SIZE, 2**31)), Code.FLOW_CONTROL_ERROR),
    "of a frame to 2^31 - 1": (frames.settings((frames.MAX_FRAME_SIZE, LARGEST)), Code.PROTOCOL_ERROR),
    "of a frame to nothing": (frames.settings((frames.MAX_FRAME_SIZE, 0)), Code.PROTOCOL_ERROR),
    "of a stream that has not begun": (number(WINDOW_UPDATE, LARGEST, 1), Code.PROTOCOL_ERROR),
}


@pytest.mark.parametrize(("said", "code"), WINDOWS.values(), ids=WINDOWS)
def test_windows_that_cannot_be(said: bytes, code: int) -> None:
    peer = Rogue()
    peer.begin()
    peer.send(said)
    assert peer.goodbye == code


@pytest.mark.parametrize(("more", "code"), [(0, Code.PROTOCOL_ERROR), (LARGEST, Code.FLOW_CONTROL_ERROR)])
def test_a_streams_window_that_cannot_be(more: int, code: int) -> None:
    peer = Rogue()
    stream = peer.begin()
    ends: list[object] = []
    peer.send(number(WINDOW_UPDATE, stream, more), lambda _, what: ends.append(what))
    assert [(frame.kind, frame.stream, frame.code) for frame in peer.heard] == [(frames.RST_STREAM, stream, code)]
    assert ends == [End.GONE] and not peer.connection.closed


def test_the_largest_numbers_that_can_be() -> None:
    peer = Rogue()
    every = [
        (name, LARGEST)
        for name in (
            frames.HEADER_TABLE_SIZE,
            frames.MAX_CONCURRENT_STREAMS,
            frames.INITIAL_WINDOW_SIZE,
            frames.MAX_HEADER_LIST_SIZE,
            0xFFFF,
        )
    ]
    peer.send(frames.settings(*every, (frames.MAX_FRAME_SIZE, 2**24 - 1)) + number(WINDOW_UPDATE, 0, LARGEST - 65_535))
    peer.newest = LARGEST - 2
    stream = peer.begin(block=request(METHOD, (b"content-length", b"9" * 19)))
    assert stream == LARGEST
    peer.send(frames.data(stream, message(b"hello")), peer.echo)
    assert [frame.payload for frame in peer.heard if frame.kind == frames.DATA] == [message(b"hello")]
    peer.send(frames.headers(LARGEST - 2, BLOCK))
    assert peer.goodbye == Code.PROTOCOL_ERROR


@pytest.mark.parametrize("prefix", [b"\x00\xff\xff\xff\xff", b"\x00\x7f\xff\xff\xff", b"\xff\x00\x00\x00\x01"])
def test_a_message_that_is_too_large_or_packed(prefix: bytes) -> None:
    peer = Rogue()
    stream = peer.begin()
    ends: list[object] = []
    peer.send(frames.data(stream, prefix), lambda _, what: ends.append(what))
    assert ends == [End.GONE]
    assert [frame.kind for frame in peer.heard] == [frames.HEADERS, frames.RST_STREAM] and not peer.connection.closed


def test_a_reply_is_taken_byte_by_byte() -> None:
    peer = Rogue(window=0)
    stream = peer.begin()
    peer.send(frames.data(stream, message(b"x" * 5_000)), peer.echo)
    one = number(WINDOW_UPDATE, stream, 1)
    for _ in range(5_000):
        assert work(lambda: peer.send(one)) < 100
    sent = [frame for frame in peer.heard if frame.kind == frames.DATA]
    assert [len(frame.payload) for frame in sent] == [1] * 5_000


@pytest.fixture
def crowd() -> Rogue:
    """Ten thousand streams, each of which waits for a window of its own."""
    limits = Limits(memory=64 * MIB)
    peer = Rogue(limits, window=0)
    for _ in range(10_000):
        peer.send(frames.data(peer.begin(), message(b"xyz")), peer.echo)
    assert peer.connection._sender.waiting == 10_000 * 8
    return peer


def test_windows_of_a_crowd_cost_nothing(crowd: Rogue) -> None:
    # Nobody gains from these.
    assert work(lambda: crowd.send(number(WINDOW_UPDATE, 0, 1))) < 100
    assert work(lambda: crowd.send(frames.settings(*[(frames.INITIAL_WINDOW_SIZE, 0)] * 2_000))) < 10_000 * 10
    # These are for one of them.
    assert work(lambda: crowd.send(number(WINDOW_UPDATE, 10_001, 1))) < 100
    # The connection's is used up, and what comes of it is for one.
    crowd.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 8)) + number(WINDOW_UPDATE, 0, 5))
    assert crowd.connection._sender.window >= 0
