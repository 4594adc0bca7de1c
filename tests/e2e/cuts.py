"""Where a stream can be cut: every kind of place that a reader of bytes could stumble over."""

import random
import re
from collections.abc import Callable
from typing import NamedTuple

_MOST = 60
"""Cuts of one stream, so that none takes long; of more places, as many are drawn."""


class Cut(NamedTuple):
    """A stream as its provider sends it, and where its pieces end."""

    stream: bytes
    places: list[int]


def _drawn(stream: bytes, places: list[int]) -> Cut:
    inside = [at for at in places if 0 < at < len(stream)]
    return Cut(stream, sorted(random.Random(len(stream)).sample(inside, min(_MOST, len(inside)))))


def _after(pattern: bytes, extra: int) -> Callable[[bytes], Cut]:
    """Cuts `extra` bytes into whatever matches."""
    return lambda stream: _drawn(stream, [match.start() + extra for match in re.finditer(pattern, stream)])


def _characters(stream: bytes) -> Cut:
    return _drawn(stream, [at for at, byte in enumerate(stream) if byte & 0xC0 == 0x80])


def _line_ends(stream: bytes) -> Cut:
    stream = stream.replace(b"\n", b"\r\n")
    return _drawn(stream, [match.start() + 1 for match in re.finditer(rb"\r\n", stream)])


def _anywhere(stream: bytes) -> Cut:
    return _drawn(stream, [*range(len(stream))])


def _single(stream: bytes) -> Cut:
    """The beginning and the end, byte by byte."""
    return Cut(stream, sorted({*range(1, min(100, len(stream))), *range(max(1, len(stream) - 100), len(stream))}))


def _frames(stream: bytes) -> list[int]:
    """Where the messages of Amazon's event stream begin; each tells its length first.

    https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
    """
    starts = [0]
    while (at := starts[-1]) < len(stream):
        starts.append(at + int.from_bytes(stream[at : at + 4], "big"))
    return starts


def _in_frames(*extra: int) -> Callable[[bytes], Cut]:
    return lambda stream: _drawn(stream, [at + more for at in _frames(stream) for more in extra])


TEXT: dict[str, Callable[[bytes], Cut]] = {
    "inside a UTF-8 sequence": _characters,
    "between CR and LF": _line_ends,
    "between the line ends of a blank line": _after(rb"\n\n", 1),
    "after a whole event": _after(rb"(?<=\n)\n|(?<=\})\n", 1),
    "inside a field's name": _after(rb"(?m)^(data|event):", 2),
    "inside an escape of JSON": _after(rb"\\.", 1),
    "inside a \\u escape": _after(rb"\\u", 4),
    "anywhere": _anywhere,
    "byte by byte": _single,
}
BINARY: dict[str, Callable[[bytes], Cut]] = {
    "after a whole event": _in_frames(0),
    "inside a message's prelude": _in_frames(2, 4, 8),
    "inside a message's headers": _in_frames(14, 20, 40),
    "inside a message's checksum": _in_frames(-2),
    "anywhere": _anywhere,
    "byte by byte": _single,
}
"""Ways to cut, by name: of lines of text, and of Amazon's event streams."""
