"""What a client is told when its provider fails: by a status, by an event, or by an answer without content."""

import gzip
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from extproc.answering import (
    Failure,
    StreamTranslated,
    StreamUntouched,
    WholeTranslated,
    WholeUntouched,
    choose,
)
from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import event as message
from extproc.dialects.eventstream import exception
from extproc.usage import Usage
from extproc.values import BodyMode
from tests.test_answering import CHAT, CUTS, DONE, JSON, MESSAGE, SSE, STREAM, USAGE_ONLY, chunk, delta, event, fed, terms


def test_failures_of_the_same_dialect_pass() -> None:
    body = b'{"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}'
    answering = Failure(429, terms(), {})
    assert fed(answering, body, [3, 9]) == body
    assert (answering.status, answering.error, answering.finished, answering.rewrites, answering.headers) == (
        429,
        "rate_limit_exceeded",
        True,
        False,
        {},
    )


def test_failures_of_another_dialect_are_translated() -> None:
    answering = Failure(529, terms(provider="anthropic"), {})
    out = msgspec.json.decode(fed(answering, b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', [20]))
    assert (out["error"]["message"], out["error"]["type"]) == ("busy", "server_error")
    assert (answering.status, answering.error, answering.headers) == (529, "overloaded", {"content-type": "application/json"})


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("status", [401, 403])
def test_our_own_credential_is_none_of_the_clients_business(provider: str, status: int) -> None:
    answering = Failure(status, terms(provider=provider), {})
    out = fed(answering, b'{"error": {"message": "Incorrect API key provided: sk-secret"}}')
    assert b"sk-secret" not in out
    assert (answering.status, answering.error) == (502, "provider_authentication")
    assert msgspec.json.decode(out)["error"]["code"] == "provider_authentication"


REFUSED = b'{"error": {"message": "Incorrect API key provided: sk-secret", "code": "invalid_api_key"}}'


GOOGLE = (
    b'{"error":{"code":400,"message":"API key not valid. sk-secret","status":"INVALID_ARGUMENT",'
    b'"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}'
)


@pytest.mark.parametrize(
    ("status", "headers", "body", "provider"),
    [
        (401, JSON, REFUSED, "openai"),
        (401, {"content-type": "text/html"}, b"sk-secret", "openai"),
        (401, {}, b"", "openai"),
        (401, {**JSON, "content-encoding": "br"}, b"sk-secret", "openai"),
        (403, JSON, REFUSED, "openai"),
        (403, {**JSON, "content-encoding": "gzip"}, gzip.compress(REFUSED), "openai"),
        (400, JSON, GOOGLE, "gemini"),
    ],
)
def test_our_credential_is_not_told_of_where_answers_pass_unread(status: int, headers: dict[str, str], body: bytes, provider: str) -> None:
    answering = choose(status, headers, terms(provider, provider, raw=True, kind="raw"))
    out = fed(answering, body)
    assert b"sk-secret" not in out
    assert (answering.status, answering.error) == (502, "provider_authentication")
    assert b"refused the gateway's credential" in out


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, JSON, b'{"error":{"message":"You do not have permission to access the File abc or it may not exist."}}'),
        (400, JSON, b'{"error":{"message":"wrong purpose","code":"invalid_value"}}'),
        (403, {"content-type": "text/html"}, b"<html>"),
        (403, {**JSON, "content-encoding": "br"}, b"?"),
        (404, JSON, b"{}"),
        (403, JSON, b""),
    ],
)
def test_other_errors_pass_unread(status: int, headers: dict[str, str], body: bytes) -> None:
    answering = choose(status, headers, terms(raw=True, kind="raw"))
    assert answering.status == status
    assert fed(answering, body) == body
    assert (answering.status, answering.rewrites) == (status, False)


