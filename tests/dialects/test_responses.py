"""The Responses API: recorded exchanges through it, from it and to it, read by the official SDK."""

import json
from typing import Any

import openai
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.anthropic.tokens import read_usage as read_anthropic
from extproc.dialects.hub import Error
from extproc.dialects.openai.tokens import read_usage as read_openai
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.traffic import ANSWERS, STREAMS, TRANSLATED, Exchange, data, hub_events, name, rewrite

RESPONSES = DIALECTS["responses"]

OWN = [exchange for exchange in STREAMS if exchange.dialect == "responses"]
OWN_ANSWERS = [exchange for exchange in ANSWERS if exchange.dialect == "responses" and exchange.answer["status"] == "completed"]
OTHERS = [exchange for exchange in STREAMS if exchange.dialect in ("openai", "anthropic")]
OTHER_ANSWERS = [exchange for exchange in ANSWERS if exchange.dialect in ("openai", "anthropic")]
WHOLE_STREAMS = [exchange for exchange in OWN if '"response.completed"' in exchange.text]


def texts(response: Any) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"] if "text" in part)


def calls(response: Any) -> list[tuple[str, str, Any]]:
    found = [item for item in response["output"] if item["type"] == "function_call"]
    return [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in found]


def thoughts(response: Any) -> str:
    items = [item for item in response["output"] if item["type"] == "reasoning"]
    return "".join("\n\n".join(part["text"] for part in item.get("content") or item["summary"]) for item in items)


def counted(usage: Any) -> Usage:
    details, out = usage["input_tokens_details"], usage["output_tokens_details"]
    return Usage(
        input=usage["input_tokens"], output=usage["output_tokens"], cache_read=details["cached_tokens"],
        cache_write=details.get("cache_write_tokens") or 0, reasoning=out["reasoning_tokens"],
    )  # fmt: skip


# Its own streams.


@pytest.mark.parametrize("exchange", OWN, ids=name)
def test_a_stream_adds_up_to_the_same(exchange: Exchange) -> None:
    """How texts are cut, random padding (`obfuscation`), and which of two items is told first mean nothing; all else is as it was."""
    stream = exchange.text.encode()
    written = data(rewrite("responses", "responses", stream))
    given = data(stream)
    if given[-1]["type"] not in ("response.completed", "response.incomplete"):
        assert isinstance(hub_events("responses", stream)[-1], Error)
        return
    assert _summary(written) == _summary(given)
    assert [event["sequence_number"] for event in written] == list(range(len(written)))


def _summary(events: list[Any]) -> list[Any]:
    kept: list[Any] = []
    *told, last = events
    for event in [*sorted(told, key=lambda event: event.get("output_index", -1)), last]:
        known = {key: value for key, value in event.items() if key not in ("sequence_number", "obfuscation", "delta")}
        if known.get("part", {}).get("type") == "output_text":
            known["part"] = {"logprobs": [], **known["part"]}
        if kept and kept[-1][0] == known:
            kept[-1][1].append(event.get("delta"))
        else:
            kept.append((known, [event.get("delta")]))
    return [(known, "".join(filter(None, deltas))) for known, deltas in kept]


@pytest.mark.parametrize("exchange", OWN, ids=name)
def test_usage_of_a_stream_that_passes_through(exchange: Exchange) -> None:
    watch = RESPONSES.stream_usage()
    later = RESPONSES.stream_usage()
    events = [event + b"\n\n" for event in exchange.text.encode().split(b"\n\n") if event.strip()]
    told = [watch.feed(event) for event in events]
    whole = exchange in WHOLE_STREAMS
    assert watch.finished == whole == (sum(told) == 1)
    assert watch.model
    later.feed(events[0])
    later.feed_later(events[1:])
    assert (later.text, later.finished, later.usage) == (watch.text, watch.finished, watch.usage)
    if whole:
        assert watch.usage == counted(data(exchange.text.encode())[-1]["response"]["usage"])
        deltas = [event["delta"] for event in data(exchange.text.encode()) if "delta" in event]
        assert watch.text == len("".join(deltas).encode())


# Its answers, for clients of other dialects.


