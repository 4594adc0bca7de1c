"""How a connection ends: with a goodbye in two steps (RFC 9113, section 6.8), at once, or by an error."""

import pytest

from extproc.transport.http2.limits import Limits
from tests.frames import ACK, DATA, GOAWAY, HEADERS, PING, Code, Frame, data, frame, message, reset, window_update
from tests.transport.test_connection import OPEN, hold
from tests.transport.wire import ALIVE, PROBE, Wire, request

LEAVING = frame(PING, ACK, 0, b"leaving.")


def goodbye(said: Frame) -> tuple[int, Code]:
    """The last stream and the code of a GOAWAY."""
    assert said.kind == GOAWAY
    return int.from_bytes(said.payload[:4]), said.code


def test_leaving() -> None:
    wire = Wire()
    wire.say(OPEN, data(1, message(b"x")))
    wire.connection.leave()
    wire.connection.leave()
    said = wire.taken()
    assert (goodbye(said[0]), said[1:]) == ((2**31 - 1, Code.NO_ERROR), [Frame(PING, 0, 0, b"leaving.")])
    # What was begun before the goodbye was heard is taken.
    assert wire.say(request(3), data(3, message(b"y")))[1].payload == message(b"y")
    assert [goodbye(heard) for heard in wire.say(LEAVING)] == [(3, Code.NO_ERROR)]
    # What is begun afterwards is not, and is not answered either.
    assert wire.say(request(5), data(5, message(b"z")), window_update(5, 1), reset(5), data(7), PROBE) == [ALIVE]
    assert wire.say(data(1, message(b"more"), end=True))[-1].last
    assert not wire.connection.closed
    assert wire.say(data(3, end=True))[-1].last
    assert wire.connection.closed


def test_leaving_when_nothing_is_under_way() -> None:
    wire = Wire()
    wire.connection.leave()
    wire.taken()
    assert [goodbye(heard) for heard in wire.say(LEAVING)] == [(0, Code.NO_ERROR)]
    assert wire.connection.closed


def test_streams_that_end_before_the_goodbye_was_heard_do_not_close() -> None:
    wire = Wire()
    wire.say(OPEN)
    wire.connection.leave()
    wire.say(data(1, end=True))
    assert not wire.connection.closed
    wire.say(LEAVING)
    assert wire.connection.closed


def test_an_answer_to_a_goodbye_that_was_not_said() -> None:
    assert Wire().say(LEAVING, PROBE) == [ALIVE]


@pytest.mark.parametrize("late", [data(6), request(6), data(0)], ids=[DATA, HEADERS, "0"])
def test_what_is_wrong_stays_wrong_after_a_goodbye(late: bytes) -> None:
    wire = Wire()
    wire.say(OPEN)
    wire.connection.leave()
    wire.say(LEAVING)
    assert wire.say(late)[-1].code is Code.PROTOCOL_ERROR


def test_closing() -> None:
    wire = Wire(engine=hold)
    wire.say(OPEN, data(1, message(b"1") + message(b"2")))
    stream = wire.stream()
    for _ in range(2):
        wire.connection.close()
    assert [goodbye(heard) for heard in wire.taken()] == [(1, Code.NO_ERROR)]
    # Nothing more comes or goes, of a stream that waits either.
    assert wire.say(data(1, message(b"3")), PROBE) == []
    assert list(wire.connection.resume(stream)) == []
    wire.connection.reply(stream, b"x")
    wire.connection.finish(stream)
    wire.connection.leave()
    assert (wire.taken(), wire.connection._receiver.kept) == ([], 0)


def test_an_error_closes_with_the_last_stream_and_a_reason() -> None:
    wire = Wire()
    [*_, last] = wire.say(OPEN, data(1, message(b"x")), frame(PING, payload=b"short"), data(1, message(b"y")))
    assert (goodbye(last), last.payload[8:]) == ((1, Code.FRAME_SIZE_ERROR), b"PING of 5 bytes")
    assert wire.events == [(1, b"x")]


def test_no_window_is_opened_after_a_goodbye() -> None:
    """What was kept is given back then, so there would be room."""
    wire = Wire(Limits(window=65_535, connection_window=65_535, memory=20_000), hold)
    wire.say(OPEN, *[data(1, message(bytes(10_000)))] * 4)
    stream = wire.stream()
    wire.connection.close()
    assert list(wire.connection.resume(stream)) == []
    assert [heard.kind for heard in wire.taken()] == [GOAWAY]
