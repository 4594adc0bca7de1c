"""One HTTP/2 connection that carries gRPC calls, without a socket: bytes in; messages, ends of streams, and bytes out.

    for stream, what in connection.receive(data, now):      # what: a message, or the `End` of the stream
        connection.reply(stream, ...)                       # or hold(stream) ... resume(stream), or finish(stream, status)
    transport.write(connection.take())

Events are made as they are taken, so what is answered to one of them counts before the next is read. RFC 9113 says what is right; what is
wrong ends the stream (`Reset`, RST_STREAM) or the connection (`Broken`, GOAWAY), as it says there. A server of gRPC needs little of
HTTP/2: streams are begun by the other end alone, nothing is pushed, priorities are heard and not followed.

    HEADERS ──► open ──END_STREAM──► done ──trailers──► past
                  └─────────── RST_STREAM ─────────────►┘
"""

from collections.abc import Callable, Container, Iterable, Iterator

from extproc.transport.http2 import codes
from extproc.transport.http2.blocks import ANSWER, OK_TRAILERS, Blocks, Malformed, refusal, trailers
from extproc.transport.http2.codes import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD,
    HEADERS,
    LARGEST_ID,
    LARGEST_WINDOW,
    NUMBER,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SMALLEST_FRAME_LIMIT,
    WINDOW_UPDATE,
    Broken,
    Code,
    Reset,
    Setting,
)
from extproc.transport.http2.echo import PING_OF_OURS, Echo
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.past import Past, Was
from extproc.transport.http2.patience import Patience
from extproc.transport.http2.receiver import Receiver
from extproc.transport.http2.sender import Sender
from extproc.transport.http2.stream import PREFIX, PREFIX_SIZE, End, Stream
from extproc.transport.seam import Refused, Status

Event = tuple[Stream, bytes | End]

_LIMITS = Limits()
_NOTHING: tuple[Event, ...] = ()
_LEAVING = b"leaving."  # the ping whose answer says that our goodbye was heard