@cases("exchange", OWN_ANSWERS, ids=name)
def test_an_answer_reaches_anthropics_sdk(exchange: Exchange) -> None:
    given = exchange.answer
    message = sdk.anthropic_answer(DIALECTS["anthropic"].write_answer(RESPONSES.read_answer(given)))
    assert "".join(block.text for block in message.content if block.type == "text") == texts(given)
    assert [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"] == calls(given)
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts(given)
    assert message.stop_reason == ("tool_use" if calls(given) else "end_turn")
    assert read_anthropic(message.usage.model_dump()) == counted(given["usage"])


@cases("exchange", OWN_ANSWERS, ids=name)
def test_an_answer_reaches_openais_sdk(exchange: Exchange) -> None:
    given = exchange.answer
    completion = sdk.openai_answer(DIALECTS["openai"].write_answer(RESPONSES.read_answer(given)))
    (choice,) = completion.choices
    assert (choice.message.content or "") == texts(given)
    found = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in found] == calls(given)
    assert getattr(choice.message, "reasoning_content", "") == thoughts(given)
    assert choice.finish_reason == ("tool_calls" if calls(given) else "stop")
    assert completion.usage
    assert read_openai(completion.usage.model_dump()) == counted(given["usage"])


@pytest.mark.parametrize("exchange", WHOLE_STREAMS, ids=name)
def test_a_stream_reaches_anthropics_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    given = data(stream)[-1]["response"]
    message, _ = sdk.anthropic_stream(rewrite("responses", "anthropic", stream))
    assert "".join(block.text for block in message.content if block.type == "text") == texts(given)
    assert [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"] == calls(given)
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts(given)
    assert message.stop_reason == ("tool_use" if calls(given) else "end_turn")
    assert read_anthropic(message.usage.model_dump()) == counted(given["usage"])


@pytest.mark.parametrize("exchange", WHOLE_STREAMS, ids=name)
def test_a_stream_reaches_openais_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    given = data(stream)[-1]["response"]
    chunks = sdk.openai_stream(rewrite("responses", "openai", stream))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == texts(given)
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == thoughts(given)
    assert chunks[-1].usage
    assert read_openai(chunks[-1].usage.model_dump()) == counted(given["usage"])


# Answers of others, for its clients.


@cases("exchange", OTHER_ANSWERS, ids=name)
def test_anothers_answer_reaches_its_clients(exchange: Exchange) -> None:
    response = sdk.responses_answer(RESPONSES.write_answer(DIALECTS[exchange.dialect].read_answer(exchange.answer))).to_dict()
    said, called, thought = _said(exchange)
    assert (texts(response), [call[1:] for call in calls(response)], thoughts(response)) == (said, called, thought)
    assert counted(response["usage"]) == _known(DIALECTS[exchange.dialect].usage(json.dumps(exchange.answer).encode())[0])
    assert _ids(response)
    stopped = exchange.answer.get("stop_reason") or exchange.answer["choices"][0]["finish_reason"]
    assert response["status"] == ("incomplete" if stopped in ("length", "max_tokens", "content_filter", "refusal") else "completed")


def _known(usage: Usage | None) -> Usage:
    """Without what the Responses API has no field for."""
    assert usage
    return Usage(usage.input, usage.output, usage.cache_read, usage.cache_write, 0, usage.reasoning)


def _ids(response: Any) -> bool:
    """Each item has an id of its own, which begins as OpenAI's do."""
    begins = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}
    ids = [item["id"] for item in response["output"]]
    assert all(item["id"].startswith(begins[item["type"]]) and len(item["id"]) <= 64 for item in response["output"])
    return len(set(ids)) == len(ids) and response["id"].startswith("resp_")


def _said(exchange: Exchange) -> tuple[str, list[tuple[str, Any]], str]:
    if exchange.dialect == "anthropic":
        blocks = exchange.answer["content"]
        thought = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
        called = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        return "".join(block["text"] for block in blocks if block["type"] == "text"), called, thought
    message = exchange.answer["choices"][0]["message"]
    called = [(call["function"]["name"], json.loads(call["function"].get("arguments") or "{}")) for call in message.get("tool_calls") or ()]
    return message.get("content") or "", called, message.get("reasoning_content") or message.get("reasoning") or ""


