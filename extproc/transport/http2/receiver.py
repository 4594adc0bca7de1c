"""What comes on a connection: how much the other end may send (RFC 9113, section 5.2), and what of it has to wait.

Two things bound it. The windows of a stream and of the connection are opened again when half of them is used up, but a stream's not while
something of it waits, and the connection's not while more is kept than `memory` allows. And what a question is answered may be much
larger than the question: while the connection is `choked`, messages wait in their streams, and go on in turns when there is room.
"""

from collections import OrderedDict
from collections.abc import Iterable

from extproc.transport.http2 import codes
from extproc.transport.http2.codes import Broken, Code, Reset
from extproc.transport.http2.limits import Limits
from extproc.transport.http2.sender import Sender
from extproc.transport.http2.stream import End, Item, Stream, weight
from extproc.transport.seam import Refused, Status


class Receiver:
    """Windows of the other end, and messages that wait."""

    __slots__ = ("_limits", "_low_tide", "_low_tide_of_all", "_sender", "kept", "stalled", "window")

    def __init__(self, limits: Limits, sender: Sender) -> None:
        self._limits = limits
        self._sender = sender
        self.window = limits.connection_window
        """Bytes that the other end may still send, of all streams together."""
        self._low_tide, self._low_tide_of_all = limits.window // 2, limits.connection_window // 2
        """Below these, windows are opened again."""
        self.kept = 0
        """Bytes of messages that are not whole yet, or wait in a queue."""
        self.stalled: OrderedDict[int, Stream] = OrderedDict()
        """Streams of which something waits only because the connection was choked, in the order of their turns."""

    @property
    def choked(self) -> bool:
        """No message is handed on, for its answer would be kept: more waits already than may, or than is to be written at once.

        What waits for filters counts too, but not alone: they go on by themselves, and then it is less. As long as there is `room` at
        the sender it is not asked, so that `Connection.receive` need look at nothing else.
        """
        sender = self._sender
        return sender.room < 0 and (sender.room + sender.waiting < 0 or self.kept + sender.waiting > self._limits.memory)

    # Windows.

    def arrived(self, stream: Stream, size: int) -> None:
        """Bytes of a stream. Both windows have to have had room for them."""
        self.window = window = self.window - size
        if window < self._low_tide_of_all:
            self._ebb()
        stream.window_in = window = stream.window_in - size
        if window < self._low_tide:
            if window < 0:
                raise Reset(stream.id, Code.FLOW_CONTROL_ERROR)
            self._replenish(stream)

    def count(self, size: int) -> None:
        """Bytes of a stream that is not there."""
        self.window -= size
        if self.window < self._low_tide_of_all:
            self._ebb()

    def _ebb(self) -> None:
        if self.window < 0:
            raise Broken(Code.FLOW_CONTROL_ERROR, "more than the connection's window")
        self._replenish_all()

    def _replenish(self, stream: Stream) -> None:
        """Lets the other end send on, unless what it sent is waiting."""
        if not (stream.held or stream.outbox or stream.queue or stream.done or stream.finished):
            self._sender.out.append(codes.window_update(stream.id, self._limits.window - stream.window_in))
            stream.window_in = self._limits.window

    def _replenish_all(self) -> None:
        if self.kept + self._sender.waiting <= self._limits.memory:
            self._sender.out.append(codes.window_update(0, self._limits.connection_window - self.window))
            self.window = self._limits.connection_window

    # Messages.

    def collect(self, stream: Stream, payload: bytes, *, last: bool) -> None:
        """Puts the messages that this completes into the stream's queue; what cannot be read ends it."""
        messages: list[bytes] = []
        before = stream.kept
        try:
            stream.take(payload, self._limits.message, messages)
            stream.wait(messages)
            if last and (stream.have or stream.need >= 0):
                stream.fail(Refused(Status.INTERNAL, "the stream ended in the midst of a message"))
            elif last:
                stream.wait((End.DONE,))
            elif stream.have and self.kept + stream.kept - before > self._limits.memory:
                stream.fail(Refused(Status.RESOURCE_EXHAUSTED, "too many messages that are not whole"))
        except Refused as refused:
            stream.wait(messages)
            stream.fail(refused)
        self.kept += stream.kept - before

    def next(self, stream: Stream) -> Item | None:
        """Takes the next from the stream's queue, unless it has to wait."""
        if not stream.queue or stream.held or stream.outbox or self.choked:
            return None
        what = stream.queue.popleft()
        size = weight(what)
        stream.kept -= size
        self.kept -= size
        return what

    def settle(self, stream: Stream) -> None:
        """All has been taken that could be: the rest has its turn later, and the other end may say more."""
        if stream.queue and not (stream.held or stream.outbox):
            self.stalled[stream.id] = stream
        stream.settle()
        if stream.window_in < self._low_tide:
            self._replenish(stream)
        if self.window < self._low_tide_of_all:
            self._replenish_all()

    def drop(self, stream: Stream) -> None:
        """What has come and waits is not wanted any more."""
        self.kept -= stream.kept
        stream.drop()
        stream.plain = False
        if self.stalled:
            self.stalled.pop(stream.id, None)
        if self.window < self._low_tide_of_all:
            self._replenish_all()

    def close(self, streams: Iterable[Stream]) -> None:
        """Nothing is wanted any more, and no window is opened again."""
        self.window = self._limits.connection_window
        for stream in streams:
            self.drop(stream)
