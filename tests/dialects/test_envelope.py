import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects.envelope import Envelope, open_document, open_envelope
from extproc.dialects.members import MOST
from extproc.errors import Reject
from tests.cases import cases


def test_what_the_gate_reads() -> None:
    envelope = open_envelope(
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"temperature":0,"max_tokens":5,'
        b'"max_completion_tokens":6,"metadata":{"user_id":"u","x":[1]},"messages":[{"anything":1}]}'
    )
    assert (envelope.model, envelope.stream, envelope.include_usage, envelope.temperature) == ("m", True, True, 0)


def test_absent_and_null_are_the_same() -> None:
    assert open_envelope(b'{"model":null,"stream":null,"stream_options":null,"temperature":null}') == Envelope() == open_envelope(b"{}")
    assert Envelope().include_usage is False


@pytest.mark.parametrize(
    ("body", "deterministic"),
    [
        (b'{"temperature":0}', True),
        (b'{"temperature":0.1}', False),
        (b'{"generationConfig":{"temperature":0.0}}', True),
        (b'{"generation_config":{"temperature":0}}', True),
        (b'{"generationConfig":{"temperature":null}}', False),
        (b'{"generationConfig":null}', False),
        (b'{"inferenceConfig":{"temperature":0}}', True),
        (b'{"inferenceConfig":{"temperature":0.2}}', False),
        (b'{"options":{"temperature":0}}', True),
        (b'{"options":{"temperature":0.7}}', False),
        (b'{"options":{"temperature":false}}', False),
        (b'{"options":[]}', False),
        (b"{}", False),
    ],
)
def test_what_should_have_the_same_answer_again(body: bytes, deterministic: bool) -> None:
    assert open_envelope(body).deterministic is deterministic


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":1}', "model"),
        (b'{"stream":"true"}', "stream"),
        (b'{"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (b'{"temperature":"hot"}', "temperature"),
        (b'{"generationConfig":{"temperature":"hot"}}', "generationConfig.temperature"),
    ],
)
def test_a_wrong_type_names_its_field(body: bytes, param: str) -> None:
    with pytest.raises(Reject) as raised:
        open_envelope(body)
    assert (raised.value.fault.status, raised.value.fault.param) == (400, param)
    assert param in raised.value.fault.message


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"stream":"yes"}', "stream: expected a boolean, got a string"),
        (b'{"model":7}', "model: expected a string, got an integer"),
        (b'{"temperature":"hot"}', "temperature: expected a number, got a string"),
        (b'{"stream_options":{"include_usage":[]}}', "stream_options.include_usage: expected a boolean, got a list"),
        (b'{"inferenceConfig":1.5}', "inferenceConfig: expected an object, got a number"),
        (b"[]", "the request body must be a JSON object: expected an object, got a list"),
        (b"null", "the request body must be a JSON object: expected an object, got null"),
        (b'{"temperature":1e400}', "temperature: Number out of range"),
    ],
)
def test_a_wrong_type_is_told_in_words_of_json(body: bytes, told: str) -> None:
    with pytest.raises(Reject) as raised:
        open_envelope(body)
    assert raised.value.fault.message == told


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b'{\n "a": tru }', "line 2, column 8"),
        (b'{"a":1', "line 1"),
        (b'{"model":"\xff"}', "byte 10 is not UTF-8"),
        (b"[1]", "object"),
    ],
)
def test_malformed_json_says_where(body: bytes, where: str) -> None:
    with pytest.raises(Reject) as raised:
        open_envelope(body)
    assert raised.value.fault.status == 400
    assert where in raised.value.fault.message


@cases("read", [open_envelope, open_document])
@cases(
    ("body", "other"),
    [
        (b'{"model":"a","messages":[]}', None),
        (b'{"Model":"a","messages":[]}', None),
        (b'{"model":"a","messages":[{"model":1,"Model":2}]}', None),
        (b'{"model":"a","x":"\\"model\\"","y":"\\u006d"}', None),
        (b'{"x":{"model":1},"model":"a"}', None),
        (b'{"model":"a","model":"a"}', None),
        (b'{"model":"a","mod\\u0065l" : "\\u0061"}', None),
        (b'{"model":"a","Model":"b"}', "Model"),
        (b'{"model":"a","Model":"a"}', "Model"),
        (b'{"Model":"a","mODEL":"a"}', "Model"),
        (b'{"MODEL":"a","x":[{}],"model":"b"}', "MODEL"),
        (b'{"model":"b","model":"a"}', "model"),
        (b'{"model":"a","model":"b","model":"a"}', "model"),
        (b'{"model":null,"model":"a"}', "model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "model"),
        (b'{"model":"a","\\u004DOD\\u0045L":"b"}', "MODEL"),
    ],
)
def test_no_other_model_than_the_one_judged(read: Callable[[bytes], object], body: bytes, other: str | None) -> None:
    if other is None:
        read(body)
        return
    with pytest.raises(Reject) as raised:
        read(body)
    assert (raised.value.fault.status, raised.value.fault.param) == (400, "model")
    assert repr(other) in raised.value.fault.message


@pytest.mark.parametrize("read", [open_envelope, open_document])
@pytest.mark.parametrize("name", ["", "n%d"])
def test_so_many_members_are_no_request(read: Callable[[bytes], object], name: str) -> None:
    def body(count: int) -> bytes:
        others = (f',"{name % number if name else name}":1' for number in range(count - 1))
        return ('{"model":"m"' + "".join(others) + " " * 16_384 + "}").encode()

    read(body(MOST))
    with pytest.raises(Reject, match="members at its top"):
        read(body(MOST + 1))
    # Deeper down there may be as many as there are.
    read(b'{"model":"m","x":{' + b",".join(b'"%d":1' % number for number in range(5 * MOST)) + b"}}")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_MEMBERS = st.sampled_from(["model", "stream", "stream_options", "temperature", "include_usage", "generationConfig", "messages"])


def _said(read: Callable[[bytes], object], body: bytes) -> object:
    try:
        return read(body)
    except Reject as reject:
        # Of several wrong members, each names the one that it meets first.
        return reject.fault.code


_DOCUMENTS = st.dictionaries(_MEMBERS, _VALUES | st.dictionaries(_MEMBERS, _VALUES, max_size=2)).map(json.dumps).map(str.encode)


@given(_DOCUMENTS)
def test_the_document_and_its_outside_are_read_alike(body: bytes) -> None:
    # Of two members of the same name the last one counts, for both; two models are refused by both.
    for one in (body, b'{"temperature":1,"model":"a",' + body.removeprefix(b"{") if len(body) > 2 else body):
        assert _said(lambda given: open_document(given)[1], one) == _said(open_envelope, one)


@given(_DOCUMENTS, st.integers(1, 9))
def test_what_is_cut_off_is_refused_by_both(body: bytes, cut: int) -> None:
    for read in (open_document, open_envelope):
        with pytest.raises(Reject):
            read(body[:-cut])
