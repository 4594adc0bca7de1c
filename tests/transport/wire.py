"""The other end of a `Connection`, by hand: frames made and read, header blocks in plain bytes, and an engine that answers at once."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from hpack import Decoder

from extproc.transport.http2 import codes
from extproc.transport.http2.codes import HEAD, Code
from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import PREFIX, End, Stream

METHOD = "/acme.Service/Talk"
NAMES = (
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
)  # fmt: skip


class Frame(NamedTuple):
    """One frame."""

    kind: str
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> Code:
        """Of a RST_STREAM or a GOAWAY."""
        return Code(int.from_bytes(self.payload[4:8] if self.kind == "GOAWAY" else self.payload))

    @property
    def last(self) -> bool:
        """END_STREAM."""
        return self.kind in {"DATA", "HEADERS"} and bool(self.flags & codes.END_STREAM)


def frames(data: bytes) -> list[Frame]:
    """Whole frames, which is all that is ever written at once."""
    found = []
    while data:
        high, low, kind, flags, number = HEAD.unpack_from(data)
        end = 9 + (high << 16 | low)
        assert len(data) >= end, "half a frame was written"
        found.append(Frame(NAMES[kind], flags, number, data[9:end]))
        data = data[end:]
    return found


def frame(kind: str | int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Any frame, right or wrong."""
    number = NAMES.index(kind) if isinstance(kind, str) else kind
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, number, flags, stream) + payload


def settings(*values: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame("SETTINGS", payload=b"".join(codes.SETTING.pack(name, value) for name, value in values))


def literal(name: bytes, value: bytes) -> bytes:
    """A header without indexing (RFC 7541, section 6.2.2); both of less than 127 bytes."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def block(*changes: tuple[str, str | None], base: bool = True) -> bytes:
    """A request's header block: those of a call, changed; None leaves one out, and what is new comes last. No table (the first byte)."""
    headers: dict[str, str | None] = {}
    if base:
        headers = {":method": "POST", ":scheme": "http", ":path": METHOD, "content-type": "application/grpc", "te": "trailers"}
    headers |= dict(changes)
    return b"\x20" + b"".join(literal(name.encode(), value.encode()) for name, value in headers.items() if value is not None)


def request(stream: int, *changes: tuple[str, str | None], end: bool = False, flags: int = codes.END_HEADERS) -> bytes:
    """A HEADERS frame that begins a call."""
    return frame("HEADERS", flags | (codes.END_STREAM if end else 0), stream, block(*changes))


def message(content: bytes) -> bytes:
    """A message with its prefix."""
    return PREFIX.pack(0, len(content)) + content


def data(stream: int, payload: bytes = b"", *, end: bool = False) -> bytes:
    """A DATA frame."""
    return frame("DATA", codes.END_STREAM if end else 0, stream, payload)


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame("WINDOW_UPDATE", 0, stream, more.to_bytes(4))


def reset(stream: int, code: int = Code.CANCEL) -> bytes:
    """A RST_STREAM frame."""
    return frame("RST_STREAM", 0, stream, code.to_bytes(4))


def headers(payload: bytes) -> dict[str, str]:
    """What a header block of ours says."""
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    return {name.decode(): value.decode() for name, value in decoder.decode(payload, raw=True)}


PROBE = frame("PING", payload=b"are you?")
ALIVE = Frame("PING", codes.ACK, 0, b"are you?")
ACKNOWLEDGED = Frame("SETTINGS", codes.ACK, 0, b"")


class Wire:
    """A connection and what it says. Its engine echoes messages and ends what is half-closed, unless `engine` is another."""

    def __init__(
        self, limits: Limits | None = None, engine: Callable[["Wire", Stream, bytes | End], None] | None = None, *, greet: bool = True
    ) -> None:
        self.connection = Connection({METHOD.encode()}, limits or Limits())
        self.engine = engine or Wire.echo
        self.events: list[tuple[int, bytes | End]] = []
        self.now = 0.0
        if greet:
            self.say(codes.PREFACE, settings(), frame("SETTINGS", codes.ACK))

    def echo(self, stream: Stream, what: bytes | End) -> None:
        """The engine: messages back, and an end for an end."""
        if isinstance(what, bytes):
            self.connection.reply(stream, what)
        elif what is End.DONE:
            self.connection.finish(stream)

    def keep(self, stream: Stream, what: bytes | End) -> None:
        """An engine that never answers."""

    def say(self, *said: bytes, cut: int = 0) -> list[Frame]:
        """Sends bytes, `cut` into pieces of that size; what comes back."""
        whole = b"".join(said)
        size = cut or len(whole) or 1
        out = b""
        for at in range(0, len(whole), size):
            self.hear(whole[at : at + size])
            out += b"".join(self.connection.take())
        return frames(out)

    def hear(self, piece: bytes) -> None:
        """Bytes come, in one piece."""
        self.handle(self.connection.receive(piece, self.now))

    def handle(self, events: Iterable[Event]) -> None:
        """The engine answers."""
        for stream, what in events:
            self.events.append((stream.id, what))
            self.engine(self, stream, what)

    def stream(self, number: int = 1) -> Stream:
        """A stream under way."""
        return self.connection.streams[number]

    def taken(self) -> list[Frame]:
        """What was said unasked."""
        return frames(b"".join(self.connection.take()))