def test_a_web_page_is_no_answer() -> None:
    answering = choose(200, {"content-type": "text/html"}, terms(provider="anthropic"))
    out = msgspec.json.decode(fed(answering, b"<html>Log in</html>", [4]))
    assert "text/html" in out["error"]["message"]
    assert (answering.status, answering.finished) == (502, True)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_stream_that_nobody_asked_for_is_no_answer(provider: str) -> None:
    """Nor is its end waited for. Of what is no conversation nobody knows what was asked for."""
    sse = {"content-type": "text/event-stream"}
    answering = choose(200, sse, terms(provider=provider, stream=False))
    assert answering.at_once
    assert "where none was asked for" in msgspec.json.decode(fed(answering, b'data: {"x'))["error"]["message"]
    assert answering.status == 502
    assert choose(200, sse, terms(provider=provider)).stream
    assert choose(200, sse, terms(kind="transcription", stream=False)).stream


SLOW = {"code": "rate_limit_exceeded", "message": "x"}


DEAD = {"code": 502, "message": "dead"}


BEGUN = event("message_start", message={**MESSAGE, "content": []})


RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-1",
    "output": [],
    "error": {"code": "server_error", "message": "x"},
}


FAILED_STREAMS = [
    ("openai", delta("a") + chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "error"}], error=DEAD) + DONE, "bad_gateway"),
    ("openai", STREAM.removesuffix(DONE) + chunk(error=DEAD) + DONE, "bad_gateway"),
    ("anthropic", BEGUN + event("error", error={"type": "overloaded_error", "message": "x"}) + event("message_stop"), "overloaded"),
    ("responses", event("response.failed", response={**RESPONSE, "status": "failed"}), "server_error"),
    ("cohere", event("message-start", id="x", delta={}) + event("message-end", delta={"finish_reason": "ERROR"}), "bad_gateway"),
    ("gemini", b'data: {"candidates":[{"finishReason":"STOP"}]}\n\ndata: {"error":{"code":503,"message":"x"}}\n\n', "overloaded"),
    ("ollama", b'{"model":"m","message":{"content":"a"},"done":false}\n{"error":"dead"}\n{"done":true}\n', "bad_gateway"),
    ("bedrock", message("messageStart", b"{}") + exception("throttlingException", b'{"message":"x"}'), "rate_limit_exceeded"),
]  # fmt: skip


@pytest.mark.parametrize("client", ["", "openai", "anthropic"])
@pytest.mark.parametrize(("provider", "stream", "code"), FAILED_STREAMS)
@given(cuts=CUTS)
@settings(max_examples=10, deadline=None)
def test_a_stream_that_tells_an_error_is_not_finished(provider: str, stream: bytes, code: str, client: str, cuts: list[int]) -> None:
    way = choose(200, {"content-type": DIALECTS[provider].framing.content_type}, terms(client or provider, provider))
    fed(way, stream, cuts)
    assert (way.error, way.finished) == (code, False)


def test_an_error_among_pieces_that_waited() -> None:
    way = StreamUntouched(200, terms())
    way.feed(delta("a"), False)
    failing = chunk(error=DEAD)
    assert way.may_wait(failing)
    way.feed_later([delta('he said \\"error\\"'), failing, delta("b")])
    way.feed(DONE, True)
    assert (way.error, way.finished) == ("bad_gateway", False)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_an_event_that_nobody_can_read_is_an_error(client: str) -> None:
    way = choose(200, SSE, terms(client, "anthropic" if client == "openai" else "openai"))
    fed(way, (BEGUN if client == "openai" else delta("a")) + b"data: {bad\n\n" + DONE + event("message_stop"))
    assert (way.error, way.finished) == ("bad_provider_event", False)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("stream", "finished"), [([delta("a"), delta(None, "stop"), USAGE_ONLY], True), ([delta("a"), delta("b")], False)])
