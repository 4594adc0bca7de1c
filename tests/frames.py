"""HTTP/2 frames as RFC 9113 draws them, made and read by few and plain lines of the tests' own: nothing here is the server's."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Kind(IntEnum):
    """Section 6; numbers in order."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = Kind
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
    def code(self) -> Code:
        """Of RST_STREAM and GOAWAY, why."""
        return Code(int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8], "big"))

    @property
    def last(self) -> bool:
        """END_STREAM."""
        return self.kind in {DATA, HEADERS} and bool(self.flags & END_STREAM)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """Any frame, right or wrong."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Reader:
    """Frames of bytes that come in pieces."""

    def __init__(self) -> None:
        self.rest = b""
        """The beginning of a frame."""

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """What this completes. All of it has to be taken before more is fed."""
        data, at = self.rest + piece, 0
        while len(data) >= (begin := at + 9) and len(data) >= (end := begin + int.from_bytes(data[at : at + 3], "big")):
            yield Frame(Kind(data[at + 3]), data[at + 4], int.from_bytes(data[at + 5 : begin], "big"), data[begin:end])
            at = end
        self.rest = data[at:]


def parse(data: bytes) -> list[Frame]:
    """All frames of `data`, which ends where the last one ends."""
    reader = Reader()
    frames = list(reader.feed(data))
    assert not reader.rest, "a frame is cut"
    return frames


def settings(*values: tuple[int, int]) -> bytes:
    """A SETTINGS frame: names and values."""
    return frame(SETTINGS, payload=b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values))


def settled(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says."""
    pairs = [payload[at : at + 6] for at in range(0, len(payload), 6)]
    return {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}


SETTINGS_ACK = frame(SETTINGS, ACK)
HELLO = PREFACE + settings() + SETTINGS_ACK
"""How a client begins that knows the server's settings at once."""


def number(kind: int, stream: int, value: int) -> bytes:
    """RST_STREAM and WINDOW_UPDATE: one number."""
    return frame(kind, 0, stream, value.to_bytes(4, "big"))


def window_update(stream: int, more: int) -> bytes:
    return number(WINDOW_UPDATE, stream, more)


def reset(stream: int, code: int = Code.CANCEL) -> bytes:
    return number(RST_STREAM, stream, code)


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
