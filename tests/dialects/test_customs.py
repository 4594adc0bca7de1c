"""Calls of tools that take a text: between OpenAI's two dialects as they are, from others as calls of functions."""

import copy
import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Answer, Choice, Error, Start, StopReason, ToolCall
from extproc.errors import Reject
from tests.dialects import sdk
from tests.dialects.traffic import data, hub_events, rewrite

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
DONE = b"data: [DONE]\n\n"
SAID = 'add "1" and\n2 é😀'
TOOLS: dict[str, Any] = {
    "openai": [{"type": "custom", "custom": {"name": "calculate"}}, {"type": "function", "function": {"name": "weather"}}],
    "responses": [{"type": "custom", "name": "calculate"}, {"type": "function", "name": "weather", "parameters": {}}],
}
QUESTION: dict[str, Any] = {"openai": {"messages": [{"role": "user", "content": "Hi"}]}, "responses": {"input": "Hi"}}


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def asked(client: str) -> dict[str, Any]:
    """What the writer of an answer is told of the request."""
    found: dict[str, Any] = DIALECTS[client].read_request({"model": "m", "tools": TOOLS[client], **QUESTION[client]}).asked
    return found


def told(source: str, client: str, stream: bytes) -> bytes:
    """A provider's stream, for a client with these tools."""
    writer = DIALECTS[client].stream_writer(include_usage=False)
    events = hub_events(source, stream)
    for event in events:
        if type(event) is Start:
            event.asked = asked(client)
    return b"".join(map(writer.write, events)) + writer.end()


def chat_message(*calls: Any) -> Any:
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [*calls]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


