"""How a provider's answer becomes the client's: each way, however the bytes are cut."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.answering import (
    Answering,
    BrokenAnswer,
    Failure,
    StreamTranslated,
    StreamUntouched,
    Terms,
    Told,
    Untouched,
    WholeTranslated,
    WholeUntouched,
    choose,
)
from extproc.dialects import DIALECTS
from extproc.dialects.dialect import common
from extproc.dialects.eventstream import event as message
from extproc.dialects.eventstream import exception
from extproc.usage import Usage
from extproc.values import BodyMode
from tests.cases import cases
from tests.examples import examples

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}

CHAT: dict[str, Any] = {
    "id": "c-1", "object": "chat.completion", "created": 1, "model": "gpt-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "id": "m-1", "type": "message", "role": "assistant", "model": "claude-1", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip


def chunk(**fields: Any) -> bytes:
    return (
        b"data: "
        + msgspec.json.encode({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-1", **fields})
        + b"\n\n"
    )


def delta(content: str | None, reason: str | None = None) -> bytes:
    return chunk(choices=[{"index": 0, "delta": {"content": content} if content else {}, "finish_reason": reason}])


USAGE_ONLY = chunk(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
DONE = b"data: [DONE]\n\n"
STREAM = b"".join([delta("Hel"), delta("lo"), delta(None, "stop"), USAGE_ONLY, DONE])


def event(type: str, **fields: Any) -> bytes:
    return b"event: " + type.encode() + b"\ndata: " + msgspec.json.encode({"type": type, **fields}) + b"\n\n"


MESSAGE_STREAM = b"".join(
    [
        event("message_start", message={**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1}}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 2}),
        event("message_stop"),
    ]
)


def timeless(out: bytes) -> bytes:
    """What it says, apart from the second in which it said it."""
    return re.sub(rb'"created":[0-9]+', b'"created":0', out)


def terms(client: str = "openai", provider: str = "openai", **changes: Any) -> Terms:
    usual: dict[str, Any] = {"kind": "chat", "asked": {}, "raw": False, "include_usage": False, "hide_usage": False, "most": 1 << 20}
    usual["stream"] = True
    usual["form"] = common(changes.get("kind", "chat"))
    return Terms(
        client=DIALECTS[client],
        provider=DIALECTS[provider],
        provider_name="p",
        request_id="r-1",
        same=client == provider,
        **(usual | changes),
    )


def fed(answering: Answering, body: bytes, cuts: list[int] | None = None) -> bytes:
    """The whole of what the client gets of a body that comes in pieces, the last of them empty."""
    out = []
    for cut in cuts or []:
        out += answering.feed(body[:cut], False)
        body = body[cut:]
    out += answering.feed(body, False)
    out += answering.feed(b"", True)
    return b"".join(out)


CUTS = st.lists(st.integers(0, 50), max_size=30)


@cases(
    ("status", "headers", "changes", "kind"),
    [
        (200, JSON, {}, WholeUntouched),
        (200, {"content-type": "application/json; charset=utf-8"}, {}, WholeUntouched),
        (200, {"content-type": "Application/Problem+JSON"}, {}, WholeUntouched),
        (200, JSON, {"provider": "anthropic"}, WholeTranslated),
        (200, SSE, {}, StreamUntouched),
        (200, {"content-type": "text/event-stream; charset=utf-8"}, {"provider": "anthropic"}, StreamTranslated),
        (200, {"content-type": "audio/mpeg"}, {"kind": "json", "gives": "audio"}, Untouched),
        (200, {}, {"kind": "json", "gives": "audio"}, Untouched),
        (200, {"content-type": "text/plain"}, {"kind": "json", "gives": "audio"}, WholeUntouched),
        (200, {"content-type": "text/plain"}, {"kind": "form", "gives": "text"}, Untouched),
        (200, {"content-type": "text/html"}, {"kind": "form", "gives": "text"}, Told),
        (200, {"content-type": "audio/mpeg"}, {}, WholeUntouched),
        (200, {}, {}, WholeUntouched),
        (201, {"content-type": "text/plain"}, {}, WholeUntouched),
        (202, {"content-type": "audio/mpeg"}, {"kind": "json", "gives": "audio"}, Untouched),
        *((status, {"location": "https://elsewhere.test"}, {}, Told) for status in (300, 301, 302, 303, 307, 308)),
        (307, SSE, {"kind": "json", "gives": "audio"}, Told),
        (307, {"location": "https://elsewhere.test"}, {"raw": True}, Untouched),
        *((status, {}, changes, Told) for status in (204, 205, 304) for changes in ({}, {"kind": "json", "gives": "audio"})),
        *((status, SSE, {}, Told) for status in (204, 304)),
        *((status, {}, changes, Untouched) for status in (204, 205, 304) for changes in ({"raw": True}, {"kind": "live"})),
        (200, {"content-type": "text/html"}, {"provider": "anthropic"}, Told),
        (200, {}, {"provider": "anthropic"}, Told),
        (200, {**JSON, "content-length": "1048577"}, {}, Told),
        (500, JSON, {}, Failure),
        (429, SSE, {"provider": "anthropic"}, Failure),
        (500, JSON, {"raw": True}, Untouched),
        (200, JSON, {"raw": True, "provider": "anthropic"}, Untouched),
    ],
)
def test_choice(status: int, headers: dict[str, str], changes: dict[str, Any], kind: type[Answering]) -> None:
    assert type(choose(status, headers, terms(**changes))) is kind


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("name", ["text/plain", "text/plain; charset=utf-8", "application/xml", "application/octet-stream", ""])
def test_json_under_another_name_is_an_answer_and_nothing_else_is(name: str, length: bool) -> None:
    for body, good in (
        (msgspec.json.encode(CHAT), True),
        (b"upstream unavailable!", False),
        (b'{"message":"no"}', False),
        (b"<a/>", False),
    ):
        headers = {"content-type": name} if name else {}
        way = choose(200, headers | ({"content-length": str(len(body))} if length else {}), terms())
        assert way.mode is (BodyMode.BUFFERED if length else BodyMode.BUFFERED_PARTIAL)
        out = b"".join(way.feed(body, True))
        assert (way.status, bool(way.error), way.finished) == ((200, False, True) if good else (502, True, True))
        assert out == body if good else b'"bad_provider_answer"' in out


def test_a_length_that_is_no_number() -> None:
    assert choose(200, {**JSON, "content-length": "²"}, terms(provider="anthropic")).mode == BodyMode.STREAMED


@given(CUTS)
@settings(max_examples=40, deadline=None)
def test_whole_untouched(cuts: list[int]) -> None:
    body = b" " + msgspec.json.encode(CHAT) + b"\n"
    answering = WholeUntouched(200, terms(), {})
    assert fed(answering, body, cuts) == body
    assert (answering.usage, answering.answered, answering.finished) == (Usage(input=5, output=2), "gpt-1", True)


@pytest.mark.parametrize(
    ("body", "finished"),
    [
        (msgspec.json.encode({**CHAT, "usage": None}), True),
        (b"{}", False), (b'{"choices":[', False), (b"", False), (b"[" * 200_000, False),
    ],
)  # fmt: skip
def test_whole_untouched_without_usage(body: bytes, finished: bool) -> None:
    answering = WholeUntouched(200, terms(), {})
    assert fed(answering, body) == body
    assert (answering.usage, answering.finished) == (None, finished)


@given(CUTS)
@settings(max_examples=examples(60), deadline=None)
def test_stream_untouched(cuts: list[int]) -> None:
    answering = StreamUntouched(200, terms())
    assert fed(answering, STREAM, cuts) == STREAM
    assert (answering.usage, answering.answered, answering.finished, answering.text) == (Usage(input=5, output=2), "gpt-1", True, 5)


@given(CUTS)
@settings(max_examples=examples(60), deadline=None)
def test_forced_usage_is_taken_out_again(cuts: list[int]) -> None:
    answering = StreamUntouched(200, terms(hide_usage=True))
    assert fed(answering, STREAM, cuts) == STREAM.replace(USAGE_ONLY, b"")
    assert answering.usage == Usage(input=5, output=2)


@pytest.mark.parametrize("hide", [False, True])
def test_the_last_event_without_its_blank_line(hide: bool) -> None:
    body = STREAM.removesuffix(b"\n\n")
    answering = StreamUntouched(200, terms(hide_usage=hide))
    assert fed(answering, body) == (body.replace(USAGE_ONLY, b"") if hide else body)
    assert answering.finished
    answering = StreamUntouched(200, terms(hide_usage=hide))
    body = (delta("Hello", "stop") + USAGE_ONLY).removesuffix(b"\n\n")
    assert fed(answering, body) == (delta("Hello", "stop") if hide else body)
    assert answering.usage == Usage(input=5, output=2)
    assert answering.finished


@given(CUTS)
@settings(max_examples=40, deadline=None)
def test_whole_translated(cuts: list[int]) -> None:
    answering = WholeTranslated(200, terms(provider="anthropic"), {})
    out = msgspec.json.decode(fed(answering, msgspec.json.encode(MESSAGE), cuts))
    assert out["choices"][0]["message"]["content"] == "Hello"
    assert (out["object"], out["model"], out["usage"]["completion_tokens"]) == ("chat.completion", "claude-1", 2)
    assert (answering.usage, answering.answered, answering.finished, answering.status) == (Usage(input=5, output=2), "claude-1", True, 200)


@pytest.mark.parametrize(
    ("length", "mode"), [(0, BodyMode.STREAMED), (1, BodyMode.BUFFERED), (512 * 1024, BodyMode.BUFFERED), (600_000, BodyMode.STREAMED)]
)
def test_small_bodies_are_asked_for_whole(length: int, mode: BodyMode) -> None:
    assert WholeTranslated(200, terms(provider="anthropic"), {"content-length": str(length)}).mode == mode


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"content":1}', b"null", b"\xff", b'{"a":"\xff"}', b"[" * 200_000])
def test_what_is_no_answer_is_a_bad_gateway(body: bytes) -> None:
    answering = WholeTranslated(200, terms(provider="anthropic"), {})
    error = msgspec.json.decode(fed(answering, body))["error"]
    assert (error["code"], error["request_id"]) == ("bad_provider_answer", "r-1")
    assert (answering.status, answering.error, answering.usage) == (502, "bad_provider_answer", None)


@given(CUTS)
@settings(max_examples=examples(60), deadline=None)
def test_stream_translated(cuts: list[int]) -> None:
    answering = StreamTranslated(200, terms(provider="anthropic", include_usage=True))
    whole = fed(StreamTranslated(200, terms(provider="anthropic", include_usage=True)), MESSAGE_STREAM)
    out = fed(answering, MESSAGE_STREAM, cuts)
    assert timeless(out) == timeless(whole)
    assert out.count(b"[DONE]") == 1
    assert b'"content":"Hello"' in out
    assert (answering.usage, answering.answered, answering.finished) == (Usage(input=5, output=2), "claude-1", True)
    assert answering.headers["content-type"].startswith("text/event-stream")


@given(CUTS)
@settings(max_examples=40, deadline=None)
def test_the_other_way_round(cuts: list[int]) -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai"))
    out = fed(answering, STREAM, cuts)
    assert out.startswith(b"event: message_start")
    assert out.count(b"message_stop") == 2
    assert (answering.usage, answering.finished) == (Usage(input=5, output=2), True)


def test_a_translated_stream_that_breaks_off_says_so() -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai"))
    out = fed(answering, delta("Hello"))
    assert b"event: error" in out
    assert not answering.finished


@pytest.mark.parametrize("last", [1, 2])
def test_a_translated_stream_without_its_last_line(last: int) -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai"))
    assert b"message_stop" in fed(answering, STREAM[:-last])
    assert answering.finished


@pytest.mark.parametrize(
    "answering",
    [
        WholeUntouched(200, terms(most=100), {}), WholeTranslated(200, terms(provider="anthropic", most=100), {}),
        Failure(500, terms(most=100), {}),
        StreamUntouched(200, terms(most=100)),
    ],
    ids=lambda answering: type(answering).__name__,
)  # fmt: skip
def test_nothing_grows_without_bound(answering: Answering) -> None:
    answering.feed(b"data: " + b"x" * 80, False)
    with pytest.raises(BrokenAnswer, match=r"limits\.response_body"):
        answering.feed(b"x" * 80, False)


def test_a_long_stream_of_small_events_is_no_trouble() -> None:
    answering = StreamUntouched(200, terms(most=1000))
    for _ in range(100):
        assert answering.feed(delta("Hello"), False)


def test_a_provider_that_names_no_model_leaves_its_clients_one() -> None:
    whole = {"id": "c", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}}
    answering = choose(200, {"content-type": "application/json"}, terms("openai", "cohere", model="command-a"))
    assert msgspec.json.decode(fed(answering, msgspec.json.encode(whole)))["model"] == "command-a"
    assert answering.answered == "", "the ledger is told what the provider said"
    begin = b'event: message-start\ndata: {"type":"message-start","id":"c"}\n\n'
    answering = choose(200, {"content-type": "text/event-stream"}, terms("openai", "cohere", model="command-a"))
    assert b'"model":"command-a"' in fed(answering, begin)


def test_a_form_of_a_conversation_is_told_in_its_own_fields() -> None:
    chunk = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    asked = DIALECTS["ollama"].operations["generate"].read_request({"model": "m", "prompt": "Hi"}).asked
    for kind, of, field in (("chat", {}, b'"message":{'), ("generate", asked, b'"response":"Hi"')):
        answering = choose(200, {"content-type": "text/event-stream"}, terms("ollama", "openai", kind=kind, asked=of))
        assert answering.headers["content-type"] == "application/x-ndjson"
        assert field in fed(answering, chunk)
    whole = b'{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
    answering = choose(200, {"content-type": "application/json"}, terms("ollama", "openai", kind="generate"))
    assert msgspec.json.decode(fed(answering, whole))["response"] == "Hi"


def test_who_says_neither_id_nor_model_gets_them() -> None:
    """Bedrock says neither, and every client wants both."""
    whole = b'{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn"}'
    told = terms("openai", "bedrock", model="nova")
    body = msgspec.json.decode(fed(WholeTranslated(200, told, {"content-length": str(len(whole))}), whole))
    assert (body["id"], body["model"], body["choices"][0]["message"]["content"]) == ("r-1", "nova", "Hi")
    stream = message("messageStart", b"{}") + message("messageStop", b'{"stopReason":"end_turn"}')
    first = fed(StreamTranslated(200, told), stream, [7, 40]).split(b"\n\n")[0].removeprefix(b"data: ")
    assert (msgspec.json.decode(first)["id"], msgspec.json.decode(first)["model"]) == ("r-1", "nova")
    named = b'{"id":"c1","model":"gpt-5-1","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    body = msgspec.json.decode(fed(WholeTranslated(200, terms("anthropic", "openai", model="gpt-5"), {}), named))
    assert (body["id"], body["model"]) == ("c1", "gpt-5-1")


@pytest.mark.parametrize("client", ["openai", "bedrock"])
def test_a_binary_stream_that_begins_with_an_exception(client: str) -> None:
    answering = choose(200, {"content-type": "application/vnd.amazon.eventstream"}, terms(client, "bedrock"))
    answering.feed(exception("throttlingException", b'{"message":"Slow down"}'), False)
    assert answering.begun
    assert answering.opening is not None
    assert (answering.opening.status, answering.opening.message) == (429, "Slow down")


@pytest.mark.parametrize("client", ["openai", "bedrock"])
def test_a_binary_stream_that_begins_damaged(client: str) -> None:
    answering = choose(200, {"content-type": "application/vnd.amazon.eventstream"}, terms(client, "bedrock"))
    answering.feed(b"<html>a load balancer's page</html>", False)
    assert answering.opening is not None
    assert answering.opening.status == 502


def test_a_message_without_end_is_too_much() -> None:
    answering = choose(200, {"content-type": "application/vnd.amazon.eventstream"}, terms("bedrock", "bedrock", most=1000))
    whole = message("contentBlockDelta", b"x" * 5000)
    answering.feed(whole[:900], False)
    with pytest.raises(BrokenAnswer):
        answering.feed(whole[900:2000], False)


def test_a_binary_stream_of_the_same_dialect_passes_to_the_byte() -> None:
    stream = message("messageStart", b"{}") + message("messageStop", b'{"stopReason":"end_turn"}')
    stream += message("metadata", b'{"usage":{"inputTokens":3,"outputTokens":4}}')
    answering = choose(200, {"content-type": "application/vnd.amazon.eventstream"}, terms("bedrock", "bedrock"))
    assert fed(answering, stream, [1, 11, 12, 90]) == stream
    assert (answering.usage, answering.finished) == (Usage(input=3, output=4), True)
    assert not answering.may_wait(stream) or not answering.even


def test_what_the_client_has_no_words_for_is_named() -> None:
    choices = [{"index": i, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"} for i in (0, 1)]
    body = msgspec.json.encode({"id": "a", "model": "m", "created": 1, "choices": choices})
    answering = WholeTranslated(200, terms("anthropic", "openai", dropped=("seed",)), {"content-length": str(len(body))})
    answering.feed(body, True)
    assert answering.headers == {"x-headgate-dropped": "seed, answer.choices[1:]"}


def test_text_counts_where_a_provider_counts_nothing() -> None:
    way = WholeTranslated(200, terms("anthropic", "openai"), {})
    fed(way, msgspec.json.encode({**CHAT, "usage": None}))
    assert (way.usage, way.text) == (None, 5)
