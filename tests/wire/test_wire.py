"""Our few messages against Envoy's own definitions, as envoy-data-plane generated them: theirs to us and ours to them."""

from typing import Any

import msgspec
import pytest
from envoy_data_plane.envoy.config.core.v3 import HeaderMap, HeaderValue, Metadata
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ProcessingModeBodySendMode as Body
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ProcessingModeHeaderSendMode as Header
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    BodyResponse,
    CommonResponse,
    HeadersResponse,
    HttpBody,
    HttpHeaders,
    HttpTrailers,
    ProcessingRequest,
    ProcessingResponse,
)
from envoy_data_plane.google.protobuf import Struct, Value
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.values import BodyMode
from extproc.wire.incoming import Incoming, Part, piece
from extproc.wire.outgoing import BEFORE, GO_ON, answer, aside, last, packed, reply

ATTRIBUTES = "envoy.filters.http.ext_proc"


def headers(*pairs: tuple[str, bytes]) -> HeaderMap:
    return HeaderMap(headers=[HeaderValue(key=name, raw_value=value) for name, value in pairs])


def read(data: bytes) -> ProcessingResponse:
    return ProcessingResponse.parse(data)


@pytest.mark.parametrize("size", [0, 1, 100, 115, 116, 117, 118, 119, 120, 127, 128, 2048, 2049, 70_000])
def test_a_body_that_goes_on_as_it_is_said(size: int) -> None:
    piece = bytes(size)
    for written, end in ((BEFORE[size] + piece, False), (last(piece), True)):
        response = read(written + aside({"headgate": {"record": "{}"}}))
        assert response.response_body is not None and response.response_body.response is not None
        mutation = response.response_body.response.body_mutation
        assert mutation is not None and mutation.streamed_response is not None
        assert (mutation.streamed_response.body, mutation.streamed_response.end_of_stream) == (piece, end)
        assert plain(response.dynamic_metadata) == {"headgate": {"record": "{}"}}


def plain(struct: Any) -> Any:
    """A Struct as plain values."""
    return struct.to_dict() if struct is not None else None


PARTS = [
    (ProcessingRequest(request_headers=HttpHeaders(headers=headers((":path", b"/")), end_of_stream=True)), Part.REQUEST_HEADERS, b"", True),
    (ProcessingRequest(response_headers=HttpHeaders(headers=headers((":status", b"200")))), Part.RESPONSE_HEADERS, b"", False),
    (ProcessingRequest(request_body=HttpBody(body=b"abc", end_of_stream=True)), Part.REQUEST_BODY, b"abc", True),
    (ProcessingRequest(response_body=HttpBody(body=b"")), Part.RESPONSE_BODY, b"", False),
    (ProcessingRequest(request_trailers=HttpTrailers()), Part.REQUEST_TRAILERS, b"", True),
    (ProcessingRequest(response_trailers=HttpTrailers()), Part.RESPONSE_TRAILERS, b"", True),
]


@pytest.mark.parametrize(("message", "part", "body", "end"), PARTS, ids=lambda value: value.name if isinstance(value, Part) else None)
def test_parts(message: ProcessingRequest, part: Part, body: bytes, end: bool) -> None:
    incoming = Incoming(bytes(message))
    assert (incoming.part, incoming.body, incoming.end) == (part, body, end)


@given(st.binary(max_size=1100), st.booleans(), st.booleans(), st.sampled_from(["request_body", "response_body"]))
@example(bytes(125), False, True, "response_body")
@example(bytes(126), False, True, "response_body")
@example(bytes(127), False, True, "response_body")
@example(bytes(128), False, True, "response_body")
@example(bytes(1024), False, True, "response_body")
@example(bytes(1025), False, True, "response_body")
@example(b"B\0", False, False, "response_body")
def test_pieces(body: bytes, end: bool, bare: bool, part: str) -> None:
    told = HttpBody(body=body, end_of_stream=end)
    whole = ProcessingRequest(request_body=told) if part == "request_body" else ProcessingRequest(response_body=told)
    message = bytes(whole) + (b"B\x00" if bare else b"")
    plain = 0 < len(body) <= 1024 and bare and not end and part == "response_body"
    assert piece(message) == (body if plain else None)
    incoming = Incoming(message)
    assert (incoming.part.name.lower(), incoming.body, incoming.end) == (part, body, end)


