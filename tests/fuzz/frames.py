"""HTTP/2 frames as RFC 9113 draws them, made and read by few and plain lines of the tests' own: nothing here is the server's."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
LARGEST = 2**31 - 1

METHOD = b"/package.Service/Method"
TABLE_SIZE_0 = b"\x20"
"""What a block begins with, the first time after the server's settings were acknowledged (RFC 7541, section 6.3)."""


class Frame(NamedTuple):
    """One frame; its fields are the RFC's."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM and GOAWAY, why."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8], "big")


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def parse(data: bytes) -> list[Frame]:
    """All frames of `data`, which ends where the last one ends."""
    frames, at = [], 0
    while at < len(data):
        begin = at + 9
        assert begin <= len(data), "a frame's head is cut"
        end = begin + int.from_bytes(data[at : at + 3], "big")
        assert end <= len(data), "a frame is cut"
        frames.append(Frame(data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : begin], "big"), data[begin:end]))
        at = end
    return frames


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, payload=b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values))


SETTINGS_ACK = frame(SETTINGS, ACK)
HELLO = PREFACE + settings() + SETTINGS_ACK
"""How a client begins that knows the server's settings at once."""


def number(kind: int, stream: int, value: int) -> bytes:
    """RST_STREAM and WINDOW_UPDATE: one number."""
    return frame(kind, 0, stream, value.to_bytes(4, "big"))


def padded(payload: bytes, padding: int | None) -> tuple[int, bytes]:
    """The flag and the payload of a frame with so much padding; None: without the field."""
    return (0, payload) if padding is None else (PADDED, bytes((padding,)) + payload + bytes(padding))


def data(stream: int, payload: bytes = b"", *, end: bool = False, padding: int | None = None) -> bytes:
    flag, payload = padded(payload, padding)
    return frame(DATA, flag | (END_STREAM if end else 0), stream, payload)


def headers(stream: int, block: bytes, *, end: bool = False, cuts: Iterable[int] = ()) -> bytes:
    """A header block, cut into CONTINUATION frames at these places."""
    places = [0, *sorted(min(cut, len(block)) for cut in cuts), len(block)]
    pieces = [block[begin:stop] for begin, stop in pairwise(places)]
    made = b""
    for index, piece in enumerate(pieces):
        flags = (END_STREAM if end and not index else 0) | (END_HEADERS if index == len(pieces) - 1 else 0)
        made += frame(CONTINUATION if index else HEADERS, flags, stream, piece)
    return made


def literal(name: bytes, value: bytes, kind: int = 0x00) -> bytes:
    """One header as plain bytes (RFC 7541, section 6.2). `kind`: 0x40 puts it into the table."""
    return bytes((kind,)) + integer(len(name), 7) + name + integer(len(value), 7) + value


def integer(value: int, bits: int, kind: int = 0) -> bytes:
    """RFC 7541, section 5.1."""
    most = 2**bits - 1
    if value < most:
        return bytes((kind | value,))
    made, value = bytearray((kind | most,)), value - most
    while value >= 128:
        made.append(value % 128 + 128)
        value //= 128
    return bytes((*made, value))


def request(method: bytes = METHOD, *more: tuple[bytes, bytes]) -> bytes:
    """The header block of a gRPC call that no table remembers: POST, http, and the rest."""
    fields = [(b":path", method), (b":authority", b"gate"), (b"te", b"trailers"), (b"content-type", b"application/grpc"), *more]
    return b"\x83\x86" + b"".join(literal(name, value) for name, value in fields)


def message(content: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return b"\x00" + len(content).to_bytes(4, "big") + content


def messages(stream: bytes) -> list[bytes]:
    """The whole messages of what a stream has carried."""
    found = []
    while len(stream) >= 5 and len(stream) >= 5 + int.from_bytes(stream[1:5], "big"):
        size = int.from_bytes(stream[1:5], "big")
        found.append(stream[5 : 5 + size])
        stream = stream[5 + size :]
    return found
