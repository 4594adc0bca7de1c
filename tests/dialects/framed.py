"""Streams as the events that a framing makes of them."""

from itertools import pairwise

from extproc.dialects.framing import Framing, RawEvent


def raw_events(framing: Framing, *chunks: bytes) -> list[RawEvent]:
    """The events of a stream that comes in `chunks`; the last one may lack its end."""
    splitter = framing.splitter()
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return [event for block in (*blocks, splitter.pending) if (event := framing.parse(block)) is not None]


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """A stream in pieces that end at `cuts`."""
    bounds = [0, *sorted(cuts), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(bounds)]