@given(st.binary(min_size=1, max_size=300), st.integers(0, 305), st.integers(0, 255))
def test_a_piece_that_is_damaged(body: bytes, at: int, value: int) -> None:
    message = bytearray(bytes(ProcessingRequest(response_body=HttpBody(body=body))) + b"B\x00")
    message[at % len(message)] = value
    found = piece(bytes(message))
    if found is not None:
        told = ProcessingRequest.parse(bytes(message)).response_body
        assert told is not None and found == told.body


def test_headers() -> None:
    sent = headers(
        (":path", b"/v1"), ("x-a", b"1"), ("cookie", b"a=b"), ("x-a", b"2"), ("cookie", b"c=d"), ("x-empty", b""), ("x-u", "ü".encode())
    )
    incoming = Incoming(bytes(ProcessingRequest(request_headers=HttpHeaders(headers=sent))))
    assert incoming.headers() == {":path": "/v1", "x-a": "1, 2", "cookie": "a=b; c=d", "x-empty": "", "x-u": "ü"}


@given(st.binary(max_size=30))
def test_any_bytes_in_a_value_become_text_that_json_can_say(value: bytes) -> None:
    incoming = Incoming(bytes(ProcessingRequest(request_headers=HttpHeaders(headers=headers(("x-a", value))))))
    text = incoming.headers()["x-a"]
    assert msgspec.json.decode(msgspec.json.encode(text)) == text
    told = read(reply(Part.REQUEST_HEADERS, headers={"x-a": text})).request_headers
    assert told is not None
    if _is_utf8(value):
        assert told.response.header_mutation.set_headers[0].header.raw_value == value  # type: ignore[union-attr]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_attributes_and_metadata() -> None:
    told = Struct(fields={"xds.cluster_name": Value(string_value="provider_a"), "upstream.request_attempt_count": Value(number_value=2)})
    space = Struct(fields={"call": Value(string_value='{"id":"x"}'), "other": Value(number_value=1)})
    message = ProcessingRequest(
        request_headers=HttpHeaders(headers=headers()),
        attributes={ATTRIBUTES: told},
        metadata_context=Metadata(filter_metadata={"headgate": space}),
    )
    incoming = Incoming(bytes(message))
    assert incoming.attribute("xds.cluster_name") == "provider_a"
    assert incoming.attribute("upstream.request_attempt_count") == 2
    assert incoming.attribute("response.code_details") is None
    assert incoming.metadata("headgate", "call") == '{"id":"x"}'
    assert incoming.metadata("headgate", "other") == ""
    assert incoming.metadata("headgate", "nothing") == incoming.metadata("nowhere", "call") == ""
    bare = Incoming(bytes(ProcessingRequest(request_headers=HttpHeaders())))
    assert (bare.attribute("xds.cluster_name"), bare.metadata("headgate", "call"), bare.headers()) == (None, "", {})


@given(st.binary(max_size=200))
@example(b"")
@example(bytes(ProcessingRequest(metadata_context=Metadata())))
@settings(max_examples=300)
def test_any_bytes(data: bytes) -> None:
    try:
        incoming = Incoming(data)
    except ValueError:
        return
    if incoming.part not in (Part.REQUEST_BODY, Part.RESPONSE_BODY, Part.REQUEST_TRAILERS, Part.RESPONSE_TRAILERS):
        incoming.headers()
    incoming.attribute("xds.cluster_name")
    incoming.metadata("headgate", "call")


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_message_that_is_damaged(at: int, value: int) -> None:
    data = bytearray(
        bytes(ProcessingRequest(request_headers=HttpHeaders(headers=headers((":path", b"/v1"), ("x-a", b"1")), end_of_stream=True)))
    )
    data[at % len(data)] = value
    try:
        incoming = Incoming(bytes(data))
        if incoming.part is Part.REQUEST_HEADERS:
            incoming.headers()
    except ValueError:
        pass