def test_a_stream_without_its_last_word(stream: list[bytes], finished: bool, waits: bool, client: str) -> None:
    way = choose(200, SSE, terms(client, "openai"))
    for piece in stream:
        if waits and way.even and way.may_wait(piece):
            way.feed_later([piece])
        else:
            way.feed(piece, False)
    way.feed(b"", True)
    assert way.finished == finished


@pytest.mark.parametrize(
    ("dialect", "body", "code"),
    [
        ("openai", {"error": {"code": 429, "message": "x"}}, "rate_limit_exceeded"),
        ("openai", {**CHAT, "error": {"code": 502, "message": "x"}}, "bad_gateway"),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "overloaded"),
        ("responses", {**RESPONSE, "status": "failed", "usage": {"input_tokens": 3, "output_tokens": 0}}, "server_error"),
        ("gemini", [{"error": {"code": 503, "message": "x"}}], "overloaded"),
        ("cohere", {"message": {"content": []}, "finish_reason": "ERROR"}, ""),
        ("ollama", {"error": "dead"}, "bad_gateway"),
    ],
)  # fmt: skip
def test_an_error_with_the_status_of_an_answer_is_not_finished(dialect: str, body: Any, code: str) -> None:
    way = WholeUntouched(200, terms(dialect, dialect), {})
    assert fed(way, msgspec.json.encode(body)) == msgspec.json.encode(body)
    assert (way.error, way.finished) == (code, False)


COUNTED: dict[str, dict[str, Any]] = {
    "anthropic": {"input_tokens": 5},
    "responses": {"object": "response.input_tokens", "input_tokens": 5},
    "gemini": {"totalTokens": 5},
    "bedrock": {"inputTokens": 5},
}


@pytest.mark.parametrize("dialect", COUNTED)
def test_what_counts_no_tokens_is_no_count(dialect: str) -> None:
    """There is an answer, and what is none, of each of the dialects that count."""
    told = terms(dialect, dialect, kind="count")
    error: dict[str, Any] = {"type": "error", "error": {"type": "overloaded_error", "code": 503, "message": "busy"}}
    for said, good in ((COUNTED[dialect], True), (error, False), ({"message": "nope"}, False), ({}, False), ("x", False), (5, False)):
        body = msgspec.json.encode(said)
        way = WholeUntouched(200, told, {})
        way.mode = BodyMode.BUFFERED
        out = b"".join(way.feed(body, True))
        assert (said, way.status < 400, bool(way.error)) == (said, good, not good)
        assert out == body if good else way.status >= 500


@pytest.mark.parametrize(("number", "status"), [(429, 429), (402, 402), (7, 402), ("insufficient_quota", 402)])
def test_an_error_in_place_of_an_answer_keeps_the_status_that_it_gives_itself(number: Any, status: int) -> None:
    error = {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": None, "code": number}
    body = msgspec.json.encode({"error": error})
    for provider, own in (("openai", True), ("anthropic", False)):
        way = choose(200, {**JSON, "content-length": str(len(body))}, terms(provider, "openai"))
        way.mode = BodyMode.BUFFERED
        out = b"".join(way.feed(body, True))
        assert (way.status, way.error, way.headers["x-should-retry"]) == (status if own else 402, "insufficient_quota", "false")
        assert (out == body) == own


FAILED: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "m", "status": "failed", "error": None, "output": []}
SILENT = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error"}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("responses", FAILED),
        ("responses", {**FAILED, "usage": {"input_tokens": 3, "output_tokens": 0}}),
        ("openai", {"choices": [{**SILENT, "error": {"code": 502, "message": "dead"}}]}),
        ("openai", {**CHAT, "choices": [SILENT]}),
    ],
)
@pytest.mark.parametrize("client", ["same", "anthropic"])
def test_a_model_that_failed_and_said_nothing_has_not_answered(dialect: str, body: dict[str, Any], client: str) -> None:
    told = msgspec.json.encode(body)
    way = choose(200, {**JSON, "content-length": str(len(told))}, terms(dialect if client == "same" else client, dialect))
    way.mode = BodyMode.BUFFERED
    out = b"".join(way.feed(told, True))
    assert way.status == 502
    assert way.error in ("bad_provider_answer", "server_error")
    assert msgspec.json.decode(out)["error"]["message"]


