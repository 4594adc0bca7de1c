"""Cohere's chat, as recorded and by its reference: to and from the other dialects, and to its own SDK."""

import json
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError

from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.dialects.hub import Citation, Extra, StopReason, Text
from extproc.dialects.sse import SSE
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.said import Said, asked, by_answer, by_anthropic, by_chunks, by_events, by_openai
from tests.dialects.traffic import ANSWERS, MODEL, STREAMS, TRANSLATED, Exchange, data, hub_events, name, rewrite

COHERE, OPENAI, ANTHROPIC = DIALECTS["cohere"], DIALECTS["openai"], DIALECTS["anthropic"]
OTHERS = [other for other in DIALECTS if other != "cohere"]

OWN_ANSWERS = [e for e in ANSWERS if e.dialect == "cohere"]
OWN_STREAMS = [e for e in STREAMS if e.dialect == "cohere"]
FOREIGN_ANSWERS = [e for e in ANSWERS if e.dialect in OTHERS]
FOREIGN_STREAMS = [e for e in STREAMS if e.dialect in OTHERS]

ASK = [{"role": "user", "content": "Hi"}]


def _counted(said: Said, usage: Any) -> Said:
    if usage is not None:
        said.input, said.output = int(usage.billed_units.input_tokens), int(usage.billed_units.output_tokens)
    return said


def said_by(response: cohere.V2ChatResponse) -> Said:
    message = response.message
    said = Said(cut=response.finish_reason == "MAX_TOKENS", reasoning=message.tool_plan or "")
    for block in message.content or ():
        if block.type == "text":
            said.text += block.text
        else:
            said.reasoning += block.thinking
    for call in message.tool_calls or ():
        assert call.function is not None and call.function.name is not None and call.id
        said.calls.append((call.function.name, json.loads(call.function.arguments or "{}")))
    return _counted(said, response.usage)


def said_by_all(events: list[Any]) -> Said:
    """As the events say it; and they come in their order."""
    assert [event.type for event in events].count("message-start") == 1 and events[0].type == "message-start"
    assert [event.type for event in events].count("message-end") == 1 and events[-1].type == "message-end"
    said = Said()
    contents: list[str] = []
    calls: list[list[str]] = []
    for event in events[1:-1]:
        message: Any = event.delta.message if getattr(event, "delta", None) else None
        match event.type:
            case "content-start":
                assert event.index == len(contents)
                contents.append(message.content.type)
            case "content-delta":
                assert (contents[event.index] == "text") == (message.content.text is not None)
                said.text += message.content.text or ""
                said.reasoning += message.content.thinking or ""
            case "tool-plan-delta":
                said.reasoning += message.tool_plan
            case "tool-call-start":
                assert event.index == len(calls) and message.tool_calls.id
                calls.append([message.tool_calls.function.name, ""])
            case "tool-call-delta":
                calls[event.index][1] += message.tool_calls.function.arguments
    for kind, total in (("content", len(contents)), ("tool-call", len(calls))):
        assert [event.index for event in events if event.type == f"{kind}-end"] == list(range(total))
    said.calls = [(called, json.loads(text)) for called, text in calls]
    end = events[-1].delta
    said.cut = end.finish_reason == "MAX_TOKENS"
    return _counted(said, end.usage)


# Its own answers and streams.


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    written = rewrite("cohere", "cohere", stream)
    assert data(written, "cohere") == data(stream, "cohere")
    assert written.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("exchange", OWN_ANSWERS, ids=name)
