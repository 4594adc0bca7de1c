import pytest

from extproc.dialects.envelope import Envelope, open_envelope
from extproc.errors import Reject


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
    ("body", "param"),
    [
        (b'{"model":1}', "model"),
        (b'{"stream":"true"}', "stream"),
        (b'{"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
        (b'{"temperature":"hot"}', "temperature"),
    ],
)
def test_a_wrong_type_names_its_field(body: bytes, param: str) -> None:
    with pytest.raises(Reject) as raised:
        open_envelope(body)
    assert (raised.value.fault.status, raised.value.fault.param) == (400, param)
    assert param in raised.value.fault.message


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
