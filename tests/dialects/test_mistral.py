"""OpenAI's dialect in the form of Mistral's SDK: what it parses says what was said, and requests keep their meaning elsewhere."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from mistralai.client.models import ChatCompletionResponse, CompletionChunk, EmbeddingResponse

from extproc.dialects import DIALECTS, heard
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    Answer,
    Choice,
    Error,
    Finish,
    Reasoning,
    Refusal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    ToolCall,
    Used,
)
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Fault, Reject
from extproc.usage import Usage
from tests.dialects.made import answers
from tests.dialects.made_streams import streams
from tests.dialects.test_answer_trips import BRIEFLY
from tests.dialects.traffic import STREAMS, data, hub_events

MISTRAL = heard("openai", "/v1/chat/completions", "chat", "mistral")
STOPS = {StopReason.LENGTH: "length", StopReason.CONTEXT: "length", StopReason.TOOL: "tool_calls"} | dict.fromkeys(
    (StopReason.FILTER, StopReason.REFUSAL), "content_filter"
)

Heard = tuple[str, str, list[tuple[str, Any]], str]
"""Text, thoughts, calls, and why it stopped."""


def said(choice: Choice) -> Heard:
    texts = [block.text for block in choice.blocks if isinstance(block, Text)]
    refusals = [block.text for block in choice.blocks if isinstance(block, Refusal)]
    thoughts = [block.text for block in choice.blocks if isinstance(block, Reasoning)]
    calls = [(block.name, json.loads(block.arguments or "{}")) for block in choice.blocks if isinstance(block, ToolCall)]
    stop = STOPS.get(choice.stop or StopReason.END, "stop")
    return "".join(texts + refusals), "".join(thoughts), calls, stop


def contents(content: Any) -> tuple[str, str]:
    """Text and thoughts of what the SDK has read."""
    if not isinstance(content, list):
        return content or "", ""
    texts = [part.text for part in content if part.type == "text"]
    return "".join(texts), "".join(inner.text for part in content if part.type == "thinking" for inner in part.thinking)


def called(calls: Any) -> list[tuple[str, Any]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls or ()]


def by_sdk(answer: ChatCompletionResponse) -> list[Heard]:
    messages = [(choice, choice.message) for choice in answer.choices if choice.message]
    return [(*contents(message.content), called(message.tool_calls), str(choice.finish_reason)) for choice, message in messages]


def by_chunks(chunks: list[CompletionChunk]) -> dict[int, Heard]:
    heard: dict[int, Heard] = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        text, thought, calls, stop = heard.get(choice.index, ("", "", [], ""))
        more, thoughts = contents(choice.delta.content)
        calls = calls + called(choice.delta.tool_calls)
        heard[choice.index] = (text + more, thought + thoughts, calls, str(choice.finish_reason) if choice.finish_reason else stop)
    return heard


def written(events: list[StreamEvent]) -> bytes:
    writer = MISTRAL.stream_writer(include_usage=False)
    return b"".join(map(writer.write, events)) + writer.end()


def used(usage: Usage | None) -> tuple[int, int]:
    return (usage.input, usage.output) if usage else (0, 0)


@BRIEFLY
@given(answers())
def test_a_whole_answer(answer: Answer) -> None:
    body = msgspec.json.decode(msgspec.json.encode(MISTRAL.write_answer(copy.deepcopy(answer))))
    parsed = ChatCompletionResponse.model_validate(body)
    assert by_sdk(parsed) == [said(choice) for choice in answer.choices]
    assert (parsed.usage.prompt_tokens, parsed.usage.completion_tokens) == used(answer.usage)


@BRIEFLY
@given(streams())
def test_a_stream(told: tuple[Answer, list[StreamEvent]]) -> None:
    answer, events = told
    sent = written(copy.deepcopy(events))
    chunks = [CompletionChunk.model_validate(chunk) for chunk in data(sent)]
    assert by_chunks(chunks) == {choice.index: said(choice) for choice in answer.choices}
    assert all(chunk.choices for chunk in chunks)
    assert not any(chunk.usage for chunk in chunks[:-1])
    assert used(answer.usage) == ((chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) if chunks[-1].usage else (0, 0))
    assert chunks[-1].choices[0].finish_reason
    assert sent.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "stream", [one.text for one in STREAMS if one.dialect == "openai"], ids=[one.name for one in STREAMS if one.dialect == "openai"]
)
def test_recorded_streams_of_other_providers(stream: str) -> None:
    events = hub_events("openai", stream.encode())
    chunks = [CompletionChunk.model_validate(chunk) for chunk in data(written(events))]
    assert all(chunk.choices for chunk in chunks)
    assert not any(chunk.usage for chunk in chunks[:-1])
    assert (chunks[-1].usage is not None) == any(isinstance(event, Used) for event in events)


def test_what_a_stream_looks_like() -> None:
    source: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning": "Hm"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "Look:"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    ]
    head: dict[str, Any] = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    stream = b"".join(b"data: " + json.dumps(head | chunk).encode() + b"\n\n" for chunk in source) + b"data: [DONE]\n\n"
    calls = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    deltas = [
        {"role": "assistant", "content": ""},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
        {"content": "Look:"},
        {"tool_calls": calls},
    ]
    last = {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "tool_calls"}], "usage": source[-1]["usage"]}
    assert data(written(hub_events("openai", stream))) == [
        *({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas),
        {**head, **last},
    ]


def test_a_call_that_breaks_off_is_told_to_nobody() -> None:
    start = Start(id="1", model="m", created=1, dialect="hub")
    events = hub_events("openai", b'data: {"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}}]}\n\n')
    assert isinstance(events[-1], Error)
    sent = written([start, *events[1:]])
    assert b"tool_calls" not in sent
    assert sent.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_says_no_reason_still_tells_all() -> None:
    assert (
        data(written([Start(id="1", model="m", created=1, dialect="hub"), Used(Usage(input=3)), Finish()]))[-1]["usage"]["prompt_tokens"]
        == 3
    )


def test_after_an_error_nothing_is_told() -> None:
    stop = Stop(reason=StopReason.END)
    sent = written([Start(id="1", model="m", created=1, dialect="hub"), stop, Error(Fault(500, "x", "y")), Used(Usage(input=1)), Finish()])
    assert b'"usage"' not in sent
    assert sent.count(b"[DONE]") == 1


def asked(quirks: Quirks = NONE, dialect: str = "openai", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """A request of Mistral's client, as a provider of `dialect` gets it, and what is named as lost."""
    question = MISTRAL.read_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}]} | fields)
    return heard(dialect, "", "chat").write_request(question, "gpt-5", quirks), question.dropped


