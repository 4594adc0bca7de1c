"""The `h2` package as the client of a `Connection`, without a socket."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import repeat

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from tests.frames import message, messages
from tests.transport.wire import METHOD, Wire

REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "gate"),
    (":path", METHOD),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class Heard:
    """What the client heard of a stream."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.head: dict[bytes, bytes] = {}
        self.trailers: dict[bytes, bytes] = {}
        self.ended = False
        self.reset: ErrorCodes | int | None = None

    @property
    def messages(self) -> list[bytes]:
        """Those that are whole."""
        return messages(bytes(self.data))


class H2Client:
    """A client and a server, and what is between them."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        engine: Callable[[Wire, Stream, bytes | End], None] | None = None,
        settings: dict[SettingCodes, int] | None = None,
        reads: bool = True,
        cuts: Iterator[int] | None = None,
    ) -> None:
        self.client = H2Connection(H2Configuration(client_side=True))
        self.client.local_settings = Settings(client=True, initial_values=settings)
        self.wire = Wire(limits, engine, greet=False)
        self.server = self.wire.connection
        self.reads = reads
        """Whether the client opens its windows again for what it has got."""
        self.cuts = cuts or repeat(1 << 20)
        """Sizes of the pieces in which bytes travel."""
        self.heard: defaultdict[int, Heard] = defaultdict(Heard)
        self.events: list[events.Event] = []
        self.client.initiate_connection()

    def pump(self) -> None:
        """Carries bytes to and fro until nobody has anything to say."""
        while True:
            said = self.client.data_to_send() or b""
            while said:
                size = next(self.cuts)
                self.wire.hear(said[:size])
                said = said[size:]
            answer = b"".join(self.server.take())
            if not answer:
                return
            while answer:
                size = next(self.cuts)
                self._hear(answer[:size])
                answer = answer[size:]

    def _hear(self, piece: bytes) -> None:
        for event in self.client.receive_data(piece):
            self.events.append(event)
            match event:
                case events.ResponseReceived():
                    self.heard[event.stream_id].head = dict(event.headers)
                case events.TrailersReceived():
                    self.heard[event.stream_id].trailers = dict(event.headers)
                case events.DataReceived():
                    self.heard[event.stream_id].data += event.data
                    if self.reads:
                        self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case events.StreamEnded():
                    self.heard[event.stream_id].ended = True
                case events.StreamReset():
                    self.heard[event.stream_id].reset = event.error_code

    def request(self, *, end: bool = False) -> int:
        """Begins a call."""
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, REQUEST, end_stream=end)
        return number

    def send(self, number: int, data: bytes, *, end: bool = False, frame: int = 16_384) -> bytes:
        """Sends as much as the windows allow; what is left."""
        while data:
            size = min(len(data), frame, self.client.local_flow_control_window(number))
            if size <= 0:
                return data
            self.client.send_data(number, data[:size])
            data = data[size:]
            self.pump()
        if end:
            self.client.end_stream(number)
            self.pump()
        return b""

    def call(self, *messages: bytes, end: bool = True) -> int:
        """A call with these messages."""
        number = self.request()
        assert not self.send(number, b"".join(map(message, messages)), end=end)
        return number

    def settle(self, changes: dict[SettingCodes | int, int]) -> None:
        """Changes settings, and has it heard."""
        self.client.update_settings(changes)
        self.pump()

    def idle(self) -> bool:
        """Whether the server keeps nothing of a stream."""
        return not (self.server.streams or self.server._receiver.kept or self.server._sender.waiting or self.server._sender._turns)


LONG = bytes(range(256)) * 400


def long_answer(wire: Wire, stream: Stream, what: bytes | End) -> None:
    """An engine that answers each message by 100 KB."""
    if isinstance(what, bytes):
        wire.connection.reply(stream, LONG)
    elif what is End.DONE:
        wire.connection.finish(stream)


def whole(heard: Heard, *messages: bytes) -> bool:
    """A call that went well, with these answers."""
    right = (heard.head, heard.trailers) == ({b":status": b"200", b"content-type": b"application/grpc"}, {b"grpc-status": b"0"})
    return right and heard.messages == list(messages) and (heard.ended, heard.reset) == (True, None)
