"""The other end of a `Connection`, by hand: gRPC calls in frames and plain header blocks, and an engine that answers at once."""

from collections.abc import Callable, Iterable

from hpack import Decoder

from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from tests.frames import ACK, END_HEADERS, END_STREAM, HEADERS, HELLO, PING, SETTINGS, TABLE_SIZE_0, Frame, frame, literal, parse

METHOD = "/acme.Service/Talk"


def block(*changes: tuple[str, str | None], base: bool = True) -> bytes:
    """A request's header block: those of a call, changed; None leaves one out, and what is new comes last. No table (the first byte)."""
    headers: dict[str, str | None] = {}
    if base:
        headers = {":method": "POST", ":scheme": "http", ":path": METHOD, "content-type": "application/grpc", "te": "trailers"}
    headers |= dict(changes)
    return TABLE_SIZE_0 + b"".join(literal(name.encode(), value.encode()) for name, value in headers.items() if value is not None)


def request(stream: int, *changes: tuple[str, str | None], end: bool = False, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame that begins a call."""
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(*changes))


def headers(payload: bytes) -> dict[str, str]:
    """What a header block of ours says."""
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    return {name.decode(): value.decode() for name, value in decoder.decode(payload, raw=True)}


PROBE = frame(PING, payload=b"are you?")
ALIVE = Frame(PING, ACK, 0, b"are you?")
ACKNOWLEDGED = Frame(SETTINGS, ACK, 0, b"")


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
            self.say(HELLO)

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
        return parse(out)

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
        return parse(b"".join(self.connection.take()))
