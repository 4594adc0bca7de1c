"""What is read byte by byte, against what generated code reads."""

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.keys import make_key
from extproc.wire import scan
from extproc.wire.ext_proc_pb2 import HeaderMap, HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest
from extproc.wire.incoming import Incoming, Part
from tests.examples import examples
from tests.playbook import heads, message, request_headers, response_body

NAMES = st.text("abc-:0", max_size=6) | st.sampled_from([":authority", "user-agent", "content-length", "cookie", "x-long" * 30])
VALUES = st.binary(max_size=8) | st.integers(100, 400).map(bytes) | st.integers(1280, 1420).map(lambda size: b"x" * size)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def map_of(pairs: list[tuple[str, bytes]]) -> HeaderMap:
    return HeaderMap(headers=[{"key": name, "raw_value": value} for name, value in pairs])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Any message that Envoy might send."""
    part = draw(st.sampled_from(Part))
    piece: Any
    if part in (Part.REQUEST_HEADERS, Part.RESPONSE_HEADERS):
        piece = HttpHeaders(headers=map_of(draw(HEADERS)), end_of_stream=draw(st.booleans()))
    elif part in (Part.REQUEST_BODY, Part.RESPONSE_BODY):
        piece = HttpBody(body=draw(st.binary(max_size=20) | st.integers(16_380, 16_390).map(bytes)), end_of_stream=draw(st.booleans()))
    else:
        piece = HttpTrailers(trailers=map_of(draw(HEADERS)))
    attributes = draw(st.dictionaries(st.text(max_size=5), st.text(max_size=200) | st.floats(allow_nan=False), max_size=2))
    metadata = draw(st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=2), max_size=2))
    made = message(attributes=attributes, metadata=metadata, **{part.name.lower(): piece})
    return made + draw(st.sampled_from([b"", b"B\x00", b"Z\x02\x08\x02", b"B\x00Z\x02\x08\x02"]))


def plainly(data: bytes) -> Any:
    """As generated code reads it; None where it does not."""
    try:
        made = ProcessingRequest.FromString(data)
    except DecodeError:
        return None
    arm = made.WhichOneof("request")
    if arm is None:
        return None
    piece = getattr(made, arm)
    headers: dict[str, str] = {}
    for header in piece.headers.headers if arm.endswith("headers") else ():
        value = scan.text(header.raw_value)
        joint = "; " if header.key == "cookie" else ", "
        headers[header.key] = headers[header.key] + joint + value if header.key in headers else value
    spaces = made.metadata_context.filter_metadata
    attributes = made.attributes["envoy.filters.http.ext_proc"].fields if made.attributes else {}
    return (
        arm,
        piece.body if arm.endswith("body") else b"",
        True if arm.endswith("trailers") else piece.end_of_stream,
        headers,
        {name: value.string_value or value.number_value for name, value in attributes.items()},
        {name: {key: value.string_value for key, value in space.fields.items()} for name, space in spaces.items()},
    )


def quickly(data: bytes) -> Any:
    try:
        incoming = Incoming(data)
        told = plainly(data)
        return (
            incoming.part.name.lower(),
            incoming.body,
            incoming.end,
            incoming.headers() if incoming.part < Part.REQUEST_BODY else {},
            {name: incoming.attribute(name) or 0 for name in told[4]} if told else None,
            {name: {key: incoming.metadata(name, key) for key in keys} for name, keys in told[5].items()} if told else None,
        )
    except ValueError:
        return None


def agree(data: bytes) -> None:
    told = plainly(data)
    if told is not None:
        told = (*told[:4], {name: value or 0 for name, value in told[4].items()}, told[5])
    assert quickly(data) == told


@given(messages())
@settings(max_examples=examples(150), deadline=None)
def test_both_read_the_same(data: bytes) -> None:
    agree(data)


@given(messages(), st.data())
@settings(max_examples=examples(150), deadline=None)
def test_what_is_damaged_is_read_the_same_or_not_at_all(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, min(len(data), 60)))
    cut = draw.draw(st.integers(0, 3))
    agree(data[:at] + draw.draw(st.binary(max_size=3)) + data[at + cut :])


@given(st.binary(max_size=60))
@example(b"\x2a\x80\x80\x80\x80\x80\x80\x01")
@example(b"\x2a\x03\x0a\x01aB\x00\x22\x00")
@settings(max_examples=examples(300))
def test_any_bytes(data: bytes) -> None:
    agree(data)


def test_the_usual_messages_are_not_unusual(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Incoming, data: bytes) -> None:
        raise AssertionError(data)

    monkeypatch.setattr(Incoming, "_read", never)
    head = request_headers({":path": "/v1", "x-empty": "", "authorization": "Bearer " + "k" * 300, "x-n": "1"}) + b"B\x00Z\x02\x08\x02"
    assert Incoming(head).headers() == {":path": "/v1", "x-empty": "", "authorization": "Bearer " + "k" * 300, "x-n": "1"}
    for body in (b"", b"x", b"x" * 200, b"x" * 20_000, b"x" * 3_000_000):
        for end in (True, False):
            incoming = Incoming(response_body(body, end=end, metadata={"headgate.use": {"told": "y" * 500}}))
            assert (incoming.body, incoming.end, incoming.metadata("headgate.use", "told")) == (body, end, "y" * 500)


def test_what_is_remembered_is_bounded_and_holds_no_key() -> None:
    key = make_key()
    many = {f"x-{number}": "1" for number in range(scan._Known.most + 100)}
    assert Incoming(message(request_headers=heads({**many, "authorization": f"Bearer {key}"}))).headers() == {
        **many, "authorization": f"Bearer {key}",
    }  # fmt: skip
    assert 0 < len(scan._known) <= scan._Known.most
    assert not any(key in value for _, value in scan._known.values())
    # What comes again is not looked into again, whichever message it comes in.
    before = len(scan._known)
    Incoming(message(response_headers=heads({"x-1": "1"}))).headers()
    first = dict(scan._known)
    Incoming(message(request_headers=heads({"x-1": "1"}))).headers()
    assert scan._known == first and len(first) in (before, before + 1)
