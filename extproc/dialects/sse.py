"""Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream says.

Lines end with LF, CRLF or CR, mixed as they like, and bytes come cut anywhere. `Splitter` cuts a stream into raw events and changes no
byte; `parse` reads one. JSON is UTF-8 and so is the stream, so data stays bytes until a JSON parser wants it.
"""

import re

from extproc.dialects.framing import RawEvent

_BOM = b"\xef\xbb\xbf"

# A blank line: one line end after another. Atomic groups, or a lone CRLF would pass for two line ends. CR CR stands first and takes no
# LF with it, so that a stream of CRs is cut at once; a LF that follows then begins the next event as an empty line, and means nothing.
_BLANK = re.compile(rb"\r\r|(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class Splitter:
    """Cuts a stream into whole raw events: joined together, and with `pending`, they are the input, byte for byte."""

    __slots__ = ("_buffer", "_scanned")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    @property
    def pending(self) -> bytes:
        """The beginning of an event that is not complete yet."""
        return bytes(self._buffer)

    @property
    def waiting(self) -> int:
        """Bytes of `pending`."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, each with its blank line."""
        # `partition` takes one argument, and costs half of `find` and `endswith`, whose arguments are parsed at each call; `in` takes bytes
        # for a number first, and raises and drops an exception each time (CPython 3.11, seen with callgrind).
        if not self._buffer and not chunk.partition(b"\r")[1]:
            _, ended, rest = chunk.partition(b"\n\n")
            if ended and not rest:
                return [chunk]
            if not chunk.endswith(b"\n\n"):
                return self._slow(chunk)
            blocks = chunk.split(b"\n\n")
            if not blocks.pop():
                return [block + b"\n\n" for block in blocks]
            # An odd number of line ends at the very end: the last one is a line of its own.
        return self._slow(chunk)

    def _slow(self, chunk: bytes) -> list[bytes]:
        buffer = self._buffer
        buffer += chunk
        blocks: list[bytes] = []
        begin = 0
        position = self._scanned
        while match := _BLANK.search(buffer, position):
            end = match.end()
            if end == len(buffer) and buffer[-1] == 13 and match[0] != b"\r\r":
                break  # the LF of this CR may come with the next chunk
            blocks.append(bytes(buffer[begin:end]))
            begin = position = end
        if begin:
            del buffer[:begin]
        # A blank line is four bytes at most, so the last three may belong to one that is not complete.
        self._scanned = max(0, len(buffer) - 3)
        return blocks


def parse(block: bytes) -> RawEvent | None:
    """One raw event read; None if it carries no data (a comment, a stray line)."""
    line, _, after = block.partition(b"\n")
    # Nearly all events are one of two lines, and `removeprefix` gives the line itself where it has no such prefix.
    if after == b"\n":
        if (only := line.removeprefix(b"data: ")) is not line and not line.partition(b"\r")[1]:
            return RawEvent("", only)
    elif (named := line.removeprefix(b"event: ")) is not line:
        line, _, after = after.partition(b"\n")
        if after == b"\n" and (only := line.removeprefix(b"data: ")) is not line and not block.partition(b"\r")[1]:
            return RawEvent(named.decode("utf-8", "replace"), only)
    return parse_lines(block)


def parse_lines(block: bytes) -> RawEvent | None:
    """The same of an event of any lines."""
    event = b""
    data: list[bytes] = []
    for line in block.removeprefix(_BOM).splitlines():  # for bytes: LF, CRLF and CR, nothing else
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
        elif name == b"event":
            event = value[1:] if value.startswith(b" ") else value
    if not data:
        return None
    return RawEvent(event.decode("utf-8", "replace"), b"\n".join(data))


class ServerSentEvents:
    """See `framing.Framing`."""

    content_type = "text/event-stream; charset=utf-8"
    media_type = "text/event-stream"
    ends: tuple[bytes, bytes] | None = (b"}\n\n", b"}\r\n\r\n")

    def splitter(self) -> Splitter:
        return Splitter()

    def parse(self, raw: bytes) -> RawEvent | None:
        return parse(raw)


SSE = ServerSentEvents()
