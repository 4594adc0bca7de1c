"""Gemini's streams for clients that do not ask for events: one JSON array, whose elements come as they are made.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent; with `alt=sse` they are server-sent events.
"""

import re

from extproc.dialects.framing import Framing, RawEvent
from extproc.dialects.gemini import Gemini
from extproc.dialects.gemini.stream_write import StreamWriter

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_BETWEEN = b"[, \t\r\n"


class ArraySplitter:
    """See `framing.Splitter`. An event is an element, and what stands before it; the last one closes the array."""

    __slots__ = ("_buffer", "_depth", "_scanned")

    def __init__(self) -> None:
        self._buffer = b""
        self._scanned = 0
        self._depth = 0

    @property
    def pending(self) -> bytes:
        return self._buffer

    @property
    def waiting(self) -> int:
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        buffer = self._buffer + chunk
        events: list[bytes] = []
        begin, position = 0, self._scanned
        # A string that is not complete yet is looked at again from its beginning: no sign inside it may count.
        while (at := self._next(buffer, position)) is not None:
            sign, position = buffer[at[0] : at[0] + 1], at[1]
            if sign in (b"[", b"{"):
                self._depth += 1
            elif sign in (b"]", b"}"):
                self._depth -= 1
                if self._depth <= 1:
                    events.append(buffer[begin:position])
                    begin = position
        self._buffer, self._scanned = buffer[begin:], position - begin
        return events

    @staticmethod
    def _next(buffer: bytes, position: int) -> tuple[int, int] | None:
        found = _TOKEN.search(buffer, position)
        quote = buffer.find(b'"', position)
        if found is None or (0 <= quote < found.start()):
            return None
        return found.span()


class Array:
    """See `framing.Framing`."""

    content_type = "application/json; charset=UTF-8"
    media_type = "application/json"
    ends: tuple[bytes, bytes] | None = None

    def splitter(self) -> ArraySplitter:
        return ArraySplitter()

    def parse(self, raw: bytes) -> RawEvent | None:
        data = raw.strip(_BETWEEN)
        return RawEvent("", data) if data not in (b"", b"]") else None


ARRAY = Array()


class Elements:
    """See `stream_write.Frame`."""

    def __init__(self) -> None:
        self._begun = False

    def one(self, response: bytes) -> bytes:
        """One element."""
        before, self._begun = b",\r\n" if self._begun else b"[", True
        return before + response

    def end(self) -> bytes:
        """The end of the array."""
        return b"]" if self._begun else b"[]"


class GeminiArray(Gemini):
    """Gemini for a client that reads a stream as an array."""

    framing: Framing = ARRAY

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        return StreamWriter(Elements())


def reads_array(path: str) -> bool:
    """Whether a client that asks at `path`, query included, reads a stream as an array."""
    bare, _, query = path.partition("?")
    return bare.endswith(":streamGenerateContent") and "alt=sse" not in query.split("&")
