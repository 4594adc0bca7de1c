"""What all dialects do alike with errors."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.failing import LONGEST, advised, code_for, decoded, meant
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


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Invalid value: 'requires more credits'. Supported values are: 'none', 'auto', and 'required'.", "invalid_request"),
        (400, "Invalid value: 'it' requires more credits, and 'insufficient balance'. Supported values are: 'none'.", "invalid_request"),
        (400, 'tool_choice: unknown value "payment required"', "invalid_request"),
        (400, "tool_choice: unknown value `insufficient funds`", "invalid_request"),
        (400, "unknown value \u201cinsufficient credits\u201d", "invalid_request"),
        (400, "Invalid value: 'requires more credits, and a text that is cut", "invalid_request"),
        (429, "No tool is called 'out of credits or requires more credits'.", "rate_limit_exceeded"),
        (400, "Your credit balance is too low to access the Anthropic API.", "insufficient_quota"),
        (400, "The account's credits don't last: insufficient balance in the models' account", "insufficient_quota"),
        (400, "The key 'team-a' has an insufficient balance.", "insufficient_quota"),
        (403, "This request requires more credits, or fewer max_tokens.", "insufficient_quota"),
        (400, "API key not valid. Please pass a valid API key.", "invalid_api_key"),
        (400, "Incorrect API key provided: 'xa***'.", "invalid_api_key"),
        (400, "'messages' is too long: the model's maximum context length is 'quoted', too", "context_length_exceeded"),
    ],
)
def test_what_a_caller_chose_tells_nothing_of_the_key(status: int, message: str, code: str) -> None:
    assert meant(code_for(status), message) == code
