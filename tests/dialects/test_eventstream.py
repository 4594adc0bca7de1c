"""Amazon's event streams: whole messages, whatever the cuts; nothing damaged passes for an event."""

import base64
import json
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.eventstream import DAMAGED, EVENT_STREAM, EventStreamSplitter, event, exception
from extproc.dialects.framing import RawEvent, split
from tests.dialects.framed import cut, raw_events

FOLDER = Path(__file__).parents[1] / "recordings" / "bedrock"
STREAMS = {
    file.stem: base64.b64decode(pair["response"]["base64"])
    for file in sorted(FOLDER.glob("*.json"))
    for pair in json.loads(file.read_text())
    if "base64" in pair["response"]
}

# A message of Amazon's documentation of the format: no headers, no payload.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")


def message(headers: bytes, payload: bytes = b"{}") -> bytes:
    """A message with these headers' bytes."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()


@pytest.mark.parametrize("name", STREAMS)
def test_recorded_streams(name: str) -> None:
    events = raw_events(EVENT_STREAM, STREAMS[name])
    assert [events[0].event, events[-2].event, events[-1].event] == ["messageStart", "messageStop", "metadata"]
    assert all(isinstance(json.loads(one.data), dict) for one in events)
    # What we write is what Amazon writes, to the byte.
    assert b"".join(event(one.event, one.data) for one in events) == STREAMS[name]


PAYLOADS = st.binary(max_size=80)
KINDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(st.lists(st.tuples(KINDS, PAYLOADS), max_size=5), st.lists(st.integers(0, 600), max_size=12))
def test_there_and_back_at_any_cut(given_events: list[tuple[str, bytes]], cuts: list[int]) -> None:
    stream = b"".join(event(kind, payload) for kind, payload in given_events)
    chunks = cut(stream, [min(at, len(stream)) for at in cuts])
    assert raw_events(EVENT_STREAM, *chunks) == [RawEvent(*one) for one in given_events]


@given(st.lists(PAYLOADS, max_size=4), st.binary(max_size=60), st.lists(st.integers(0, 600), max_size=6))
def test_no_byte_is_lost(payloads: list[bytes], junk: bytes, cuts: list[int]) -> None:
    stream = b"".join(event("e", payload) for payload in payloads) + junk
    splitter = EventStreamSplitter()
    pieces = [piece for chunk in cut(stream, [min(at, len(stream)) for at in cuts]) for piece in splitter.feed(chunk)]
    assert b"".join(pieces) + splitter.pending == stream
    assert splitter.waiting == len(splitter.pending)


@given(PAYLOADS, st.data())
def test_a_flipped_bit_is_noticed(payload: bytes, draw: st.DataObject) -> None:
    stream = event("contentBlockDelta", payload)
    at = draw.draw(st.integers(0, len(stream) * 8 - 1))
    damaged = bytearray(stream)
    damaged[at // 8] ^= 1 << at % 8
    assert all(one.event == DAMAGED for one in raw_events(EVENT_STREAM, bytes(damaged)))


@given(st.binary(max_size=100))
def test_any_bytes(junk: bytes) -> None:
    for piece in split(EVENT_STREAM, junk):
        read = EVENT_STREAM.parse(piece)
        assert read is not None
        assert read.event == DAMAGED
    assert EVENT_STREAM.parse(b"") is None


def test_exceptions_and_errors() -> None:
    (one,) = raw_events(EVENT_STREAM, exception("throttlingException", b'{"message":"Slow down"}'))
    assert one == RawEvent("error:throttlingException", b'{"message":"Slow down"}')
    headers = header(":message-type", "error") + header(":error-code", "InternalError") + header(":error-message", "Boom")
    (one,) = raw_events(EVENT_STREAM, message(headers, b""))
    assert one == RawEvent("error:InternalError", b'{"message":"Boom"}')


def test_headers_of_all_types_are_passed_over() -> None:
    values = [b"\x00", b"\x01", b"\x02\x09", b"\x03\x00\x09", b"\x04" + bytes(4), b"\x05" + bytes(8), b"\x06\x00\x02ab", b"\x08" + bytes(8)]
    others = b"".join(b"\x01" + bytes([97 + i]) + value for i, value in enumerate([*values, b"\x09" + bytes(16)]))
    whole = message(others + header(":message-type", "event") + header(":event-type", "e"))
    assert raw_events(EVENT_STREAM, whole) == [RawEvent("e", b"{}")]


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        header(":message-type", "event"),
        header(":message-type", "of_tomorrow"),
        b"\x05ab",
        b"\x01a\x0a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x09b",
        b"\x01\xff\x07\x00\x01b",
    ],
    ids=["none", "no kind", "unknown", "no end", "unknown type", "no size", "too short", "not UTF-8"],
)
def test_what_says_nothing_is_damaged(headers: bytes) -> None:
    whole = message(headers)
    assert raw_events(EVENT_STREAM, whole + event("next", b"{}")) == [RawEvent(DAMAGED, whole), RawEvent("next", b"{}")]


def test_the_documents_example() -> None:
    assert raw_events(EVENT_STREAM, EMPTY) == [RawEvent(DAMAGED, EMPTY)]
    assert message(b"", b"") == EMPTY


@pytest.mark.parametrize(("length", "headers"), [(2**32 - 1, 0), (25 * 1024 * 1024, 0), (15, 0), (16, 1), (200_000, 150_000), (0, 0)])
def test_absurd_lengths_keep_nothing(length: int, headers: int) -> None:
    prelude = struct.pack(">II", length, headers)
    splitter = EventStreamSplitter()
    first = splitter.feed(event("e", b"{}") + prelude + struct.pack(">I", zlib.crc32(prelude)))
    assert len(first) == 2
    for _ in range(3):
        assert splitter.feed(b"x" * 1000) == [b"x" * 1000]
        assert splitter.waiting == 0
    assert splitter.feed(b"") == []


def test_a_truncated_message_is_damaged() -> None:
    whole = event("e", b'{"a":1}')
    for end in range(1, len(whole)):
        assert [one.event for one in raw_events(EVENT_STREAM, whole[:end])] == [DAMAGED]


def test_pieces_wait_for_their_end() -> None:
    stream = event("e", b"1") + event("f", b"2")
    splitter = EventStreamSplitter()
    seen = [splitter.feed(stream[i:j]) for i, j in pairwise(range(len(stream) + 1))]
    assert [i for i, one in enumerate(seen) if one] == [len(event("e", b"1")) - 1, len(stream) - 1]
