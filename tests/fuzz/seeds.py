"""Inputs of the fuzz target that are written by hand: one for each thing that a client, or a driver, can do right or wrong.

    python -m tests.fuzz.seeds build/seeds

What real clients have sent is in tests/transport/corpus: Envoy 1.40 (`envoy_grpc`) and grpcio, in the pieces in which it came.
"""

import sys
from pathlib import Path

from tests import frames
from tests.frames import LARGEST, TABLE_SIZE_0, data, frame, headers, literal, message, number, padded, request, settings
from tests.fuzz.http2_connection import act, call, drip, raw, say

CORPUS = Path(__file__).parent.parent / "transport" / "corpus"

REPLY, HOLD, RESUME, FINISH, LEAVE = 3, 4, 5, 6, 7
GOODBYE = act(LEAVE, 0, 7)
PAUSE, UNPAUSE = act(7, 0, 8), act(7, 0, 9)
GOODBYE_HEARD = raw(frame(frames.PING, frames.ACK, payload=b"leaving."))

# What the driver does with a message is in its first byte: so many replies (1), holds (4), finishes (8); their size (16 ...).
ECHO, TWICE, HELD, LAST, LARGE = b"\x11abc", b"\x12abc", b"\x15abc", b"\x19abc", b"\xf3" + b"x" * 200


def _greeted(*steps: bytes) -> bytes:
    return b"\x01" + b"".join(steps)


def _new(*steps: bytes) -> bytes:
    return b"\x00" + b"".join(steps)


def _block(*more: tuple[bytes, bytes]) -> bytes:
    return TABLE_SIZE_0 + request(frames.METHOD, *more)


def _wrong(*said: bytes) -> bytes:
    """A client that has a call, which waits for its driver, and then says this."""
    return _greeted(call(), say(1, HELD), say(1, ECHO), call(), raw(b"".join(said)), say(1, ECHO), act(RESUME))


_TABLE = b"\x83\x86" + literal(b":path", frames.METHOD, 0x40) + literal(b"content-type", b"application/grpc", 0x40)
_POST_FROM_TABLE = b"\x83\x86\xbf\xbe"
_PRIORITY = b"\x00\x00\x00\x09\x10"

