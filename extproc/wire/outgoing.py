"""What Envoy is told: plain values become bytes of a `ProcessingResponse`. The commonest reply, "go on", is a constant for each part."""

from collections.abc import Iterable, Mapping
from typing import Any

from extproc.wire.ext_proc_pb2 import (
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ProcessingMode,
    ProcessingResponse,
    TrailersResponse,
)
from extproc.wire.incoming import Part

Metadata = Mapping[str, Mapping[str, Any]]
"""Dynamic metadata: namespace, then key."""

NONE, STREAMED, BUFFERED = ProcessingMode.NONE, ProcessingMode.STREAMED, ProcessingMode.BUFFERED

_ARMS = {
    Part.REQUEST_HEADERS: ("request_headers", HeadersResponse),
    Part.RESPONSE_HEADERS: ("response_headers", HeadersResponse),
    Part.REQUEST_BODY: ("request_body", BodyResponse),
    Part.RESPONSE_BODY: ("response_body", BodyResponse),
    Part.REQUEST_TRAILERS: ("request_trailers", TrailersResponse),
    Part.RESPONSE_TRAILERS: ("response_trailers", TrailersResponse),
}

GO_ON: dict[Part, bytes] = {part: ProcessingResponse(**{arm: kind()}).SerializeToString() for part, (arm, kind) in _ARMS.items()}
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
    clear_route_cache: bool = False,
    request_body: int | None = None,
    response_body: int | None = None,
    response_headers: bool = False,
) -> bytes:
    """Go on, with changes: headers set and removed, the body replaced, dynamic metadata set, processing modes overridden.

    `response_headers` asks for the response's head. An override is a whole `ProcessingMode`: a body mode left out of it means NONE.
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
    arm, kind = _ARMS[part]
    response = ProcessingResponse(**{arm: kind(response=common)})
    if metadata:
        response.dynamic_metadata.update(metadata)
    if request_body is not None or response_body is not None or response_headers:
        response.mode_override.request_body_mode = request_body or NONE  # type: ignore[assignment]
        response.mode_override.response_body_mode = response_body or NONE  # type: ignore[assignment]
        if response_headers:
            response.mode_override.response_header_mode = ProcessingMode.SEND
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
        response.dynamic_metadata.update(metadata)
    return response.SerializeToString()
