"""Header blocks: what a request's says, judged once and then known by its bytes, and the few that we answer with.

Decoding a block costs as much as all the rest of a stream. Envoy sends the same one for every stream, and since we allow it no dynamic
table (SETTINGS_HEADER_TABLE_SIZE is 0), the same bytes always mean the same. Until it has heard of that, blocks are decoded.
"""

import re
from collections.abc import Container
from urllib.parse import quote

from hpack import Decoder, HPACKError, OversizedHeaderListError
from msgspec import Struct

from extproc.transport.http2.codes import Broken, Code
from extproc.transport.http2.limits import Limits
from extproc.transport.seam import Status

_CONTENT_TYPE = b"application/grpc"
_PSEUDO = (b":method", b":scheme", b":authority", b":path")
_REQUIRED = (b":method", b":scheme", b":path")
# Of one hop, so they have no place in HTTP/2 (RFC 9113, section 8.2.2).
_CONNECTION = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# What a name may not hold at all, and what a value may not (RFC 9113, section 8.2.1).
_NOT_IN_NAMES = frozenset(range(0x21)) | _UPPER | frozenset(range(0x7F, 0x100))
_NOT_IN_VALUES = frozenset(b"\x00\r\n")


# Three changes of the table's size: RFC 7541, section 4.2, needs two at most. An integer with a prefix of 5 bits (section 5.1) each.
_SIZE_UPDATES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){3}")


class Malformed(Exception):
    """A request that is none (RFC 9113, section 8.1.1): its stream is reset."""


class Head(Struct, frozen=True):
    """What a request's header block says."""

    method: bytes = b""
    """The gRPC method, `/package.Service/Method`."""
    refusal: bytes = b""
    """The header block to answer with, if there is nothing to call."""
    length: int = -1
    """`content-length`, or -1."""


def _literal(name: bytes, value: bytes) -> bytes:
    """One header that no table remembers (RFC 7541, section 6.2.2), as plain bytes."""
    return b"\x00" + _sized(name) + _sized(value)


def _sized(text: bytes) -> bytes:
    # A string's length is an integer with a prefix of 7 bits (RFC 7541, section 5.1).
    size = len(text)
    if size < 0x7F:
        return bytes((size,)) + text
    head, size = bytearray((0x7F,)), size - 0x7F
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + text


_STATUS_200 = b"\x88"  # index 8 of the static table
ANSWER = _STATUS_200 + _literal(b"content-type", _CONTENT_TYPE)
"""The head of an answer that has messages."""
_MOST_TEXT = 2048
_CUT = re.compile("%.?$")
_MOST_PATH = 96  # of what somebody else may have made us remember


def trailers(status: Status = Status.OK, text: str = "") -> bytes:
    """The end of an answer. `text`: what went wrong, in words, percent-encoded as gRPC wants it."""
    block = _literal(b"grpc-status", b"%d" % status)
    if text:
        encoded = quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~", errors="replace")
        # Not in the midst of an escaped byte.
        block += _literal(b"grpc-message", _CUT.sub("", encoded[:_MOST_TEXT]).encode())
    return block


OK_TRAILERS = trailers()


def refusal(status: Status, text: str) -> bytes:
    """An answer without messages: head and trailers in one."""
    return ANSWER + trailers(status, text)


def _plain(status: int) -> bytes:
    # Index 8 of the static table has the name `:status`; the value is a literal that nobody remembers.
    return b"\x08" + _sized(b"%d" % status)


class Blocks:
    """Reads the header blocks of one connection."""

    __slots__ = ("_decoder", "_known", "_limits", "_methods")

    def __init__(self, methods: Container[bytes], limits: Limits) -> None:
        self._methods = methods
        self._limits = limits
        self._decoder = Decoder(max_header_list_size=limits.headers)
        self._known: dict[bytes, Head] = {}

    def forbid_table(self) -> None:
        """The other end has heard that it may have no dynamic table (RFC 7541, section 4.2)."""
        self._decoder.max_allowed_table_size = 0

    def request(self, block: bytes) -> Head:
        """What a request says. Raises `Malformed`, or `Broken` if the block itself cannot be read."""
        head = self._known.get(block)
        if head is None:
            # With a table a block's meaning depends on those before it; and it may change the table, so it has to be read.
            head = self._judge(self._decode(block))
            if self._stateless:
                if len(self._known) >= self._limits.known_blocks:
                    self._known.clear()
                self._known[block] = head
        return head

    def trailers(self, block: bytes) -> None:
        """A request's trailers say nothing to us, but have to be right."""
        for name, value in self._decode(block):
            _check(name, value)
            if name[:1] == b":":
                raise Malformed(f"{name!r} among the trailers")

    def skip(self, block: bytes) -> None:
        """A block of a stream that is refused: the table has to know it all the same."""
        if not self._stateless:
            self._decode(block)

    @property
    def _stateless(self) -> bool:
        # The other end has taken leave of its table, and cannot have another any more.
        return not self._decoder.header_table_size and not self._decoder.max_allowed_table_size

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        if _SIZE_UPDATES.match(block):
            raise Broken(Code.COMPRESSION_ERROR, "the table's size changes too often")
        try:
            return [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise Broken(Code.ENHANCE_YOUR_CALM, f"headers of more than {self._limits.headers} bytes") from error
        except HPACKError as error:
            raise Broken(Code.COMPRESSION_ERROR, str(error)) from error

    def _judge(self, headers: list[tuple[bytes, bytes]]) -> Head:
        fields = _fields(headers)
        length = fields.get(b"content-length")
        if length is not None and not (length.isdigit() and len(length) < 20):
            raise Malformed("content-length is no number")
        if fields[b":method"] != b"POST":
            return Head(refusal=_plain(405))
        kind = fields.get(b"content-type", b"")
        if kind != _CONTENT_TYPE and not kind.startswith((_CONTENT_TYPE + b"+", _CONTENT_TYPE + b";")):
            return Head(refusal=_plain(415))
        path = fields[b":path"]
        if path not in self._methods:
            return Head(refusal=refusal(Status.UNIMPLEMENTED, f"there is no method {path[:_MOST_PATH].decode('latin-1')} here"))
        return Head(path, length=int(length) if length is not None else -1)


def _fields(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """A request's headers by name, of repeated ones the last. Raises `Malformed`."""
    fields: dict[bytes, bytes] = {}
    regular = False
    for name, value in headers:
        _check(name, value)
        if name[:1] != b":":
            regular = True
            if name == b"content-length" and fields.get(name, value) != value:
                raise Malformed("two lengths")
        elif regular or name not in _PSEUDO or name in fields:
            raise Malformed(f"{name!r} where it may not be")
        fields[name] = value
    if any(not fields.get(name) for name in _REQUIRED):
        raise Malformed("a request without method, scheme or path")
    return fields


def _check(name: bytes, value: bytes) -> None:
    if not name or not _NOT_IN_NAMES.isdisjoint(name) or b":" in name[1:]:
        raise Malformed(f"a header cannot be called {name!r}")
    if not _NOT_IN_VALUES.isdisjoint(value) or value.strip(b" \t") != value:
        raise Malformed(f"a value that {name!r} cannot have")
    if name in _CONNECTION or (name == b"te" and value != b"trailers"):
        raise Malformed(f"{name!r} belongs to HTTP/1")
