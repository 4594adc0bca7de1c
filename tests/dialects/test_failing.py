"""What all dialects do alike with errors."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.failing import LONGEST, advised, decoded
from extproc.errors import Fault


@pytest.mark.parametrize(
    ("status", "headers", "body", "known", "told"),
    [
        (429, {}, None, None, None),
        (429, {}, 0.2, 0.2, "1"),
        (429, {"retry-after": "7"}, 3.0, 7.0, None),
        (429, {"retry-after-ms": "2500", "retry-after": "3"}, None, 2.5, None),
        (429, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, None, None),
        (503, {"x-ratelimit-reset-requests": "90s"}, None, 90.0, "90"),
        (400, {"x-ratelimit-reset-requests": "90s"}, 3.0, 3.0, None),
    ],
)
def test_advice(status: int, headers: dict[str, str], body: float | None, known: float | None, told: str | None) -> None:
    fault, advice = advised(Fault(status, "x", "x", retry_after=body), headers)
    assert (fault.retry_after, advice.get("retry-after")) == (known, told)


def test_gemini_s_clients_read_it_in_the_body() -> None:
    body = DIALECTS["gemini"].write_error(Fault(429, "rate_limit_exceeded", "slow down", retry_after=26.4), "r-1")
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.4s"} in body["error"]["details"]
    assert DIALECTS["gemini"].read_error(429, msgspec.json.encode(body)).retry_after == 26.4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'[{"error": 1}]', {"error": 1}),
        (b"[]", []),
        (b" plain ", "plain"),
        (b"<html><title>No</title>", "No"),
        (b"<html>", ""),
        (b"\xff", "\ufffd"),
        (b"", ""),
        (b"[" * 5000, "[" * 5000),
    ],
)
def test_bodies_of_any_kind(body: bytes, expected: Any) -> None:
    assert decoded(body) == expected


_KEYS = st.sampled_from(
    ["error", "message", "code", "type", "status", "details", "detail", "reason", "@type", "retryDelay", "param", "__type"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(_VALUES | st.binary(max_size=40), st.sampled_from([400, 401, 402, 403, 404, 413, 429, 498, 500, 503, 529]))
def test_no_error_is_too_strange_to_be_told(value: Any, status: int) -> None:
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    for dialect in DIALECTS.values():
        fault = dialect.read_error(status, body)
        assert 0 < len(fault.message) <= LONGEST
        assert 400 <= fault.status < 600 and fault.code
        for client in DIALECTS.values():
            assert msgspec.json.encode(client.write_error(fault, "r-1"))
