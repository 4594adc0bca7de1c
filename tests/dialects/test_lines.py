"""NDJSON: whole lines out of bytes that come cut anywhere, and not a byte changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.framing import RawEvent, split
from extproc.dialects.lines import LINES, line
from tests.cases import cases
from tests.dialects.framed import cut, raw_events

STREAM = '{"a":"é\\n"}\n{"b":[1,{"c":null}]}\r\n\n  {"d":"\u2028"}\n{"last":1}'.encode()
VALUES = [{"a": "é\n"}, {"b": [1, {"c": None}]}, {"d": "\u2028"}, {"last": 1}]


@cases("at", range(len(STREAM) + 1))
def test_cut_at_every_byte(at: int) -> None:
    assert [json.loads(event.data) for event in raw_events(LINES, *cut(STREAM, [at]))] == VALUES


def test_byte_by_byte() -> None:
    splitter = LINES.splitter()
    lines: list[bytes] = []
    for i in range(len(STREAM)):
        lines += splitter.feed(STREAM[i : i + 1])
        assert b"".join(lines) + splitter.pending == STREAM[: i + 1]
        assert splitter.waiting == len(splitter.pending)
    assert len(lines) == 4
    assert all(one.endswith(b"\n") and one.count(b"\n") == 1 for one in lines)
    assert splitter.pending == b'{"last":1}'


@given(st.lists(st.binary(max_size=8)))
def test_nothing_is_changed(chunks: list[bytes]) -> None:
    splitter = LINES.splitter()
    lines = [one for chunk in chunks for one in splitter.feed(chunk)]
    assert b"".join(lines) + splitter.pending == b"".join(chunks)
    assert splitter.pending.find(b"\n") < 0
    assert splitter.waiting == len(splitter.pending)
    assert [one for one in (*lines, splitter.pending) if one] == split(LINES, b"".join(chunks))


@pytest.mark.parametrize("raw", [b"\n", b"\r\n", b"  \n", b""])
def test_an_empty_line_carries_nothing(raw: bytes) -> None:
    assert LINES.parse(raw) is None


def test_a_line_is_one_to_any_reader() -> None:
    value = {"a": "1\u20282\u20293\x854\n5\x0b\x0c\x1c\r6é"}
    written = line(value)
    assert json.loads(written) == value
    assert written.decode().splitlines(keepends=True) == [written.decode()]


def test_a_line_is_its_data() -> None:
    assert LINES.parse(b' {"a":1} \r\n') == RawEvent("", b'{"a":1}')
    assert LINES.parse(b"\xff{\n") == RawEvent("", b"\xff{"), "what cannot be read is for its reader to refuse"
