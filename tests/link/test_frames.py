"""Frames survive any cut of the wire, and what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.link.frames import Frame, FrameError, FrameReader, Kind, encode

FRAMES = st.builds(Frame, st.sampled_from(Kind), st.integers(0, 2**40), st.text(max_size=9), st.binary(max_size=99))


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 60), max_size=40))
def test_any_cut(frames: list[Frame], cuts: list[int]) -> None:
    wire = b"".join(map(encode, frames))
    reader = FrameReader()
    seen = []
    for cut in cuts:
        seen += reader.feed(wire[:cut])
        wire = wire[cut:]
    assert seen + reader.feed(wire) == frames


@pytest.mark.parametrize("wire", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\2\x91\x63"])
def test_nonsense(wire: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader().feed(wire)


def test_size() -> None:
    wire = encode(Frame(Kind.CALL, 1, "m", bytes(100)))
    with pytest.raises(FrameError):
        FrameReader(100).feed(wire)
    with pytest.raises(FrameError):
        encode(Frame(Kind.CALL, 1, "m", bytes(81 << 20)))
