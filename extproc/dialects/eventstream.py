"""Amazon's binary event streams: https://smithy.io/2.0/aws/amazon-eventstream.html

A message is, in network order: its length and its headers' length (4 bytes each), the CRC-32 of those 8 bytes, headers, payload, and the
CRC-32 of all before. A header is the length of its name (1 byte), the name, a type (1 byte) and a value, whose size the type tells.

`:message-type` is `event` (then `:event-type` says which), `exception` (`:exception-type`) or `error` (`:error-code`, `:error-message`).
What is damaged has the kind `error:` and its bytes as data, which is no JSON: whoever reads that takes it for a failure. Where a length
cannot be believed nothing that follows can be, so all of it is damaged, and nothing of it is kept.
"""

import struct
from functools import lru_cache
from zlib import crc32

import msgspec

from extproc.dialects.framing import RawEvent

_PRELUDE = struct.Struct(">III")
_PAIR = struct.Struct(">II")
_WORD = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_HEAD = _PRELUDE.size
_LEAST = _HEAD + _WORD.size
_MOST = 24 * 1024 * 1024
"""Bytes of the longest message; Amazon's own clients take no more either."""
_MOST_HEADERS = 128 * 1024

_USUAL = 256
"""Bytes of headers that are worth remembering; no kind of event has as many."""

_STRING = 7
_SIZED = (6, _STRING)
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: true, false, byte, short, integer, long, timestamp, UUID. Bytes and strings tell theirs."""

DAMAGED = "error:"
"""The kind of what cannot be read; `error:` and a name is that of an exception."""


class EventStreamSplitter:
    """See `framing.Splitter`."""

    __slots__ = ("_buffer", "_lost")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lost = False
        """A length was not to be believed: messages cannot be told apart any more."""

    @property
    def pending(self) -> bytes:
        return bytes(self._buffer)

    @property
    def waiting(self) -> int:
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._lost:
            return [chunk] if chunk else []
        buffer = self._buffer
        buffer += chunk
        messages: list[bytes] = []
        begin = 0
        while len(buffer) - begin >= _HEAD:
            length = _length(buffer, begin)
            if not length:
                self._lost = True
                messages.append(bytes(buffer[begin:]))
                begin = len(buffer)
                break
            if len(buffer) - begin < length:
                break
            messages.append(bytes(buffer[begin : begin + length]))
            begin += length
        if begin:
            del buffer[:begin]
        return messages


def _length(buffer: bytearray, begin: int) -> int:
    """Bytes of the message that begins there; 0 if what it says of them cannot be."""
    length, headers, check = _PRELUDE.unpack_from(buffer, begin)
    if crc32(buffer[begin : begin + 8]) != check or length > _MOST or headers > _MOST_HEADERS or headers > length - _LEAST:
        return 0
    return int(length)


class EventStream:
    """See `framing.Framing`."""

    content_type = media_type = "application/vnd.amazon.eventstream"
    ends: tuple[bytes, bytes] | None = None

    def splitter(self) -> EventStreamSplitter:
        return EventStreamSplitter()

    def parse(self, raw: bytes) -> RawEvent | None:
        return parse(raw) if raw else None


EVENT_STREAM = EventStream()


def parse(raw: bytes) -> RawEvent:
    """One message."""
    if len(raw) < _LEAST:
        return RawEvent(DAMAGED, raw)
    length, size, check = _PRELUDE.unpack_from(raw)
    end = len(raw) - _WORD.size
    if length != len(raw) or size > end - _HEAD or crc32(raw[:end]) != _WORD.unpack_from(raw, end)[0] or crc32(raw[:8]) != check:
        return RawEvent(DAMAGED, raw)
    block = raw[_HEAD : _HEAD + size]
    kind, payload = _kind(block) if size > _USUAL else _usual_kind(block)
    if kind == DAMAGED:
        return RawEvent(kind, raw)
    return RawEvent(kind, raw[_HEAD + size : end] if payload is None else payload)


def _kind(block: bytes) -> tuple[str, bytes | None]:
    """What a block of headers says of its message: the kind, and the data where those are not the payload."""
    headers = _headers(block) or {}
    match headers.get(":message-type"):
        case "event" if kind := headers.get(":event-type"):
            return kind, None
        case "exception" if kind := headers.get(":exception-type"):
            return DAMAGED + kind, None
        case "error" if kind := headers.get(":error-code"):
            return DAMAGED + kind, msgspec.json.encode({"message": headers.get(":error-message", "")})
    return DAMAGED, None


_usual_kind = lru_cache(maxsize=64)(_kind)
"""The headers of events of the same kind are the same, to the byte."""


def _headers(block: bytes) -> dict[str, str] | None:
    """Those that are strings; None if the block cannot be read."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            named = at + 1 + block[at]
            name, kind = block[at + 1 : named], block[named]
            at = named + 1
            if kind in _SIZED:
                (size,) = _SHORT.unpack_from(block, at)
                at += _SHORT.size
            else:
                size = _SIZES[kind]
            if at + size > len(block):
                return None
            if kind == _STRING:
                headers[name.decode()] = block[at : at + size].decode()
            at += size
    except (IndexError, KeyError, ValueError, struct.error):
        return None
    return headers


def event(kind: str, payload: bytes) -> bytes:
    """An event message whose payload is JSON."""
    return _message(_block("event", kind), payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An exception, which ends a stream; its payload is JSON."""
    return _message(_block("exception", kind), payload)


@lru_cache(maxsize=64)
def _block(message_type: str, kind: str) -> bytes:
    headers = {f":{message_type}-type": kind, ":content-type": "application/json", ":message-type": message_type}
    return b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())


def _message(block: bytes, payload: bytes) -> bytes:
    prelude = _PAIR.pack(_LEAST + len(block) + len(payload), len(block))
    message = b"".join((prelude, _WORD.pack(crc32(prelude)), block, payload))
    return message + _WORD.pack(crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + bytes((_STRING,)) + _SHORT.pack(len(value)) + value
