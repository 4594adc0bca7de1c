"""What Envoy says: bytes of a `ProcessingRequest` become a plain value.

Envoy serialises the oneof first, so its tag is the message's first byte; but that is no promise of protobuf's, so it is not used here.
"""

from enum import IntEnum

from google.protobuf.message import DecodeError

from extproc.envoy.names import ATTRIBUTES
from extproc.wire.ext_proc_pb2 import ProcessingRequest


class Part(IntEnum):
    """The part of an exchange that a message is about. Values are the field numbers of `ProcessingRequest.request`."""

    REQUEST_HEADERS = 2
    RESPONSE_HEADERS = 3
    REQUEST_BODY = 4
    RESPONSE_BODY = 5
    REQUEST_TRAILERS = 6
    RESPONSE_TRAILERS = 7


_PARTS = {part.name.lower(): part for part in Part}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        # RFC 9110 section 5.5: any byte above 0x7f may stand in a value. As text that JSON and the journal can say.
        return value.decode("latin-1")


class Incoming:
    """One message from Envoy."""

    __slots__ = ("_message", "_piece", "body", "end", "part")

    def __init__(self, data: bytes) -> None:
        """Raises `ValueError` when `data` is not a `ProcessingRequest`."""
        try:
            message = ProcessingRequest.FromString(data)
        except DecodeError as error:
            raise ValueError(f"not a ProcessingRequest: {error}") from None
        arm = message.WhichOneof("request")
        if arm is None:
            raise ValueError("a ProcessingRequest that names no part of an exchange")
        self._message = message
        self._piece = piece = getattr(message, arm)
        self.part = _PARTS[arm]
        is_body = self.part is Part.REQUEST_BODY or self.part is Part.RESPONSE_BODY
        self.body: bytes = piece.body if is_body else b""
        self.end: bool = piece.end_of_stream if self.part < Part.REQUEST_TRAILERS else True

    def headers(self) -> dict[str, str]:
        """Headers, names in lower case as Envoy has them; repeated ones joined (RFC 9110 section 5.3, cookies: RFC 9113, 8.2.3)."""
        headers: dict[str, str] = {}
        for header in self._piece.headers.headers:
            name = header.key
            value = _text(header.raw_value)
            if name in headers:
                value = headers[name] + ("; " if name == "cookie" else ", ") + value
            headers[name] = value
        return headers

    def attribute(self, name: str) -> str | float | None:
        """One of the attributes that the filter asks for, such as `xds.cluster_name`."""
        fields = self._message.attributes[ATTRIBUTES].fields if ATTRIBUTES in self._message.attributes else None
        if fields is None or name not in fields:
            return None
        value = fields[name]
        return value.number_value if value.HasField("number_value") else value.string_value

    def metadata(self, namespace: str, key: str) -> str:
        """A string of dynamic metadata, or an empty one."""
        namespaces = self._message.metadata_context.filter_metadata
        if namespace not in namespaces:
            return ""
        fields = namespaces[namespace].fields
        return fields[key].string_value if key in fields else ""
