"""Providers that were asked to count tokens, and have no endpoint for that, or not for this model."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from extproc.answering import Answering, choose
from extproc.dialects import INVOKE_COUNT, heard
from extproc.estimate import ESTIMATED
from extproc.values import BodyMode
from tests.cases import cases
from tests.test_answering import JSON, fed, terms

ASKED: dict[str, bytes] = {
    "anthropic": b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 400),
    "responses": b'{"model":"m","input":"%b"}' % (b"x" * 400),
    "bedrock": b'{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"%b"}]}]}}}' % (b"x" * 400),
    "gemini": b'{"contents":[{"role":"user","parts":[{"text":"%b"}]}]}' % (b"x" * 400),
}
COUNTED: dict[str, Any] = {
    "anthropic": {"input_tokens": 104},
    "responses": {"object": "response.input_tokens", "input_tokens": 104},
    "bedrock": {"inputTokens": 104},
    "gemini": {"totalTokens": 104},
}

NOBODY = [
    (404, JSON, b'{"detail":"Not Found"}'),
    (404, JSON, b'{"error":{"message":"Invalid URL (POST /v1/responses/input_tokens)","type":"invalid_request_error","code":null}}'),
    (404, JSON, b'{"type":"error","error":{"type":"not_found_error","message":"Not Found"}}'),
    (404, {"content-type": "text/html"}, b"<html><title>404 Not Found</title></html>"),
    (404, {}, b""),
    (405, JSON, b'{"detail":"Method Not Allowed"}'),
    (501, {"content-type": "text/plain"}, b"not implemented"),
    (400, JSON, b'{"message":"The provided model doesn\'t support counting tokens."}'),
    (422, JSON, b'{"error":{"message":"Token counting is not supported for this model."}}'),
]
SOMEBODY = [
    (404, JSON, b'{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}'),
    (404, JSON, b'{"error":{"message":"The model `x` does not exist","code":"model_not_found","param":"model"}}'),
    (400, JSON, b'{"type":"error","error":{"type":"invalid_request_error","message":"messages: at least one message is required"}}'),
    (429, JSON, b'{"error":{"message":"slow down"}}'),
    (500, JSON, b'{"error":{"message":"Token counting is not supported"}}'),
]


def told(client: str, provider: str, status: int, headers: dict[str, str], body: bytes, asked: bytes = b"") -> tuple[Answering, Any]:
    length = {"content-length": str(len(body))} if body else {}
    way = choose(status, {**headers, **length}, terms(client, provider, kind="count", question=asked or ASKED[client]))
    assert way.mode >= BodyMode.BUFFERED
    return way, fed(way, body)


@cases("client", ASKED)
@cases("provider", ["", "anthropic", "bedrock"])
@cases(("status", "headers", "body"), NOBODY)
def test_nobody_counts_there(client: str, provider: str, status: int, headers: dict[str, str], body: bytes) -> None:
    way, out = told(client, provider or client, status, headers, body)
    assert (way.status, way.error, way.finished, way.headers[ESTIMATED]) == (200, "", True, "tokens")
    assert msgspec.json.decode(out) == COUNTED[client]


def invoked(asked: bytes) -> bytes:
    return b'{"input":{"invokeModel":{"body":"%b"}}}' % b64encode(asked)


INVOKED = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"%b"}]}' % (b"x" * 400)
UNSUPPORTED = b'{"message":"The provided model doesn\'t support counting tokens."}'


@pytest.mark.parametrize(("provider", "status", "body"), [("anthropic", 404, b'{"detail":"Not Found"}'), ("bedrock", 400, UNSUPPORTED)])
def test_an_invocation_that_nobody_counts(provider: str, status: int, body: bytes) -> None:
    # At Bedrock it passes as it is.
    client = heard("bedrock", "", "" if provider == "bedrock" else INVOKE_COUNT)
    head = {**JSON, "content-length": str(len(body))}
    way = choose(status, head, replace(terms("bedrock", provider, kind=INVOKE_COUNT, question=invoked(INVOKED)), client=client))
    assert msgspec.json.decode(fed(way, body)) == {"inputTokens": 104}
    assert (way.status, way.headers[ESTIMATED]) == (200, "tokens")


MANY = INVOKED[:-2] + b',{"role":"user","content":"x"}' * 9000 + b"]}"


@pytest.mark.parametrize("asked", [b"{", INVOKED.replace(b'"user"', b"5"), MANY])
def test_an_invocation_that_cannot_be_estimated(asked: bytes) -> None:
    way = choose(400, JSON, terms("bedrock", "bedrock", kind=INVOKE_COUNT, question=invoked(asked)))
    assert fed(way, UNSUPPORTED) == UNSUPPORTED
    assert way.status == 400


def test_an_invocation_that_bedrock_counts() -> None:
    body = b'{"inputTokens": 7}'
    way = choose(200, JSON, terms("bedrock", "bedrock", kind=INVOKE_COUNT, question=invoked(INVOKED)))
    assert (fed(way, body), way.finished, way.error) == (body, True, "")


@pytest.mark.parametrize(("status", "headers", "body"), SOMEBODY)
def test_other_errors_stay(status: int, headers: dict[str, str], body: bytes) -> None:
    way, out = told("anthropic", "anthropic", status, headers, body)
    assert (way.status, out) == (status, body)
    assert way.error
    assert ESTIMATED not in way.headers


@pytest.mark.parametrize("asked", [b"{", b'{"model":"m","messages":[{"role":"user","content":5}]}', b" " * (5 << 20)])
def test_what_cannot_be_estimated_is_the_providers_error(asked: bytes) -> None:
    way, _ = told("anthropic", "anthropic", 404, JSON, b'{"detail":"Not Found"}', asked)
    assert (way.status, way.error) == (404, "not_found")
