"""The cases of h2spec that apply to a server: frames in, and what RFC 9113 and RFC 7541 say to them.

Their numbers are the sections of RFC 9113; HPACK's are in `test_hpack.py`. Each is tried in one piece and byte by byte.
"""

from typing import NamedTuple

import pytest

from extproc.transport.http2.limits import Limits
from tests.cases import cases
from tests.frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Code,
    Frame,
    data,
    frame,
    literal,
    message,
    parse,
    reset,
    settings,
    window_update,
)
from tests.transport.wire import ALIVE, PROBE, Wire, block, headers, request

STREAMS = 20
"""Those that we allow at once here."""


class Case(NamedTuple):
    """Frames, and what has to come back: a GOAWAY or a RST_STREAM with a code, or an answer, or nothing at all."""

    name: str
    said: bytes
    goaway: Code | None = None
    reset: tuple[int, Code] | None = None
    answers: tuple[int, ...] = ()
    """The streams that end with trailers."""


def broken(name: str, code: Code, *said: bytes) -> Case:
    return Case(name, b"".join(said), goaway=code)


def refused(name: str, code: Code, *said: bytes, stream: int = 1) -> Case:
    return Case(name, b"".join(said), reset=(stream, code))


def answered(name: str, *said: bytes, streams: tuple[int, ...] = (1,)) -> Case:
    return Case(name, b"".join(said), answers=streams)


def fine(name: str, *said: bytes) -> Case:
    return Case(name, b"".join(said))


P, S, F, C, Z = (
    Code.PROTOCOL_ERROR,
    Code.STREAM_CLOSED,
    Code.FRAME_SIZE_ERROR,
    Code.COMPRESSION_ERROR,
    Code.FLOW_CONTROL_ERROR,
)
OPEN = request(1)
CALL = request(1, end=True)
HALF = request(1, flags=0)
MESSAGE = message(b"hello")
SUM = block(("x-sum", "1"), base=False)
ENDED = data(1, MESSAGE, end=True)
WEIGHT = bytes(4) + b"\x0f"
OTHER = frame(CONTINUATION, END_HEADERS, 1, b"")


def cut(stream: int, *flags: int) -> bytes:
    """A request in a HEADERS frame and CONTINUATIONs with these flags."""
    whole = block()
    size = len(whole) // (len(flags) + 1) + 1
    return frame(HEADERS, END_STREAM, stream, whole[:size]) + b"".join(
        frame(CONTINUATION, flag, stream, whole[at * size : (at + 1) * size]) for at, flag in enumerate(flags, 1)
    )


