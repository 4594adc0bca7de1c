"""How much a connection may keep, what is no HTTP/2 at all, and that nobody who does nothing wrong meets a limit."""

import pytest

from extproc.transport.http2.connection import Connection
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Status
from tests import frames
from tests.frames import LARGEST, METHOD, WINDOW_UPDATE, Code, message, number
from tests.transport.rogue import BLOCK, MIB, SMALL, React, Rogue, memory, work

# Memory. What messages take is bounded by `memory`, what is under way to them by `connection_window`; the rest is so much for each stream.

STREAM = 2_500
"""Bytes for a stream that waits for something, and nothing else."""


def bound(limits: Limits = SMALL) -> int:
    return limits.memory + 2 * limits.connection_window + limits.message + STREAM * limits.streams


def pour(peer: Rogue, payload: bytes, react: React | None = None) -> None:
    """Says this on one stream after the other, as long as the windows let it."""
    connection = peer.connection
    for _ in range(SMALL.streams):
        stream = peer.begin()
        for begin in range(0, len(payload), 16_384):
            piece = payload[begin : begin + 16_384]
            if connection._receiver.window < len(piece) or connection.closed or stream not in connection.streams:
                return
            if connection.streams[stream].window_in < len(piece):
                return
            peer.send(frames.data(stream, piece), react)
            peer.heard.clear()


def test_a_client_that_does_not_read() -> None:
    """It asks, and what it is answered waits: at some point it may ask no more."""
    peer = Rogue(window=0)
    with memory(bound()) as used:
        pour(peer, message(b"x" * 50_000), peer.echo)
        assert used() > SMALL.memory // 2
    assert not peer.connection.closed and peer.connection._receiver.window < SMALL.connection_window
    # It reads again, and may ask again.
    peer.send(frames.settings((frames.INITIAL_WINDOW_SIZE, LARGEST)) + number(WINDOW_UPDATE, 0, 100 * MIB), peer.echo)
    assert peer.connection._sender.waiting == 0 and peer.connection._receiver.window == SMALL.connection_window