SEEDS = {
    # As it should be.
    "a_call": _new(raw(frames.HELLO), raw(headers(1, _block())), say(1, ECHO), raw(data(1, end=True))),
    "byte_by_byte": _new(drip(frames.HELLO + headers(1, _block(), end=True))),
    "cut_headers": _greeted(raw(headers(1, _block(), cuts=[1, 20])), say(1, ECHO, end=True)),
    "padded": _greeted(raw(frame(frames.HEADERS, 0x0C, 1, padded(_block(), 9)[1]) + data(1, message(ECHO), padding=7))),
    "with_priority": _greeted(raw(frame(frames.HEADERS, 0x24, 1, _PRIORITY + _block()) + frame(frames.PRIORITY, 0, 3, _PRIORITY))),
    "with_a_table": _new(raw(frames.PREFACE + settings() + headers(1, _TABLE) + headers(3, _POST_FROM_TABLE, end=True)), say(1, ECHO)),
    "a_table_that_goes": _new(raw(frames.PREFACE + settings() + headers(1, _TABLE) + frames.SETTINGS_ACK + headers(3, _block()))),
    "trailers": _greeted(call(), say(1, ECHO), raw(headers(1, literal(b"x", b"y"), end=True))),
    "with_a_length": _greeted(raw(headers(1, _block((b"content-length", b"9")))), say(1, ECHO, end=True)),
    "many_messages": _greeted(call(), raw(data(1, (message(ECHO) + message(b"") + message(TWICE)) * 9)), say(1, b"", end=True)),
    "cut_messages": _greeted(call(), drip(data(1, message(ECHO)[:3]) + data(1, message(ECHO)[3:7]) + data(1, message(ECHO)[7:]))),
    "held": _greeted(call(), say(1, HELD), say(1, ECHO), say(1, ECHO, end=True), act(RESUME), act(RESUME)),
    "paused": _greeted(call(), call(), PAUSE, say(1, ECHO), say(3, TWICE), say(1, LARGE, end=True), UNPAUSE, say(3, ECHO)),
    "paused_and_left": _greeted(call(), PAUSE, say(1, ECHO), raw(number(frames.RST_STREAM, 1, 8)), UNPAUSE),
    "more_than_is_written_at_once": _greeted(call(), call(), say(1, LARGE, times=30), say(3, LARGE, times=60), say(1, ECHO)),
    "held_for_long": _greeted(call(), say(1, HELD, times=60), *[say(1, LARGE, times=60)] * 6, act(RESUME), act(RESUME)),
    "no_window": _greeted(raw(settings((4, 0))), call(), say(1, LARGE), say(1, ECHO), raw(settings((4, 70_000)) + number(8, 0, 70_000))),
    "a_narrow_window": _greeted(raw(settings((4, 3))), call(), say(1, ECHO), raw(number(8, 1, 2) * 4), raw(settings((4, 0))), act(FINISH)),
    "a_crowd": _greeted(raw(settings((4, 9))), *[call(), say(1, ECHO), say(3, TWICE), say(5, LARGE)] * 3, raw(number(8, 0, 9) * 3)),
    "large_frames": _greeted(raw(settings((5, 2**24 - 1), (4, LARGEST))), call(), say(1, LARGE, times=50), raw(number(8, 0, 2**30))),
    "finished_early": _greeted(call(), say(1, LAST), say(1, ECHO), raw(data(1, end=True))),
    "refused": _greeted(raw(headers(1, TABLE_SIZE_0 + request(b"/nobody/Knows")) + headers(3, request(b"/nobody/Knows"), end=True))),
    "hung_up": _greeted(call(), say(1, HELD), raw(number(3, 1, 8)), call(), say(3, LARGE), raw(number(3, 3, 8))),
    "goodbye": _greeted(call(), say(1, HELD), GOODBYE, call(), GOODBYE_HEARD, call(), act(RESUME), say(1, b"", end=True), act(FINISH)),
    "goodbye_of_nobody": _greeted(GOODBYE, GOODBYE_HEARD, call()),
    "pings": _greeted(raw(frame(6, payload=b"12345678") + frame(6, 1, payload=b"12345678"))),
    "an_upload": _greeted(call(), *[say(1, bytes(150), times=60)] * 9, say(1, ECHO, end=True)),
    "pieces": _greeted(call(), *[raw(data(1, piece)) for piece in (b"\0\0\0\0", b"\x04\x11", b"a", b"b", b"c")], raw(data(1, end=True))),
    "many_blocks": _greeted(*[raw(headers(n, _block((b"x", b"y" * n)), end=True)) for n in range(1, 15, 2)]),
    "a_long_path": _greeted(raw(headers(1, TABLE_SIZE_0 + request(b"/" + b"p" * 300), end=True))),
    "hung_up_with_a_reply": _greeted(raw(settings((4, 9))), call(), say(1, LARGE), say(1, ECHO), raw(number(3, 1, 8))),
    "driven": _greeted(call(), call(), act(REPLY, 0, 60_000), act(REPLY, 1, 20_000), act(FINISH, 0, 5), act(HOLD, 1), act(FINISH, 1, 2)),
    # As it should not be.
    "http1": _new(raw(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n")),
    "no_settings": _new(raw(frames.PREFACE + frame(6, payload=bytes(8)))),
    "too_many": _greeted(*[call()] * 12),
    "two_messages_too_large": _greeted(call(), raw(data(1, b"\0\xff\xff\xff\xff")), call(), say(3, HELD), raw(data(3, b"\1\0\0\0\1x"))),
    "too_much_that_is_not_whole": _greeted(*[call()] * 8, *[raw(data(n, message(bytes(29_000))[:9_000])) for n in range(1, 16, 2)]),
    "more_than_the_window": _greeted(call(), say(1, HELD), *[raw(data(1, bytes(16_384)))] * 5),
    "more_than_all_windows": _greeted(*[call()] * 8, act(HOLD), *[raw(data(n, bytes(16_384))) for n in range(1, 16, 2)] * 2),
    "more_than_both_windows": _greeted(
        *[call()] * 4,
        *[say(n, HELD) for n in range(1, 8, 2)],
        *[raw(data(n, message(bytes(16_379)))) for n in (1, 3, 5, 7, 7, 7, 7)],
    ),
    "not_whole": _greeted(call(), raw(data(1, message(ECHO)[:6], end=True)), call(), raw(data(3, b"\0", end=True))),
    "wrong_length": _greeted(raw(headers(1, _block((b"content-length", b"3")))), say(1, ECHO)),
    "after_the_end": _wrong(data(3, end=True), data(3, b"x")),
    "headers_after_the_end": _wrong(data(3, end=True), headers(3, request())),
    "after_a_reset": _wrong(number(3, 3, 8), data(3, b"x"), data(3, b"x"), headers(3, request(), end=True)),
    "trailers_without_end": _wrong(headers(3, literal(b"x", b"y"))),
    "trailers_with_a_path": _wrong(headers(3, literal(b":path", b"y"), end=True)),
    "no_request": _wrong(headers(5, literal(b"x", b"y")), headers(7, request(frames.METHOD, (b"connection", b"close")))),
    "upper_case": _wrong(headers(5, request(frames.METHOD, (b"X", b"y")))),
    "a_stream_of_before": _wrong(headers(9, request()), headers(7, request())),
    "an_even_stream": _wrong(headers(4, request())),
    "no_stream": _wrong(data(0, b"x")),
    "an_idle_stream": _wrong(data(9, b"x")),
    "a_reset_of_nothing": _wrong(number(3, 99, 8)),
    "a_reset_of_3_bytes": _wrong(frame(3, 0, 1, bytes(3))),
    "a_window_of_nothing": _wrong(number(8, 3, 0), number(8, 0, 0)),
    "a_window_too_far": _wrong(number(8, 3, LARGEST), number(8, 0, LARGEST)),
    "all_windows_too_far": _wrong(number(8, 3, LARGEST - 65_535), settings((4, 65_536))),
    "settings_that_cannot_be": _wrong(settings((4, 2**31))),
    "a_frame_size_that_cannot_be": _wrong(settings((5, 0))),
    "a_push_that_cannot_be": _wrong(settings((2, 2))),
    "settings_of_5_bytes": _wrong(frame(4, payload=bytes(5))),
    "settings_of_a_stream": _wrong(frame(4, 0, 1)),
    "a_push": _wrong(frame(5, 4, 1, bytes(8))),
    "a_ping_of_7_bytes": _wrong(frame(6, payload=bytes(7))),
    "a_goodbye": _wrong(frame(7, payload=bytes(8)), frame(7, payload=bytes(3))),
    "priority_of_itself": _wrong(frame(2, 0, 9, b"\0\0\0\x09\1")),
    "priority_of_4_bytes": _wrong(frame(2, 0, 3, bytes(4)), frame(2, 0, 99, bytes(4))),
    "continuation_of_nothing": _wrong(frame(9, 4, 3, b"x")),
    "headers_interrupted": _wrong(frame(1, 0, 5, request()), frame(6, payload=bytes(8))),
    "headers_without_end": _wrong(frame(1, 0, 5), *[frame(9, 0, 5)] * 5),
    "padding_of_padding": _wrong(frame(0, 8, 3, b"\x09abc")),
    "unknown": _wrong(frame(0xEE, 0xFF, 3, b"?")),
    "get": _wrong(headers(5, b"\x82\x86" + literal(b":path", b"/"))),
    "another_type": _wrong(headers(5, b"\x83\x86" + literal(b":path", b"/") + literal(b"content-type", b"text/html"), end=True)),
    "two_lengths": _wrong(headers(5, request(frames.METHOD, (b"content-length", b"1"), (b"content-length", b"2")))),
    "no_length": _wrong(headers(5, request(frames.METHOD, (b"content-length", b"-1")))),
    "a_length_and_nothing": _wrong(headers(5, request(frames.METHOD, (b"content-length", b"1")), end=True)),
    "two_paths": _wrong(headers(5, request(frames.METHOD, (b":path", b"/")))),
    "a_value_in_two_lines": _wrong(headers(5, request(frames.METHOD, (b"x", b"a\r\nb: c")))),
    "no_room_for_a_priority": _wrong(frame(1, 0x24, 5, b"abc")),
    "priority_of_no_stream": _wrong(frame(2, 0, 0, _PRIORITY)),
    "a_ping_of_a_stream": _wrong(frame(6, 0, 1, bytes(8))),
    "a_goodbye_of_a_stream": _wrong(frame(7, 0, 1, bytes(8))),
    "a_window_of_5_bytes": _wrong(frame(8, 0, 1, bytes(5))),
    "trailers_before_the_length": _greeted(raw(headers(1, _block((b"content-length", b"9"))) + headers(1, b"", end=True))),
    "after_an_answer": _greeted(call(), say(1, ECHO, end=True), raw(data(1))),
    "empty": _greeted(call(), raw(data(1) * 9 + data(1, padding=3))),
    "after_a_goodbye": _greeted(call(), GOODBYE, GOODBYE_HEARD, call(), say(3, ECHO), raw(number(3, 3, 8) + number(8, 3, 8)), act(FINISH)),
    "a_table_after_a_goodbye": _new(raw(frames.PREFACE + settings() + headers(1, _TABLE)), GOODBYE, GOODBYE_HEARD, raw(headers(3, _TABLE))),
    "a_table_that_changes": _wrong(headers(5, b"\x20\x20\x20" + request())),
    "too_long": _wrong(b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"),
    "a_bomb": _new(raw(frames.PREFACE + settings() + headers(1, literal(b"x", b"y" * 900, 0x40) + b"\xbe" * 9))),
    "junk_in_a_block": _wrong(headers(5, b"\xff\xff\xff\xff\xff\xff"), headers(7, b"\x00\x01x\x84\xff\xff\xff\xff")),
}  # fmt: skip


def captured() -> dict[str, bytes]:
    """What is in the corpus."""
    return {path.name: path.read_bytes() for path in sorted(CORPUS.iterdir())}


def write(folder: Path) -> None:
    """Writes all of them as files, as libFuzzer takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (SEEDS | captured()).items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
