"""Bedrock's recordings through its own dialect and the others', and the others' recordings through Bedrock's."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import event
from extproc.dialects.framing import split
from extproc.dialects.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    Reasoning,
    ReasoningDelta,
    Refusal,
    StopReason,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.dialects.seals import packed
from extproc.usage import Usage
from tests.cases import cases
from tests.dialects import sdk, traffic
from tests.dialects.bedrock import ALL, ANSWERS, BEDROCK, STREAMS, Converse, events, name
from tests.dialects.converse import check_events, check_request, check_response
from tests.dialects.framed import raw_events
from tests.dialects.traffic import hub_events, rewrite
from tests.examples import examples

OPENAI, ANTHROPIC = DIALECTS["openai"], DIALECTS["anthropic"]
MODELS = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "us.meta.llama4-maverick-17b-instruct-v1:0",
    "us.mistral.pixtral-large-2502-v1:0",
    "us.writer.palmyra-x4-v1:0",
    "openai.gpt-oss-120b-1:0",
]
OPENAI_STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


@cases("exchange", ALL, ids=name)
def test_a_request_means_the_same_in_its_own_dialect(exchange: Converse) -> None:
    before = copy.deepcopy(exchange.request)
    conversation = BEDROCK.read_request(exchange.request)
    assert BEDROCK.write_request(conversation, exchange.model) == exchange.body
    assert conversation.dropped == []
    assert exchange.request == before, "reading changed what was read"


@cases("exchange", ANSWERS, ids=name)
def test_an_answer_means_the_same_in_its_own_dialect(exchange: Converse) -> None:
    assert BEDROCK.write_answer(BEDROCK.read_answer(exchange.answer)) == exchange.answer


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
def test_a_stream_means_the_same_in_its_own_dialect(exchange: Converse) -> None:
    assert events(rewrite("bedrock", "bedrock", exchange.stream)) == events(exchange.stream)


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
@settings(max_examples=examples(15), deadline=None)
@given(draw=st.data())
def test_where_a_stream_is_cut_does_not_matter(exchange: Converse, draw: st.DataObject) -> None:
    cuts = draw.draw(st.lists(st.integers(0, len(exchange.stream)), max_size=60))
    assert hub_events("bedrock", exchange.stream, cuts) == hub_events("bedrock", exchange.stream)


@cases("there", ["openai", "anthropic"])
@cases("exchange", ALL, ids=name)
def test_a_request_reaches_the_others(exchange: Converse, there: str) -> None:
    conversation = BEDROCK.read_request(exchange.request)
    body = DIALECTS[there].write_request(conversation, traffic.MODEL[there])
    again = json.dumps(body, ensure_ascii=False)
    for message in exchange.request["messages"]:
        for block in message["content"]:
            if block.get("text", "").strip():
                assert json.dumps(block["text"].rstrip(), ensure_ascii=False)[1:-1] in again
    assert body.get("stream") is exchange.request["stream"]
    # And back: what crossed is Bedrock's again.
    written = BEDROCK.write_request(DIALECTS[there].read_request(body), exchange.model)
    check_request(written)


# Those that go on from what OpenAI keeps tell only half of a conversation.
WHOLE = [e for e in traffic.TRANSLATED if not e.request.get("previous_response_id") and not e.request.get("conversation")]


@cases("exchange", WHOLE, ids=traffic.name)
def test_the_others_requests_reach_bedrock(exchange: traffic.Exchange) -> None:
    texts: list[str] = []
    for message in exchange.request["messages"] if exchange.dialect in ("openai", "anthropic") else ():
        content = message.get("content")
        told = [content] if isinstance(content, str) else [part["text"] for part in content or () if part["type"] == "text"]
        texts += [json.dumps(text.rstrip(), ensure_ascii=False)[1:-1] for text in told if message["role"] != "tool" and text.strip()]
    for model in MODELS:
        conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
        written = BEDROCK.write_request(conversation, model)
        check_request(written)
        assert "model" not in written and "stream" not in written
        again = json.dumps(written, ensure_ascii=False)
        assert [text for text in texts if text not in again] == [], model


def _blocks(answer: Any) -> list[Any]:
    blocks: list[Any] = answer["output"]["message"]["content"]
    return blocks


def _own_calls(blocks: list[Any]) -> list[tuple[str, Any]]:
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    return [(call["name"], call["input"]) for call in calls if call.get("type") != "server_tool_use"]


def _thoughts(blocks: list[Any]) -> str:
    return "".join(block["reasoningContent"].get("reasoningText", {}).get("text", "") for block in blocks if "reasoningContent" in block)


def _recorded(usage: Any) -> Usage:
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    # What Bedrock calls the total tells how it counts.
    assert usage["totalTokens"] == usage["inputTokens"] + read + written + usage["outputTokens"]
    total = usage["inputTokens"] + read + written
    return Usage(input=total, output=usage["outputTokens"], cache_read=read, cache_write=written)


@cases("exchange", ANSWERS, ids=name)
def test_an_answer_reaches_openais_sdk(exchange: Converse) -> None:
    completion = sdk.openai_answer(OPENAI.write_answer(BEDROCK.read_answer(exchange.answer)))
    (choice,) = completion.choices
    blocks = _blocks(exchange.answer)
    assert (choice.message.content or "") == "".join(block.get("text", "") for block in blocks)
    called = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(call.function.name, json.loads(call.function.arguments)) for call in called] == _own_calls(blocks)
    assert getattr(choice.message, "reasoning_content", "") == _thoughts(blocks)
    assert choice.finish_reason == OPENAI_STOPS[exchange.answer["stopReason"]]
    assert completion.usage is not None and completion.usage.prompt_tokens_details is not None
    recorded = _recorded(exchange.answer["usage"])
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (recorded.input, recorded.output)
    assert completion.usage.prompt_tokens_details.cached_tokens == recorded.cache_read


@cases("exchange", ANSWERS, ids=name)
def test_an_answer_reaches_anthropics_sdk(exchange: Converse) -> None:
    message = sdk.anthropic_answer(ANTHROPIC.write_answer(BEDROCK.read_answer(exchange.answer)))
    blocks = _blocks(exchange.answer)
    assert "".join(block.text for block in message.content if block.type == "text") == "".join(block.get("text", "") for block in blocks)
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == _own_calls(blocks)
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == _thoughts(blocks)
    assert message.stop_reason == exchange.answer["stopReason"]
    recorded, usage = _recorded(exchange.answer["usage"]), message.usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (recorded.cache_read, recorded.cache_write)
    assert (usage.input_tokens, usage.output_tokens) == (exchange.answer["usage"]["inputTokens"], recorded.output)


def _whole(stream: bytes) -> tuple[str, str, str, Any]:
    """Text, thoughts, stop reason and usage of a stream."""
    text = thoughts = stop = ""
    usage = None
    for kind, value in events(stream):
        delta = value.get("delta", {})
        text += delta.get("text", "")
        thoughts += delta.get("reasoningContent", {}).get("text", "")
        stop = value.get("stopReason", stop)
        usage = value["usage"] if kind == "metadata" else usage
    return text, thoughts, stop, usage


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
def test_a_stream_reaches_openais_sdk(exchange: Converse) -> None:
    chunks = sdk.openai_stream(rewrite("bedrock", "openai", exchange.stream))
    text, thoughts, stop, usage = _whole(exchange.stream)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == text
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == thoughts
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == [OPENAI_STOPS[stop]]
    assert chunks[-1].usage is not None
    recorded = _recorded(usage)
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (recorded.input, recorded.output)


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
def test_a_stream_reaches_anthropics_sdk(exchange: Converse) -> None:
    message, seen = sdk.anthropic_stream(rewrite("bedrock", "anthropic", exchange.stream))
    text, thoughts, stop, usage = _whole(exchange.stream)
    assert "".join(block.text for block in message.content if block.type == "text") == text
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts
    assert message.stop_reason == stop
    assert (message.usage.input_tokens, message.usage.output_tokens) == (usage["inputTokens"], usage["outputTokens"])
    assert [one.type for one in seen][-2:] == ["message_delta", "message_stop"]


STOPS = {
    StopReason.END: {"end_turn", "tool_use", "content_filtered"},
    StopReason.LENGTH: {"max_tokens"},
    StopReason.STOP_SEQUENCE: {"stop_sequence"},
    StopReason.TOOL: {"tool_use"},
    StopReason.FILTER: {"content_filtered"},
    StopReason.REFUSAL: {"content_filtered"},
    StopReason.PAUSE: {"end_turn"},
    StopReason.ERROR: {"malformed_model_output"},
}


@cases("exchange", traffic.ANSWERS, ids=traffic.name)
def test_the_others_answers_reach_bedrocks_clients(exchange: traffic.Exchange) -> None:
    answer = DIALECTS[exchange.dialect].read_answer(exchange.answer)
    written = BEDROCK.write_answer(answer)
    check_response(written)
    (choice, *_), blocks = answer.choices, _blocks(written)
    said = ["".join(piece["text"] for piece in block.get("citationsContent", {}).get("content", ())) for block in blocks]
    text = "".join(block.get("text", "") or said[i] for i, block in enumerate(blocks))
    assert text == "".join(block.text for block in choice.blocks if isinstance(block, Text | Refusal))
    calls = [(block.name, json.loads(block.arguments or "{}")) for block in choice.blocks if isinstance(block, ToolCall)]
    assert _own_calls(blocks) == calls
    assert _thoughts(blocks) == "".join(block.text for block in choice.blocks if isinstance(block, Reasoning))
    assert written["stopReason"] in STOPS[choice.stop or StopReason.END]
    assert (written["stopReason"] == "tool_use") == bool(calls)
    assert _recorded(written["usage"]).total == (answer.usage or Usage()).total
    assert BEDROCK.usage(json.dumps(written).encode())[0] == _recorded(written["usage"])


@cases("exchange", traffic.STREAMS, ids=traffic.name)
def test_the_others_streams_reach_bedrocks_clients(exchange: traffic.Exchange) -> None:
    stream = exchange.text.encode()
    written = events(rewrite(exchange.dialect, "bedrock", stream))
    blocks = check_events(written)
    seen = hub_events(exchange.dialect, stream)
    assert "".join(block.get("text", "") for block in blocks) == "".join(one.text for one in seen if isinstance(one, TextDelta))
    calls = {
        one.index: [one.block.name, one.block.arguments] for one in seen if isinstance(one, BlockStart) and isinstance(one.block, ToolCall)
    }
    for one in seen:
        if isinstance(one, ArgumentsDelta) and one.index in calls:
            calls[one.index][1] += one.text
    assert _own_calls(blocks) == [(called, json.loads(arguments or "{}")) for called, arguments in calls.values()]
    thinking = "".join(one.text for one in seen if isinstance(one, ReasoningDelta))
    assert "".join(block.get("reasoningContent", {}).get("text", "") for block in blocks) == thinking
    (told,) = [value["usage"] for kind, value in written if kind == "metadata"]
    used = [one.usage for one in seen if isinstance(one, Used)]
    assert _recorded(told) == (replace(used[-1], reasoning=0, cache_write_1h=0) if used else Usage())


@cases("exchange", traffic.STREAMS, ids=traffic.name)
def test_each_event_is_written_as_soon_as_it_comes(exchange: traffic.Exchange) -> None:
    writer, reader = BEDROCK.stream_writer(include_usage=False), DIALECTS[exchange.dialect].stream_reader()
    for raw in raw_events(DIALECTS[exchange.dialect].framing, exchange.text.encode()):
        for one in reader.feed(raw):
            written = writer.write(one)
            if isinstance(one, TextDelta | ReasoningDelta) and one.text:
                assert [kind for kind, _ in events(written)] == ["contentBlockDelta"]


@cases("exchange", ANSWERS, ids=name)
def test_usage_of_an_answer_that_passes_through(exchange: Converse) -> None:
    usage, model = BEDROCK.usage(json.dumps(exchange.answer).encode())
    tier = exchange.answer.get("serviceTier", {}).get("type", "default")
    wanted = replace(_recorded(exchange.answer["usage"]), tier="" if tier == "default" else tier)
    assert usage == BEDROCK.read_answer(exchange.answer).usage == wanted
    assert model == ""


@pytest.mark.parametrize("exchange", STREAMS, ids=name)
def test_usage_of_a_stream_that_passes_through(exchange: Converse) -> None:
    text, thoughts, _, usage = _whole(exchange.stream)
    messages = split(BEDROCK.framing, exchange.stream)
    watch = BEDROCK.stream_usage()
    changed = [watch.feed(one) for one in messages]
    assert changed == [False] * (len(messages) - 1) + [True]
    assert watch.usage == _recorded(usage)
    assert watch.finished
    assert watch.text == len((text + thoughts).encode())
    assert not watch.feed(messages[-1]), "nothing new"
    later = BEDROCK.stream_usage()
    later.feed_later(messages[:-1])
    assert (later.text, later.finished) == (watch.text, True)
    assert not any(BEDROCK.is_usage_only(one) for one in messages)


def test_a_text_cannot_look_like_an_event() -> None:
    watch = BEDROCK.stream_usage()
    watch.feed(event("contentBlockDelta", b'{"delta":{"text":"\\u000b:event-type\\u0007 messageStop metadata \\"usage\\":{}"}}'))
    assert (watch.finished, watch.usage) == (False, None)
    watch.feed(event("metadata", b"nope"))
    assert watch.usage is None


@pytest.mark.parametrize("exchange", [e for e in ALL if e.status >= 400], ids=name)
def test_errors_are_told_in_the_other_dialects(exchange: Converse) -> None:
    fault = BEDROCK.read_error(exchange.status, json.dumps(exchange.answer).encode())
    assert (fault.status, fault.code, fault.message) == (400, "model_not_found", exchange.answer["message"])
    assert OPENAI.write_error(fault, "r")["error"]["code"] == "model_not_found"
    assert BEDROCK.write_error(fault, "") == {"__type": "ValidationException", **exchange.answer}


SIGNED = [e for e in ANSWERS if "signature" in json.dumps(e.answer) or "redactedContent" in json.dumps(e.answer)]


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("exchange", SIGNED, ids=name)
def test_a_conversation_with_thinking_goes_on(exchange: Converse, client: str) -> None:
    """What Claude signed comes back to it through a client of another dialect as it was."""
    given_answer = DIALECTS[client].write_answer(BEDROCK.read_answer(exchange.answer))
    turn = given_answer["choices"][0]["message"] if client == "openai" else {"role": "assistant", "content": given_answer["content"]}
    messages = [{"role": "user", "content": "Hi"}, turn]
    asked = DIALECTS[client].read_request({"model": "m", "max_tokens": 9, "messages": messages})
    written = BEDROCK.write_request(asked, exchange.model)
    thoughts = [block for block in _blocks(exchange.answer) if "reasoningContent" in block]
    assert [block for block in written["messages"][1]["content"] if "reasoningContent" in block] == thoughts
    # Nobody else gets it.
    for other in ("us.amazon.nova-pro-v1:0", "us.deepseek.r1-v1:0"):
        asked = DIALECTS[client].read_request({"model": "m", "max_tokens": 9, "messages": messages})
        assert "reasoningContent" not in json.dumps(BEDROCK.write_request(asked, other))
        assert asked.words["blocks[].reasoning"] in asked.dropped


def test_anothers_signature_survives_bedrocks_clients() -> None:
    """A client of Bedrock's that talks to another's model sends back what that one signed."""
    blocks: list[Block] = [
        Reasoning("t", "SIG", origin="google-gemini-v1"),
        Reasoning(redacted="RED", origin="openai-responses-v1"),
        ToolCall("c", "f", "{}"),
    ]
    answer = OPENAI.read_answer({"choices": [{"message": {"content": None}}]})
    answer.choices[0].blocks = list(blocks)
    turn = BEDROCK.write_answer(answer)["output"]["message"]
    back = BEDROCK.read_request({"model": "m", "messages": [turn]})
    assert back.messages[0].blocks == blocks
    assert back.dropped == []
    # Nobody at Bedrock is told of it, whichever dialect its client speaks.
    body = json.dumps({"messages": [turn, {"role": "user", "content": [{"text": "Hi"}]}]}).encode()
    assert packed(body)
    own = BEDROCK.write_request(back, MODELS[0])
    assert [list(block) for block in own["messages"][0]["content"]] == [["toolUse"]]
    assert back.dropped == ["messages[].content[].reasoningContent"]
    back.dialect = "openai"
    assert "reasoningContent" not in json.dumps(BEDROCK.write_request(back, MODELS[0]))
