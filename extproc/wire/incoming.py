"""What Envoy sends: bytes of a `ProcessingRequest` become a plain value.

Envoy serialises the oneof first, so its tag is the message's first byte; but that is no promise of protobuf's. So a message in another
form than Envoy's is read by generated code, more slowly, with the same result.
"""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value

from extproc.envoy.names import ATTRIBUTES
from extproc.wire import scan
from extproc.wire.encode import field, tag
from extproc.wire.ext_proc_pb2 import ProcessingRequest
from extproc.wire.layout import Layouts


class Part(IntEnum):
    """The part of an exchange that a message is about. Values are the field numbers of `ProcessingRequest.request`."""

    REQUEST_HEADERS = 2
    RESPONSE_HEADERS = 3
    REQUEST_BODY = 4
    RESPONSE_BODY = 5
    REQUEST_TRAILERS = 6
    RESPONSE_TRAILERS = 7


_PARTS = {part.name.lower(): part for part in Part}
_BODIES = {tag(part)[0]: part for part in (Part.REQUEST_BODY, Part.RESPONSE_BODY)}
_HEADS = {tag(part)[0]: part for part in (Part.REQUEST_HEADERS, Part.RESPONSE_HEADERS)}

_BARE = b"B\x00"
"""An empty `metadata_context`, which Envoy sends where there is nothing to say beside the part itself."""
_REMEMBERED = 256
"""Bytes of attributes that are read once and remembered: of one cluster, they are the same with nearly every answer."""

_LARGEST_PIECE = 1024
_BEFORE = {
    len(before) + size + len(_BARE): before
    for size in range(1, _LARGEST_PIECE + 1)
    for before in [field(tag(Part.RESPONSE_BODY), field(tag(1), bytes(size)))[:-size]]
}
"""What stands before the bytes of a piece, by the length of the message: tags and lengths, which follow from it."""


class _Aside(NamedTuple):
    """What a message says beside its part."""

    attributes: dict[str, str | float]
    metadata: dict[str, dict[str, str]]
    """By namespace; values that are strings."""


_NOTHING = _Aside({}, {})


def _read_aside(message: ProcessingRequest) -> _Aside:
    attributes: dict[str, str | float] = {}
    if ATTRIBUTES in message.attributes:
        for name, value in message.attributes[ATTRIBUTES].fields.items():
            attributes[name] = value.number_value if value.HasField("number_value") else value.string_value
    spaces = message.metadata_context.filter_metadata
    metadata = {name: {key: value.string_value for key, value in space.fields.items()} for name, space in spaces.items()}
    return _Aside(attributes, metadata)


def _aside(rest: bytes) -> _Aside:
    """What follows the part. Raises `Unusual` where that is yet another part, `ValueError` where it is nothing."""
    message = _parse(rest)
    if message.WhichOneof("request") is not None:
        raise scan.Unusual
    return _read_aside(message)


_remembered = lru_cache(maxsize=1024)(_aside)
_layouts = Layouts()


def _parse(data: bytes) -> ProcessingRequest:
    try:
        return ProcessingRequest.FromString(data)
    except DecodeError as error:
        raise ValueError(f"not a ProcessingRequest: {error}") from None


def piece(data: bytes) -> bytes | None:
    """The bytes of a response's body, where `data` is a small piece of one, not the last, and says nothing else: what most messages are.

    None for every other message. It costs a third of an `Incoming`.
    """
    before = _BEFORE.get(len(data))
    if before is None:
        return None
    rest = data.removeprefix(before)
    body = rest.removesuffix(_BARE)
    # Where there is nothing to take off, both give back what they were given.
    return None if rest is data or body is rest else body