def test_a_model_that_failed_after_some_words_has_answered_its_own_client() -> None:
    body = msgspec.json.encode({**CHAT, "choices": [{**SILENT, "message": {"role": "assistant", "content": "Hel"}}]})
    way = WholeUntouched(200, terms(), {})
    assert fed(way, body) == body
    assert (way.status, way.error, way.finished) == (200, "", True)


def test_arguments_that_are_called_an_error_are_none() -> None:
    call = {"functionCall": {"name": "f", "args": {"error": {"code": 1}, "status": "failed"}}}
    body = msgspec.json.encode({"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]})
    whole = WholeUntouched(200, terms("gemini", "gemini"), {})
    fed(whole, body)
    stream = StreamUntouched(200, terms("gemini", "gemini"))
    fed(stream, b"data: " + body + b"\n\n")
    assert [(one.error, one.finished) for one in (whole, stream)] == [("", True)] * 2


@pytest.mark.parametrize(
    ("provider", "body", "status", "code", "wait"),
    [
        ("openai", {"error": {"code": 429, "message": "x"}}, 429, "rate_limit_exceeded", "7"),
        ("openai", {"error": {"type": "rate_limit_error", "message": "x"}}, 429, "rate_limit_exceeded", "7"),
        ("openai", {"error": {"type": "requests", "message": "x", "code": "rate_limit_exceeded"}}, 429, "rate_limit_exceeded", "7"),
        ("openai", {"error": {"type": "tokens", "message": "x"}}, 429, "rate_limit_exceeded", "7"),
        ("responses", {"error": {"type": None, "message": "x", "code": "rate_limit_exceeded"}}, 429, "rate_limit_exceeded", "7"),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529, "overloaded", "7"),
        ("responses", {**RESPONSE, "status": "failed", "error": SLOW}, 429, SLOW["code"], "7"),
        ("gemini", [{"error": {"code": 503, "message": "x"}}], 503, "overloaded", "7"),
        ("openai", {"error": {"code": "invalid_api_key", "message": "x"}}, 502, "provider_authentication", None),
    ],
)  # fmt: skip
def test_an_error_with_the_status_of_an_answer_keeps_its_meaning(
    provider: str, body: Any, status: int, code: str, wait: str | None
) -> None:
    way = WholeTranslated(200, terms("cohere", provider), {"x-ratelimit-reset-requests": "7s"})
    told = msgspec.json.decode(fed(way, msgspec.json.encode(body)))
    assert (way.status, way.error, way.headers.get("retry-after")) == (status, code, wait)
    assert told["message"]


def gemini(**candidate: Any) -> dict[str, Any]:
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}}


@pytest.mark.parametrize(
    ("provider", "body", "says"),
    [
        ("gemini", gemini(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="print(f())"), "MALFORMED_FUNCTION_CALL: print(f())"),
        ("gemini", {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}}, "candidates"),
        (
            "openai",
            {**CHAT, "choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "error", "error": DEAD}]},
            "error: dead",
        ),
        ("responses", {**RESPONSE, "error": None, "status": "queued", "usage": {"input_tokens": 5, "output_tokens": 2}}, "queued"),
    ],
)
def test_a_failure_without_any_content_is_an_error(provider: str, body: Any, says: str) -> None:
    way = WholeTranslated(200, terms("anthropic", provider), {})
    told = msgspec.json.decode(fed(way, msgspec.json.encode(body)))
    assert (way.status, way.error, way.usage) == (502, "bad_provider_answer", Usage(input=5, output=2))
    assert says in told["error"]["message"]