@pytest.mark.parametrize("exchange", OTHERS, ids=name)
def test_anothers_stream_reaches_its_clients(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    final, events = sdk.responses_stream(rewrite(exchange.dialect, "responses", stream))
    response: Any = final.to_dict()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events][:2] == ["response.created", "response.in_progress"]
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert told == texts(response)
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert arguments == "".join(item["arguments"] for item in response["output"] if item["type"] == "function_call")
    assert _ids(response)
    assert (told, [call[1:] for call in calls(response)]) == _streamed(exchange)
    done: list[Any] = [event.item.to_dict() for event in events if event.type == "response.output_item.done"]
    assert {item["id"]: item for item in done} == {item["id"]: item for item in response["output"]}
    assert sum(event.type == "response.output_item.added" for event in events) == len(done)
    assert sum(event.type == "response.content_part.added" for event in events) == sum(
        event.type == "response.content_part.done" for event in events
    )


def _streamed(exchange: Exchange) -> tuple[str, list[tuple[str, Any]]]:
    """What the provider said, put together from its events."""
    said, called = "", dict[int, list[str]]()
    for event in data(exchange.text.encode()):
        for choice in event.get("choices", ()):
            content = choice["delta"].get("content") or ""
            said += "".join(part.get("text", "") for part in content) if isinstance(content, list) else content
            for call in choice["delta"].get("tool_calls") or ():
                called.setdefault(call["index"], ["", ""])
                called[call["index"]][0] += call["function"].get("name") or ""
                called[call["index"]][1] += call["function"].get("arguments") or ""
        if event.get("type") == "content_block_start" and event["content_block"]["type"] == "tool_use":
            called[event["index"]] = [event["content_block"]["name"], ""]
        if event.get("type") == "content_block_delta":
            said += event["delta"].get("text", "")
            if event["index"] in called:
                called[event["index"]][1] += event["delta"].get("partial_json", "")
    return said, [(name, json.loads(arguments or "{}")) for name, arguments in called.values()]


# Requests.


@cases("target", ["openai", "anthropic"])
@cases("exchange", [e for e in TRANSLATED if e.dialect == "responses"], ids=name)
def test_its_request_reaches_others(exchange: Exchange, target: str) -> None:
    there = DIALECTS[target]
    conversation = RESPONSES.read_request(exchange.request)
    body = there.write_request(conversation, {"openai": "gpt-5", "anthropic": "claude-sonnet-4-5"}[target])
    again = json.dumps(body, ensure_ascii=False)
    for item in exchange.request["input"]:
        content = item.get("content") or item.get("output") or ""
        for text in [content] if isinstance(content, str) else [part["text"] for part in content if "text" in part]:
            assert json.dumps(text.rstrip(), ensure_ascii=False)[1:-1] in again
    there.read_request(body)
    for asked in ("previous_response_id", "conversation", "background", "moderation"):
        assert (asked in conversation.dropped) == bool(exchange.request.get(asked))
    silent = ("id", "status", "include", "stream_options", "phase", "input")
    assert not any(path.split(".")[-1] in silent for path in conversation.dropped)


@cases("exchange", [e for e in TRANSLATED if e.dialect in ("openai", "anthropic")], ids=name)
def test_anothers_request_reaches_it(exchange: Exchange) -> None:
    conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
    body = RESPONSES.write_request(conversation, "gpt-5")
    assert body["store"] is bool(exchange.request.get("store"))
    again = json.dumps(body, ensure_ascii=False)
    for message in exchange.request["messages"]:
        content = message.get("content") or ""
        for text in [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]:
            assert json.dumps(text, ensure_ascii=False)[1:-1] in again
    called = {item["call_id"] for item in body["input"] if item.get("type") == "function_call"}
    assert {item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"} <= called
    assert RESPONSES.write_request(RESPONSES.read_request(body), "gpt-5") == body


# Errors.


def test_an_error_in_mid_stream_is_raised_by_the_sdk() -> None:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk = {**head, "choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    written = rewrite("openai", "responses", b"data: " + json.dumps(chunk).encode() + b"\n\n")
    events = data(written)
    assert [event["type"] for event in events][-2:] == ["error", "response.failed"]
    assert events[-1]["response"]["status"] == "failed"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    with pytest.raises(openai.APIError, match="closed the stream"):
        sdk.responses_stream(written)


def test_a_shortened_conversation_is_metered() -> None:
    usage = {"input_tokens": 139, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 438, "total_tokens": 577}
    body = {"id": "resp_1", "object": "response.compaction", "created_at": 1, "output": [{"type": "compaction"}], "usage": usage}
    told, _ = RESPONSES.usage(json.dumps(body).encode())
    assert told is not None and (told.input, told.cache_read, told.output) == (139, 4, 438)
