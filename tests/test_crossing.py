"""Nobody's credential reaches somebody else, and what is internal stays inside."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import crossing
from extproc.crossing import to_caller, to_other_caller, to_other_provider, to_provider
from tests.cases import cases
from tests.examples import examples

CREDENTIALS = [
    *crossing.CREDENTIALS,
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-csrf-token",
    "x-goog-iam-authority-selector",
    "x-session-id",
    "x-user-password",
    "x-jwt-assertion",
    "x-goog-authenticated-user-email",
    "x-hub-signature",
    "x-ms-client-credential",
    "x-oidc-data",
    "openai-organization",
    "openai-project",
    "sec-websocket-protocol",
]

INTERNAL = [
    ":path",
    ":authority",
    ":method",
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "trailer",
    "expect",
    "x-headgate-provider",
    "x-headgate-strict",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-forwarded-for",
    "x-forwarded-client-cert",
    "x-forwarded-proto",
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-url",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "origin",
    "referer",
    "cf-connecting-ip",
    "cdn-loop",
    "sec-fetch-mode",
    "sec-ch-ua",
    "x-amzn-trace-id",
]

WANTED = [
    "accept",
    "content-type",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "x-stainless-lang",
    "idempotency-key",
    "x-client-request-id",
    "http-referer",
    "x-title",
    "accept-language",
    "sec-websocket-key",
    "sec-websocket-version",
]


@cases("name", [*CREDENTIALS, *INTERNAL])
def test_stays_inside(name: str) -> None:
    assert not to_provider(name)
    assert not to_other_provider(name)


@pytest.mark.parametrize("name", WANTED)
def test_crosses_to_a_provider_of_the_dialect(name: str) -> None:
    assert to_provider(name)


def test_little_crosses_to_another_dialect() -> None:
    assert [name for name in WANTED if to_other_provider(name)] == ["user-agent", "x-client-request-id"]


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", max_size=12),
    st.sampled_from(["key", "token", "secret", "auth"]),
    st.text("abcxyz-", max_size=6),
)
@settings(max_examples=examples(300))
def test_what_looks_like_a_secret_never_crosses(before: str, word: str, after: str) -> None:
    name = before + word + after
    assert to_provider(name) == (name in {"idempotency-key", "sec-websocket-key"})
    assert not to_other_provider(name)


@pytest.mark.parametrize(
    "name",
    [
        "set-cookie",
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "x-request-id",
        "server",
        "via",
        "cf-ray",
        "cf-cache-status",
        "alt-svc",
        "strict-transport-security",
        "x-envoy-upstream-service-time",
        "x-headgate-cache",
        "x-amzn-requestid",
        "access-control-allow-origin",
        "www-authenticate",
        "connection",
        "transfer-encoding",
        "x-powered-by",
        "location",
        "proxy-authenticate",
    ],
)
def test_does_not_come_back(name: str) -> None:
    assert not to_caller(name)
    assert not to_other_caller(name)


@pytest.mark.parametrize(
    "name", [":status", "content-type", "retry-after", "date", "x-ratelimit-remaining-requests", "openai-processing-ms", "openai-version"]
)
def test_comes_back(name: str) -> None:
    assert to_caller(name)
    assert to_other_caller(name) == (name in {":status", "content-type", "retry-after", "date"})


def test_a_whole_head() -> None:
    names = ("accept", "cookie", "x-title", "host", "accept")
    assert crossing.those(names, to_provider) == ("accept", "x-title", "accept")
    assert crossing.others(names, to_provider) == ("cookie", "host")
    assert crossing.those((), to_provider) == crossing.others((), to_caller) == ()