@pytest.mark.parametrize("said", ["", "Hel"])
def test_a_stream_that_fails_without_any_content_is_an_error(said: str) -> None:
    parts = [{"text": said}] if said else []
    body = b"data: " + msgspec.json.encode(gemini(content={"parts": parts}, finishReason="MALFORMED_FUNCTION_CALL")) + b"\n\n"
    way = StreamTranslated(200, terms("openai", "gemini"))
    out = fed(way, body)
    assert (way.error, way.finished) == (("", True) if said else ("bad_provider_answer", False))
    assert (b"MALFORMED_FUNCTION_CALL" in out) != bool(said)


def test_a_failure_after_some_content_is_an_answer() -> None:
    body = gemini(content={"parts": [{"text": "Hel"}]}, finishReason="MALFORMED_FUNCTION_CALL")
    way = WholeTranslated(200, terms("openai", "gemini"), {})
    assert b'"Hel"' in fed(way, msgspec.json.encode(body))
    assert (way.status, way.error, way.finished) == (200, "", True)


def test_a_refused_credential_is_logged_for_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    answering = Failure(401, terms(), {})
    answering.feed(b'{"error": {"message": "Incorrect API key provided: sk-ab***yz"}}', True)
    assert answering.status == 502
    assert [record.getMessage() for record in caplog.records] == ["request r-1: the provider p refused the gateway's credential (401)"]
    Failure(401, terms(key="second"), {}).feed(b"", True)
    assert "the provider p, asked with the key second, refused" in caplog.records[1].getMessage()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{}", "there is nothing in it"),
        (b'{"choices": [', "the body is cut short"),
        (b"oops", "the body is not JSON"),
        (b"[" * 5000, "the body is nested too deeply"),
        (b'{"id": "\xff"}', "the body is not UTF-8"),
        (b'{"id": "c", "model": "m"}', "choices: expected a list, got null"),
    ],
)
@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_what_is_no_answer_is_told_with_the_reason(client: str, body: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    way = choose(200, JSON, terms(client, model="good"))
    way.mode = BodyMode.BUFFERED
    told = msgspec.json.decode(b"".join(way.feed(body, True)))["error"]["message"]
    if client == "anthropic" and why == "there is nothing in it":
        why = "choices: expected a list, got null"
    assert (way.status, told) == (502, f"The provider p sent no answer: {why}.")
    assert caplog.messages == [f"request r-1: the provider p sent no answer of the model good: {why}"]


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_an_error_beside_its_object_keeps_its_words(client: str) -> None:
    body = b'{"object":"error","message":"too long by far","type":"BadRequestError","param":null,"code":400}'
    way = choose(200, JSON, terms(client))
    way.mode = BodyMode.BUFFERED
    told = msgspec.json.decode(b"".join(way.feed(body, True)))["error"]["message"]
    assert (way.status, told) == (400, "too long by far")
    stream = choose(200, {"content-type": "text/event-stream"}, terms(client))
    out = fed(stream, b"data: " + body + b"\n\n")
    assert b"too long by far" in out and stream.error and not stream.finished


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://user:word@elsewhere.test:8443/v1/chat?key=secret#x", "https://elsewhere.test:8443/v1/chat"),
        ("/v2/chat?key=secret", "/v2/chat"),
        ("//elsewhere.test/x", "elsewhere.test/x"),
        ("", "no address"),
        ("https://[::1", "no address"),
        ("https://elsewhere.test:many/", "no address"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_redirect_is_told_without_its_secrets_and_leads_nobody_away(location: str, told: str, provider: str) -> None:
    answering = choose(307, {"location": location, "content-type": "text/html"}, terms(provider=provider))
    (body,) = answering.feed(b"<html>", True)
    message = msgspec.json.decode(body)["error"]["message"]
    assert (answering.status, answering.error) == (502, "bad_provider_answer")
    assert f"{told} and is not followed" in message
    assert "secret" not in message and "word" not in message
    assert "location" in answering.voids
