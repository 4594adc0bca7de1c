"""Looking at many events together finds what looking at each would have found."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.glimpse import Texts
from tests.examples import examples

TEXTS = Texts("content", "text")
WORDS = [b'"content"', b'"text"', b'"', b":", b" ", b"{", b",", b"\\", b"\n", b"\r", b"x", b'"id":"c-1"', b'"content":"', b"data: "]
PIECE = st.lists(st.sampled_from(WORDS), max_size=14).map(b"".join)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Pieces of which most begin alike, and all of which end as JSON does, with a blank line."""
    beginning = draw(PIECE)
    rests = draw(st.lists(st.tuples(st.booleans(), PIECE), min_size=1, max_size=5))
    return [(beginning if same else b"") + rest + b"}\n\n" for same, rest in rests]


@given(alike())
@settings(max_examples=examples(80), deadline=None)
@example([b'{"text""content":"x"}\n\n', b'{"text":"foo"}\n\n'])
@example([b'"text":"a{"content":"b"}\n\n', b'"text":"a{bcd","text":"e"}\n\n'])
def test_texts_together_are_those_of_each(pieces: list[bytes]) -> None:
    assert TEXTS.count(TEXTS.condense(pieces)) == sum(map(TEXTS.count, pieces))


def test_what_is_alike_stands_once() -> None:
    pieces = [b'data: {"id":"c-1","delta":{"content":"%d"}}\n\n' % number for number in range(3)]
    assert TEXTS.condense(pieces) == pieces[0] + b'"content":"1"}}\n\n"content":"2"}}\n\n'
    assert TEXTS.condense([b": ping}\n\n", *pieces]) == b": ping}\n\n" + b"".join(pieces)


@given(st.sampled_from(sorted(DIALECTS)), alike())
@settings(max_examples=50, deadline=None)
def test_a_watch_that_looks_later_learns_the_same(name: str, pieces: list[bytes]) -> None:
    at_once, later = DIALECTS[name].stream_usage(), DIALECTS[name].stream_usage()
    for piece in pieces:
        at_once.feed(piece)
    later.feed_later(pieces)
    assert (later.text, later.model, later.finished, later.usage) == (at_once.text, at_once.model, at_once.finished, at_once.usage)
