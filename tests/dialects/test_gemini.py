"""Gemini: the recorded exchanges through it and the other dialects, as the official SDKs read them."""

import json
from itertools import pairwise
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.gemini.arrays import ARRAY, Elements
from extproc.dialects.gemini.signatures import UNSIGNED
from extproc.dialects.hub import ArgumentsDelta, BlockStart, ReasoningDelta, StreamEvent, TextDelta, ToolCall
from extproc.dialects.seals import pack, packed
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.framed import cut
from tests.dialects.traffic import (
    ANSWERS,
    MODEL,
    RECORDINGS,
    STREAMS,
    TRANSLATED,
    Exchange,
    data,
    hub_events,
    name,
    read,
    rewrite,
)

GEMINI, OPENAI, ANTHROPIC = DIALECTS["gemini"], DIALECTS["openai"], DIALECTS["anthropic"]
OTHERS = ("openai", "anthropic")

MINE = [e for e in TRANSLATED if e.dialect == "gemini"]
MY_ANSWERS = [e for e in ANSWERS if e.dialect == "gemini"]
MY_STREAMS = [e for e in STREAMS if e.dialect == "gemini"]
THEIRS = [e for e in ANSWERS if e.dialect in OTHERS]
THEIR_STREAMS = [e for e in STREAMS if e.dialect in OTHERS]

FILTERED = {"SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"}


def summed(chunks: list[Any]) -> Any:
    """What responses add up to. How text was cut means nothing, nor do empty texts."""
    whole: dict[str, Any] = {"candidates": {}}
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            state = whole["candidates"].setdefault(candidate.get("index", 0), {"parts": []})
            for part in candidate.get("content", {}).get("parts", ()):
                _add(state["parts"], part)
            state |= {key: value for key, value in candidate.items() if key not in ("content", "index")}
        whole |= {key: value for key, value in chunk.items() if key != "candidates"}
    return whole


def _add(parts: list[Any], part: Any) -> None:
    texts = set(part) <= {"text", "thought", "thoughtSignature"}
    if texts and not part.get("text") and "thoughtSignature" not in part:
        return
    last = parts[-1] if parts else {}
    if texts and "text" in last and last.get("thought") == part.get("thought") and "thoughtSignature" not in last:
        last["text"] += part.get("text", "")
        last |= {key: value for key, value in part.items() if key != "text"}
    else:
        parts.append(dict(part))


