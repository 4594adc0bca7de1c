"""The numbers of HTTP/2 (RFC 9113): frame types, flags, error codes, settings, and the frames that are made of nothing else."""

import struct
from enum import IntEnum
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Plain integers: they are compared for every frame.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

LARGEST_WINDOW = LARGEST_ID = 2**31 - 1
DEFAULT_WINDOW = 65_535
SMALLEST_FRAME_LIMIT = 16_384
"""What every peer has to take in one frame, and what we take: longer ones would only have to be waited for."""
LARGEST_FRAME_LIMIT = 2**24 - 1


class Code(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """What the two ends tell each other of themselves (RFC 9113, section 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


HEAD = struct.Struct(">BHBBI")
"""A frame's head: length (its high byte, its low two), type, flags, stream."""
NUMBER = struct.Struct(">I")
SETTING = struct.Struct(">HI")
_GOAWAY = struct.Struct(">II")
_PRIORITY_SIZE = 5


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame, for a payload that fits in one."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(name, value) for name, value in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(more))


def rst_stream(stream: int, code: Code) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def goaway(last: int, code: Code, why: str = "") -> bytes:
    """A GOAWAY frame; `why` is for the other end's logs."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last, code) + why.encode())


class Broken(Exception):
    """The other end broke the protocol: the connection ends with this code."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Reset(Exception):
    """The other end did with one stream what it must not: the stream ends with this code."""

    def __init__(self, stream: int, code: Code) -> None:
        super().__init__(stream, code)
        self.stream = stream
        self.code = code


class Form(NamedTuple):
    """What a type of frame looks like (RFC 9113, sections 6.1 to 6.10)."""

    name: str
    of_stream: bool | None
    """Whether it is of a stream or of the connection; None: of either."""
    least: int = 0
    most: int = LARGEST_FRAME_LIMIT
    """Bytes of its payload."""


FORMS = {
    DATA: Form("DATA", of_stream=True),
    HEADERS: Form("HEADERS", of_stream=True),
    PRIORITY: Form("PRIORITY", of_stream=True, least=_PRIORITY_SIZE, most=_PRIORITY_SIZE),
    RST_STREAM: Form("RST_STREAM", of_stream=True, least=4, most=4),
    SETTINGS: Form("SETTINGS", of_stream=False),
    PUSH_PROMISE: Form("PUSH_PROMISE", of_stream=True),
    PING: Form("PING", of_stream=False, least=8, most=8),
    GOAWAY: Form("GOAWAY", of_stream=False, least=8),
    WINDOW_UPDATE: Form("WINDOW_UPDATE", of_stream=None, least=4, most=4),
    CONTINUATION: Form("CONTINUATION", of_stream=True),
}


def check(kind: int, stream: int, size: int) -> None:
    """Whether a frame has the form of its type. Raises `Broken`; `Reset` where only a stream is concerned."""
    name, of_stream, least, most = FORMS[kind]
    if of_stream is not None and of_stream is not (stream > 0):
        raise Broken(Code.PROTOCOL_ERROR, f"{name} without a stream" if of_stream else f"{name} of a stream")
    if not least <= size <= most:
        if kind == PRIORITY:
            # Section 6.3: of no other type is this the stream's affair.
            raise Reset(stream, Code.FRAME_SIZE_ERROR)
        raise Broken(Code.FRAME_SIZE_ERROR, f"{name} of {size} bytes")


def settled(payload: bytes) -> dict[int, int]:
    """What a SETTINGS frame says; of several values for the same the last counts (RFC 9113, section 6.5.3). Raises `Broken`."""
    if len(payload) % SETTING.size:
        raise Broken(Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    values = {}
    for name, value in SETTING.iter_unpack(payload):
        match name:
            case Setting.ENABLE_PUSH if value > 1:
                raise Broken(Code.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")
            case Setting.INITIAL_WINDOW_SIZE if value > LARGEST_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large")
            case Setting.MAX_FRAME_SIZE if not SMALLEST_FRAME_LIMIT <= value <= LARGEST_FRAME_LIMIT:
                raise Broken(Code.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range")
        values[name] = value
    return values


def fragment(flags: int, number: int, payload: bytes) -> bytes:
    """What a HEADERS frame has of a header block, without padding and priority. Raises `Broken`."""
    if flags & PADDED:
        payload = unpadded(payload)
    if not flags & PRIORITISED:
        return payload
    if len(payload) < _PRIORITY_SIZE:
        raise Broken(Code.FRAME_SIZE_ERROR, "no room for a priority")
    check_priority(number, payload)
    return payload[_PRIORITY_SIZE:]


def check_priority(number: int, payload: bytes) -> None:
    """RFC 7540, section 5.3.1: nothing depends on itself. Raises `Broken`: the stream may not have begun, and then it cannot be reset."""
    if NUMBER.unpack_from(payload)[0] & LARGEST_ID == number:
        raise Broken(Code.PROTOCOL_ERROR, f"stream {number} depends on itself")


def unpadded(payload: bytes) -> bytes:
    """What is left of a payload whose PADDED flag is set (RFC 9113, section 6.1)."""
    if not payload or payload[0] >= len(payload):
        raise Broken(Code.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