def test_an_answer_reaches_the_other_sdks(exchange: Exchange) -> None:
    said = by_answer(COHERE.read_answer(exchange.answer))
    assert said == said_by(sdk.cohere_answer(exchange.answer))
    completion = sdk.openai_answer(OPENAI.write_answer(COHERE.read_answer(exchange.answer)))
    assert by_openai(completion) == said
    assert (completion.choices[0].finish_reason == "tool_calls") == bool(said.calls)
    message = sdk.anthropic_answer(ANTHROPIC.write_answer(COHERE.read_answer(exchange.answer)))
    assert by_anthropic(message) == said
    assert (message.stop_reason == "tool_use") == bool(said.calls)


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_reaches_the_other_sdks(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    said = by_events(hub_events("cohere", stream))
    assert said == said_by_all(sdk.cohere_stream(stream))
    assert by_chunks(sdk.openai_stream(rewrite("cohere", "openai", stream))) == said
    message, _ = sdk.anthropic_stream(rewrite("cohere", "anthropic", stream))
    assert by_anthropic(message) == said


@cases("exchange", FOREIGN_ANSWERS, ids=name)
def test_an_answer_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    provider = DIALECTS[exchange.dialect]
    written = COHERE.write_answer(provider.read_answer(exchange.answer))
    said = by_answer(provider.read_answer(exchange.answer))
    assert said_by(sdk.cohere_answer(written)) == said
    assert (written["finish_reason"] == "TOOL_CALL") == bool(said.calls)
    calls = written["message"].get("tool_calls", [])
    assert len({call["id"] for call in calls}) == len(calls)


@cases("exchange", FOREIGN_STREAMS, ids=name)
def test_a_stream_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    events = sdk.cohere_stream(rewrite(exchange.dialect, "cohere", stream))
    assert said_by_all(events) == by_events(hub_events(exchange.dialect, stream))


@cases("exchange", [e for e in TRANSLATED if e.dialect in OTHERS], ids=name)
def test_a_request_of_another_dialect_has_its_form(exchange: Exchange) -> None:
    conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
    body = COHERE.write_request(conversation, MODEL["cohere"])
    for i, message in enumerate(body["messages"]):
        kind: dict[str, Any] = {
            "user": cohere.UserChatMessageV2,
            "assistant": cohere.AssistantChatMessageV2,
            "system": cohere.SystemChatMessageV2,
        }
        kind.get(message["role"], cohere.ToolChatMessageV2).model_validate(message)
        assert message["role"] != "system" or i == 0
    for tool in body.get("tools", []):
        cohere.ToolV2.model_validate(tool)
    again = json.dumps(body, ensure_ascii=False)
    assert [text for text in asked(DIALECTS[exchange.dialect].read_request(exchange.request)) if text not in again] == []
    COHERE.read_request(body)


# Answers.


@pytest.mark.parametrize(
    "body", [{}, {"message": "too many tokens"}, {"message": {"content": 1}}, {"finish_reason": "ERROR", "message": {"role": "assistant"}}]
)
def test_what_is_no_answer(body: Extra) -> None:
    with pytest.raises(ValueError, match=r"message|finish_reason"):
        COHERE.read_answer(body)


REASONS = [
    ("COMPLETE", StopReason.END),
    ("STOP_SEQUENCE", StopReason.STOP_SEQUENCE),
    ("MAX_TOKENS", StopReason.LENGTH),
    ("TOOL_CALL", StopReason.TOOL),
    ("TIMEOUT", StopReason.LENGTH),
    ("ERROR_TOXIC", StopReason.FILTER),
    ("OF_TOMORROW", StopReason.END),
]


def test_null_is_no_arguments() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "null"}}]
    body = {"id": "c", "message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "TOOL_CALL"}
    answer = COHERE.read_answer(body)
    assert COHERE.write_answer(answer)["message"]["tool_calls"] == calls
    told = {name: DIALECTS[name].write_answer(COHERE.read_answer(body)) for name in ("openai", "anthropic", "gemini", "ollama", "bedrock")}
    assert told["openai"]["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert told["anthropic"]["content"][0]["input"] == {}
    assert told["gemini"]["candidates"][0]["content"]["parts"][0]["functionCall"].get("args", {}) == {}
    assert told["ollama"]["message"]["tool_calls"][0]["function"]["arguments"] == {}
    assert told["bedrock"]["output"]["message"]["content"][0]["toolUse"]["input"] == {}


@pytest.mark.parametrize(("word", "reason"), REASONS)
def test_reasons(word: str, reason: StopReason) -> None:
    answer = COHERE.read_answer({"id": "c", "finish_reason": word, "message": {"role": "assistant", "content": []}})
    assert answer.choices[0].stop is reason
    answer.dialect = "of_tomorrow"
    if word not in ("TIMEOUT", "OF_TOMORROW"):
        assert COHERE.write_answer(answer)["finish_reason"] == word


def test_citations_cross() -> None:
    (exchange,) = [e for e in OWN_ANSWERS if e.answer["id"] == "c5"]
    (choice,) = sdk.openai_answer(OPENAI.write_answer(COHERE.read_answer(exchange.answer))).choices
    assert choice.message.annotations is not None
    (annotation,) = choice.message.annotations
    assert annotation.url_citation.model_dump() == {
        "url": "https://example.com/tall",
        "title": "Tall penguins",
        "start_index": 29,
        "end_index": 45,
    }


def test_citations_of_others() -> None:
    answer = COHERE.read_answer({"id": "c", "finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "As said."}]}})
    answer.dialect = "of_tomorrow"
    (text,) = answer.choices[0].blocks
    assert isinstance(text, Text)
    text.citations = [Citation(url="https://x.org", title="X", quote="q"), Citation(title="Y", start=3, end=99)]
    whole, part = COHERE.write_answer(answer)["message"]["citations"]
    cohere.Citation.model_validate(whole)
    source = {"type": "document", "id": "https://x.org", "document": {"title": "X", "url": "https://x.org", "snippet": "q"}}
    assert whole == {"start": 0, "end": 8, "text": "As said.", "sources": [source], "content_index": 0, "type": "TEXT_CONTENT"}
    assert (part["start"], part["end"], part["text"]) == (3, 8, "said.")


def test_logprobs_cross() -> None:
    (exchange,) = [e for e in OWN_ANSWERS if "logprobs" in e.answer]
    answer = COHERE.read_answer(exchange.answer)
    answer.dialect = "of_tomorrow"
    written = sdk.cohere_answer(COHERE.write_answer(answer))
    assert written.logprobs is not None
    assert [(one.text, one.logprobs) for one in written.logprobs] == [("{", [-0.1]), ('"name"', [-0.2])]


# Usage of what passes through.


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_usage_of_a_stream(exchange: Exchange, later: bool) -> None:
    stream = exchange.text.encode()
    watch = COHERE.stream_usage()
    pieces = split(SSE, stream)
    last = next(i for i, piece in enumerate(pieces) if b"message-end" in piece)
    assert [i for i, piece in enumerate(pieces) if watch.needle in piece] == [last]
    if later:
        watch.feed_later(pieces[:last])
    else:
        assert not any(watch.feed(piece) for piece in pieces[:last])
    assert not watch.finished
    assert watch.feed(pieces[last])
    said = by_events(hub_events("cohere", stream))
    assert watch.usage is not None
    assert (watch.usage.input, watch.usage.output, watch.finished) == (said.input, said.output, True)
    calls = [
        event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in data(stream) if event["type"] == "tool-call-delta"
    ]
    assert watch.text == len((said.text + said.reasoning + "".join(calls)).encode()), "what a citation repeats was not generated"


COUNTED: list[tuple[Extra, Usage | None]] = [
    ({"billed_units": {"input_tokens": 13, "output_tokens": 61}, "tokens": {"input_tokens": 542, "output_tokens": 63}}, Usage(13, 61)),
    ({"billed_units": {"input_tokens": 18.0, "output_tokens": 6.0}}, Usage(18, 6)),
    ({"tokens": {"input_tokens": 542, "output_tokens": 63}, "cached_tokens": 500}, Usage(542, 63, 500)),
    ({"billed_units": {"input_tokens": 9, "output_tokens": 2}, "cached_tokens": 2928}, Usage(9, 2, 9)),
    ({"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 5}}, Usage(5)),
    ({"billed_units": None, "tokens": {}}, None),
    ({"tokens": {"input_tokens": "many"}}, None),
    ({}, None),
]


@pytest.mark.parametrize(("told", "usage"), COUNTED)
def test_usage_of_an_answer(told: Extra, usage: Usage | None) -> None:
    body = {"id": "c", "finish_reason": "COMPLETE", "message": {"content": []}, "usage": told}
    assert COHERE.usage(json.dumps(body).encode()) == (usage, "")
    assert COHERE.read_answer(body).usage == usage


@pytest.mark.parametrize("exchange", OWN_ANSWERS, ids=name)
def test_what_is_billed_counts(exchange: Exchange) -> None:
    usage, _ = COHERE.usage(json.dumps(exchange.answer).encode())
    billed = exchange.answer["usage"]["billed_units"]
    assert usage is not None
    assert (usage.input, usage.output) == (billed["input_tokens"], billed["output_tokens"])
    assert usage.cache_read <= usage.input


def test_usage_of_what_is_no_conversation() -> None:
    embedded = {"id": "e", "embeddings": {}, "meta": {"billed_units": {"input_tokens": 7}}}
    assert COHERE.usage(json.dumps(embedded).encode()) == (Usage(7), "")
    ranked = {"id": "r", "results": [], "meta": {"billed_units": {"search_units": 1}}}
    assert COHERE.usage(json.dumps(ranked).encode()) == (None, "")


# Errors.


ERRORS = [
    (400, b'{"message":"invalid request: list of documents must not be empty"}', "invalid_request"),
    (
        400,
        b'{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."}',
        "context_length_exceeded",
    ),
    (401, b'{"id":"x","message":"invalid api token"}', "invalid_api_key"),
    (402, b'{"message":"Maximum billing reached for this API key"}', "insufficient_quota"),
    (404, b'{"message":"model \'x\' not found, make sure the correct model ID was used"}', "model_not_found"),
    (404, b'{"message":"404 page not found"}', "not_found"),
    (422, b'{"message":{"detail":"no"}}', "invalid_request"),
    (429, b'{"message":"You are past the per minute request limit, please wait and try again later."}', "rate_limit_exceeded"),
    (498, b'{"message":"blocked output"}', "content_filter"),
    (500, b'{"data":"internal server error"}', "internal_error"),
    (503, b"<html><title>503 Service Unavailable</title></html>", "overloaded"),
    (504, b"", "timeout"),
]


@pytest.mark.parametrize(("status", "body", "code"), ERRORS)
def test_errors(status: int, body: bytes, code: str) -> None:
    fault = COHERE.read_error(status, body)
    assert (fault.status, fault.code) == (400 if code == "content_filter" else status, code)
    assert fault.message
    told = COHERE.write_error(fault, "req_1")
    with pytest.raises(ApiError) as failed:
        sdk.cohere_client(json.dumps(told).encode(), status=status).chat(model="m", messages=sdk.QUESTION)
    assert (failed.value.status_code, failed.value.body) == (status, {"id": "req_1", "message": fault.message})


# Models.


def test_models() -> None:
    listed = sdk.cohere_client(json.dumps(COHERE.list_models(["a", "b"])).encode()).models.list()
    assert [model.name for model in listed.models] == ["a", "b"]
    cohere.ListModelsResponse.model_validate(COHERE.list_models(["a"]))
    shown = sdk.cohere_client(json.dumps(COHERE.describe_model("a")).encode()).models.get("a")
    assert (shown.name, shown.endpoints) == ("a", ["chat", "embed", "rerank"])
