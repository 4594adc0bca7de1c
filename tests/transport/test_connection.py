"""What is ours of a connection: messages, endings, memory, goodbyes. What is HTTP/2's own is in `test_h2spec.py`."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Status
from tests import frames
from tests.examples import examples
from tests.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Code,
    Frame,
    data,
    frame,
    message,
    reset,
    window_update,
)
from tests.transport.wire import ALIVE, PROBE, Wire, headers, request

OPEN = request(1)
MIB = 1 << 20


def hold(wire: Wire, stream: Stream, what: bytes | End) -> None:
    """An engine whose every message waits."""
    if isinstance(what, bytes):
        wire.connection.hold(stream)


def resumed(wire: Wire, number: int = 1) -> list[bytes | End]:
    """What a stream that was held has to say, taken at once."""
    return [what for _, what in wire.connection.resume(wire.stream(number))]


def idle(wire: Wire) -> bool:
    """Whether nothing is kept."""
    return not (wire.connection.streams or wire.connection._receiver.kept or wire.connection._sender.waiting)


# Messages.


@given(messages=st.lists(st.binary(max_size=20), max_size=8), cuts=st.lists(st.integers(0, 100), max_size=10), size=st.integers(0, 9))
@settings(max_examples=examples(80), deadline=None)
def test_messages_cut_anywhere(messages: list[bytes], cuts: list[int], size: int) -> None:
    whole = b"".join(map(message, messages))
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    wire = Wire()
    said = wire.say(OPEN, *(data(1, whole[begin:end]) for begin, end in pairwise(places)), data(1, end=True), cut=size)
    assert wire.events == [(1, one) for one in [*messages, End.DONE]]
    assert b"".join(heard.payload for heard in said if heard.kind == DATA) == whole
    assert said[-1].last and idle(wire)


def test_several_messages_in_a_frame() -> None:
    wire = Wire()
    wire.say(
        OPEN, data(1, message(b"one") + message(b"") + message(b"three")[:7]), data(1, message(b"three")[7:] + message(b"four"), end=True)
    )
    assert [what for _, what in wire.events] == [b"one", b"", b"three", b"four", End.DONE]


def test_the_last_message_may_end_the_stream() -> None:
    wire = Wire()
    said = wire.say(OPEN, data(1, message(b"x"), end=True))
    assert [(heard.kind, heard.last) for heard in said] == [(HEADERS, False), (DATA, False), (HEADERS, True)]
    assert [headers(said[at].payload) for at in (0, 2)] == [{":status": "200", "content-type": "application/grpc"}, {"grpc-status": "0"}]


@pytest.mark.parametrize("rest", [message(b"x")[:3], message(b"x")[:5]], ids=["prefix", "content"])
@pytest.mark.parametrize("how", ["data", "trailers"])
def test_an_end_in_the_midst_of_a_message(rest: bytes, how: str) -> None:
    wire = Wire()
    end = data(1, rest, end=True) if how == "data" else data(1, rest) + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20")
    said = wire.say(OPEN, data(1, message(b"first")), end, PROBE)
    # What was whole is answered.
    assert [what for _, what in wire.events] == [b"first", End.GONE]
    assert headers(said[-2].payload) == {"grpc-status": "13", "grpc-message": "the stream ended in the midst of a message"}
    assert said[-1] == ALIVE and idle(wire)


def test_a_compressed_message() -> None:
    wire = Wire()
    said = wire.say(OPEN, data(1, message(b"first") + b"\x01\0\0\0\x01x" + message(b"never heard")), data(1, b"more"), PROBE)
    assert [what for _, what in wire.events] == [b"first", End.GONE]
    assert [heard.kind for heard in said] == [HEADERS, DATA, HEADERS, RST_STREAM, PING]
    assert (headers(said[2].payload)["grpc-status"], said[3].code) == ("12", Code.NO_ERROR)
    assert idle(wire)


@pytest.mark.parametrize("size", [101, 20_000, 2**32 - 1])
def test_a_message_that_is_too_long_is_not_waited_for(size: int) -> None:
    wire = Wire(Limits(message=100))
    said = wire.say(OPEN, data(1, message(bytes(100))), data(1, b"\0" + size.to_bytes(4) + bytes(101)[:96]))
    assert [what for _, what in wire.events] == [bytes(100), End.GONE]
    assert headers(said[2].payload) == {"grpc-status": "8", "grpc-message": f"a message of {size} bytes; at most 100 are taken"}


def test_long_answers_are_cut_into_frames() -> None:
    wire = Wire()
    wire.say(window_update(0, MIB), OPEN, window_update(1, MIB))
    wire.connection.reply(wire.stream(), bytes(40_000))
    assert [len(heard.payload) for heard in wire.taken() if heard.kind == DATA] == [5, 16_384, 16_384, 40_000 - 2 * 16_384]


# Endings.


def test_an_answer_ends_once() -> None:
    wire = Wire(engine=Wire.keep)
    wire.say(OPEN, data(1, message(b"x")))
    stream = wire.stream()
    wire.connection.finish(stream, Status.UNAVAILABLE, "later")
    for _ in range(2):
        wire.connection.finish(stream)
        wire.connection.reply(stream, b"too late")
    said = wire.taken()
    assert [heard.kind for heard in said] == [HEADERS, RST_STREAM]
    assert headers(said[0].payload) == {":status": "200", "content-type": "application/grpc", "grpc-status": "14", "grpc-message": "later"}
    assert idle(wire)


def test_an_answer_ends_after_what_was_replied() -> None:
    wire = Wire(engine=Wire.keep)
    wire.say(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)), OPEN, data(1, message(b"x"), end=True))
    stream = wire.stream()
    for reply in (b"one", b"two"):
        wire.connection.reply(stream, reply)
    wire.connection.finish(stream, Status.INTERNAL, "broken off")
    wire.connection.reply(stream, b"too late")
    assert [heard.kind for heard in wire.taken()] == [HEADERS]
    said = wire.say(window_update(1, 100))
    assert b"".join(heard.payload for heard in said[:-1]) == message(b"one") + message(b"two")
    assert headers(said[-1].payload) == {"grpc-status": "13", "grpc-message": "broken off"}
    assert idle(wire)


def test_what_comes_after_the_end_is_not_heard() -> None:
    wire = Wire(engine=Wire.keep)
    wire.say(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)), OPEN)
    stream = wire.stream()
    wire.connection.reply(stream, b"x")
    wire.connection.finish(stream)
    wire.say(data(1, message(b"more")), data(1, message(b"and")[:6]), data(1, b"more", end=True))
    assert wire.events == []
    assert [heard.kind for heard in wire.say(window_update(1, 100))] == [DATA, HEADERS]
    assert idle(wire)


def test_more_streams_than_are_remembered_may_be_ended_while_their_client_still_talks() -> None:
    wire = Wire(Limits(streams=5000), engine=Wire.keep)
    numbers = range(1, 8001, 2)
    wire.say(*map(request, numbers), *(data(number, message(b"x")) for number in numbers))
    for stream in list(wire.connection.streams.values()):
        wire.connection.finish(stream, Status.UNAVAILABLE, "no more")
    wire.taken()
    assert wire.say(*(data(number, message(b"y"), end=True) for number in numbers), PROBE) == [ALIVE]


def test_so_many_streams_are_remembered() -> None:
    wire = Wire()
    for number in range(1, 20_001, 2):
        wire.now += 0.001
        wire.say(request(number), reset(number) if number % 3 else data(number, end=True))
    assert len(wire.connection._past._streams) <= 1024
    assert idle(wire)


# A session that waits.


def test_what_comes_for_a_held_stream_comes_later_in_its_order() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"1") + message(b"2")), data(1, message(b"3")), data(1, message(b"4"), end=True))
    assert wire.events == [(1, b"1")]
    stream = wire.stream()
    got: list[bytes | End] = []
    while wire.connection.streams:
        for _, what in wire.connection.resume(stream):
            got.append(what)
            wire.engine(wire, stream, what)
            if what is End.DONE:
                wire.connection.finish(stream)
    assert got == [b"2", b"3", b"4", End.DONE]
    assert idle(wire)


def test_a_held_stream_holds_no_other() -> None:
    wire = Wire(engine=lambda wire, stream, what: hold(wire, stream, what) if stream.id == 1 else wire.echo(stream, what))
    wire.say(
        OPEN,
        request(3),
        data(1, message(b"a")),
        data(1, message(b"b")),
        data(3, message(b"c")),
        data(1, message(b"d")),
        data(3, message(b"e")),
    )
    assert wire.events == [(1, b"a"), (3, b"c"), (3, b"e")]
    assert resumed(wire) == [b"b", b"d"]


def test_a_reset_comes_at_once() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"1") + message(b"2")), reset(1))
    assert wire.events == [(1, b"1"), (1, End.GONE)]
    assert idle(wire)


def test_a_reset_drops_what_was_to_be_said() -> None:
    wire = Wire(engine=Wire.keep)
    wire.say(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)), OPEN)
    stream = wire.stream()
    wire.connection.reply(stream, bytes(1000))
    wire.say(reset(1))
    assert (len(stream.outbox), idle(wire)) == (0, True)


def test_a_session_that_ends_while_it_is_held_hears_no_more() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"1") + message(b"2")))
    stream = wire.stream()
    wire.connection.finish(stream, Status.INTERNAL, "broken off")
    assert list(wire.connection.resume(stream)) == []
    assert idle(wire)


def test_a_session_is_not_asked_until_its_answer_is_taken() -> None:
    wire = Wire()
    wire.say(frames.settings((frames.INITIAL_WINDOW_SIZE, 6)), OPEN, data(1, message(b"1") + message(b"2") + message(b"3"), end=True))
    assert wire.events == [(1, b"1"), (1, b"2")]
    wire.say(window_update(1, 5))
    assert len(wire.events) == 2
    assert [heard.kind for heard in wire.say(window_update(1, 1))] == [DATA]
    assert wire.events[2:] == [(1, b"3")]
    assert [heard.kind for heard in wire.say(window_update(1, 6))] == [DATA, HEADERS]
    assert wire.events[3:] == [(1, End.DONE)]


# Windows and memory.


def test_our_settings() -> None:
    wire = Wire(greet=False)
    said = wire.taken()
    values = frames.settled(said[0].payload)
    assert values == {
        frames.HEADER_TABLE_SIZE: 0,
        frames.MAX_CONCURRENT_STREAMS: 10_000,
        frames.INITIAL_WINDOW_SIZE: MIB,
        frames.MAX_HEADER_LIST_SIZE: 16 * 1024,
    }
    assert said[1:] == [Frame(WINDOW_UPDATE, 0, 0, (16 * MIB - 65_535).to_bytes(4))]


def test_the_limits() -> None:
    limits = Limits()
    assert (limits.message, limits.memory, limits.handshake, limits.continuations, limits.known_blocks) == (
        65 * MIB,
        256 * MIB,
        10,
        16,
        256,
    )


def test_the_least_window_of_a_connection_needs_no_update() -> None:
    wire = Wire(Limits(connection_window=65_535), greet=False)
    assert [heard.kind for heard in wire.taken()] == [SETTINGS]


def test_windows_are_opened_when_half_of_them_is_used() -> None:
    wire = Wire(Limits(window=100_000, connection_window=200_000), engine=Wire.keep)
    step = data(1, message(bytes(9_995)))
    said = wire.say(OPEN, *[step] * 25)
    updates = [(heard.stream, int.from_bytes(heard.payload)) for heard in said if heard.kind == WINDOW_UPDATE]
    # Each says just what came since the last.
    assert [more for stream, more in updates if stream == 1] == [60_000] * 4
    assert [more for stream, more in updates if stream == 0] == [110_000] * 2


def test_a_held_streams_window_is_opened_when_it_goes_on() -> None:
    wire = Wire(Limits(window=100_000), engine=hold)
    wire.say(OPEN, *[data(1, message(bytes(9_995)))] * 10)
    assert [heard.code for heard in wire.say(data(1, message(b"x")))] == [Code.FLOW_CONTROL_ERROR]
    wire = Wire(Limits(window=100_000), engine=hold)
    assert wire.say(OPEN, *[data(1, message(bytes(9_995)))] * 10) == []
    assert len(resumed(wire)) == 9
    assert wire.taken() == [Frame(WINDOW_UPDATE, 0, 1, (100_000).to_bytes(4))]


def test_more_than_the_connections_window() -> None:
    wire = Wire(Limits(connection_window=65_535, memory=1000), engine=hold)
    assert [heard.code for heard in wire.say(OPEN, *[data(1, message(bytes(13_102)))] * 5)] == []
    assert [heard.code for heard in wire.say(data(1, b"x"))] == [Code.FLOW_CONTROL_ERROR]
    assert wire.connection.closed


def test_what_is_kept_is_counted_and_forgotten() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"x" * 100)), data(1, message(b"y" * 1000) + message(b"z" * 500)[:300]))
    assert 1300 < wire.connection._receiver.kept < 2000
    assert wire.stream().kept == wire.connection._receiver.kept
    resumed(wire)
    assert 290 < wire.connection._receiver.kept < 500
    wire.say(data(1, message(b"z" * 500)[300:]))
    assert wire.connection._receiver.kept == 0


def test_messages_of_nothing_are_counted_as_well() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"") * 3000))
    assert wire.connection._receiver.kept > 3000 * 8


def test_messages_in_tiny_pieces_are_counted_as_what_they_take() -> None:
    wire = Wire()
    wire.say(OPEN, data(1, message(bytes(2000))[:5]), *[data(1, b"x")] * 1999)
    assert wire.connection._receiver.kept > 1999 * 33
    wire.say(data(1, b"x", end=True))
    assert idle(wire)


@given(st.data())
@settings(max_examples=examples(60), deadline=None)
def test_all_that_is_kept_is_forgotten(draw: st.DataObject) -> None:
    """Whatever happens to three streams: when they are over, nothing is left of them."""
    wire = Wire(Limits(message=300, memory=1500), engine=Wire.keep)
    wire.say(frames.settings((frames.INITIAL_WINDOW_SIZE, draw.draw(st.integers(0, 200)))), *map(request, (1, 3, 5)))
    streams = dict(wire.connection.streams)
    over: set[int] = set()
    for _ in range(draw.draw(st.integers(0, 20))):
        number = draw.draw(st.sampled_from((1, 3, 5)))
        match draw.draw(st.sampled_from(["piece", "hold", "resume", "reply", "finish", "reset", "end", "window"])):
            case "piece" if number not in over:
                wire.say(data(number, message(bytes(draw.draw(st.integers(0, 250))))[: draw.draw(st.integers(1, 250))]))
            case "hold":
                wire.connection.hold(streams[number])
            case "resume":
                list(wire.connection.resume(streams[number]))
            case "reply":
                wire.connection.reply(streams[number], bytes(100))
            case "finish":
                wire.connection.finish(streams[number])
            case "reset":
                wire.say(reset(number))
                over.add(number)
            case "end" if number not in over:
                wire.say(data(number, end=True))
                over.add(number)
            case "window":
                wire.say(window_update(number, draw.draw(st.integers(1, 300))))
        kept = [stream.kept for stream in wire.connection.streams.values()]
        assert wire.connection._receiver.kept == sum(kept) >= 0
        assert wire.connection._sender.waiting == sum(sum(map(len, stream.outbox)) for stream in wire.connection.streams.values())
    wire.taken()
    for number in sorted(set(wire.connection.streams)):
        wire.say(reset(number))
    assert idle(wire)
    assert wire.say(PROBE) == [ALIVE]


# Writing.


def test_all_that_is_said_to_one_read_is_taken_at_once() -> None:
    wire = Wire(greet=False)
    wire.taken()
    wire.hear(
        PREFACE
        + frames.settings()
        + frame(SETTINGS, ACK)
        + b"".join(request(number) + data(number, message(b"x"), end=True) for number in (1, 3, 5))
    )
    assert [heard.kind for heard in wire.taken()] == [SETTINGS] + [HEADERS, DATA, HEADERS] * 3
    assert wire.connection.take() == []


def test_bytes_that_are_not_whole_yet_say_nothing() -> None:
    wire = Wire()
    for byte in request(1)[:-1]:
        wire.hear(bytes((byte,)))
        assert (wire.connection.take(), wire.connection.streams) == ([], {})
    wire.hear(request(1)[-1:])
    assert list(wire.connection.streams) == [1]
