"""What Envoy is told: plain values become bytes of a `ProcessingResponse`. The commonest reply, "go on", is a constant for each part."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from google.protobuf.struct_pb2 import Struct

from extproc.values import BodyMode
from extproc.wire.encode import field, length, mutation, number, struct, tag
from extproc.wire.incoming import Part

Metadata = Mapping[str, Mapping[str, str | bytes]]
"""Dynamic metadata: namespace, then key. Text, or its UTF-8."""

_ONE, _TWO, _THREE, _FIVE = tag(1), tag(2), tag(3), tag(5)

# ProcessingResponse
_ARMS = {
    Part.REQUEST_HEADERS: tag(1), Part.RESPONSE_HEADERS: tag(2), Part.REQUEST_BODY: tag(3), Part.RESPONSE_BODY: tag(4),
    Part.REQUEST_TRAILERS: tag(5), Part.RESPONSE_TRAILERS: tag(6),
}  # fmt: skip
_IMMEDIATE, _METADATA, _MODE = tag(7), tag(8), tag(9)

# CommonResponse
_MUTATION, _BODY = _TWO, _THREE
_CLEAR_ROUTE = number(5, 1)
# BodyMutation
_CLEAR_BODY = field(_BODY, number(2, 1))
# ProcessingMode
_SEND = 1


def packed(metadata: Mapping[str, Any]) -> bytes:
    """Metadata of any shape, made once and sent many times (`reply`'s `more`)."""
    made = Struct()
    made.update(metadata)
    return made.SerializeToString()


# Trailers have a mutation of their own, which nobody needs. (A look-up in an enumeration costs more than all the rest of `_response`.)
_TRAILERS = Part.REQUEST_TRAILERS


def _response(part: Part, common: bytes) -> bytes:
    return field(_ARMS[part], b"" if part >= _TRAILERS else field(_ONE, common))


GO_ON: dict[Part, bytes] = {part: _response(part, b"") for part in Part}
"""The reply to each part that changes nothing."""


@cache
def _mode(request_body: BodyMode, response_body: BodyMode) -> bytes:
    # Who reads a body has to hear of trailers: they are its end, and no piece of it is told as the last.
    trailers = number(6, _SEND) if response_body else b""
    return field(_MODE, number(2, _SEND) + number(3, request_body) + number(4, response_body) + trailers)


def reply(
    part: Part,
    *,
    headers: Mapping[str, str] | None = None,
    remove: Iterable[str] = (),
    body: bytes | None = None,
    metadata: Metadata | None = None,
    more: bytes = b"",
    clear_route_cache: bool = False,
    request_body: BodyMode = BodyMode.NONE,
    response_body: BodyMode = BodyMode.NONE,
    response_headers: bool = False,
) -> bytes:
    """Go on, with changes: headers set and removed, the body replaced, dynamic metadata set (`more`: made before), modes overridden.

    `response_headers` asks for the response's head, and says at the same time how bodies are to be sent: an override is a whole
    `ProcessingMode`, and a body mode left out of it means NONE. Without it, what is configured stays.
    """
    common = b""
    if headers or remove:
        common = field(_MUTATION, mutation(headers or {}, remove))
    rest = field(_METADATA, struct(metadata or {}) + more) if metadata or more else b""
    if response_headers:
        rest += _mode(request_body, response_body)
    after = _CLEAR_ROUTE if clear_route_cache else b""
    if body:
        return _bodied(part, common, body, after, rest)
    return _response(part, common + (after if body is None else _CLEAR_BODY + after)) + rest


def _bodied(part: Part, before: bytes, body: bytes, after: bytes, rest: bytes) -> bytes:
    """A reply with a new body, which is copied once: each copy of 10 MB takes some milliseconds, and there are five messages around it."""
    mutated = length(_ONE, len(body))
    own = length(_BODY, len(mutated) + len(body))
    size = len(before) + len(own) + len(mutated) + len(body) + len(after)
    common = length(_ONE, size)
    return b"".join((length(_ARMS[part], len(common) + size), common, before, own, mutated, body, after, rest))


# BodyMutation
_STREAMED = tag(3)


class _Before(dict[int, bytes]):
    """What stands before a piece of a stream that goes on, by its size; made when it is asked for. Small ones are kept: events."""

    def __missing__(self, size: int) -> bytes:
        told = length(_ONE, size)
        made = told
        for at in (_STREAMED, _BODY, _ONE, _ARMS[Part.RESPONSE_BODY]):
            made = length(at, len(made) + size) + made
        if size <= _SMALL:
            self[size] = made
        return made


_SMALL = 2048
BEFORE = _Before()
"""What makes of a piece the reply by which it goes on, where a body is `FULL_DUPLEX_STREAMED`: `BEFORE[len(piece)] + piece`."""


def last(piece: bytes) -> bytes:
    """The reply by which such a body goes on for the last time, and ends; whether or not all of it has come."""
    common = field(_BODY, field(_STREAMED, (field(_ONE, piece) if piece else b"") + number(2, 1)))
    return field(_ARMS[Part.RESPONSE_BODY], field(_ONE, common))


def aside(metadata: Metadata) -> bytes:
    """Dynamic metadata to go with a reply that is made already: to protobuf, a message in two parts is one."""
    return field(_METADATA, struct(metadata))


def answer(status: int, headers: Mapping[str, str], body: bytes, *, details: str, metadata: Metadata | None = None) -> bytes:
    """An immediate response: Envoy answers the client with it, and asks nobody else. `details` end up in the access log."""
    immediate = field(_ONE, number(1, status)) + field(_TWO, mutation(headers, ())) + field(_THREE, body) + field(_FIVE, details.encode())
    response = field(_IMMEDIATE, immediate)
    return response + field(_METADATA, struct(metadata)) if metadata else response
