"""One JSON text a line (NDJSON), as Ollama streams. Lines end with LF; a CR before it belongs to the end."""

from typing import Any

import msgspec

from extproc.dialects.framing import RawEvent

_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Characters that end a line to Python's `str.splitlines`, by which clients read (httpx), though not to JSON."""


def line(value: Any) -> bytes:
    """One JSON text as a line, to any reader's mind."""
    text = msgspec.json.encode(value)
    if not text.isascii():
        for raw, escaped in _ENDS:
            text = text.replace(raw, escaped)
    return text + b"\n"


class LineSplitter:
    """See `framing.Splitter`."""

    __slots__ = ("_pieces", "waiting")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    @property
    def pending(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = chunk.split(b"\n")
        last = lines.pop()
        if not lines:
            if last:
                self._pieces.append(last)
                self.waiting += len(last)
            return []
        lines[0] = b"".join([*self._pieces, lines[0]])
        self._pieces, self.waiting = ([last], len(last)) if last else ([], 0)
        return [line + b"\n" for line in lines]


class Lines:
    """See `framing.Framing`."""

    content_type = media_type = "application/x-ndjson"
    ends: tuple[bytes, bytes] | None = (b"}\n", b"}\r\n")

    def splitter(self) -> LineSplitter:
        return LineSplitter()

    def parse(self, raw: bytes) -> RawEvent | None:
        line = raw.strip()
        return RawEvent("", line) if line else None


LINES = Lines()