CASES = [
    # 3.4 The preface (RFC 7540: 3.5).
    fine("3.4 the preface"),
    # 4.1 Frames, 4.2 their sizes, 4.3 header blocks.
    fine("4.1 an unknown type", frame(0x16, payload=bytes(8))),
    fine("4.1 an undefined flag", frame(PING, 0x16, payload=bytes(8)), frame(SETTINGS, 0xFE)),
    fine("4.1 the reserved bit", frame(PING, ACK, 1 << 31, bytes(8))),
    answered("4.1 the reserved bit of a stream", OPEN, data(1 | 1 << 31, MESSAGE, end=True)),
    answered("4.2 DATA of 2^14 bytes", OPEN, data(1, message(bytes(16_379)), end=True)),
    broken("4.2 DATA of more", F, OPEN, data(1, bytes(16_385))),
    broken("4.2 HEADERS of more", F, frame(HEADERS, END_HEADERS, 1, bytes(16_385))),
    broken("4.3 a block that is none", C, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40")),
    broken("4.3 PRIORITY in a block", P, HALF, frame(PRIORITY, 0, 1, WEIGHT)),
    broken("4.3 another stream's HEADERS in a block", P, HALF, request(3)),
    # 5.1 States.
    broken("5.1 idle: DATA", P, data(1, b"test", end=True)),
    broken("5.1 idle: RST_STREAM", P, reset(1)),
    broken("5.1 idle: WINDOW_UPDATE", P, window_update(1, 100)),
    broken("5.1 idle: CONTINUATION", P, OTHER),
    fine("5.1 idle: PRIORITY", frame(PRIORITY, 0, 1, WEIGHT)),
    broken("5.1 half-closed: CONTINUATION", P, CALL, OTHER),
    refused("5.1 reset by them: DATA", S, OPEN, reset(1), data(1, b"test")),
    refused("5.1 reset by them: HEADERS", S, OPEN, reset(1), request(1, end=True)),
    broken("5.1 reset by them: CONTINUATION", P, OPEN, reset(1), OTHER),
    fine("5.1 reset by them: all that is not their own", OPEN, reset(1), window_update(1, 1), reset(1), frame(PRIORITY, 0, 1, WEIGHT)),
    broken("5.1 closed: DATA", S, CALL, data(1, b"test")),
    broken("5.1 closed: HEADERS", S, CALL, request(1, end=True)),
    broken("5.1 closed: CONTINUATION", P, CALL, OTHER),
    answered("5.1 closed: WINDOW_UPDATE, RST_STREAM, PRIORITY", CALL, window_update(1, 1), reset(1), frame(PRIORITY, 0, 1, WEIGHT)),
    Case("5.1 reset by us: all is ignored", OPEN + window_update(1, 0) + data(1, b"x") + request(1, end=True) + reset(1), reset=(1, P)),
    broken("5.1.1 an even number", P, request(2)),
    broken("5.1.1 a smaller number", P, request(5), request(3)),
    Case("5.1.2 too many streams", b"".join(request(number) for number in range(1, 2 * STREAMS + 2, 2)), reset=(41, Code.REFUSED_STREAM)),
    # 5.3 Priorities (RFC 7540, 5.3.1), which are not followed.
    broken("5.3.1 HEADERS that depend on themselves", P, frame(HEADERS, END_HEADERS | PRIORITISED, 1, b"\0\0\0\x01\x10" + block())),
    broken("5.3.1 PRIORITY that depends on itself", P, frame(PRIORITY, 0, 1, b"\0\0\0\x01\x10")),
    answered("5.3 HEADERS with a priority", frame(HEADERS, END_HEADERS | END_STREAM | PRIORITISED, 1, WEIGHT + block())),
    answered("5.3 PRIORITY of a greater number", frame(PRIORITY, 0, 3, WEIGHT), CALL),
    answered("5.3 exclusive", frame(PRIORITY, 0, 1, b"\x80\0\0\x03\xff"), CALL),
    # 5.4 and 5.5 Errors, extensions.
    broken("5.4.1 an error closes the connection", F, frame(PING, payload=b"short")),
    fine("5.5 an unknown frame", frame(0xFF, 0, 0, bytes(8))),
    broken("5.5 an unknown frame in a block", P, HALF, frame(0xFF, 0, 0, bytes(8))),
    # 6.1 DATA.
    broken("6.1 DATA of stream 0", P, data(0, b"test")),
    broken("6.1 more padding than payload", P, OPEN, frame(DATA, PADDED | END_STREAM, 1, b"\x05test")),
    broken("6.1 no length of the padding", P, OPEN, frame(DATA, PADDED, 1)),
    answered("6.1 padding", OPEN, frame(DATA, PADDED | END_STREAM, 1, b"\x05" + MESSAGE + bytes(5))),
    answered("6.1 nothing but padding", OPEN, frame(DATA, PADDED, 1, b"\x03" + bytes(3)), ENDED),
    # 6.2 HEADERS.
    broken("6.2 HEADERS of stream 0", P, frame(HEADERS, END_HEADERS, 0, block())),
    broken("6.2 more padding than payload", P, frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + block()[:20])),
    broken("6.2 no room for a priority", F, frame(HEADERS, END_HEADERS | PRIORITISED, 1, b"\0\0")),
    answered("6.2 padding and priority", frame(HEADERS, 0x2D, 1, b"\x02" + WEIGHT + block() + bytes(2))),
    # 6.3 PRIORITY.
    broken("6.3 PRIORITY of stream 0", P, frame(PRIORITY, 0, 0, WEIGHT)),
    refused("6.3 PRIORITY of 4 bytes", F, OPEN, frame(PRIORITY, 0, 1, bytes(4))),
    # 6.4 RST_STREAM.
    broken("6.4 RST_STREAM of stream 0", P, reset(0)),
    broken("6.4 RST_STREAM of 3 bytes", F, OPEN, frame(RST_STREAM, 0, 1, bytes(3))),
    # 6.5 SETTINGS.
    broken("6.5 an ACK that says something", F, frame(SETTINGS, ACK, 0, bytes(6))),
    broken("6.5 SETTINGS of a stream", P, frame(SETTINGS, 0, 1, bytes(6))),
    broken("6.5 SETTINGS of 3 bytes", F, frame(SETTINGS, 0, 0, bytes(3))),
    broken("6.5.2 ENABLE_PUSH 2", P, settings((ENABLE_PUSH, 2))),
    broken("6.5.2 INITIAL_WINDOW_SIZE 2^31", Z, settings((INITIAL_WINDOW_SIZE, 2**31))),
    broken("6.5.2 MAX_FRAME_SIZE 16,383", P, settings((MAX_FRAME_SIZE, 16_383))),
    broken("6.5.2 MAX_FRAME_SIZE 2^24", P, settings((MAX_FRAME_SIZE, 2**24))),
    fine("6.5.2 within their ranges", settings((INITIAL_WINDOW_SIZE, LARGEST), (MAX_FRAME_SIZE, 2**24 - 1))),
    fine("6.5.2 an unknown setting", settings((0xFF, 1))),
    # 6.6 PUSH_PROMISE, 6.7 PING, 6.8 GOAWAY.
    broken("6.6 PUSH_PROMISE (8.4)", P, OPEN, frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + block())),
    fine("6.7 an ACK of no PING of ours", frame(PING, ACK, 0, b"invalid!")),
    broken("6.7 PING of a stream", P, frame(PING, 0, 1, bytes(8))),
    broken("6.7 PING of 6 bytes", F, frame(PING, 0, 0, bytes(6))),
    fine("6.8 GOAWAY", frame(GOAWAY, 0, 0, bytes(8))),
    answered("6.8 GOAWAY, and what is under way goes on", OPEN, frame(GOAWAY, 0, 0, bytes(8)), ENDED),
    broken("6.8 GOAWAY of a stream", P, frame(GOAWAY, 0, 1, bytes(8))),
    broken("6.8 GOAWAY of 7 bytes", F, frame(GOAWAY, 0, 0, bytes(7))),
    # 6.9 WINDOW_UPDATE.
    broken("6.9 by nothing", P, window_update(0, 0)),
    refused("6.9 by nothing, of a stream", P, OPEN, window_update(1, 0)),
    broken("6.9 of 3 bytes", F, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    broken("6.9.1 too large", Z, window_update(0, LARGEST), window_update(0, LARGEST)),
    refused("6.9.1 too large, of a stream", Z, OPEN, window_update(1, LARGEST), window_update(1, LARGEST)),
    answered("6.9.1 as large as may be", OPEN, window_update(0, LARGEST - 65_535), window_update(1, LARGEST - 65_535), ENDED),
    broken("6.9.2 too large by a setting", Z, OPEN, window_update(1, LARGEST - 65_535), settings((INITIAL_WINDOW_SIZE, 65_536))),
    answered("6.9 of a stream that is half-closed", request(1), data(1, MESSAGE), window_update(1, 100), data(1, end=True)),
    # 6.10 CONTINUATION.
    answered("6.10 several", cut(1, 0, 0, END_HEADERS)),
    answered("6.10 an empty one", HALF, frame(CONTINUATION, END_HEADERS, 1), data(1, end=True)),
    broken("6.10 followed by another type", P, cut(1, 0), data(1, b"test", end=True)),
    broken("6.10 of stream 0", P, HALF, frame(CONTINUATION, END_HEADERS, 0, b"")),
    broken("6.10 of another stream", P, HALF, frame(CONTINUATION, END_HEADERS, 3, b"")),
    broken("6.10 after END_HEADERS", P, OPEN, OTHER),
    broken("6.10 after another's END_HEADERS", P, cut(1, 0, END_HEADERS), OTHER),
    broken("6.10 after DATA", P, OPEN, data(1, b"test"), OTHER),
    # 7 Codes.
    fine("7 GOAWAY with an unknown code", frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff")),
    fine("7 RST_STREAM with an unknown code", OPEN, reset(1, 0xFF)),
    # 8.1 Requests.
    answered("8.1 a call", OPEN, data(1, MESSAGE), data(1, MESSAGE[:3]), data(1, MESSAGE[3:], end=True)),
    answered("8.1 trailers", OPEN, data(1, MESSAGE), frame(HEADERS, END_HEADERS | END_STREAM, 1, SUM)),
    refused("8.1 trailers without END_STREAM", P, OPEN, data(1, MESSAGE), frame(HEADERS, END_HEADERS, 1, SUM)),
    refused("8.1 trailers with a pseudo-header (8.3)", P, OPEN, frame(HEADERS, 5, 1, block((":method", "200"), base=False))),
]  # fmt: skip

MALFORMED: list[tuple[str, tuple[tuple[str, str | None], ...]]] = [
    ("8.2.1 upper case", (("X-TEST", "ok"),)),
    ("8.2.1 an empty name", (("", "ok"),)),
    ("8.2.1 a space in a name", (("x test", "ok"),)),
    ("8.2.1 a colon in a name", (("x:test", "ok"),)),
    ("8.2.1 not ASCII in a name", (("x-tést", "ok"),)),
    ("8.2.1 a line break in a value", (("x-test", "a\r\nb"),)),
    ("8.2.1 a zero in a value", (("x-test", "a\0b"),)),
    ("8.2.1 a value that begins with a space", (("x-test", " a"),)),
    ("8.2.1 a value that ends with a tab", (("x-test", "a\t"),)),
    ("8.2.2 connection", (("connection", "keep-alive"),)),
    ("8.2.2 proxy-connection", (("proxy-connection", "keep-alive"),)),
    ("8.2.2 keep-alive", (("keep-alive", "1"),)),
    ("8.2.2 transfer-encoding", (("transfer-encoding", "chunked"),)),
    ("8.2.2 upgrade", (("upgrade", "h2c"),)),
    ("8.2.2 te other than trailers", (("te", "trailers, deflate"),)),
    ("8.3 an unknown pseudo-header", ((":test", "ok"),)),
    ("8.3 a response's pseudo-header", ((":status", "200"),)),
    ("8.3 a pseudo-header after another header", ((":authority", "x"),)),
    ("8.3.1 an empty path", ((":path", ""),)),
    ("8.3.1 no method", ((":method", None),)),
    ("8.3.1 no scheme", ((":scheme", None),)),
    ("8.3.1 no path", ((":path", None),)),
    ("8.1.1 a length that is no number", (("content-length", "1x"),)),
    ("8.1.1 a negative length", (("content-length", "-1"),)),
]
CASES += [refused(name, P, request(1, *changes, end=True)) for name, changes in MALFORMED]
CASES += [
    refused(f"8.3.1 {name} twice", P, frame(HEADERS, END_HEADERS | END_STREAM, 1, block((name, "POST"), base=False) + block()[1:]))
    for name in (":method", ":scheme", ":path")
]
CASES += [
    refused("8.1.1 content-length, and no content", P, request(1, ("content-length", "1"), end=True)),
    refused("8.1.1 content-length 0, and content", P, request(1, ("content-length", "0")), ENDED),
    refused("8.1.1 a message more than its length", P, request(1, ("content-length", "10")), data(1, MESSAGE), data(1, MESSAGE)),
    refused("8.1.1 content-length that is too small", P, request(1, ("content-length", "1")), data(1, b"test", end=True)),
    refused("8.1.1 content-length that is too large", P, request(1, ("content-length", "11")), data(1, MESSAGE, end=True)),
    refused(
        "8.1.1 content-length of several frames", P, request(1, ("content-length", "11")), data(1, MESSAGE), data(1, b"test", end=True)
    ),
    refused(
        "8.1.1 content-length before trailers", P, request(1, ("content-length", "11")), data(1, MESSAGE), frame(HEADERS, 5, 1, b"\x20")
    ),
    answered("8.1.1 content-length 0", request(1, ("content-length", "0"), end=True)),
    answered("8.1.1 content-length, said twice", frame(HEADERS, 5, 1, block(("content-length", "0")) + literal(b"content-length", b"0"))),
    refused("8.1.1 two lengths", P, frame(HEADERS, 5, 1, block(("content-length", "0")) + literal(b"content-length", b"1"))),
    answered("8.1.1 content-length", request(1, ("content-length", "20")), data(1, MESSAGE), data(1, MESSAGE), data(1, end=True)),
    answered(
        "8.1.1 padding is not content", request(1, ("content-length", "10")), frame(DATA, PADDED | 1, 1, b"\x02" + MESSAGE + bytes(2))
    ),
]


@pytest.mark.parametrize("size", [0, 1], ids=["whole", "bytewise"])
@cases("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, size: int) -> None:
    wire = Wire(Limits(streams=STREAMS))
    said = wire.say(case.said, PROBE, cut=size)
    goaway = [heard.code for heard in said if heard.kind == GOAWAY]
    # Streams that are answered before the other end has ended them are reset with NO_ERROR, which is no error.
    resets = [(heard.stream, heard.code) for heard in said if heard.kind == RST_STREAM]
    assert goaway == ([] if case.goaway is None else [case.goaway])
    assert resets == ([] if case.reset is None else [case.reset])
    assert (ALIVE in said, wire.connection.closed) == (case.goaway is None, case.goaway is not None)
    if case.goaway is None:
        assert tuple(heard.stream for heard in said if heard.last) == case.answers


@pytest.mark.parametrize("preface", [b"INVALID CONNECTION PREFACE\r\n\r\n", b"GET / HTTP/1.1\r\n", PREFACE[:-1] + b"x"])
@pytest.mark.parametrize("size", [0, 1], ids=["whole", "bytewise"])
def test_3_4_an_invalid_preface(preface: bytes, size: int) -> None:
    wire = Wire(greet=False)
    wire.taken()
    assert [heard.code for heard in wire.say(preface, cut=size)] == [P]
    assert (wire.connection.closed, wire.connection.greeted) == (True, False)


@pytest.mark.parametrize("first", [PROBE, OPEN, data(1), window_update(0, 1), frame(0xFF)])
def test_3_4_settings_come_first(first: bytes) -> None:
    wire = Wire(greet=False)
    wire.taken()
    assert [heard.code for heard in wire.say(PREFACE, first)] == [P]


def test_3_4_our_settings_come_first() -> None:
    wire = Wire(greet=False)
    assert next(heard.kind for heard in wire.taken()) == SETTINGS


@pytest.mark.parametrize("more", [data(1, b"test"), request(1, end=True)], ids=[DATA, HEADERS])
def test_5_1_half_closed(more: bytes) -> None:
    wire = Wire(engine=Wire.keep)
    said = wire.say(CALL, more, PROBE)
    assert [(heard.kind, heard.code) for heard in said if heard is not said[-1]] == [(RST_STREAM, S)]
    assert said[-1] == ALIVE


def test_5_1_half_closed_hears_windows_priorities_and_resets() -> None:
    wire = Wire(engine=Wire.keep)
    assert wire.say(CALL, window_update(1, 1), frame(PRIORITY, 0, 1, WEIGHT), reset(1), PROBE) == [ALIVE]


def test_6_3_the_size_of_a_priority_matters_before_its_stream_begins() -> None:
    # Such a stream cannot be reset.
    assert [heard.code for heard in Wire().say(frame(PRIORITY, 0, 1, bytes(4)))] == [F]


def test_6_5_3_settings_are_acknowledged() -> None:
    said = Wire().say(settings(), settings((INITIAL_WINDOW_SIZE, 1)))
    assert said == [Frame(SETTINGS, ACK, 0, b"")] * 2


def test_6_5_3_values_count_in_their_order() -> None:
    wire = Wire()
    wire.say(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)))
    assert [len(heard.payload) for heard in wire.say(OPEN, data(1, MESSAGE)) if heard.kind == DATA] == [1]