def said(body: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    """Text, thoughts and calls of the first candidate."""
    parts = body["candidates"][0].get("content", {}).get("parts", ()) if body.get("candidates") else ()
    return _parts(parts)


def _parts(parts: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    thoughts = "".join(part["text"] for part in parts if "text" in part and part.get("thought"))
    calls = [(part["functionCall"]["name"], part["functionCall"].get("args", {})) for part in parts if "functionCall" in part]
    return text, thoughts, calls


def counted(usage: Any) -> tuple[int, int, int]:
    """Input, output and what was cached of the input, as Google's bill has them."""
    got = usage.get
    return (
        got("promptTokenCount", 0) + got("toolUsePromptTokenCount", 0),
        got("candidatesTokenCount", 0) + got("thoughtsTokenCount", 0),
        got("cachedContentTokenCount", 0),
    )


@pytest.mark.parametrize("exchange", MY_STREAMS, ids=name)
def test_a_stream_adds_up_to_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    assert summed(data(rewrite("gemini", "gemini", stream))) == summed(data(stream))


@cases("target", OTHERS)
@cases("exchange", MINE, ids=name)
def test_a_request_reaches_the_other_dialects(exchange: Exchange, target: str) -> None:
    there = DIALECTS[target]
    conversation = GEMINI.read_request(exchange.request)
    body = there.write_request(conversation, MODEL[target])
    again = json.dumps(body, ensure_ascii=False)
    for content in exchange.sent["contents"]:
        text, _, calls = _parts([part for part in content["parts"] if "text" not in part or part["text"].strip()])
        assert json.dumps(text.strip(), ensure_ascii=False)[1:-1] in again
        assert all(function in again for function, _ in calls)
    there.read_request(body)


@cases("exchange", [e for e in TRANSLATED if e.dialect in OTHERS], ids=name)
@cases("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_a_request_of_another_dialect_becomes_one_that_google_takes(exchange: Exchange, model: str) -> None:
    conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
    body = GEMINI.write_request(conversation, model)
    assert "model" not in body and "stream" not in body
    # Its fields are Google's, and nothing else; schemas are free.
    types.GenerationConfig.model_validate(body.get("generationConfig", {}), strict=False)
    contents = [types.Content.model_validate(content) for content in body["contents"]]
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    if "systemInstruction" in body:
        types.Content.model_validate(body["systemInstruction"])
    _check_turns(contents)
    again = GEMINI.read_request({**body, "model": model})
    assert GEMINI.write_request(again, model) == body


def _check_turns(contents: list[types.Content]) -> None:
    assert [content.role for content in contents] == ["user" if i % 2 == 0 else "model" for i in range(len(contents))]
    for before, after in pairwise([types.Content(parts=[]), *contents]):
        called = sorted(part.function_call.id or "" for part in before.parts or () if part.function_call)
        assert sorted(part.function_response.id or "" for part in after.parts or () if part.function_response) == called


@cases("exchange", MY_ANSWERS, ids=name)
def test_an_answer_reaches_openais_sdk(exchange: Exchange) -> None:
    completion = sdk.openai_answer(DIALECTS["openai"].write_answer(GEMINI.read_answer(exchange.answer)))
    text, thoughts, calls = said(exchange.answer)
    choice = completion.choices[0]
    assert (choice.message.content or "") == text
    assert getattr(choice.message, "reasoning_content", "") == thoughts
    functions = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(call.function.name, json.loads(call.function.arguments)) for call in functions] == calls
    assert all(call.id for call in functions)
    word = exchange.answer["candidates"][0]["finishReason"] if exchange.answer.get("candidates") else "SAFETY"
    expected = "tool_calls" if calls else "content_filter" if word in FILTERED else "length" if word == "MAX_TOKENS" else "stop"
    assert choice.finish_reason == expected
    if completion.usage:
        details = completion.usage.prompt_tokens_details
        told = (completion.usage.prompt_tokens, completion.usage.completion_tokens, (details and details.cached_tokens) or 0)
        assert told == counted(exchange.answer["usageMetadata"])


@cases("exchange", MY_ANSWERS, ids=name)
def test_an_answer_reaches_anthropics_sdk(exchange: Exchange) -> None:
    message = sdk.anthropic_answer(DIALECTS["anthropic"].write_answer(GEMINI.read_answer(exchange.answer)))
    text, thoughts, calls = said(exchange.answer)
    refusal = exchange.answer.get("promptFeedback", {}).get("blockReasonMessage", "")
    assert "".join(block.text for block in message.content if block.type == "text") == text + refusal
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == calls
    word = exchange.answer["candidates"][0]["finishReason"] if exchange.answer.get("candidates") else "SAFETY"
    assert message.stop_reason == ("tool_use" if calls else "refusal" if word in FILTERED else "end_turn")
    usage, expected = message.usage, counted(exchange.answer["usageMetadata"])
    assert (usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens) == expected[:2]
    assert usage.cache_read_input_tokens == expected[2]


@pytest.mark.parametrize("exchange", MY_STREAMS, ids=name)
def test_a_stream_reaches_openais_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    chunks = sdk.openai_stream(rewrite("gemini", "openai", stream))
    whole = summed(data(stream))
    text, thoughts, calls = _parts(whole["candidates"][0]["parts"])
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == text
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == thoughts
    given = [call for delta in deltas for call in delta.tool_calls or ()]
    assert [call.function.name for call in given if call.function and call.function.name] == [function for function, _ in calls]
    arguments = [call.function.arguments for call in given if call.function and call.function.arguments]
    assert [json.loads(one) for one in arguments] == [args for _, args in calls]
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == _last_count(stream)


@pytest.mark.parametrize("exchange", MY_STREAMS, ids=name)
def test_a_stream_reaches_anthropics_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    message, _ = sdk.anthropic_stream(rewrite("gemini", "anthropic", stream))
    text, thoughts, calls = _parts(summed(data(stream))["candidates"][0]["parts"])
    assert "".join(block.text for block in message.content if block.type == "text") == text
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == calls
    assert message.stop_reason == ("tool_use" if calls else "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == _last_count(stream)


def _last_count(stream: bytes) -> tuple[int, int]:
    """Each field as it was told last."""
    usage: dict[str, Any] = {}
    for chunk in data(stream):
        usage |= chunk.get("usageMetadata", {})
    return counted(usage)[:2]


@cases("exchange", THEIRS, ids=name)
def test_answers_of_others_reach_googles_sdk(exchange: Exchange) -> None:
    answer = DIALECTS[exchange.dialect].read_answer(exchange.answer)
    read = sdk.google_answer(GEMINI.write_answer(answer))
    told = answer.choices[0].blocks
    _same(read, told)
    assert read.usage_metadata and answer.usage
    assert read.usage_metadata.prompt_token_count == answer.usage.input
    assert (read.usage_metadata.candidates_token_count or 0) + (read.usage_metadata.thoughts_token_count or 0) == answer.usage.output
    assert (read.usage_metadata.cached_content_token_count or 0) == answer.usage.cache_read
    # And back: whatever Google's clients are told means the same when it is read again.
    again = GEMINI.read_answer(GEMINI.write_answer(answer))
    assert again.usage is not None
    assert (again.usage.input, again.usage.output, again.usage.reasoning) == (
        answer.usage.input,
        answer.usage.output,
        answer.usage.reasoning,
    )


def _same(read: types.GenerateContentResponse, blocks: list[Any]) -> None:
    assert read.candidates and read.candidates[0].content
    parts = read.candidates[0].content.parts or []
    kinds = {"Text": "", "Refusal": "", "Reasoning": ""}
    calls = []
    for block in blocks:
        kind = type(block).__name__
        if kind in kinds:
            kinds[kind] += block.text
        elif kind == "ToolCall":
            calls.append((block.name, json.loads(block.arguments or "{}")))
    assert "".join(part.text or "" for part in parts if not part.thought) == kinds["Text"] + kinds["Refusal"]
    assert "".join(part.text or "" for part in parts if part.thought) == kinds["Reasoning"]
    assert [(part.function_call.name, part.function_call.args) for part in parts if part.function_call] == calls


def _blocks(events: list[StreamEvent]) -> list[Any]:
    """What a stream adds up to."""
    blocks: dict[int, Any] = {}
    for event in events:
        match event:
            case BlockStart():
                blocks[event.index] = event.block
            case ArgumentsDelta() if type(blocks[event.index]) is ToolCall:
                blocks[event.index].arguments += event.text
            case TextDelta() | ReasoningDelta():
                blocks[event.index].text += event.text
    return list(blocks.values())


@pytest.mark.parametrize("exchange", THEIR_STREAMS, ids=name)
def test_streams_of_others_reach_googles_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    chunks = sdk.google_stream(rewrite(exchange.dialect, "gemini", stream))
    contents = [candidate.content for chunk in chunks for candidate in chunk.candidates or () if candidate.content]
    parts = [part for content in contents for part in content.parts or ()]
    whole = types.GenerateContentResponse(candidates=[types.Candidate(content=types.Content(parts=parts))])
    _same(whole, _blocks(hub_events(exchange.dialect, stream)))
    reasons = [candidate.finish_reason for chunk in chunks for candidate in chunk.candidates or () if candidate.finish_reason]
    assert len(reasons) == 1
    usage = chunks[-1].usage_metadata
    watch = DIALECTS[exchange.dialect].stream_usage()
    for event in exchange.text.encode().split(b"\n\n"):
        watch.feed(event + b"\n\n")
    if watch.usage:
        assert usage
        assert usage.prompt_token_count == watch.usage.input
        assert (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) == watch.usage.output


@cases("exchange", [e for e in MY_ANSWERS if e.answer.get("candidates")], ids=name)
def test_usage_of_an_answer_that_passes_through(exchange: Exchange) -> None:
    usage, model = GEMINI.usage(json.dumps(exchange.answer).encode())
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read) == counted(exchange.answer["usageMetadata"])
    assert model == exchange.answer["modelVersion"]
    # As a list, which is a stream without `alt=sse`.
    assert GEMINI.usage(b"[" + json.dumps(exchange.answer).encode() + b"\r\n]") == (usage, model)


@pytest.mark.parametrize("exchange", MY_STREAMS, ids=name)
def test_usage_of_a_stream_that_passes_through(exchange: Exchange) -> None:
    watch = GEMINI.stream_usage()
    events = GEMINI.framing.splitter().feed(exchange.text.encode())
    for event in events[:-1]:
        watch.feed(event)
    assert not watch.finished
    watch.feed(events[-1])
    assert watch.finished and watch.usage
    assert (watch.usage.input, watch.usage.output) == _last_count(exchange.text.encode())
    assert watch.model == data(exchange.text.encode())[0]["modelVersion"]
    later = GEMINI.stream_usage()
    later.feed_later(events)
    assert (later.usage, later.text, later.finished) == (watch.usage, watch.text, True)


def test_thoughts_that_are_counted_among_the_candidates_are_counted_once() -> None:
    told = {"promptTokenCount": 10, "candidatesTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 19}
    assert GEMINI.usage(json.dumps({"usageMetadata": told}).encode())[0] == Usage(input=10, output=9, reasoning=4)
    told["totalTokenCount"] = 23
    assert GEMINI.usage(json.dumps({"usageMetadata": told}).encode())[0] == Usage(input=10, output=13, reasoning=4)


def test_audio_is_counted_apart() -> None:
    details = [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 8}]
    told = {"promptTokenCount": 10, "promptTokensDetails": details, "candidatesTokenCount": 10, "candidatesTokensDetails": details}
    usage, _ = GEMINI.usage(json.dumps({"usageMetadata": told}).encode())
    assert usage == Usage(input=10, output=10, input_audio=8, output_audio=8)
    again = GEMINI.write_answer(DIALECTS["openai"].read_answer({"choices": [{"message": {}}]}))
    assert "usageMetadata" not in again


COUNTING = GEMINI.operations["count"]
COUNTS = [
    exchange
    for file in [
        *(RECORDINGS / "google").glob("*count_tokens*"),
        *(RECORDINGS / "google").glob("*usage_limit*"),
        *(RECORDINGS / "embeddings").glob("TestGoogle.test_count*"),
    ]
    for exchange in read(file)
    if exchange.url.endswith(":countTokens")
]


@pytest.mark.parametrize("exchange", COUNTS, ids=name)
def test_a_count_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    question = COUNTING.read_request(exchange.request)
    assert COUNTING.write_request(question, exchange.request["model"]) == exchange.sent
    if exchange.status == 200:
        assert COUNTING.write_answer(COUNTING.read_answer(exchange.answer)) == exchange.answer
        told = DIALECTS["anthropic"].operations["count"].write_answer(COUNTING.read_answer(exchange.answer))
        assert told == {"input_tokens": exchange.answer["totalTokens"]}
        assert GEMINI.usage(json.dumps(exchange.answer).encode()) == (None, "")
    else:
        fault = GEMINI.read_error(exchange.status, json.dumps(exchange.answer).encode())
        assert (fault.status, fault.code, fault.type) == (404, "model_not_found", "NOT_FOUND")


def test_a_count_of_a_whole_request() -> None:
    inner = {"model": "models/m", "contents": [{"parts": [{"text": "Hi"}]}], "systemInstruction": {"parts": [{"text": "Be."}]}}
    for field in ("generateContentRequest", "generate_content_request"):
        question = COUNTING.read_request({field: inner, "model": "m", "stream": False})
        assert question.system is not None
        assert COUNTING.write_request(question, "m") == {field: inner}
        asked = DIALECTS["anthropic"].operations["count"].write_request(question, "claude-sonnet-4-5")
        assert asked["system"] == [{"type": "text", "text": "Be."}]
    there = (
        DIALECTS["anthropic"]
        .operations["count"]
        .read_request({"model": "c", "system": "Be.", "messages": [{"role": "user", "content": "Hi"}]})
    )
    whole = {
        "model": "models/m",
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be."}]},
    }
    assert COUNTING.write_request(there, "m") == {"generateContentRequest": whole}


def test_models_are_listed_as_googles_sdk_reads_them() -> None:
    listed, one = sdk.google_models(GEMINI.list_models(["a", "b"]), GEMINI.describe_model("a"))
    assert [model.name for model in listed] == ["models/a", "models/b"]
    assert (one.name, one.display_name, one.supported_actions) == ("models/a", "a", list(_METHODS))


_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


_BAD_KEY = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
_TOO_LONG = "The input token count (9) exceeds the maximum number of tokens allowed (8)."


@pytest.mark.parametrize(
    ("status", "body", "code", "kind"),
    [
        (400, _BAD_KEY, "invalid_api_key", "INVALID_ARGUMENT"),
        (400, {"code": 400, "message": _TOO_LONG, "status": "INVALID_ARGUMENT"}, "context_length_exceeded", "INVALID_ARGUMENT"),
        (429, {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}, "rate_limit_exceeded", "RESOURCE_EXHAUSTED"),
        (503, {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}, "overloaded", "UNAVAILABLE"),
        (403, {"code": 403, "message": "No.", "status": "PERMISSION_DENIED"}, "permission_denied", "PERMISSION_DENIED"),
    ],
)
def test_errors(status: int, body: Any, code: str, kind: str) -> None:
    for told in ({"error": body}, [{"error": body}]):
        fault = GEMINI.read_error(status, json.dumps(told).encode())
        assert (fault.status, fault.code, fault.message, fault.type) == (status, code, body["message"], kind)
    written = GEMINI.write_error(fault, "req_1")["error"]
    assert (written["code"], written["status"], written["message"]) == (status, kind, body["message"])
    assert written["details"][-1]["requestId"] == "req_1"
    for other in OTHERS:
        assert DIALECTS[other].write_error(fault, "")["error"]["message"] == body["message"]


_VALUES = st.recursive(
    st.text(max_size=8) | st.integers(),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=2) | st.lists(inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), _VALUES, max_size=3), max_size=4), st.data())
