"""What is written by hand, against what generated code writes."""

from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.values import BodyMode
from extproc.wire import encode
from extproc.wire.ext_proc_pb2 import CommonResponse, HeaderMutation, ProcessingMode, ProcessingResponse
from extproc.wire.incoming import Part
from extproc.wire.outgoing import Metadata, answer, packed, reply
from tests.examples import examples

TEXT = st.text(max_size=8) | st.text("ab", min_size=20, max_size=200)
NAMES = st.text("abc-:", min_size=1, max_size=6)
HEADERS = st.dictionaries(NAMES, TEXT, max_size=5)
METADATA = st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT | TEXT.map(str.encode), max_size=3), max_size=2)
BODIES = st.none() | st.binary(max_size=10) | st.integers(16_380, 16_390).map(bytes)
MODES = st.sampled_from(BodyMode)


def mutation(headers: Mapping[str, str], remove: Iterable[str]) -> HeaderMutation:
    made = HeaderMutation(remove_headers=remove)
    for name, value in headers.items():
        made.set_headers.add(header={"key": name, "raw_value": value.encode()})
    return made


def put(metadata: Metadata, into: ProcessingResponse) -> None:
    for space, texts in metadata.items():
        inner = into.dynamic_metadata.fields[space].struct_value
        inner.SetInParent()
        for name, text in texts.items():
            inner.fields[name].string_value = text if isinstance(text, str) else text.decode()


@given(st.sampled_from(list(Part)[:4]), HEADERS, st.lists(NAMES, max_size=3), BODIES, METADATA, st.booleans(), MODES, MODES, st.booleans())
@settings(max_examples=examples(150), deadline=None)
def test_replies(
    part: Part, headers: dict[str, str], remove: list[str], body: bytes | None, metadata: Metadata, clear: bool, request_body: BodyMode,
    response_body: BodyMode, override: bool,
) -> None:  # fmt: skip
    common = CommonResponse(clear_route_cache=clear)
    if headers or remove:
        common.header_mutation.CopyFrom(mutation(headers, remove))
    if body:
        common.body_mutation.body = body
    elif body is not None:
        common.body_mutation.clear_body = True
    wanted = ProcessingResponse()
    getattr(wanted, part.name.lower()).response.CopyFrom(common)
    put(metadata, wanted)
    if override:
        wanted.mode_override.CopyFrom(
            ProcessingMode(
                response_header_mode=ProcessingMode.SEND,
                request_body_mode=ProcessingMode.BodySendMode.Name(request_body),
                response_body_mode=ProcessingMode.BodySendMode.Name(response_body),
                response_trailer_mode=ProcessingMode.SEND if response_body else ProcessingMode.DEFAULT,
            )
        )
    written = reply(
        part, headers=headers, remove=remove, body=body, metadata=metadata, clear_route_cache=clear, request_body=request_body,
        response_body=response_body, response_headers=override,
    )  # fmt: skip
    assert ProcessingResponse.FromString(written) == wanted


@given(st.integers(200, 599), HEADERS, st.binary(max_size=300), TEXT, METADATA)
@settings(max_examples=examples(100), deadline=None)
def test_answers(status: int, headers: dict[str, str], body: bytes, details: str, metadata: Metadata) -> None:
    wanted = ProcessingResponse()
    wanted.immediate_response.status.code = status
    wanted.immediate_response.headers.CopyFrom(mutation(headers, ()))
    wanted.immediate_response.body, wanted.immediate_response.details = body, details
    put(metadata, wanted)
    assert ProcessingResponse.FromString(answer(status, headers, body, details=details, metadata=metadata)) == wanted


@given(METADATA, st.dictionaries(TEXT, TEXT | st.integers(-9, 9) | st.lists(TEXT, max_size=2), max_size=2))
@settings(max_examples=50, deadline=None)
def test_metadata_that_was_packed_before(metadata: Metadata, more: dict[str, object]) -> None:
    wanted = ProcessingResponse(request_body={"response": {}})
    put(metadata, wanted)
    if more:
        wanted.dynamic_metadata.MergeFromString(packed(more))
    assert ProcessingResponse.FromString(reply(Part.REQUEST_BODY, metadata=metadata, more=packed(more))) == wanted


@given(st.integers(0, 1 << 40))
def test_numbers(number: int) -> None:
    written = encode.number(1, number)
    assert written[:1] == b"\x08"
    assert sum((byte & 127) << 7 * position for position, byte in enumerate(written[1:])) == number
    assert [byte > 127 for byte in written[1:]] == [True] * (len(written) - 2) + [False]