def test_6_7_pings_are_answered_with_what_they_say() -> None:
    assert Wire().say(frame(PING, payload=b"h2spec!!")) == [Frame(PING, ACK, 0, b"h2spec!!")]


def test_6_9_1_a_window_of_one() -> None:
    wire = Wire()
    said = wire.say(settings((INITIAL_WINDOW_SIZE, 1)), OPEN, data(1, MESSAGE, end=True))
    assert [(heard.kind, len(heard.payload)) for heard in said][2:] == [(DATA, 1)]
    assert [len(heard.payload) for heard in wire.say(*[window_update(1, 1)] * 9) if heard.kind == DATA] == [1] * 9


def test_6_9_2_a_window_that_becomes_negative() -> None:
    wire = Wire()
    wire.say(settings((INITIAL_WINDOW_SIZE, 3)), OPEN, data(1, MESSAGE, end=True))
    wire.say(settings((INITIAL_WINDOW_SIZE, 1)))
    assert wire.stream().window_out == -2
    assert wire.say(window_update(1, 2)) == []
    assert [(heard.kind, heard.payload) for heard in wire.say(window_update(1, 1))] == [(DATA, MESSAGE[3:4])]


def test_6_9_2_data_goes_after_the_acknowledgement() -> None:
    # The other end itself counts with its own new window when it hears that we do.
    wire = Wire()
    wire.say(settings((INITIAL_WINDOW_SIZE, 0)), OPEN, data(1, MESSAGE))
    assert [heard.kind for heard in wire.say(settings((INITIAL_WINDOW_SIZE, 1)))] == [SETTINGS, DATA]