def arm(part: Part, response: ProcessingResponse) -> Any:
    return getattr(response, part.name.lower())


@pytest.mark.parametrize("part", Part)
def test_going_on(part: Part) -> None:
    response = read(GO_ON[part])
    assert arm(part, response) is not None
    assert [other for other in Part if arm(other, response) is not None] == [part]
    assert response.mode_override is None
    assert response.dynamic_metadata is None


@pytest.mark.parametrize("part", [Part.REQUEST_HEADERS, Part.RESPONSE_HEADERS, Part.REQUEST_BODY, Part.RESPONSE_BODY])
def test_reply(part: Part) -> None:
    metadata = {"headgate": {"dialect": "openai", "record": "{}"}}
    more = {"headgate.targets": {"n": 2, "deep": {"list": [{"a": "b"}, 1.5, True, None]}}}
    data = reply(
        part, headers={"x-a": "1", ":path": "/ü"}, remove=["x-b", "x-c"], body=b"new", metadata=metadata, more=packed(more),
        clear_route_cache=True, request_body=BodyMode.BUFFERED, response_body=BodyMode.STREAMED, response_headers=True,
    )  # fmt: skip
    response = read(data)
    common = arm(part, response).response
    mutation = common.header_mutation
    assert {option.header.key: option.header.raw_value for option in mutation.set_headers} == {"x-a": b"1", ":path": "/ü".encode()}
    assert mutation.remove_headers == ["x-b", "x-c"]
    assert (common.body_mutation.body, common.clear_route_cache) == (b"new", True)
    assert plain(response.dynamic_metadata) == metadata | more
    mode = response.mode_override
    assert mode is not None
    assert (mode.response_header_mode, mode.request_body_mode, mode.response_body_mode) == (Header.SEND, Body.BUFFERED, Body.STREAMED)
    assert (mode.request_header_mode, mode.request_trailer_mode, mode.response_trailer_mode) == (
        Header.DEFAULT,
        Header.DEFAULT,
        Header.SEND,
    )


def test_a_body_that_goes_away() -> None:
    mutation = read(reply(Part.RESPONSE_BODY, body=b"")).response_body.response.body_mutation  # type: ignore[union-attr]
    assert mutation is not None
    assert (mutation.clear_body, mutation.body) == (True, None)


def test_without_changes_there_are_none() -> None:
    response = read(reply(Part.REQUEST_BODY, request_body=BodyMode.BUFFERED))
    assert response == ProcessingResponse(request_body=BodyResponse(response=CommonResponse()))
    assert read(reply(Part.REQUEST_HEADERS, headers={}, remove=[])) == ProcessingResponse(
        request_headers=HeadersResponse(response=CommonResponse())
    )


def test_answer() -> None:
    response = read(
        answer(
            429, {"content-type": "application/json", "retry-after": "3"}, b"{}", details="headgate_x", metadata={"headgate": {"a": "b"}}
        )
    )
    told = response.immediate_response
    assert told is not None and told.status is not None and told.headers is not None
    assert (int(told.status.code), told.body, told.details) == (429, b"{}", "headgate_x")
    assert [(option.header.key, option.header.raw_value) for option in told.headers.set_headers if option.header] == [
        ("content-type", b"application/json"), ("retry-after", b"3"),
    ]  # fmt: skip
    assert plain(response.dynamic_metadata) == {"headgate": {"a": "b"}}


@given(st.dictionaries(st.text("abc-", min_size=1, max_size=5), st.text(max_size=10), max_size=5), st.binary(max_size=50))
@settings(max_examples=50)
def test_whatever_we_write_they_can_read(set_headers: dict[str, str], body: bytes) -> None:
    response = read(reply(Part.RESPONSE_BODY, headers=set_headers, body=body))
    common = response.response_body.response  # type: ignore[union-attr]
    assert common is not None
    if set_headers:
        assert {o.header.key: o.header.raw_value.decode() for o in common.header_mutation.set_headers} == set_headers  # type: ignore[union-attr]
