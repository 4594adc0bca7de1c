import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.dialects.framing import RawEvent
from extproc.dialects.sse import SSE, Splitter, parse, parse_lines
from tests.dialects.framed import raw_events


def _frames(*chunks: bytes) -> list[RawEvent]:
    return raw_events(SSE, *chunks)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b"data: a\n\r\ndata: b\r\n\ndata: c\n\rdata: d\n\n", [("", b"a"), ("", b"b"), ("", b"c"), ("", b"d")]),
        (b"data: a\r\r\ndata: b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\ndata: b\ndata\n\n", [("", b"a\nb\n")]),
        (b": comment\n\n:\n\ndata: a\n\n", [("", b"a")]),
        (b"id: 1\nretry: 5\nunknown: x\ndata: a\n\n", [("", b"a")]),
        (b"event: x\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"\n\n\n\ndata: a\n\n\n", [("", b"a")]),
        (b"data: [DONE]", [("", b"[DONE]")]),
        (b"data: a\x85b\x0bc\xe2\x80\xa8d\n\n", [("", b"a\x85b\x0bc\xe2\x80\xa8d")]),
        (b"", []),
    ],
)
def test_events(stream: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert _frames(stream) == expected
    assert _frames(*(stream[i : i + 1] for i in range(len(stream)))) == expected


LINES = st.lists(st.sampled_from(["data: é€😀", "data:", "event: x", ": c", "", "id: 1", 'data: {"a":1}']), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(lines=LINES, draw=st.data())
def test_any_cut_gives_the_same(lines: list[str], draw: st.DataObject) -> None:
    text = "".join(line + draw.draw(ENDS) for line in lines).encode()
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert _frames(*chunks) == _frames(text)
    splitter = Splitter()
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    assert b"".join(blocks) + splitter.pending == text


@given(st.lists(st.one_of(st.binary(max_size=12), st.text("a\n\r", max_size=12).map(str.encode)), max_size=8))
@example([b"a\n\nb\n\n\n"])
def test_the_splitter_changes_no_byte(chunks: list[bytes]) -> None:
    splitter = Splitter()
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    assert b"".join(blocks) + splitter.pending == b"".join(chunks)
    assert all(block for block in blocks)


FIELDS = st.sampled_from(["event: ", "event:", "data: ", "data:", "\ufeffdata: ", ": ", "id: "])
VALUES = st.sampled_from(["x", "", " x", "é", '{"a":1}', "data: x"])


@given(lines=st.lists(st.tuples(FIELDS, VALUES, st.sampled_from(["\n", "\n", "\r\n", "\r"])), max_size=3), blank=ENDS)
def test_an_event_at_a_glance_is_the_same(lines: list[tuple[str, str, str]], blank: str) -> None:
    block = ("".join(map("".join, lines)) + blank).encode()
    assert parse(block) == parse_lines(block)


def test_whole_events_are_told_at_once() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\n") == [b"data: a\n\n"]
    assert splitter.feed(b"data: a\n\ndata: b\n\n") == [b"data: a\n\n", b"data: b\n\n"]
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\n") == [b"data: a\r\n\r\n"]
    assert splitter.feed(b"data: a\r\r") == [b"data: a\r\r"]
    assert splitter.feed(b"data: half") == []
    assert splitter.pending == b"data: half"


def test_a_long_event_in_small_pieces_is_not_searched_again_and_again() -> None:
    splitter = Splitter()
    for _ in range(20_000):
        assert splitter.feed(b"x" * 500) == []
    assert len(splitter.feed(b"\n\n")[0]) == 10_000_002


def test_an_event_without_data_is_none() -> None:
    assert parse(b": ping\n\n") is None