def test_an_array_is_cut_into_its_elements(elements: list[Any], draw: st.DataObject) -> None:
    frame = Elements()
    stream = b"".join(frame.one(json.dumps(element).encode()) for element in elements) + frame.end()
    assert json.loads(stream) == elements
    cuts = draw.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    splitter = ARRAY.splitter()
    raw = [event for piece in cut(stream, cuts) for event in splitter.feed(piece)]
    assert b"".join(raw) + splitter.pending == stream
    assert [json.loads(event.data) for event in map(ARRAY.parse, raw) if event] == elements


CALLED: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "Hm", "thought": True},
                    {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln+/=="},
                    {"functionCall": {"name": "f", "args": {"x": 2}}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2},
    "modelVersion": "gemini-3-pro-preview",
    "responseId": "r1",
}


def _back(calls: Any) -> dict[str, Any]:
    """What Gemini is sent when OpenAI's client sends the calls back with their results."""
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    conversation = DIALECTS["openai"].read_request({"model": "m", "messages": messages})
    body = GEMINI.write_request(conversation, "gemini-3-pro-preview")
    assert conversation.dropped == []
    return body


@pytest.mark.parametrize("streamed", [False, True])
def test_signatures_come_back_through_openais_clients(streamed: bool) -> None:
    if streamed:
        chunks = data(rewrite("gemini", "openai", _event(CALLED)))
        calls: list[Any] = []
        for call in [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())]:
            index = call.pop("index")
            if "id" in call:
                calls.append(call)
            else:
                calls[index]["function"]["arguments"] += call["function"]["arguments"]
    else:
        calls = DIALECTS["openai"].write_answer(GEMINI.read_answer(CALLED))["choices"][0]["message"]["tool_calls"]
    assert len({call["id"] for call in calls}) == 2
    _check_back(_back(calls)["contents"])