class Incoming:
    """One message from Envoy."""

    __slots__ = ("_aside", "_data", "_pairs", "_span", "body", "end", "part")

    part: Part
    body: bytes
    end: bool

    def __init__(self, data: bytes) -> None:
        """Raises `ValueError` when `data` is not a `ProcessingRequest`."""
        self._data = data
        self._pairs: list[scan.Pair] | None = None
        try:
            self._glance(data)
        except (scan.Unusual, LookupError):
            self._read(data)

    def _glance(self, data: bytes) -> None:
        """Reads a message in Envoy's form; headers stay where they are until somebody wants them."""
        if (body := piece(data)) is not None:
            self.part, self.body, self.end, self._aside = Part.RESPONSE_BODY, body, False, _NOTHING
            return
        size, at = (data[1], 2) if data[1] < 128 else scan.length(data, 1)
        stop = at + size
        if (part := _BODIES.get(data[0])) is not None:
            if at == stop or data[at] != scan.TEXT_AT_1:
                self.body = b""
            else:
                size, at = (data[at + 1], at + 2) if data[at + 1] < 128 else scan.length(data, at + 1)
                self.body = data[at : at + size]
                at += size
            self.end = at != stop and scan.flag(data, at, stop, scan.FLAG_AT_2)
        else:
            part = _HEADS[data[0]]
            if data[at] != scan.TEXT_AT_1:
                raise scan.Unusual
            size, at = scan.length(data, at + 1)
            self._span = at, at + size
            self.body, self.end = b"", at + size != stop and scan.flag(data, at + size, stop, scan.FLAG_AT_3)
        if stop > len(data):
            raise scan.Unusual
        self.part = part
        rest = data[stop:]
        self._aside = _NOTHING if rest == _BARE or not rest else _remembered(rest) if len(rest) <= _REMEMBERED else _aside(rest)

    def _read(self, data: bytes) -> None:
        """Reads any message."""
        message = _parse(data)
        arm = message.WhichOneof("request")
        if arm is None:
            raise ValueError("a ProcessingRequest that names no part of an exchange")
        piece = getattr(message, arm)
        self.part = _PARTS[arm]
        is_body = self.part is Part.REQUEST_BODY or self.part is Part.RESPONSE_BODY
        self.body = piece.body if is_body else b""
        self.end = piece.end_of_stream if self.part < Part.REQUEST_TRAILERS else True
        if self.part < Part.REQUEST_BODY:
            self._pairs = [(header.key, scan.text(header.raw_value)) for header in piece.headers.headers]
        self._aside = _read_aside(message)

    def headers(self) -> dict[str, str]:
        """Headers, names in lower case as Envoy has them; repeated ones joined (RFC 9110 section 5.3, cookies: RFC 9113, 8.2.3)."""
        if self._pairs is None:
            try:
                return self._scan(self._data, *self._span)
            except (scan.Unusual, IndexError):
                self._read(self._data)
        return _joined(self._pairs or [])

    @staticmethod
    def _scan(data: bytes, at: int, stop: int) -> dict[str, str]:
        known = _layouts.read(data, at, stop)
        if known is not None:
            return known
        pairs = scan.headers(data, at, stop)
        _layouts.meet(data, at, pairs)
        return _joined(pairs)

    def attribute(self, name: str) -> str | float | None:
        """One of the attributes that the filter asks for, such as `xds.cluster_name`."""
        return self._aside.attributes.get(name)

    def metadata(self, namespace: str, key: str) -> str:
        """A string of dynamic metadata, or an empty one."""
        return self.metadata_of(namespace).get(key, "")

    def metadata_of(self, namespace: str) -> dict[str, str]:
        """The strings of a namespace of dynamic metadata."""
        return self._aside.metadata.get(namespace, {})

    def structs(self, namespace: str) -> dict[str, object]:
        """A namespace of dynamic metadata with all that is in it, whatever its form. For who needs it: the message is read anew."""
        spaces = _parse(self._data).metadata_context.filter_metadata
        return {key: _plain(value) for key, value in spaces[namespace].fields.items()} if namespace in spaces else {}


def _plain(value: Value) -> object:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain(one) for key, one in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(one) for one in value.list_value.values]
    if kind == "number_value":
        # Numbers have lost what they were; what is whole is told as such.
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    return None if kind in (None, "null_value") else value.bool_value if kind == "bool_value" else value.string_value


def _joined(pairs: list[scan.Pair]) -> dict[str, str]:
    headers = dict(pairs)
    if len(headers) < len(pairs):
        headers = {}
        for name, value in pairs:
            headers[name] = headers[name] + scan.joint(name) + value if name in headers else value
    return headers
