"""A request's body: decoded once, and encoded again only when somebody changed it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import Identity, Reject
from extproc.values import BodyMode
from extproc.wire.ext_proc_pb2 import ProcessingMode
from tests.scene import request


def test_an_untouched_body_stays_as_it_is() -> None:
    body = b'{ "model" : "gpt", "a":1.0, "a":2 }'
    made = request(body=body)
    assert made.envelope.model == "gpt"
    assert made.json["a"] == 2
    assert made.json is made.json
    made.settle()
    assert made.body is body


def test_an_edited_body_is_encoded_again() -> None:
    made = request(body={"model": "gpt", "n": 1})
    assert made.envelope.model == "gpt"
    made.edit()["model"] = "other"
    made.settle()
    assert msgspec.json.decode(made.body) == {"model": "other", "n": 1}
    assert made.envelope.model == "other"


def test_what_rests_is_decoded_again_for_who_asks() -> None:
    made = request(body={"model": "gpt", "n": 1})
    made.edit()["n"] = 2
    made.settle()
    before = made.json
    made.rest()
    assert made.json == before == {"model": "gpt", "n": 2}
    assert made.json is not before


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":"\xff"}', b'{"\xff":1}', b'{"a":' + b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_the_callers_mistake(body: bytes) -> None:
    with pytest.raises(Reject) as raised:
        _ = request(body=body).json
    assert (raised.value.fault.status, raised.value.fault.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[1]", b"1", b'{"model":1}', b'{"a":1e999}'])
def test_what_is_no_request_is_the_callers_mistake(body: bytes) -> None:
    with pytest.raises(Reject) as raised:
        _ = request(body=body).json
    assert (raised.value.fault.status, raised.value.fault.code) == (400, "invalid_request")


@given(st.binary(max_size=40))
def test_any_bytes(body: bytes) -> None:
    made = request(body=body)
    for read in (lambda: made.json, lambda: made.envelope):
        try:
            read()
        except Reject as reject:
            assert reject.fault.status == 400  # noqa: PT017 - most bytes are refused, some are not


def test_body_modes_are_envoys() -> None:
    for mode in BodyMode:
        assert ProcessingMode.BodySendMode.Value(mode.name) == mode


def test_a_lane_is_the_tenants_and_does_not_name_it() -> None:
    acme = Identity("acme", "one").lane
    assert acme == Identity("acme", "two").lane != Identity("other", "one").lane
    assert len(acme) == 16 and "acme" not in acme
    assert Identity("\ud800").lane not in {acme, ""}
    assert not Identity().lane
