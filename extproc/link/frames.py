"""Frames of the link: four bytes of length (big endian, of what follows), then a msgpack array `[kind, id, method, payload]`.

Sans-IO. `id` joins an answer to its question; each side numbers its own questions, so `RESULT` and `FAILED` answer a worker's `CALL`,
and `DONE` the control process's `PUSH`. What a payload means is between the caller and the method.
"""

from enum import IntEnum

import msgspec
from msgspec import Struct

LARGEST = 80 << 20
"""Bytes of the largest frame: a cached answer or a configuration snapshot must fit into one."""

_LENGTH = 4


class Kind(IntEnum):
    """What a frame is."""

    CALL = 0
    RESULT = 1
    FAILED = 2
    NOTIFY = 3
    PUSH = 4
    DONE = 5


class Frame(Struct, array_like=True, frozen=True):
    """One message."""

    kind: Kind
    id: int = 0
    method: str = ""
    payload: bytes = b""


class FrameError(ValueError):
    """What came is no frame, or too large a one: the connection is of no more use."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the wire. Raises `FrameError` if it is too large for the other side."""
    buffer = bytearray(_LENGTH)
    _encoder.encode_into(frame, buffer, _LENGTH)
    size = len(buffer) - _LENGTH
    if size > LARGEST:
        raise FrameError(f"a frame of {size} bytes for {frame.method!r} is larger than {LARGEST}")
    buffer[:_LENGTH] = size.to_bytes(_LENGTH, "big")
    return bytes(buffer)


class FrameReader:
    """Puts frames together from bytes that come in any pieces."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._buffer = bytearray()
        self._largest = largest

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. Raises `FrameError`."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= _LENGTH:
            size = int.from_bytes(buffer[start : start + _LENGTH], "big")
            if size > self._largest:
                raise FrameError(f"a frame of {size} bytes is larger than {self._largest}")
            end = start + _LENGTH + size
            if len(buffer) < end:
                break
            try:
                # A copy: the decoded payload must not hold on to a buffer that is about to move.
                frames.append(_decoder.decode(bytes(buffer[start + _LENGTH : end])))
            except msgspec.DecodeError as error:
                raise FrameError(str(error)) from None
            start = end
        del buffer[:start]
        return frames
