"""When a provider may be asked again, from its headers and from what its errors say."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.resets import LARGEST, LONGEST, reset_of_limits, resets, seconds
from tests.examples import examples

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z
_RECORDINGS = Path(__file__).parent / "recordings"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 1), ("6m0s", 360), ("120ms", 0.12), ("2m59.56s", 179.56), ("1h2m3s", 3723), ("26.4s", 26.4), ("7.66s", 7.66),
        ("", None), ("soon", None), ("-1s", None), ("7", None), ("99999h", None), ("1s1s", None),
    ],
)  # fmt: skip
def test_durations(text: str, expected: float | None) -> None:
    assert seconds(text) == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-reset-tokens": "2s"}, 2),
        ({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-reset-requests": "2s"}, 2),
        ({"x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "2s"}, 9),
        ({"x-ratelimit-reset-tokens": "1760000000"}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-tokens": "6m0s"}, 1),
        ({"anthropic-ratelimit-requests-reset": "2026-11-21T12:00:05Z"}, 5),
        ({"anthropic-ratelimit-input-tokens-reset": "2026-11-21T11:59:00Z"}, 0),
        ({"anthropic-ratelimit-requests-reset": "2026-11-21T12:00:05"}, None),
        ({"anthropic-ratelimit-requests-reset": "tomorrow"}, None),
        ({"anthropic-ratelimit-requests-reset": "0001-01-01T00:00:00+23:59"}, 0),
        (
            {
                "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:05Z", "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:40Z", "anthropic-ratelimit-tokens-remaining": "0",
            },
            40,
        ),
        # Cerebras: seconds, and one limit a day.
        (
            {
                "x-ratelimit-reset-tokens-minute": "11.38", "x-ratelimit-remaining-tokens-minute": "0",
                "x-ratelimit-reset-requests-day": "33011.382", "x-ratelimit-remaining-requests-day": "14000",
            },
            11.38,
        ),
        ({"x-ratelimit-reset": "1795262460000"}, 60),  # OpenRouter: milliseconds since 1970
        ({"x-ratelimit-reset": "1795262460"}, 60),
        ({"ratelimit-reset": "50"}, 50),
        ({"x-ratelimit-reset-requests": "500000"}, None),  # neither seconds of a day nor a time
    ],
)  # fmt: skip
def test_limits_that_headers_tell(headers: dict[str, str], expected: float | None) -> None:
    assert reset_of_limits(headers, NOW) == expected


def _retry_info(delay: object) -> bytes:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return json.dumps({"error": {"code": 429, "message": "x", "details": [{"@type": "other"}, info, 3]}}).encode()


def _says(message: object) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b"", 0),
        ({"retry-after": "7"}, b"", 7),
        ({"retry-after": " 1.5 "}, b"", 1.5),
        ({"retry-after": "7", "retry-after-ms": "2500"}, b"", 2.5),
        ({"retry-after": "0"}, _retry_info("9s"), 0),
        ({"retry-after": "-3"}, b"", 0),
        ({"retry-after": "soon"}, _retry_info("9s"), 9),
        ({"retry-after": "86400"}, b"", LONGEST),
        ({"retry-after": "99999999999999"}, b"", LONGEST),
        ({"retry-after": "9" * 40}, b"", 0),
        ({"retry-after": "Sat, 21 Nov 2026 12:01:30 GMT"}, b"", 90),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"", 0),
        ({"retry-after": "Sat, 31 Feb 2026 12:01:30 GMT"}, b"", 0),
        ({"retry-after": "Sat, 21 Foo 2026 12:01:30 GMT"}, b"", 0),
        ({"x-ratelimit-reset-requests": "6m0s"}, b"", 360),
        ({"x-ratelimit-reset-requests": "1s"}, _retry_info("26.4s"), 26.4),
        ({}, b"[" + _retry_info("26.4s") + b"]", 26.4),
        ({}, _retry_info(26), 0),
        ({}, _retry_info("1e9s"), 0),
        ({}, b"[" * 5000, 0),
        ({}, b"\xff", 0),
        ({}, b"[]", 0),
        ({}, b"[3]", 0),
        ({}, b'{"error": "slow down"}', 0),
        ({}, b'{"error": {"details": {"a": 1}, "metadata": 3, "message": 4}}', 0),
        ({}, b'{"error": {"metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795262460000"}}}}', 60),
        ({}, _says("Rate limit reached for gpt-4o in organization o on tokens per min. Please try again in 1.578s. Visit x"), 1.578),
        ({}, _says("Please try again in 6m0s."), 360),
        ({}, _says("Please try again in 120ms."), 0.12),
        ({}, _says("Requests have exceeded the call rate limit. Please retry after 22 seconds."), 22),
        ({}, _says("Please retry after 300 milliseconds"), 0.3),
        ({}, _says("Please retry in 26.4s."), 26.4),
        ({}, _says("Please retry after a while"), 0),
        ({}, _says("Please retry in 3.s.4m"), 0),
        ({}, _says("Please retry after 1h2 seconds"), 0),
        ({}, b'{"message": "Please try again in 2s"}', 2),
        ({}, _says("Please try again in 6m0s." + " " * LARGEST), 0),
    ],
)  # fmt: skip
def test_all_that_tells_it(headers: dict[str, str], body: bytes, expected: float) -> None:
    assert resets(headers, body, NOW) == pytest.approx(expected)


def test_dates_are_measured_against_the_provider_s_own_clock() -> None:
    headers = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}
    assert resets(headers) == 30
    headers = {"date": "Sat, 21 Nov 2026 12:00:00 GMT", "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:07Z"}
    assert resets(headers) == 7


def _recorded(status: int) -> list[tuple[dict[str, str], Any]]:
    found = []
    for path in sorted(_RECORDINGS.glob("*/*.json")):
        text = path.read_text()
        if f'"status": {status}' not in text:
            continue
        for exchange in json.loads(text):
            response = exchange["response"]
            if response.get("status") == status:
                found.append((response["headers"], response.get("json")))
    return found


def test_recorded_refusals_that_do_not_say_it() -> None:
    recorded = _recorded(429)
    assert recorded
    assert {resets(headers, msgspec.json.encode(body)) for headers, body in recorded} == {0.0}


_NAMES = st.sampled_from(
    [
        "retry-after", "retry-after-ms", "date", "x-ratelimit-reset-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset",
        "anthropic-ratelimit-tokens-reset", "ratelimit-reset", "x-ratelimit-reset-tokens-minute",
    ]
)  # fmt: skip
_TEXTS = (
    st.text(max_size=30)
    | st.text("0123456789.hms-:TZ ", max_size=24)
    | st.floats().map(str)
    | st.integers().map(str)
    | st.datetimes().map(lambda when: f"{when.isoformat()}+00:00")
    | st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT"))
)
_KEYS = st.sampled_from(["error", "message", "details", "@type", "retryDelay", "metadata", "headers", "X-RateLimit-Reset"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | _TEXTS | st.just("type.googleapis.com/google.rpc.RetryInfo"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=10,
)


@settings(max_examples=examples(60))
@given(st.dictionaries(_NAMES, _TEXTS), _VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=40), st.none() | st.floats(0, 4e9))
def test_whatever_is_said_the_wait_is_one(headers: dict[str, str], body: bytes, now: float | None) -> None:
    assert 0.0 <= resets(headers, body, now) <= LONGEST


@settings(max_examples=50)
@given(st.integers(1, 86_400_000))
def test_a_duration_is_read_as_go_writes_it(milliseconds: int) -> None:
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    text = f"{hours}h{minutes}m{rest / 1000:g}s" if hours else f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
    assert resets({"x-ratelimit-reset-tokens": text}) == pytest.approx(min(milliseconds / 1000, LONGEST))