def _check_back(contents: Any) -> None:
    first, second = [part for part in contents[1]["parts"] if "functionCall" in part]
    assert (first["functionCall"]["args"], first["thoughtSignature"]) == ({"x": 1}, "c2ln+/==")
    assert second["functionCall"]["args"] == {"x": 2} and "thoughtSignature" not in second
    assert [part["functionResponse"]["name"] for part in contents[2]["parts"]] == ["f", "f"]


@pytest.mark.parametrize("streamed", [False, True])
def test_signatures_come_back_through_anthropics_clients(streamed: bool) -> None:
    if streamed:
        message = sdk.anthropic_stream(rewrite("gemini", "anthropic", _event(CALLED)))[0]
    else:
        message = sdk.anthropic_answer(DIALECTS["anthropic"].write_answer(GEMINI.read_answer(CALLED)))
    content = message.model_dump(exclude_unset=True)["content"]
    calls = [block for block in content if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"} for call in calls]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
    asked = {"model": "m", "max_tokens": 9, "messages": turns}
    conversation = DIALECTS["anthropic"].read_request(asked)
    _check_back(GEMINI.write_request(conversation, "gemini-3-pro-preview")["contents"])
    # Its maker alone gets it.
    claude = json.dumps(DIALECTS["anthropic"].write_request(DIALECTS["openai"].read_request(_openai(calls)), "claude-sonnet-4-5"))
    assert "thinking" not in claude


def _openai(calls: Any) -> dict[str, Any]:
    given = [{"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": "{}"}} for call in calls]
    return {"model": "m", "messages": [{"role": "assistant", "content": None, "tool_calls": given}]}


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def test_claudes_signatures_come_back_through_googles_sdk() -> None:
    thinking = [
        {"type": "thinking", "thinking": "Hm", "signature": "s?>s"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1}
    answer = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": thinking,
        "stop_reason": "tool_use",
        "usage": usage,
    }
    read = sdk.google_answer(GEMINI.write_answer(DIALECTS["anthropic"].read_answer(answer)))
    assert read.candidates and read.candidates[0].content
    content = read.candidates[0].content.model_dump(mode="json", by_alias=True, exclude_none=True)
    response = {"functionResponse": {"id": "toolu_1", "name": "f", "response": {"output": "ok"}}}
    asked = {"model": "m", "contents": [{"parts": [{"text": "Hi"}]}, content, {"role": "user", "parts": [response]}]}
    conversation = GEMINI.read_request(asked)
    body = DIALECTS["anthropic"].write_request(conversation, "claude-sonnet-4-5")
    assert body["messages"][1]["content"] == thinking
    assert conversation.dropped == []


