"""What Envoy is told: plain values become bytes of a `ProcessingResponse`. The commonest reply, "go on", is a constant for each part."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

from extproc.values import BodyMode
from extproc.wire.ext_proc_pb2 import (
    CommonResponse,
    HeaderMutation,
    ProcessingMode,
    ProcessingResponse,
)
from extproc.wire.incoming import Part

Metadata = Mapping[str, Mapping[str, str]]
"""Dynamic metadata: namespace, then key."""


def packed(metadata: Mapping[str, Any]) -> bytes:
    """Metadata of any shape, made once and sent many times (`reply`'s `more`)."""
    struct = Struct()
    struct.update(metadata)
    return struct.SerializeToString()


def _put(metadata: Metadata, into: Struct) -> None:
    # Struct.update does the same for any value, in Python and ten times slower.
    for namespace, values in metadata.items():
        fields = into.fields[namespace].struct_value.fields
        for key, value in values.items():
            fields[key].string_value = value


def _response(part: Part, common: CommonResponse | None = None) -> ProcessingResponse:
    response = ProcessingResponse()
    match part:
        case Part.REQUEST_HEADERS:
            response.request_headers.response.CopyFrom(common or CommonResponse())
        case Part.RESPONSE_HEADERS:
            response.response_headers.response.CopyFrom(common or CommonResponse())
        case Part.REQUEST_BODY:
            response.request_body.response.CopyFrom(common or CommonResponse())
        case Part.RESPONSE_BODY:
            response.response_body.response.CopyFrom(common or CommonResponse())
        case Part.REQUEST_TRAILERS:
            response.request_trailers.SetInParent()
        case Part.RESPONSE_TRAILERS:
            response.response_trailers.SetInParent()
    return response


GO_ON: dict[Part, bytes] = {part: _response(part).SerializeToString() for part in Part}
"""The reply to each part that changes nothing."""


def _mutation(headers: Mapping[str, str], remove: Iterable[str]) -> HeaderMutation:
    mutation = HeaderMutation(remove_headers=remove)
    for name, value in headers.items():
        # Envoy reads raw_value only, and always overwrites.
        option = mutation.set_headers.add().header
        option.key, option.raw_value = name, value.encode("utf-8", "surrogateescape")
    return mutation


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
    """Go on, with changes: headers set and removed, the body replaced, dynamic metadata set (`more` is `packed`), modes overridden.

    `response_headers` asks for the response's head, and says at the same time how bodies are to be sent: an override is a whole
    `ProcessingMode`, and a body mode left out of it means NONE. Without it, what is configured stays.
    """
    common = CommonResponse()
    if headers or remove:
        common.header_mutation.CopyFrom(_mutation(headers or {}, remove))
    if body is not None:
        if body:
            common.body_mutation.body = body
        else:
            common.body_mutation.clear_body = True
    common.clear_route_cache = clear_route_cache
    response = _response(part, common)
    if metadata:
        _put(metadata, response.dynamic_metadata)
    if more:
        response.dynamic_metadata.MergeFromString(more)
    if response_headers:
        mode = response.mode_override
        mode.response_header_mode = ProcessingMode.SEND
        mode.request_body_mode = ProcessingMode.BodySendMode.Name(request_body)  # type: ignore[assignment]
        mode.response_body_mode = ProcessingMode.BodySendMode.Name(response_body)  # type: ignore[assignment]
    return response.SerializeToString()


def answer(status: int, headers: Mapping[str, str], body: bytes, *, details: str, metadata: Metadata | None = None) -> bytes:
    """An immediate response: Envoy answers the client with it, and asks nobody else. `details` end up in the access log."""
    response = ProcessingResponse()
    immediate = response.immediate_response
    immediate.status.code = status
    immediate.headers.CopyFrom(_mutation(headers, ()))
    immediate.body = body
    immediate.details = details
    if metadata:
        _put(metadata, response.dynamic_metadata)
    return response.SerializeToString()