@pytest.mark.parametrize(
    ("changes", "status", "end"),
    [
        (((":method", "GET"), ("content-type", None)), {":status": "405"}, True),
        (((":method", "HEAD"), ("content-type", None)), {":status": "405"}, True),
        ((("content-type", "text/plain"),), {":status": "415"}, True),
        ((("content-type", "application/grpcx"),), {":status": "415"}, True),
        (((":path", "/acme.Service/Other"),), {":status": "200", "grpc-status": "12"}, True),
        ((("content-type", "application/grpc+proto"),), {":status": "200", "content-type": "application/grpc"}, False),
        ((("content-type", "application/grpc;charset=utf-8"),), {":status": "200", "content-type": "application/grpc"}, False),
    ],
)
def test_8_requests(changes: tuple[tuple[str, str | None], ...], status: dict[str, str], end: bool) -> None:
    said = Wire().say(request(1, *changes, end=True))
    assert (said[0].last, headers(said[0].payload).items() >= status.items()) == (end, True)


def test_8_1_what_is_answered_early_is_reset_without_an_error() -> None:
    said = Wire().say(request(1, (":method", "GET")), data(1, b"body", end=True), PROBE)
    assert [heard.kind for heard in said] == [HEADERS, RST_STREAM, PING]
    assert said[1].code is Code.NO_ERROR


def test_frames_are_never_written_by_halves() -> None:
    assert parse(b"".join(Wire(greet=False).connection.take()))