def test_what_others_signed_is_not_sent_to_gemini() -> None:
    """Not even where its client speaks Gemini's dialect too, and so its provider does."""
    foreign = pack("s", "anthropic-claude-v1", "google-gemini-v1").replace("+", "-").replace("/", "_")
    call = {"functionCall": {"id": "1", "name": "f", "args": {}}}
    model = {
        "role": "model",
        "parts": [{"text": "Hm", "thought": True, "thoughtSignature": foreign}, {**call, "thoughtSignature": foreign}],
    }
    only = {"role": "model", "parts": [{"text": "Hm", "thought": True, "thoughtSignature": foreign}]}
    user = {"role": "user", "parts": [{"text": "Hi"}]}
    conversation = GEMINI.read_request({"contents": [user, model, only, user], "model": "m"})
    body = GEMINI.write_request(conversation, "gemini-3-pro-preview")
    assert body["contents"] == [user, {"role": "model", "parts": [{**call, "thoughtSignature": UNSIGNED}]}, user]
    assert conversation.dropped == ["contents[].parts[].thought"]
    older = GEMINI.write_request(GEMINI.read_request({"contents": [model], "model": "m"}), "gemini-2.5-flash")
    assert older["contents"] == [{"role": "model", "parts": [call]}]


def test_calls_of_others_can_go_on_with_gemini() -> None:
    given = [{"id": str(i), "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]
    answer = {"choices": [{"message": {"content": None, "tool_calls": given}, "finish_reason": "tool_calls"}]}
    content = GEMINI.write_answer(OPENAI.read_answer(answer))["candidates"][0]["content"]
    assert [part.get("thoughtSignature") for part in content["parts"]] == [UNSIGNED, None]
    conversation = GEMINI.read_request({"contents": [content], "model": "m"})
    assert GEMINI.write_request(conversation, "m") == {"contents": [content]}
    assert ANTHROPIC.write_request(conversation, "claude-sonnet-4-5")
    assert conversation.dropped == []


def test_what_gemini_signed_is_not_sent_to_others_of_the_clients_dialect() -> None:
    calls = OPENAI.write_answer(GEMINI.read_answer(CALLED))["choices"][0]["message"]["tool_calls"]
    body = {"model": "m", "messages": [{"role": "assistant", "content": None, "tool_calls": calls}]}
    assert packed(json.dumps(body).encode())
    conversation = OPENAI.read_request(body)
    assert "extra_content" not in json.dumps(OPENAI.write_request(conversation, "gpt-5"))
    content = ANTHROPIC.write_answer(GEMINI.read_answer(CALLED))["content"][1:]
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": content}]}
    assert packed(json.dumps(asked).encode())
    again = ANTHROPIC.read_request(asked)
    written = ANTHROPIC.write_request(again, "claude-sonnet-4-5")["messages"][0]["content"]
    assert [block["type"] for block in written] == ["tool_use", "tool_use"]
    assert again.dropped == ["messages[].content[].redacted_thinking"]
    # What Google's own service of OpenAI's dialect gave goes back to it as it was.
    raw = {
        "id": "1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "s"}},
    }
    home = {"model": "m", "messages": [{"role": "assistant", "content": None, "tool_calls": [raw]}]}
    assert OPENAI.write_request(OPENAI.read_request(home), "m")["messages"][0]["tool_calls"] == [raw]
    assert GEMINI.write_request(OPENAI.read_request(home), "gemini-2.5-pro")["contents"][1]["parts"][0]["thoughtSignature"] == "s"
