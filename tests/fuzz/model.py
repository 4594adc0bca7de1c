"""A reference that is obviously right: windows are integers, a stream is what was said on it and what was heard.

`Model` is a client, which knows what it may expect; `Driver` stands between a connection and its sessions, and tells the model what it
does.
"""

from collections import deque
from collections.abc import Iterable

from hpack import Decoder

from extproc.transport.http2.connection import Connection, Event
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.stream import End, Stream
from extproc.transport.seam import Status
from tests import frames
from tests.frames import DATA, END_STREAM, GOAWAY, HEADERS, LARGEST, METHOD, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, Frame

LIMITS = Limits(streams=8, message=40_000, memory=90_000, answers=20_000, window=65_535, connection_window=150_000, known_blocks=2)
TEXT = "so much for \u00fc and %"
REFUSALS = (Status.UNIMPLEMENTED, Status.RESOURCE_EXHAUSTED, Status.INTERNAL)

Item = bytes | End | Status
"""What is to come of a stream: a message, its end, or why it cannot be read."""


class Call:
    """One stream."""

    def __init__(self, number: int, window_in: int, window_out: int) -> None:
        self.number = number
        self.window_in, self.window_out = window_in, window_out
        self.rest = b""
        """Of what the client has said, what is no whole message yet."""
        self.to_come: deque[Item] = deque()
        self.replied = self.got = b""
        self.held = self.ended = self.reset = self.finished = self.gone = self.headed = self.answered = self.over = self.deaf = False
        """`ended`, `reset`: by the client. `finished`: by the driver. `answered`: its trailers are there.
        `over`: nothing comes any more."""
        self.status = Status.OK
        self.wrong: int | None = None
        """The code with which the server has to reset it."""

    @property
    def blocked(self) -> bool:
        return len(self.got) < len(self.replied)

    def kept(self) -> int:
        """Bytes of messages that the server has to keep, at least."""
        return sum(len(item) for item in self.to_come if isinstance(item, bytes)) + (0 if self.deaf else max(0, len(self.rest) - 5))

    def refusal(self) -> Status:
        """Why it cannot be read any further. Of messages that are not whole there may be too many (test_bounds.py says when)."""
        status = self.to_come[0] if self.to_come or not self.rest else Status.RESOURCE_EXHAUSTED
        assert isinstance(status, Status)
        return status

    def say(self, payload: bytes, *, end: bool) -> None:
        """The client says this; a plain reading of gRPC's framing."""
        self.ended = self.ended or end
        if self.deaf or self.finished:
            return
        self.rest += payload
        while len(self.rest) >= 5 and not self.deaf:
            size = int.from_bytes(self.rest[1:5], "big")
            if self.rest[0] or size > LIMITS.message:
                self.to_come.append(Status.UNIMPLEMENTED if self.rest[0] else Status.RESOURCE_EXHAUSTED)
                self.deaf = True
            elif len(self.rest) < 5 + size:
                break
            else:
                self.to_come.append(self.rest[5 : 5 + size])
                self.rest = self.rest[5 + size :]
        if end and not self.deaf:
            self.to_come.append(Status.INTERNAL if self.rest else End.DONE)
            self.deaf = True