class Connection:
    """The server's end of a connection."""

    def __init__(self, methods: Container[bytes], limits: Limits = _LIMITS) -> None:
        self.streams: dict[int, Stream] = {}
        """Those under way."""
        self.closed = False
        """Nothing more is read; what is in `take` is the last. Streams that are left are over."""
        self.greeted = False
        """The other end speaks HTTP/2."""
        self._limits = limits
        self._sender = Sender(limits.answers)
        self.reply = self._sender.message
        """Sends a message on a stream; what the other end gives no window for waits there."""
        self._receiver = Receiver(limits, self._sender)
        self._blocks = Blocks(methods, limits)
        self._past = Past()
        self._patience = Patience(limits)
        self._echo = Echo()
        self._last = 0
        """The newest stream."""
        self._rest = b""
        self._leaving = self._heard = False
        """We have said goodbye; the other end has heard it."""
        self._only: int | None = SETTINGS
        """The one type of frame that may come next: the settings that open a connection, or the rest of a header block."""
        self._block: tuple[int, int, list[bytes]] = (0, 0, [])
        """A header block that is not whole yet: stream, flags, pieces."""
        self._frames: dict[int, Callable[[int, int, bytes], Iterable[Event]]] = {
            DATA: self._on_data,
            HEADERS: self._on_headers,
            PRIORITY: self._on_priority,
            RST_STREAM: self._on_rst_stream,
            SETTINGS: self._on_settings,
            PUSH_PROMISE: self._on_push_promise,
            PING: self._on_ping,
            GOAWAY: self._on_goaway,
            WINDOW_UPDATE: self._on_window_update,
            CONTINUATION: self._on_continuation,
        }
        mine = {
            Setting.HEADER_TABLE_SIZE: 0,
            Setting.MAX_CONCURRENT_STREAMS: limits.streams,
            Setting.INITIAL_WINDOW_SIZE: limits.window,
            Setting.MAX_HEADER_LIST_SIZE: limits.headers,
        }
        self._say(codes.settings(mine))
        if limits.connection_window > DEFAULT_WINDOW:
            self._say(codes.window_update(0, limits.connection_window - DEFAULT_WINDOW))

    # What the driver calls.

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Bytes have come. `now`: seconds of any clock that does not go back."""
        if self.closed:
            return
        self._patience.now = now
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            position = 0 if self.greeted else self._greet(data)
            size, streams = len(data), self.streams
            sender, receiver, stalled = self._sender, self._receiver, self._receiver.stalled
            while self.greeted and size - position >= 9:
                high, low, kind, flags, number = HEAD.unpack_from(data, position)
                begin, end = position + 9, position + 9 + low
                if high or low > SMALLEST_FRAME_LIMIT:
                    self.close(Code.FRAME_SIZE_ERROR, f"a frame of {high << 16 | low} bytes")
                    return
                if end > size:
                    break
                position = end
                # Nearly all frames are one whole message each for a stream that waits for nothing, or end one. The rest is `_frame`'s.
                stream = streams.get(number) if kind == DATA else None
                if stream is None or not stream.plain or sender.room < 0 or stalled or self._only is not None:
                    # Before it what has waited, and after it what that made room for: as if each frame had come by itself.
                    if stalled:
                        yield from self.go_on()
                    if not self.closed:
                        yield from self._frame(kind, flags, number & LARGEST_ID, data[begin:end])
                    if stalled:
                        yield from self.go_on()
                elif flags == 0 and PREFIX_SIZE <= low <= stream.window_in and PREFIX.unpack_from(data, begin) == (0, low - PREFIX_SIZE):
                    receiver.arrived(stream, low)
                    yield stream, data[begin + PREFIX_SIZE : end]
                elif flags == END_STREAM and low == 0:
                    stream.done, stream.plain = True, False
                    yield stream, End.DONE
                else:
                    yield from self._frame(kind, flags, number, data[begin:end])
                if self.closed:
                    return
            self._rest = data[position:]
        except Broken as broken:
            self.close(broken.code, broken.why)

    def finish(self, stream: Stream, status: Status = Status.OK, text: str = "") -> None:
        """Ends the answer, after all that was replied. `text`: what went wrong, in words."""
        if stream.ending is not None or stream.finished:
            return
        if not stream.headed and status:
            block = refusal(status, text)
        else:
            block = trailers(status, text) if status else OK_TRAILERS
            if not stream.headed:
                self._sender.head(stream, ANSWER)
        self._receiver.drop(stream)
        self._sender.end(stream, block)
        self._retire(stream)

    def hold(self, stream: Stream) -> None:
        """No more messages of this stream for now. What comes for it is kept, and the other end's window is not opened again."""
        stream.held, stream.plain = True, False

    def resume(self, stream: Stream) -> Iterator[Event]:
        """The opposite of `hold`: what has come meanwhile."""
        stream.held = False
        return self._drain(stream)

    def pause(self) -> None:
        """What was taken is not read: nothing more is to be answered for now."""
        self._sender.paused(True)

    def unpause(self) -> None:
        """The opposite of `pause`; what waited meanwhile is in `go_on`."""
        self._sender.paused(False)

    @property
    def choked(self) -> bool:
        """No message is handed on for now: there is too much that was said and has not been heard."""
        return self._receiver.choked

    @property
    def ready(self) -> bool:
        """Something waited while this was `choked`, and need not wait any longer: it is in `go_on`."""
        return bool(self._receiver.stalled) and not self._receiver.choked

    def go_on(self) -> Iterator[Event]:
        """What waited while this was `choked`: one message of each stream, then the next of each, until it is again."""
        while self.ready:
            yield from self._drain(self._receiver.stalled.popitem(last=False)[1], turn=True)

    def take(self) -> list[bytes]:
        """What has to be written. Look whether this is `ready` then: there is room for more."""
        sender = self._sender
        out, sender.out = sender.out, []
        sender.room = sender.at_once - sender.waiting
        self._patience.earned += len(out)
        return out

    def late(self, now: float) -> float:
        """Seconds for which what the other end sends waits until we get to it, while streams are under way. Asks for the next time."""
        if not self.streams or self.closed:
            return 0.0
        late = self._echo.seconds(now)
        if self._echo.ask(now):
            self._say(codes.frame(PING, 0, 0, PING_OF_OURS))
        return late

    def leave(self) -> None:
        """Says goodbye: streams under way go on, new ones go elsewhere (RFC 9113, section 6.8). `closed` when the last has ended."""
        if not self._leaving and not self.closed:
            self._leaving = True
            # What the other end has begun before it hears this is still taken.
            self._say(codes.goaway(LARGEST_ID, Code.NO_ERROR), codes.frame(PING, 0, 0, _LEAVING))

    def close(self, code: Code = Code.NO_ERROR, why: str = "") -> None:
        """Ends the connection at once."""
        if not self.closed:
            self._say(codes.goaway(self._last, code, why))
            self.closed = True
            self._rest = b""
            # They stay listed, for the driver; but nothing more comes of them.
            for stream in self.streams.values():
                self._sender.forget(stream)
            self._receiver.close(self.streams.values())

    @property
    def introduced(self) -> bool:
        """The other end has sent its settings, as it has to before all else."""
        return self.greeted and self._only != SETTINGS

    def abandon(self) -> list[Stream]:
        """The streams that were left when the connection `closed`. It forgets them."""
        left = list(self.streams.values())
        self.streams.clear()
        return left

    # Frames in general.

    def _say(self, *frames: bytes) -> None:
        self._sender.out += frames

    def _greet(self, data: bytes) -> int:
        """Where the frames begin."""
        if not PREFACE.startswith(data[: len(PREFACE)]):
            raise Broken(Code.PROTOCOL_ERROR, "this speaks HTTP/2 only, and gRPC over it")
        if len(data) < len(PREFACE):
            return 0
        self.greeted = True
        return len(PREFACE)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        if self._only is not None and kind != self._only:
            raise Broken(Code.PROTOCOL_ERROR, f"a frame of type {kind} where only type {self._only} may be")
        handler = self._frames.get(kind)
        try:
            if handler is not None:
                codes.check(kind, number, len(payload))
                return handler(flags, number, payload)
            # Section 5.5: an extension that we do not know.
            self._patience.chatter()
        except Reset as reset:
            return self._break(reset.stream, reset.code)
        return _NOTHING

    def _stray(self, number: int) -> bool:
        """A frame for a stream that is not open (section 5.1). True: it was under way when we reset the stream, and is ignored."""
        if not self._begun(number):
            return True
        match self._past.find(number):
            case Was.RESET_BY_US | Was.FORGOTTEN:
                self._patience.chatter("frames for streams that were reset")
                return True
            case Was.RESET_BY_THEM:
                raise Reset(number, Code.STREAM_CLOSED)
            case Was.NEVER:
                raise Broken(Code.PROTOCOL_ERROR, f"stream {number} after {self._last}")
        raise Broken(Code.STREAM_CLOSED, f"stream {number} has ended")

    def _begun(self, number: int) -> bool:
        """False: it began after we had left, and was never listened to. Raises for a stream that is idle (section 5.1)."""
        if 0 < number <= self._last:
            return True
        if self._heard and number % 2:
            self._patience.chatter("frames for streams that are not taken")
            return False
        raise Broken(Code.PROTOCOL_ERROR, f"stream {number} has not begun")

    # Messages that come: sections 5.2 and 6.1.

    def _on_data(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        """Any DATA frame: cut, padded, the last one, or one that should not be."""
        size = len(payload)
        stream = self.streams.get(number)
        if stream is None or stream.done:
            self._receiver.count(size)
            if stream is None and self._stray(number):
                return _NOTHING
            raise Reset(number, Code.STREAM_CLOSED)
        self._receiver.arrived(stream, size)
        if flags & PADDED:
            payload = codes.unpadded(payload)
        last = bool(flags & END_STREAM)
        if not payload and not last:
            self._patience.chatter("empty frames")
        if stream.due >= 0:
            stream.due -= len(payload)
            if stream.due < 0 or (last and stream.due):
                raise Reset(number, Code.PROTOCOL_ERROR)
        return self._collect(stream, payload, last=last)

    def _collect(self, stream: Stream, payload: bytes, *, last: bool) -> Iterable[Event]:
        stream.done = last
        if stream.deaf:
            return _NOTHING
        self._receiver.collect(stream, payload, last=last)
        if stream.queue:
            return self._drain(stream)
        self._receiver.settle(stream)
        return _NOTHING

    def _drain(self, stream: Stream, *, turn: bool = False) -> Iterator[Event]:
        """What waits of a stream, as long as it need not wait any longer. `turn`: one of it, for others have waited too."""
        receiver = self._receiver
        while (what := receiver.next(stream)) is not None:
            if isinstance(what, Refused):
                # Only now: what had come before it was to be answered first.
                self.finish(stream, what.status, what.text)
                what = End.GONE
            yield stream, what
            if turn:
                break
        receiver.settle(stream)

    # Streams begin: sections 6.2, 6.10 and 8.1.

    def _on_headers(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        if number % 2 == 0:
            raise Broken(Code.PROTOCOL_ERROR, f"a stream cannot have the number {number}")
        fragment = codes.fragment(flags, number, payload)
        if flags & END_HEADERS:
            return self._begin(number, flags, fragment)
        self._block = (number, flags, [fragment])
        self._only = CONTINUATION
        return _NOTHING

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        begun, begun_flags, pieces = self._block
        if self._only is None or number != begun:
            raise Broken(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        pieces.append(payload)
        if len(pieces) > self._limits.continuations + 1 or sum(map(len, pieces)) > self._limits.headers:
            raise Broken(Code.ENHANCE_YOUR_CALM, "headers without end")
        if not flags & END_HEADERS:
            return _NOTHING
        self._only = None
        return self._begin(number, begun_flags, b"".join(pieces))

    def _begin(self, number: int, flags: int, block: bytes) -> Iterable[Event]:
        """A whole header block: a stream's first, or its trailers."""
        stream = self.streams.get(number)
        if stream is not None:
            return self._trailers(stream, flags, block)
        if number <= self._last:
            self._blocks.skip(block)
            self._stray(number)
            return _NOTHING
        if self._heard:
            self._blocks.skip(block)
            return _NOTHING
        self._last = number
        try:
            head = self._blocks.request(block)
        except Malformed:
            raise Reset(number, Code.PROTOCOL_ERROR) from None
        if len(self.streams) >= self._limits.streams:
            raise Reset(number, Code.REFUSED_STREAM)
        self.streams[number] = stream = Stream(number, head.method, self._limits.window, self._sender.stream_window)
        if head.length >= 0 or flags & END_STREAM:
            stream.due, stream.done, stream.plain = head.length, bool(flags & END_STREAM), False
        if head.refusal:
            self._sender.end(stream, head.refusal)
            self._retire(stream)
            return _NOTHING
        if not stream.done:
            return _NOTHING
        if stream.due > 0:
            raise Reset(number, Code.PROTOCOL_ERROR)
        return ((stream, End.DONE),)

    def _trailers(self, stream: Stream, flags: int, block: bytes) -> Iterable[Event]:
        if stream.done:
            self._blocks.skip(block)
            raise Reset(stream.id, Code.STREAM_CLOSED)
        try:
            self._blocks.trailers(block)
        except Malformed:
            raise Reset(stream.id, Code.PROTOCOL_ERROR) from None
        if not flags & END_STREAM or stream.due > 0:
            raise Reset(stream.id, Code.PROTOCOL_ERROR)
        return self._collect(stream, b"", last=True)

    def _on_priority(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        """Section 6.3; of what it says only that it may not be nonsense is left in RFC 9113."""
        self._patience.chatter()
        codes.check_priority(number, payload)
        return _NOTHING

    # Streams end: sections 6.4 and 8.1.

    def _on_rst_stream(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        stream = self.streams.get(number)
        if stream is None:
            if self._begun(number):
                self._patience.chatter("frames for streams that are over")
            return _NOTHING
        self._patience.reset(answered=stream.headed)
        return self._gone(stream, Was.RESET_BY_THEM)

    def _gone(self, stream: Stream, how: Was) -> Iterable[Event]:
        ended = stream.ending is not None
        self._forget(stream, how)
        # One whose answer had ended was over for the driver already.
        return _NOTHING if ended else ((stream, End.GONE),)

    def _break(self, number: int, code: Code) -> Iterable[Event]:
        if number > self._last:
            # One that has not begun cannot be reset.
            raise Broken(code, f"stream {number} has not begun")
        self._say(codes.rst_stream(number, code))
        stream = self.streams.get(number)
        self._patience.reset(answered=stream is not None and stream.headed)
        if stream is None:
            self._past.add(number, Was.RESET_BY_US)
            return _NOTHING
        return self._gone(stream, Was.RESET_BY_US)

    def _retire(self, stream: Stream) -> None:
        """Forgets a stream that is finished. What the other end still has to say on it, nobody wants to hear (section 8.1)."""
        if stream.finished and self.streams.get(stream.id) is stream:
            if not stream.done:
                self._say(codes.rst_stream(stream.id, Code.NO_ERROR))
            self._forget(stream, Was.ENDED if stream.done else Was.RESET_BY_US)

    def _forget(self, stream: Stream, how: Was) -> None:
        self._sender.forget(stream)
        self._receiver.drop(stream)
        del self.streams[stream.id]
        self._past.add(stream.id, how)
        if self._heard and not self.streams:
            self.closed = True

    # The connection itself: sections 6.5 to 6.9.

    def _on_settings(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        if flags & ACK:
            if payload:
                raise Broken(Code.FRAME_SIZE_ERROR, "an answer to our settings that says something")
            self._patience.chatter()
            self._blocks.forbid_table()
            return _NOTHING
        self._patience.settings()
        self._only = None
        told, sender = codes.settled(payload), self._sender
        sender.frame_limit = told.get(Setting.MAX_FRAME_SIZE, sender.frame_limit)
        # Before any DATA that the new window lets through: it counts for the other end from the answer on.
        self._say(codes.frame(SETTINGS, ACK, 0))
        window = told.get(Setting.INITIAL_WINDOW_SIZE, sender.stream_window)
        return self._poured(sender.widen_all(self.streams.values(), window)) if window != sender.stream_window else _NOTHING

    def _on_push_promise(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        raise Broken(Code.PROTOCOL_ERROR, "a client does not push")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        self._patience.ping()
        if not flags & ACK:
            self._say(codes.frame(PING, ACK, 0, payload))
        elif payload == PING_OF_OURS:
            self._echo.heard(self._patience.now)
        elif payload == _LEAVING and self._leaving and not self._heard:
            self._heard = True
            self._say(codes.goaway(self._last, Code.NO_ERROR))
            if not self.streams:
                self.closed = True
        return _NOTHING

    def _on_goaway(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        """The other end leaves: it begins nothing more, which asks nothing of us."""
        self._patience.chatter()
        return _NOTHING

    def _on_window_update(self, flags: int, number: int, payload: bytes) -> Iterable[Event]:
        self._patience.window_update()
        more = NUMBER.unpack(payload)[0] & LARGEST_WINDOW
        if number == 0:
            if not more:
                raise Broken(Code.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            return self._poured(self._sender.widen(more))
        stream = self.streams.get(number)
        if stream is None:
            self._begun(number)
            return _NOTHING
        if not more:
            raise Reset(number, Code.PROTOCOL_ERROR)
        if stream.window_out + more > LARGEST_WINDOW:
            raise Reset(number, Code.FLOW_CONTROL_ERROR)
        stream.window_out += more
        self._sender.pour(stream)
        return self._poured((stream,))

    def _poured(self, streams: Iterable[Stream]) -> Iterator[Event]:
        """The other end has taken more of these streams' answers: some are over, and some may be listened to again."""
        for stream in streams:
            self._retire(stream)
            yield from self._drain(stream)
