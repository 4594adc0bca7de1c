"""WebSocket messages out of a server's bytes (RFC 6455, section 5), as far as they are wanted: small enough to be read, and text or bytes.

Sans-IO. What is no WebSocket, or is compressed or masked, which nobody here asked for, is passed over to the end: it is only looked at on
its way, and whoever gets it will say what is wrong with it.
"""

_FINAL, _RESERVED, _OPCODE, _MASKED = 0x80, 0x70, 0x0F, 0x80
_CONTINUED, _CONTROL = 0, 0x8
_LONG, _LONGER = 126, 127
_ENDLESS = 1 << 63

MOST = 1024 * 1024
"""Bytes of the longest message that is read."""


class Messages:
    """Cuts what a server sends into messages."""

    __slots__ = ("_buffer", "_collected", "_left", "_size", "_skip", "_whole")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        """Bytes of the frame's content that have not come yet."""
        self._skip = False
        """The frame's content is not wanted."""
        self._whole = False
        """The frame ends its message."""
        self._collected: list[bytes] | None = []
        """The message so far; None: it is too long."""
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that a chunk completes."""
        done: list[bytes] = []
        data = self._buffer + chunk if self._buffer else chunk
        position = 0
        while True:
            if self._left:
                if position == len(data):
                    break
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                self._take(piece)
            else:
                begin = self._begin(data, position)
                if begin <= position:
                    break
                position = begin
            if not self._left and not self._skip and self._whole:
                if self._collected is not None:
                    done.append(b"".join(self._collected))
                self._collected, self._size = [], 0
        self._buffer = data[position:]
        return done

    def _begin(self, data: bytes, position: int) -> int:
        """Reads a frame's head. Returns where its content begins; `position` where the head is not all there."""
        if len(data) - position < 2:
            return position
        first, second = data[position], data[position + 1]
        size, end = second & 0x7F, position + 2
        if first & _RESERVED or second & _MASKED:
            # All that follows is passed over, as one frame without an end.
            self._left, self._skip = _ENDLESS, True
            return end
        if size >= _LONG:
            width = 8 if size == _LONGER else 2
            if len(data) - end < width:
                return position
            size, end = int.from_bytes(data[end : end + width], "big"), end + width
        self._left = size
        self._skip = bool(first & _CONTROL)
        if not self._skip:
            self._whole = bool(first & _FINAL)
            if first & _OPCODE != _CONTINUED:
                self._collected, self._size = [], 0
        return end

    def _take(self, piece: bytes) -> None:
        if self._skip or self._collected is None:
            return
        self._collected.append(piece)
        self._size += len(piece)
        if self._size > MOST:
            self._collected = None