class Model:
    """What a client knows of its connection, and what it may expect."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.window_in = self.window_out = self.first_in = self.first_out = 65_535
        self.frame_limit = 16_384
        self.acks = 0
        self.pongs: deque[bytes] = deque()
        self.leaving = self.left = self.paused = False
        self.goodbyes: list[int] = []
        self.newest = -1
        self._decoder = Decoder()

    def live(self) -> list[Call]:
        return [call for call in self.calls.values() if not call.over]

    def event(self, number: int, what: bytes | End) -> None:
        call = self.calls[number]
        assert not call.gone and not call.finished
        if what is End.GONE:
            call.gone = True
            if call.reset or call.wrong is not None:
                return
        assert not call.held and not call.blocked
        if what is End.GONE:
            call.status, call.finished = call.refusal(), True
            call.to_come.clear()
        else:
            assert call.to_come.popleft() == what

    def hear(self, heard: Iterable[Frame]) -> None:
        for frame in heard:
            if frame.stream:
                call = self.calls[frame.stream]
                assert not call.over and not call.reset, "a frame for a stream that is over"
                self.hear_of(call, frame)
            elif frame.kind == WINDOW_UPDATE:
                self.window_in += int.from_bytes(frame.payload, "big")
            elif frame.kind == SETTINGS and frame.flags:
                self.acks -= 1
            elif frame.kind == SETTINGS:
                self.first_in = frames.settled(frame.payload)[frames.INITIAL_WINDOW_SIZE]
            elif frame.kind == PING and frame.flags:
                assert frame.payload == self.pongs.popleft()
            elif frame.kind == PING:
                assert self.leaving and self.goodbyes == [LARGEST]
            else:
                assert frame.kind == GOAWAY and frame.code == 0 and self.leaving, frame
                self.goodbyes.append(int.from_bytes(frame.payload[:4], "big"))

    def hear_of(self, call: Call, frame: Frame) -> None:
        size = len(frame.payload)
        if frame.kind == DATA:
            assert call.headed and not call.answered and not frame.flags
            assert 0 < size <= min(call.window_out, self.window_out, self.frame_limit)
            call.window_out -= size
            self.window_out -= size
            call.got += frame.payload
            assert call.replied.startswith(call.got)
        elif frame.kind == WINDOW_UPDATE:
            assert not call.held and not call.blocked, "the client is to go on, although what it said has to wait"
            call.window_in += int.from_bytes(frame.payload, "big")
        elif frame.kind == RST_STREAM:
            assert frame.code == (call.wrong or 0) and (call.answered or call.wrong)
            call.over = True
        else:
            fields = dict(self._decoder.decode(frame.payload, raw=True))
            assert frame.kind == HEADERS and (b":status" in fields) is not call.headed
            call.headed = True
            if frame.flags & END_STREAM:
                status = call.status if call.finished else call.refusal()
                assert not call.blocked and fields[b"grpc-status"] == b"%d" % status
                assert bool(status) is (b"grpc-message" in fields)
                call.answered, call.over = True, call.ended


class Driver:
    """What stands between a connection and its sessions. What it does with a message is in the message's first byte."""

    def __init__(self, model: Model | None = None) -> None:
        self.connection = Connection({METHOD}, LIMITS)
        self.model = model
        self.events: list[tuple[int, bytes | End]] = []
        self.out = b""
        self.now = 0.0
        self.listen()

    def come(self, data: bytes) -> None:
        self.handle(self.connection.receive(data, self.now))
        self.go_on()

    def go_on(self) -> None:
        """There may be room for answers again."""
        while self.connection.ready:
            self.handle(self.connection.go_on())

    def pause(self, paused: bool) -> None:
        """Whether what is said is not heard for now."""
        if self.model is not None:
            self.model.paused = paused
        if paused:
            self.connection.pause()
        else:
            self.connection.unpause()
        self.go_on()

    def handle(self, events: Iterable[Event]) -> None:
        for stream, what in events:
            self.events.append((stream.id, what))
            self.listen()
            if self.model is not None:
                self.model.event(stream.id, what)
            if isinstance(what, bytes):
                self.react(stream, what)
            elif what is End.DONE and stream.id % 4 == 1:
                self.finish(stream, Status.OK)
        self.listen()

    def react(self, stream: Stream, message: bytes) -> None:
        asked = message[0] if message else 0
        for _ in range(asked & 3):
            self.reply(stream, bytes((asked,)) * ((asked >> 4) * len(message)))
        if asked & 4:
            self.hold(stream)
        if asked & 8:
            self.finish(stream, REFUSALS[asked % 3])

    def reply(self, stream: Stream, content: bytes) -> None:
        if self.model is not None and not self.model.calls[stream.id].finished:
            self.model.calls[stream.id].replied += frames.message(content)
        self.connection.reply(stream, content)
        self.listen()

    def hold(self, stream: Stream) -> None:
        self.connection.hold(stream)
        if self.model is not None:
            self.model.calls[stream.id].held = True

    def resume(self, stream: Stream) -> None:
        if self.model is not None:
            self.model.calls[stream.id].held = False
        self.handle(self.connection.resume(stream))
        self.go_on()

    def finish(self, stream: Stream, status: Status) -> None:
        if self.model is not None and not self.model.calls[stream.id].finished:
            call = self.model.calls[stream.id]
            call.finished, call.status = True, status
            call.to_come.clear()
        self.connection.finish(stream, status, TEXT if status else "")
        self.listen()

    def leave(self) -> None:
        if self.model is not None:
            self.model.leaving = True
        self.connection.leave()
        self.listen()

    def listen(self) -> None:
        out = b"".join(self.connection.take())
        self.out += out
        if self.model is not None:
            self.model.hear(frames.parse(out))