@pytest.mark.parametrize("size", [2, 30, 16_384])
def test_messages_that_never_become_whole(size: int) -> None:
    """As many of them as there are streams, a piece of each in turn."""
    limits = Limits(streams=10, message=4 * MIB, memory=MIB, window=65_535, connection_window=MIB // 2)
    peer = Rogue(limits)
    prefix = b"\x00" + limits.message.to_bytes(4, "big")
    streams = [peer.begin() for _ in range(limits.streams)]
    refused: list[int] = []
    with memory(limits.memory + limits.connection_window):
        peer.send(b"".join(frames.data(stream, prefix) for stream in streams))
        while len(refused) < 3:
            for stream in streams:
                peer.send(frames.data(stream, b"x" * size) * max(1, 1_000 // size), lambda stream, what: refused.append(stream.id))
                peer.heard.clear()
            # As a client does that has heard what was refused.
            streams = [stream for stream in streams if stream not in refused]
    assert not peer.connection.closed and len(peer.connection.streams) == limits.streams - len(refused)


@pytest.mark.parametrize("size", [0, 2, 1_000])
def test_messages_that_wait_for_a_slow_filter(size: int) -> None:
    peer = Rogue()
    with memory(bound()):
        pour(peer, (message(b"x" * size) * (65_000 // (size + 5) + 1))[:65_000], peer.hold)
    assert not peer.connection.closed
    for stream in list(peer.connection.streams.values()):
        peer.connection.finish(stream, Status.UNAVAILABLE)
    assert peer.connection._receiver.kept == 0 and peer.connection._receiver.window >= SMALL.connection_window // 2


def test_streams_that_nothing_comes_of() -> None:
    peer = Rogue()
    with memory(STREAM * SMALL.streams):
        for _ in range(SMALL.streams):
            peer.begin()


def test_what_is_broken_off_is_given_back() -> None:
    """The driver still has the streams, and the socket may stay open for a while; what was in them is gone."""
    peer = Rogue(window=0)
    with memory(bound()) as used:
        pour(peer, message(b"x" * 60_000), peer.echo)
        peer.send(number(WINDOW_UPDATE, 0, 0))
        assert peer.goodbye == Code.PROTOCOL_ERROR
        assert used() < STREAM * SMALL.streams


# What is answered: bounded also where little is asked.


def flood(peer: Rogue, streams: int) -> bytes:
    """A small question on each of so many streams."""
    first, peer.newest = peer.newest + 2, peer.newest + 2 * streams
    return b"".join(frames.headers(stream, BLOCK) + frames.data(stream, message(b"?")) for stream in range(first, peer.newest + 2, 2))


def test_large_answers_to_small_questions() -> None:
    """The client opens no window: what it is answered waits, and its questions too as soon as that is too much."""
    limits = Limits(memory=32 * MIB)
    peer = Rogue(limits, window=0)
    with memory(limits.memory + 2 * MIB + 3_000 * 500):
        peer.send(flood(peer, 500), lambda stream, what: peer.connection.reply(stream, bytes(MIB)))
    assert peer.connection._sender.waiting <= limits.memory + MIB + 5 and not peer.connection.closed
    # It opens them, and has its answers.
    events = peer.send(number(WINDOW_UPDATE, 0, LARGEST - 65_535) + frames.settings((frames.INITIAL_WINDOW_SIZE, 2 * MIB)))
    assert events == 500 - 32
    assert not peer.connection.choked and not peer.connection._receiver.kept and peer.connection._sender.waiting == 0


def test_answers_that_nobody_reads() -> None:
    """All windows are open, but what was said is not taken: no more is made than is written at once."""
    limits = Limits()
    peer = Rogue(limits, window=2 * MIB)
    connection = peer.connection
    peer.send(number(WINDOW_UPDATE, 0, LARGEST - 65_535))
    asked: list[int] = []

    def answer(stream: Stream, what: bytes | End) -> None:
        asked.append(stream.id)
        connection.reply(stream, bytes(MIB // 4))

    with memory(limits.answers + MIB + 3_000 * 500):
        for stream, what in connection.receive(flood(peer, 500), peer.now):
            answer(stream, what)
    assert (len(asked), connection.choked, connection.ready) == (4, True, False)
    # It is taken, but written to a socket that is full.
    connection.pause()
    connection.take()
    assert (connection.choked, connection.ready, list(connection.go_on())) == (True, False, [])
    connection.unpause()
    assert (connection.choked, connection.ready) == (False, True)
    peer.send(b"", answer)
    assert asked == list(range(3, 1_003, 2))
    assert (connection.choked, connection.ready) == (False, False)


def test_what_had_to_wait_is_answered_in_turns() -> None:
    """None of the streams starves behind one that has asked much; what it has asked stays in order."""
    peer = Rogue()
    streams = [peer.begin() for _ in range(3)]
    peer.connection.pause()
    asked: list[tuple[int, bytes]] = []
    note: React = lambda stream, what: asked.append((stream.id, what))  # type: ignore[arg-type]  # noqa: E731
    for content in (b"1", b"2", b"3"):
        peer.send(frames.data(streams[0], message(content) * 2), note)
    for stream in streams[1:]:
        peer.send(frames.data(stream, message(b"1")), note)
        peer.send(frames.data(stream, message(b"2")), note)
    assert not asked
    peer.connection.unpause()
    peer.send(b"", note)
    first = streams[0]
    assert [stream for stream, _ in asked] == [*streams, *streams, first, first, first, first]
    assert [what for stream, what in asked if stream == first] == [b"1", b"1", b"2", b"2", b"3", b"3"]
    # All of them are listened to as ever.
    assert all(peer.connection.streams[stream].plain for stream in streams)


def test_a_stream_that_has_to_wait_may_not_say_more_than_its_window() -> None:
    peer = Rogue()
    stream = peer.begin()
    peer.connection.pause()
    peer.send(frames.data(stream, bytes(16_384)) * 3)
    assert not peer.heard and peer.connection.streams[stream].window_in == 65_535 - 3 * 16_384
    peer.connection.unpause()
    peer.send(b"", lambda stream, what: None)
    assert [(frame.kind, frame.stream) for frame in peer.heard] == [(WINDOW_UPDATE, stream)]


@pytest.mark.parametrize("how", ["reset", "finished", "held", "broken"])
def test_what_ends_while_it_has_to_wait(how: str) -> None:
    peer = Rogue()
    stream = peer.begin()
    connection = peer.connection
    connection.pause()
    peer.send(frames.data(stream, message(b"x")))
    assert connection._receiver.stalled and not connection.ready
    if how == "reset":
        assert peer.send(number(frames.RST_STREAM, stream, Code.CANCEL)) == 1
    elif how == "finished":
        connection.finish(connection.streams[stream])
    elif how == "held":
        connection.hold(connection.streams[stream])
    else:
        peer.send(number(WINDOW_UPDATE, 0, 0))
        assert peer.goodbye == Code.PROTOCOL_ERROR
    connection.unpause()
    assert peer.send(b"") == 0 and not connection._receiver.stalled and not connection.ready
    if how == "held":
        assert [what for _, what in connection.resume(connection.streams[stream])] == [b"x"]
    assert connection._receiver.kept == 0


# What is no HTTP/2.

GARBAGE = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
    "HTTP/1.1 that would like to become HTTP/2": b"POST / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "TLS": bytes.fromhex("16030100f8010000f40303") + bytes(240),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing but zeros": bytes(100),
    "a preface with a slip": frames.PREFACE[:-1] + b"?",
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("at_once", [True, False])
def test_something_else_than_http2(said: bytes, at_once: bool) -> None:
    connection = Connection({METHOD}, SMALL)
    for piece in [said] if at_once else [bytes((byte,)) for byte in said]:
        assert not list(connection.receive(piece, 0))
    assert connection.closed and not connection.greeted
    assert frames.parse(b"".join(connection.take()))[-1].code == Code.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "first", [frames.frame(frames.PING, payload=bytes(8)), frames.headers(1, BLOCK), frames.data(1, b"x"), number(WINDOW_UPDATE, 0, 1)]
)
def test_a_greeting_without_settings(first: bytes) -> None:
    connection = Connection({METHOD}, SMALL)
    list(connection.receive(frames.PREFACE + first, 0))
    assert frames.parse(b"".join(connection.take()))[-1].code == Code.PROTOCOL_ERROR


@pytest.mark.parametrize("size", [16_385, 2**24 - 1])
def test_a_frame_that_is_too_long_is_not_waited_for(size: int) -> None:
    peer = Rogue()
    peer.send(size.to_bytes(3, "big") + bytes((frames.DATA, 0, 0, 0, 0, 1)))
    assert peer.goodbye == Code.FRAME_SIZE_ERROR


def test_a_frame_that_comes_drop_by_drop() -> None:
    peer = Rogue()
    said = frames.data(peer.begin(), message(b"x" * 16_379))
    got: list[object] = []
    with memory(100_000):
        for index in range(len(said)):
            assert work(lambda index=index: peer.send(said[index : index + 1], lambda _, what: got.append(what))) < 60  # type: ignore[misc]
    assert got == [b"x" * 16_379]


def test_many_messages_in_a_frame_cost_as_much_as_each_of_them() -> None:
    peer = Rogue()
    stream = peer.begin()
    few, many = frames.data(stream, message(b"") * 300), frames.data(stream, message(b"") * 3_000)
    assert work(lambda: peer.send(many)) < 12 * work(lambda: peer.send(few))


# What does no harm is let alone.


@pytest.mark.parametrize("answered", [True, False])
def test_ten_thousand_hang_up_at_once(answered: bool) -> None:
    """A proxy in front of Envoy has died."""
    peer = Rogue(Limits())
    for _ in range(10_000):
        peer.send(frames.data(peer.begin(), message(b"x")), peer.echo if answered else peer.hold)
        peer.heard.clear()
    gone: list[object] = []
    peer.send(
        b"".join(number(frames.RST_STREAM, stream, Code.CANCEL) for stream in peer.connection.streams), lambda _, what: gone.append(what)
    )
    assert gone == [End.GONE] * 10_000 and not peer.heard and not peer.connection.streams
    stream = peer.begin()
    peer.send(frames.data(stream, message(b"x"), end=True), peer.echo)
    assert peer.heard[-1].flags & frames.END_STREAM and not peer.connection.closed


def test_ten_thousand_are_given_up_while_they_still_talk() -> None:
    peer = Rogue(Limits())
    streams = [peer.begin() for _ in range(10_000)]
    for stream in list(peer.connection.streams.values()):
        peer.connection.finish(stream, Status.UNAVAILABLE, "too much to do")
    peer.send(b"".join(frames.data(stream, message(b"x")) + frames.data(stream, end=True) for stream in streams))
    assert not peer.connection.closed


def test_five_thousand_requests_a_second() -> None:
    """Four messages each, windows widened for each, one in ten given up by the client without an answer; four seconds of it."""
    peer = Rogue(Limits())
    for _ in range(40):
        said = b""
        for index in range(500):
            peer.newest += 2
            stream = peer.newest
            said += frames.headers(stream, BLOCK) + frames.data(stream, message(b"head"))
            if index % 10:
                said += (
                    frames.data(stream, message(b"b" * 50))
                    + number(WINDOW_UPDATE, 0, 200)
                    + frames.data(stream, message(b"c"))
                    + frames.data(stream, end=True)
                )
            else:
                said += number(frames.RST_STREAM, stream, Code.CANCEL)
        peer.send(said, lambda stream, what: peer.hold(stream, what) if stream.id % 20 == 1 else peer.echo(stream, what))
        peer.heard.clear()
        peer.now += 0.1
        assert not peer.connection.closed


def test_pings_of_a_month() -> None:
    peer = Rogue(Limits())
    ping = frames.frame(frames.PING, payload=bytes(8))
    for _ in range(30 * 24 * 3600 // 30):
        peer.send(ping)
        peer.now += 30
    assert len(peer.heard) == 86_400 and not peer.connection.closed


def test_windows_that_are_widened_for_every_reply() -> None:
    """As gRPC's C core does, and so Envoy with `google_grpc`: ten thousand events a second, two WINDOW_UPDATEs for each, for 13 s."""
    peer = Rogue(Limits())
    stream = peer.begin()
    event, widened = message(b"\x01" * 20), number(WINDOW_UPDATE, stream, 25) + number(WINDOW_UPDATE, 0, 25)
    said = (frames.data(stream, event) + widened) * 1_000
    for _ in range(130):
        peer.send(said, peer.echo)
        peer.heard.clear()
        peer.now += 0.1
        assert not peer.connection.closed