CUSTOM: dict[str, Any] = {"id": "call_1", "type": "custom", "custom": {"name": "calculate", "input": SAID}}
FUNCTION = {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}
ITEMS: list[dict[str, Any]] = [
    {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_1", "name": "calculate", "input": SAID},
    {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_2", "name": "weather", "arguments": '{"a":1}'},
]
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": ITEMS, "tools": [],
    "parallel_tool_calls": True, "tool_choice": "auto",
}  # fmt: skip


def bare(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the items' own ids."""
    return [{key: item[key] for key in item if key != "id"} for item in items]


def test_an_answer_of_responses_for_chat() -> None:
    answer = DIALECTS["responses"].read_answer(RESPONSE)
    assert answer.choices[0].stop is StopReason.TOOL
    body = DIALECTS["openai"].write_answer(answer)
    sdk.openai_answer(body)
    assert body["choices"][0]["message"]["tool_calls"] == [CUSTOM, FUNCTION]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert answer.dropped == []


def test_an_answer_of_chat_for_responses() -> None:
    body = DIALECTS["responses"].write_answer(DIALECTS["openai"].read_answer(chat_message(CUSTOM, FUNCTION)))
    sdk.responses_answer(body)
    assert bare(body["output"]) == bare(ITEMS)
    assert body["output"][0]["id"].startswith("ctc_")


@pytest.mark.parametrize(("dialect", "body"), [("openai", chat_message(CUSTOM, FUNCTION)), ("responses", RESPONSE)])
def test_an_answer_comes_back_as_it_was(dialect: str, body: Any) -> None:
    assert DIALECTS[dialect].write_answer(DIALECTS[dialect].read_answer(body)) == body


def called(name: str, arguments: str) -> Answer:
    """An answer of somebody who has functions only."""
    blocks = [ToolCall("call_1", name, arguments)]
    return Answer(dialect="anthropic", id="a1", model="m", choices=[Choice(blocks=[*blocks], stop=StopReason.TOOL)])


@pytest.mark.parametrize(("arguments", "said"), [(json.dumps({"input": SAID}), SAID), ('{"x":1}', '{"x":1}'), ("", "")])
def test_a_function_s_call_comes_back_as_the_tool_s(arguments: str, said: str) -> None:
    answer = called("calculate", arguments)
    answer.asked = asked("openai")
    (call,) = DIALECTS["openai"].write_answer(answer)["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_1", "type": "custom", "custom": {"name": "calculate", "input": said}}
    answer.asked = asked("responses")
    (item,) = bare(DIALECTS["responses"].write_answer(answer)["output"])
    assert item == {"type": "custom_tool_call", "status": "completed", "call_id": "call_1", "name": "calculate", "input": said}


@pytest.mark.parametrize("client", ["openai", "responses"])
def test_functions_stay_functions(client: str) -> None:
    answer = called("weather", '{"input":"x"}')
    answer.asked = asked(client)
    assert "custom" not in json.dumps({**DIALECTS[client].write_answer(answer), "tools": []})


def piece(call: dict[str, Any], finish: str | None = None) -> Any:
    return {**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": [call]} if call else {}, "finish_reason": finish}]}


CHAT_STREAM = (
    sse(
        piece({"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "calculate", "input": ""}}),
        piece({"index": 0, "custom": {"input": SAID[:5]}}),
        piece({"index": 0, "custom": {"input": SAID[5:]}}),
        piece({"index": 1, "id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}),
        piece({}, "tool_calls"),
    )
    + DONE
)
BEGUN: dict[str, Any] = {**RESPONSE, "status": "in_progress", "output": []}
RESPONSES_STREAM = sse(
    {"type": "response.created", "sequence_number": 0, "response": BEGUN},
    {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {**ITEMS[0], "input": ""}},
    {"type": "response.custom_tool_call_input.delta", "sequence_number": 2, "output_index": 0, "item_id": "ctc_1", "delta": SAID[:5]},
    {"type": "response.custom_tool_call_input.delta", "sequence_number": 3, "output_index": 0, "item_id": "ctc_1", "delta": SAID[5:]},
    {"type": "response.custom_tool_call_input.done", "sequence_number": 4, "output_index": 0, "item_id": "ctc_1", "input": SAID},
    {"type": "response.output_item.done", "sequence_number": 5, "output_index": 0, "item": ITEMS[0]},
    {"type": "response.output_item.added", "sequence_number": 6, "output_index": 1, "item": {**ITEMS[1], "arguments": ""}},
    {
        "type": "response.function_call_arguments.delta", "sequence_number": 7, "output_index": 1, "item_id": "fc_1",
        "delta": ITEMS[1]["arguments"],
    },
    {
        "type": "response.function_call_arguments.done", "sequence_number": 8, "output_index": 1, "item_id": "fc_1",
        "arguments": ITEMS[1]["arguments"],
    },
    {"type": "response.output_item.done", "sequence_number": 9, "output_index": 1, "item": ITEMS[1]},
    {"type": "response.completed", "sequence_number": 10, "response": RESPONSE},
)  # fmt: skip
ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "call_1", "name": "calculate", "input": {}}},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": part}}
        for part in ('{"in', 'put": "add \\"1\\" a', "nd\\n2 \\u00e9\\ud83d", '\\ude00"}')
    ),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]  # fmt: skip
ANTHROPIC_STREAM = b"".join(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in ANTHROPIC)
STREAMS = {"openai": CHAT_STREAM, "responses": RESPONSES_STREAM, "anthropic": ANTHROPIC_STREAM}


@pytest.mark.parametrize("source", STREAMS)
def test_a_stream_for_chat(source: str) -> None:
    stream = told(source, "openai", STREAMS[source])
    assert stream.endswith(DONE)
    calls: dict[int, dict[str, Any]] = {}
    for chunk in data(stream):
        for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
            known = calls.setdefault(call.pop("index"), {"custom": {"input": ""}, "function": {"arguments": ""}})
            for kind, text in (("custom", "input"), ("function", "arguments")):
                inner = call.pop(kind, {})
                known[kind][text] += inner.pop(text, "")
                known[kind] |= inner
            known |= call
    assert calls[0] == {**CUSTOM, "function": {"arguments": ""}}
    assert calls[1] == {**FUNCTION, "custom": {"input": ""}}
    assert data(stream)[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("source", STREAMS)
def test_a_stream_for_responses(source: str) -> None:
    stream = told(source, "responses", STREAMS[source])
    final, _ = sdk.responses_stream(stream)
    assert [item.type for item in final.output] == ["custom_tool_call", "function_call"]
    events = data(stream, "responses")
    pieces = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert len(pieces) > 1 and "".join(pieces) == SAID
    assert [event["input"] for event in events if event["type"] == "response.custom_tool_call_input.done"] == [SAID]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert bare(done) == bare(ITEMS)


@pytest.mark.parametrize("dialect", ["openai", "responses"])
def test_what_breaks_off_is_estimated_by_its_text(dialect: str) -> None:
    watch = DIALECTS[dialect].stream_usage()
    for event in STREAMS[dialect].split(b"\n\n")[:-1]:
        watch.feed(event + b"\n\n")
    assert watch.text == len(SAID.encode()) + len('{"a":1}')


def test_a_stream_is_the_same_however_it_is_cut() -> None:
    whole = rewrite("openai", "responses", CHAT_STREAM)
    assert (
        data(rewrite("openai", "responses", CHAT_STREAM, [*range(0, len(CHAT_STREAM), 7)]), "responses")[-1]["response"]["output"]
        == (data(whole, "responses")[-1]["response"]["output"])
    )


def test_a_stream_of_a_call_that_is_not_in_the_form() -> None:
    wrong = ANTHROPIC_STREAM.replace(b'{\\"in', b'{\\"other\\":1,\\"in')
    texts = [
        call["custom"]["input"]
        for chunk in data(told("anthropic", "openai", wrong))
        for call in chunk["choices"][0]["delta"].get("tool_calls", ())
        if "custom" in call
    ]
    assert "".join(texts) == SAID
    final, _ = sdk.responses_stream(told("anthropic", "responses", wrong))
    assert final.output[0].to_dict()["input"] == SAID


@pytest.mark.parametrize(
    "told_whole",
    [
        RESPONSES_STREAM.replace(b"response.custom_tool_call_input.delta", b"response.unheard_of"),
        sse({"type": "response.completed", "response": RESPONSE}),
        sse(
            {"type": "response.created", "response": BEGUN},
            {"type": "response.output_item.done", "output_index": 0, "item": ITEMS[0]},
            {"type": "response.output_item.done", "output_index": 1, "item": ITEMS[1]},
            {"type": "response.completed", "response": RESPONSE},
        ),
        sse(
            {"type": "response.created", "response": BEGUN},
            {"type": "response.output_item.added", "output_index": 0, "item": {**ITEMS[0], "input": SAID}},
            {"type": "response.output_item.added", "output_index": 1, "item": ITEMS[1]},
            {"type": "response.completed", "response": RESPONSE},
        ),
    ],
    ids=["without deltas", "the end only", "items done", "items added"],
)
def test_providers_that_tell_less(told_whole: bytes) -> None:
    done = data(rewrite("responses", "openai", told_whole))
    pieces = [call for chunk in done for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert "".join(call["custom"]["input"] for call in pieces if "custom" in call) == SAID
    assert "".join(call["function"]["arguments"] for call in pieces if "function" in call) == '{"a":1}'


@pytest.mark.parametrize(
    ("source", "stream"),
    [
        ("openai", CHAT_STREAM.replace(b"data: [DONE]\n\n", b"") + sse(piece({"index": 0, "custom": {"input": "late"}}))),
        ("openai", sse(piece({"index": 0, "custom": {"input": 7}}))),
        ("responses", sse({"type": "response.custom_tool_call_input.delta", "output_index": 3, "item_id": "x", "delta": "x"})),
        ("responses", RESPONSES_STREAM.replace(b'"response.completed"', b'"response.custom_tool_call_input.delta", "output_index": 0')),
    ],
)  # fmt: skip
def test_a_text_that_belongs_nowhere_is_an_error(source: str, stream: bytes) -> None:
    assert isinstance(hub_events(source, stream)[-1], Error)


@pytest.mark.parametrize(
    ("dialect", "body", "path"),
    [
        ("openai", {"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ("openai", {"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
        ("openai", {"tool_choice": {"type": "custom", "custom": {}}}, "tool_choice.custom.name"),
        ("responses", {"tools": [{"type": "custom"}]}, "tools[0].name"),
        ("responses", {"input": [{"type": "custom_tool_call", "call_id": "c"}]}, "input[0].name"),
        ("responses", {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": {}}]}, "input[0].input"),
        (
            "openai",
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": 1}}]}]},
            "messages[0].tool_calls[0].custom.name",
        ),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(dialect: str, body: dict[str, Any], path: str) -> None:
    with pytest.raises(Reject) as refused:
        DIALECTS[dialect].read_request({"model": "m", **QUESTION[dialect], **body})
    assert refused.value.fault.param == path


OWN: list[tuple[str, dict[str, Any]]] = [
    ("openai", {"tools": [{"type": "custom", "x_new": 1, "custom": {"name": "c", "format": {"type": "of tomorrow"}, "y": 2}}]}),
    ("openai", {"tools": TOOLS["openai"], "tool_choice": {"type": "custom", "custom": {"name": "calculate"}}}),
    ("openai", {"messages": [{"role": "assistant", "tool_calls": [{**CUSTOM, "x": 1, "custom": {**CUSTOM["custom"], "y": 2}}]}]}),
    ("responses", {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}, "defer_loading": True}]}),
    ("responses", {"input": [*ITEMS, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "3"}]}),
]


@pytest.mark.parametrize(("dialect", "body"), OWN)
def test_nothing_is_lost_in_its_own_dialect(dialect: str, body: dict[str, Any]) -> None:
    asked = {"model": "m", **QUESTION[dialect], **body}
    conversation = DIALECTS[dialect].read_request(asked)
    assert DIALECTS[dialect].write_request(conversation, "m") == asked
    assert conversation.dropped == []


def test_a_format_that_nobody_knows_is_named() -> None:
    tool = {"type": "custom", "custom": {"name": "c", "format": {"type": "of tomorrow"}}}
    for target, model in (("anthropic", "claude-opus-4-6"), ("responses", "gpt-5.1")):
        conversation = DIALECTS["openai"].read_request({"model": "m", **QUESTION["openai"], "tools": [tool]})
        DIALECTS[target].write_request(conversation, model)
        assert conversation.dropped == ["tools[].custom.format"]


def test_what_a_provider_runs_itself_is_no_call_of_the_clients() -> None:
    """XAI tells its searches with the same items; the response repeats which tools the client has."""
    ran = {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "xs_1", "name": "x_keyword_search", "input": "{}"}
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
               "content": [{"type": "output_text", "text": "Found.", "annotations": []}]}  # fmt: skip
    shell = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}

    def told(tools: list[Any]) -> tuple[Any, Any]:
        whole = {**shell, "tools": tools, "output": [ran, message]}
        begun = {**shell, "tools": tools, "status": "in_progress", "output": []}
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": {**ran, "status": "in_progress", "input": ""}},
            {"type": "response.custom_tool_call_input.delta", "output_index": 0, "item_id": "ctc_1", "delta": "{}"},
            {"type": "response.custom_tool_call_input.done", "output_index": 0, "item_id": "ctc_1", "input": "{}"},
            {"type": "response.output_item.done", "output_index": 0, "item": ran},
            {"type": "response.output_item.added", "output_index": 1, "item": {**message, "content": []}},
            {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Found."},
            {"type": "response.output_item.done", "output_index": 1, "item": message},
            {"type": "response.completed", "response": whole},
        ]
        answer = DIALECTS["openai"].write_answer(DIALECTS["responses"].read_answer(copy.deepcopy(whole)))
        deltas = [choice["delta"] for chunk in data(rewrite("responses", "openai", sse(*events)), "openai") for choice in chunk["choices"]]
        streamed = [call for delta in deltas for call in delta.get("tool_calls") or ()]
        assert "".join(delta.get("content") or "" for delta in deltas) == "Found."
        return answer["choices"][0]["message"].get("tool_calls"), streamed

    assert told([{"type": "x_search"}]) == (None, [])
    (whole,), streamed = told(
        [{"type": "x_search"}, {"type": "function", "name": "x_keyword_search"}, {"type": "custom", "name": ran["name"]}]
    )
    assert whole["custom"]["name"] == "x_keyword_search" and streamed
