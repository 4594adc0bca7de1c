"""One stream of a connection: what has come of it, what has to go, and how much of both is allowed."""

import struct
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Any

from extproc.transport.seam import Refused, Status

PREFIX = struct.Struct(">BI")
"""What stands before a message: whether it is compressed, and its size."""
PREFIX_SIZE = PREFIX.size


_WEIGHT = 64
"""Bytes that an object takes beside what is in it."""

# Most streams never need theirs, and an empty deque takes 600 bytes. These stay empty.
_EMPTY: deque[Any] = deque(maxlen=0)
_NONE: list[bytes] = []


class End(Enum):
    """How the other end stops talking on a stream."""

    DONE = "half-closed"
    """It has said all. It still listens."""
    GONE = "reset"
    """It neither talks nor listens any more, or has no right to."""


Item = bytes | End | Refused
"""What may wait in a stream: a message, its end, or what cannot be read."""


def weight(what: Item) -> int:
    """Bytes of memory that it takes."""
    return _WEIGHT + len(what) if isinstance(what, bytes) else 0


class Stream:
    """A gRPC call under way. Its fields are its connection's; `owner` is the driver's, who may keep there whatever it likes."""

    __slots__ = (
        "deaf", "done", "due", "ending", "finished", "have", "headed", "held", "id", "kept", "method", "need", "outbox", "owner",
        "pieces", "plain", "queue", "window_in", "window_out",
    )  # fmt: skip

    def __init__(self, number: int, method: bytes, window_in: int, window_out: int) -> None:
        self.id = number
        self.method = method
        self.owner: Any = None
        self.plain = True
        """Nothing of all this is the case: a message that comes whole can be handed on at once. See `settle`."""
        # What comes.
        self.window_in = window_in
        """Bytes that the other end may still send."""
        self.due = -1
        """Bytes of `content-length` that are still to come; -1: it did not say."""
        self.done = False
        """It has sent its last."""
        self.deaf = False
        """What more it sends is of no use."""
        self.need = -1
        """Bytes of the message that is coming; -1: its prefix has not come."""
        self.have = 0
        """Bytes of it, or of its prefix, that are there, in pieces."""
        self.pieces: list[bytes] = _NONE
        self.held = False
        """The driver takes no more for now."""
        self.queue: deque[Item] = _EMPTY
        """What has come meanwhile."""
        self.kept = 0
        """Bytes of memory that the queue and the pieces take."""
        # What goes.
        self.window_out = window_out
        self.headed = False
        """The head of the answer has gone."""
        self.outbox: deque[memoryview] = _EMPTY
        """Messages, with their prefixes, for which there is no window yet."""
        self.ending: bytes | None = None
        """The trailers that go after them."""
        self.finished = False
        """All has gone, trailers too; or nothing more can go."""

    def settle(self) -> None:
        """Finds out anew whether the stream is plain."""
        self.plain = not (self.held or self.outbox or self.queue or self.done or self.deaf or self.have or self.need >= 0 or self.due >= 0)

    def wait(self, what: Iterable[Item]) -> None:
        """Puts what has come into the queue."""
        if self.queue is _EMPTY:
            self.queue = deque()
        for one in what:
            self.queue.append(one)
            self.kept += weight(one)

    def post(self, message: memoryview) -> None:
        """Puts a message into the outbox."""
        if self.outbox is _EMPTY:
            self.outbox = deque()
        self.outbox.append(message)

    def take(self, data: bytes, most: int, into: list[bytes]) -> None:
        """Appends the messages that `data` completes. Raises `Refused` when it comes to what cannot be read."""
        position, size = 0, len(data)
        while position < size or self.need == 0:
            if self.need < 0:
                position = self._prefix(data, position, most)
                continue
            end = min(size, position + self.need - self.have)
            piece = data[position:end]
            self.have += end - position
            position = end
            if self.have < self.need:
                self._keep(piece)
                return
            into.append(self._joined(piece))
            self.need = -1

    def _prefix(self, data: bytes, position: int, most: int) -> int:
        """Reads the next message's length; where it begins."""
        missing = PREFIX_SIZE - self.have
        piece = data[position : position + missing]
        self.have += len(piece)
        if len(piece) < missing:
            self._keep(piece)
            return len(data)
        compressed, size = PREFIX.unpack(self._joined(piece))
        if compressed:
            raise Refused(Status.UNIMPLEMENTED, "messages are not to be compressed")
        if size > most:
            raise Refused(Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes; at most {most} are taken")
        self.need = size
        return position + missing

    def _joined(self, last: bytes) -> bytes:
        """All pieces and this one, which is counted but not kept."""
        self.kept -= self.have - len(last) + _WEIGHT * len(self.pieces)
        joined = b"".join([*self.pieces, last]) if self.pieces else last
        self.pieces, self.have = _NONE, 0
        return joined

    def _keep(self, piece: bytes) -> None:
        self.kept += weight(piece)
        if self.pieces:
            self.pieces.append(piece)
        else:
            self.pieces = [piece]

    def fail(self, refused: Refused) -> None:
        """What has come is the beginning of something that cannot be read."""
        self.deaf = True
        self.need = -1
        self._joined(b"")
        self.wait((refused,))

    def drop(self) -> None:
        """Forgets what has come, and listens no more."""
        self.deaf = True
        if self.kept or self.queue:
            self.pieces, self.have, self.need, self.kept = _NONE, 0, -1, 0
            self.queue.clear()
