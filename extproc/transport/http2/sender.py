"""What goes out on a connection, as far as the other end's windows let it (RFC 9113, section 5.2)."""

from collections import OrderedDict
from collections.abc import Iterable
from struct import Struct

from extproc.transport.http2.blocks import ANSWER
from extproc.transport.http2.codes import (
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEADERS,
    LARGEST_WINDOW,
    SMALLEST_FRAME_LIMIT,
    Broken,
    Code,
)
from extproc.transport.http2.stream import PREFIX, PREFIX_SIZE, Stream

# A frame's head and a message's prefix in one: length, type, flags, stream; not compressed, size.
_MESSAGE_HEAD = Struct(">BHBBIBI")
_NO_TABLE = b"\x20"


class Sender:
    """Frames to write, and messages for which there is no window yet."""

    __slots__ = ("_at_once", "_begun", "_turns", "at_once", "frame_limit", "out", "room", "stream_window", "waiting", "window")

    def __init__(self, at_once: int) -> None:
        self.out: list[bytes] = []
        """Bytes to write, in order."""
        self.window = DEFAULT_WINDOW
        """What the other end still takes, of all streams together."""
        self.stream_window = DEFAULT_WINDOW
        """What it takes of a new stream."""
        self.frame_limit = SMALLEST_FRAME_LIMIT
        """Its longest frame."""
        self.waiting = 0
        """Bytes of all outboxes."""
        self._at_once = self.at_once = self.room = at_once
        """`room`: what is left of `at_once` after `waiting` and the messages in `out`. Until it is below 0, nobody need ask whether more
        may be answered; while writing is paused, it is, for `at_once` is -1."""
        self._turns: OrderedDict[int, Stream] = OrderedDict()
        """Streams that could send if the connection's window let them, in the order of their turns."""
        self._begun = False

    def message(self, stream: Stream, message: bytes) -> None:
        """Sends a message, or keeps what there is no window for; nothing, if the stream has ended."""
        if stream.finished or stream.ending is not None:
            return
        if not stream.headed:
            self.head(stream, ANSWER)
        size = len(message) + PREFIX_SIZE
        if size <= stream.window_out and size <= self.window and size <= self.frame_limit and not stream.outbox:
            stream.window_out -= size
            self.window -= size
            self.room -= size
            self.out.append(_MESSAGE_HEAD.pack(size >> 16, size & 0xFFFF, DATA, 0, stream.id, 0, size - PREFIX_SIZE))
            self.out.append(message)
            return
        prefix = PREFIX.pack(0, len(message))
        if size <= self.frame_limit:
            stream.post(memoryview(prefix + message))
        else:
            # It takes several frames anyway: one more costs less than a copy of it.
            stream.post(memoryview(prefix))
            stream.post(memoryview(message))
        self.waiting += size
        self.room -= size
        self.pour(stream)
        stream.settle()

    def head(self, stream: Stream, block: bytes, flags: int = END_HEADERS) -> None:
        """Sends a header block."""
        stream.headed = True
        if not self._begun:
            # We use no dynamic table, which has to be said once if the other end allows a smaller one than usual (RFC 7541, section 4.2).
            self._begun = True
            block = _NO_TABLE + block
        self.out.append(HEAD.pack(0, len(block), HEADERS, flags, stream.id) + block)

    def end(self, stream: Stream, block: bytes) -> None:
        """Ends the answer with these trailers, after all that was said."""
        stream.ending = block
        if not stream.outbox:
            self._close(stream)

    def forget(self, stream: Stream) -> None:
        """The stream is over, whatever was left to say."""
        stream.finished = True
        if stream.outbox:
            size = sum(map(len, stream.outbox))
            self.waiting -= size
            self.room += size
            stream.outbox.clear()
            self._turns.pop(stream.id, None)

    def paused(self, paused: bool) -> None:
        """Whether what was taken is not read for now."""
        at_once = -1 if paused else self._at_once
        self.room += at_once - self.at_once
        self.at_once = at_once

    def widen(self, more: int) -> list[Stream]:
        """The other end takes `more` bytes of all streams together; the streams that have sent something."""
        self.window += more
        if self.window > LARGEST_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR, "the connection's window has overflowed")
        poured = []
        # Each in turn sends what it may. One that is not done then goes to the end, so that none starves behind a long message.
        while self._turns and self.window > 0:
            stream = self._turns.popitem(last=False)[1]
            self.pour(stream)
            poured.append(stream)
        return poured

    def widen_all(self, streams: Iterable[Stream], window: int) -> list[Stream]:
        """New streams' window is another one, and that of those under way changes by as much; it may become negative."""
        more, self.stream_window = window - self.stream_window, window
        poured = []
        for stream in streams:
            stream.window_out += more
            if stream.window_out > LARGEST_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "a stream's window has overflowed")
            if stream.outbox:
                self.pour(stream)
                poured.append(stream)
        return poured

    def pour(self, stream: Stream) -> None:
        """Sends what the windows let through of an outbox, and the trailers once it is empty."""
        outbox = stream.outbox
        while outbox:
            room = min(stream.window_out, self.window, self.frame_limit)
            if room <= 0:
                if stream.window_out > 0:
                    self._turns[stream.id] = stream
                else:
                    # Its own window has to open first.
                    self._turns.pop(stream.id, None)
                return
            piece = outbox[0][:room]
            if len(piece) == len(outbox[0]):
                outbox.popleft()
            else:
                outbox[0] = outbox[0][room:]
            size = len(piece)
            stream.window_out -= size
            self.window -= size
            self.waiting -= size
            self.out.append(HEAD.pack(size >> 16, size & 0xFFFF, DATA, 0, stream.id))
            self.out.append(bytes(piece))
        self._turns.pop(stream.id, None)
        stream.settle()
        if stream.ending is not None and not stream.finished:
            self._close(stream)

    def _close(self, stream: Stream) -> None:
        assert stream.ending is not None
        stream.finished = True
        self.head(stream, stream.ending, END_HEADERS | END_STREAM)