def test_the_names_of_a_request() -> None:
    body, dropped = asked(random_seed=7, tool_choice="any", max_tokens=9, stream=True, safe_prompt=True, tools=[TOOL])
    assert (body["seed"], body["tool_choice"], body["max_completion_tokens"]) == (7, "required", 9)
    assert body["stream_options"] == {"include_usage": True}
    assert dropped == ["safe_prompt"]
    assert asked(dialect="anthropic", random_seed=7)[1] == ["random_seed"]


@pytest.mark.parametrize("body", [{"random_seed": "x"}, {"messages": 1}])
def test_a_wrong_type_is_named_in_the_clients_words(body: dict[str, Any]) -> None:
    (field,) = body
    with pytest.raises(Reject, match=field):
        asked(**{"messages": [], **body})


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
THOUGHT = {
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Yes"}],
}


def test_thoughts_go_back_as_their_provider_takes_them() -> None:
    messages = [{"role": "user", "content": "Hi"}, THOUGHT, {"role": "user", "content": "So?"}]
    body, dropped = asked(messages=messages)
    assert body["messages"][1] == {"role": "assistant", "content": "Yes"}
    assert dropped == ["messages[].content[].thinking"]
    body, dropped = asked(Quirks(reasoning_back="reasoning_content"), messages=messages)
    assert body["messages"][1] == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}
    assert dropped == []


DOCUMENT = {"type": "document_url", "document_url": "https://x.test/a.pdf", "document_name": "a.pdf"}
INLINE = {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg=="}


def test_documents_are_documents_elsewhere() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, DOCUMENT, INLINE]}]
    body, dropped = asked(dialect="anthropic", messages=messages)
    sources = [block["source"] for block in body["messages"][0]["content"] if block["type"] == "document"]
    assert sources == [
        {"type": "url", "url": "https://x.test/a.pdf"},
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
    ]
    assert dropped == []
    body, dropped = asked(messages=messages)
    assert [part["type"] for part in body["messages"][0]["content"]] == ["text", "file"]
    assert dropped == ["messages[].content[].document_url"]


def test_documents_for_mistral() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, DOCUMENT, INLINE]}]
    body, dropped = asked(Quirks(documents="document_url"), messages=messages)
    assert (body["messages"][0]["content"][1:], dropped) == ([DOCUMENT, INLINE], [])
    given = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, "title": "b"}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words."}}
    question = DIALECTS["anthropic"].read_request({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [given, text]}]})
    body = DIALECTS["openai"].write_request(question, "mistral-large-latest", Quirks(documents="document_url"))
    assert body["messages"][0]["content"] == [
        {**INLINE, "document_name": "b"},
        {"type": "text", "text": "<document>\nWords.\n</document>"},
    ]
    own = {"model": "m", "messages": messages}
    assert DIALECTS["openai"].write_request(DIALECTS["openai"].read_request(copy.deepcopy(own)), "m") == own


