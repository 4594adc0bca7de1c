"""Bytes in and replies out: what Envoy would send to the gate or the adapter, and what it is told, as plain values."""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from msgspec import Struct

from extproc.adapter import AdapterSession
from extproc.drive import Waiting
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.transport.seam import Replies
from extproc.values import BodyMode
from extproc.wire.ext_proc_pb2 import HeaderMap, HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse


class Reply(Struct):
    """One `ProcessingResponse`."""

    part: str
    headers: dict[str, str] = {}
    remove: list[str] = []
    body: bytes | None = None
    """None: as it is. Empty: taken off."""
    end: bool = False
    """A body that is all ours to say ends with this piece."""
    clear_route: bool = False
    metadata: dict[str, dict[str, Any]] = {}
    mode: tuple[BodyMode, BodyMode] | None = None
    """Of the request's and the response's body, where modes are overridden (which always asks for the response's headers)."""
    status: int = 0
    """Of an immediate response."""
    details: str = ""


def read(data: bytes) -> Reply:
    """A reply, and the check that it is one that Envoy can do something with."""
    response = ProcessingResponse.FromString(data)
    part = response.WhichOneof("response")
    assert part is not None
    found = Reply(part, metadata=MessageToDict(response.dynamic_metadata))
    if response.HasField("mode_override"):
        mode = response.mode_override
        assert mode.response_header_mode == 1
        # Who is shown a body hears of its trailers, which are its end.
        assert (mode.request_header_mode, mode.request_trailer_mode) == (0, 0)
        assert mode.response_trailer_mode == (1 if mode.response_body_mode else 0)
        found.mode = BodyMode(mode.request_body_mode), BodyMode(mode.response_body_mode)
    if part == "immediate_response":
        told = response.immediate_response
        found.status, found.body, found.details = told.status.code, told.body, told.details
        mutation = told.headers
    elif part.endswith("trailers"):
        return found
    else:
        common = getattr(response, part).response
        mutation = common.header_mutation
        found.clear_route = common.clear_route_cache
        match common.body_mutation.WhichOneof("mutation"):
            case "body":
                found.body = common.body_mutation.body
            case "clear_body":
                found.body = b""
            case "streamed_response":
                told = common.body_mutation.streamed_response
                found.body, found.end = told.body, told.end_of_stream
    found.headers = {option.header.key: option.header.raw_value.decode() for option in mutation.set_headers}
    found.remove = list(mutation.remove_headers)
    assert not set(found.headers) & set(found.remove)
    return found


def message(*, attributes: Mapping[str, str | float] | None = None, metadata: Mapping[str, Any] | None = None, **part: Any) -> bytes:
    """A `ProcessingRequest`."""
    made = ProcessingRequest(**part)
    if attributes:
        made.attributes[names.ATTRIBUTES].update(attributes)
    for namespace, values in (metadata or {}).items():
        made.metadata_context.filter_metadata[namespace].update(values)
    return made.SerializeToString()


def heads(headers: Mapping[str, str | bytes], *, end: bool = False) -> HttpHeaders:
    pairs = [{"key": name, "raw_value": value if isinstance(value, bytes) else value.encode()} for name, value in headers.items()]
    return HttpHeaders(headers=HeaderMap(headers=pairs), end_of_stream=end)


def request_headers(headers: Mapping[str, str | bytes], *, end: bool = False, **rest: Any) -> bytes:
    return message(request_headers=heads(headers, end=end), **rest)


def request_body(body: bytes) -> bytes:
    return message(request_body=HttpBody(body=body, end_of_stream=True))


def response_headers(
    headers: Mapping[str, str], *, end: bool = False, cluster: str = "provider_openai", attempt: int = 1, details: str = names.VIA_UPSTREAM,
    metadata: Mapping[str, Any] | None = None,
) -> bytes:  # fmt: skip
    attributes: dict[str, str | float] = {names.ATTEMPT_ATTRIBUTE: attempt, names.DETAILS_ATTRIBUTE: details}
    if cluster:
        attributes[names.CLUSTER_ATTRIBUTE] = cluster
    return message(response_headers=heads(headers, end=end), attributes=attributes, metadata=metadata)


def response_body(body: bytes, *, end: bool = False, metadata: Mapping[str, Any] | None = None) -> bytes:
    return message(response_body=HttpBody(body=body, end_of_stream=end), metadata=metadata)


def trailers(*, metadata: Mapping[str, Any] | None = None) -> bytes:
    return message(response_trailers=HttpTrailers(), metadata=metadata)


def say(session: GateSession | AdapterSession, data: bytes) -> list[Reply]:
    """The replies to one message, which must not wait."""
    replies = session.receive(data)
    assert not isinstance(replies, Waiting)
    return [_beside(read(one), data) for one in replies]


def _beside(reply: Reply, data: bytes) -> Reply:
    """What goes on by being said again goes on as it is."""
    came = ProcessingRequest.FromString(data)
    if came.WhichOneof("request") == "response_body" and reply.part == "response_body":
        given = came.response_body
        if reply.body == given.body and reply.end == given.end_of_stream:
            reply.body, reply.end = None, False
    return reply


def one(session: GateSession | AdapterSession, data: bytes) -> Reply:
    """The only reply to one message."""
    (reply,) = say(session, data)
    return reply


async def later(session: GateSession, data: bytes) -> "asyncio.Task[list[Reply]]":
    """What waits, in a task as a transport would have it."""
    waiting = session.receive(data)
    assert isinstance(waiting, Waiting)

    async def rest(waiting: Waiting[Replies]) -> list[Reply]:
        return [read(one) for one in await waiting]

    task = asyncio.get_running_loop().create_task(rest(waiting))
    await asyncio.sleep(0)
    assert not task.done()
    return task