CLAUDE = "anthropic-claude-v1"


@pytest.mark.parametrize("block", [Reasoning("Hm.", "c2ln", origin=CLAUDE), Reasoning(redacted="c2ln", origin=CLAUDE)])
def test_what_another_maker_signed_goes_through_the_sdk_and_back(block: Reasoning) -> None:
    choices = [Choice(blocks=[block, ToolCall("a", "f", "{}")], stop=StopReason.TOOL)]
    answer = Answer(dialect="hub", id="1", model="m", choices=choices)
    body = msgspec.json.decode(msgspec.json.encode(MISTRAL.write_answer(answer)))
    (choice,) = ChatCompletionResponse.model_validate(body).choices
    assert choice.message is not None
    message = choice.message.model_dump(mode="json", exclude_unset=True)
    assert "reasoning_details" not in message
    result = {"role": "tool", "tool_call_id": "a", "content": "x"}
    back, dropped = asked(dialect="anthropic", messages=[{"role": "user", "content": "Hi"}, message, result], tools=[TOOL])
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"} if block.text else {"type": "redacted_thinking", "data": "c2ln"}
    assert (back["messages"][1]["content"][0], dropped) == (signed, [])


def test_a_signature_in_a_stream() -> None:
    source: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "1", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    stream = b"".join(b"event: %s\ndata: %s\n\n" % (str(one["type"]).encode(), json.dumps(one).encode()) for one in source)
    chunks = [CompletionChunk.model_validate(chunk) for chunk in data(written(hub_events("anthropic", stream)))]
    parts = [part for chunk in chunks for part in (chunk.choices[0].delta.content or []) if not isinstance(part, str)]
    (packed,) = [part.signature for part in parts if part.type == "thinking" and part.signature]
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": packed}]}
    body, _ = asked(dialect="anthropic", messages=[{"role": "user", "content": "Hi"}, thought, {"role": "user", "content": "So?"}])
    assert body["messages"][1]["content"] == [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]


SIGNED = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "signature": "s1"}


def test_what_mistral_signed_goes_through_another_client_and_back() -> None:
    said = {"index": 0, "message": {"role": "assistant", "content": [SIGNED, {"type": "text", "text": "Yes"}]}, "finish_reason": "stop"}
    answer = DIALECTS["openai"].read_answer({"id": "1", "model": "m", "choices": [said]})
    told = json.loads(msgspec.json.encode(DIALECTS["anthropic"].write_answer(answer)))
    assert told["content"][0]["signature"] not in ("", "s1")
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": told["content"]}, {"role": "user", "content": "So?"}]
    question = DIALECTS["anthropic"].read_request({"model": "m", "max_tokens": 9, "messages": messages})
    for quirks, content, dropped in (
        (Quirks(sdk="mistral"), [SIGNED, {"type": "text", "text": "Yes"}], []),
        (NONE, "Yes", ["messages[].content[].thinking"]),
    ):
        body = DIALECTS["openai"].write_request(question, "magistral-medium-latest", quirks)
        assert (body["messages"][1], question.dropped) == ({"role": "assistant", "content": content}, dropped)
    reader = DIALECTS["openai"].stream_reader()
    chunk = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": [SIGNED]}}]}
    (signature,) = [event for event in reader.feed(RawEvent("", json.dumps(chunk).encode())) if isinstance(event, SignatureDelta)]
    assert (signature.signature, signature.origin) == ("s1", "mistral-v1")


def test_what_another_maker_signed_is_not_sent_to_a_provider_of_the_same_dialect() -> None:
    signed = MISTRAL.write_answer(
        Answer(dialect="hub", id="1", model="m", choices=[Choice(blocks=[Reasoning("Hm.", "c2ln", origin=CLAUDE)])])
    )["choices"][0]["message"]["content"][0]
    for part, sent in ((signed, {key: value for key, value in signed.items() if key != "signature"}), (SIGNED, SIGNED)):
        body = {"model": "m", "messages": [{"role": "assistant", "content": [part]}, {"role": "user", "content": "Hi"}]}
        assert DIALECTS["openai"].write_request(DIALECTS["openai"].read_request(body), "m")["messages"][0]["content"] == [sent]


def test_vectors_have_an_id_for_its_clients() -> None:
    made = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 2, "total_tokens": 2}}  # fmt: skip
    read = DIALECTS["openai"].operations["embeddings"].read_answer
    told = heard("openai", "", "embeddings", "mistral").operations["embeddings"].write_answer(read(made))
    assert told == {**made, "id": told["id"]}
    assert EmbeddingResponse.model_validate(told).id
    assert heard("openai", "", "embeddings", "mistral").operations["embeddings"].write_answer(read({**made, "id": "own"}))["id"] == "own"
