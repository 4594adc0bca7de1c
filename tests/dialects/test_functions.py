"""Chat completions in the form before tools: who asks with `functions` is answered with `function_call`."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Choice,
    Finish,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
)
from extproc.errors import Reject
from tests.dialects import sdk
from tests.dialects.traffic import data

OPENAI = DIALECTS["openai"]
USER = {"role": "user", "content": "How is the weather in Bern?"}
CALLED = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"city":"Bern"}'}}
SAID = {"role": "function", "name": "weather", "content": "Sunny."}
FUNCTIONS = [{"name": "weather", "parameters": {"type": "object", "properties": {}}}]
ASKED = OPENAI.read_request({"model": "m", "messages": [USER], "functions": FUNCTIONS}).asked


def answered(*blocks: Any, stop: StopReason = StopReason.TOOL) -> tuple[Any, list[str]]:
    answer = Answer(dialect="gemini", id="r1", model="m", choices=[Choice(blocks=[*blocks], stop=stop)], asked=ASKED)
    body = OPENAI.write_answer(answer)
    sdk.openai_answer(body)
    return body["choices"][0], answer.dropped


def streamed(*events: StreamEvent, stop: StopReason = StopReason.TOOL) -> tuple[list[Any], list[str]]:
    writer = OPENAI.stream_writer(include_usage=False)
    whole = [Start(id="c1", model="m", dialect="gemini", asked=ASKED), *events, Stop(reason=stop), Finish()]
    stream = b"".join(map(writer.write, whole)) + writer.end()
    sdk.openai_stream(stream)
    dropped: list[str] = writer.dropped  # type: ignore[attr-defined]
    return [chunk["choices"][0] for chunk in data(stream)], dropped


def test_a_call() -> None:
    choice, dropped = answered(Text("Let me look."), ToolCall("call_1", "weather", '{"city":"Bern"}'))
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert choice["message"]["content"] == "Let me look."
    assert "tool_calls" not in choice["message"]
    assert (choice["finish_reason"], dropped) == ("function_call", [])


def test_no_call() -> None:
    choice, dropped = answered(Text("Sunny."), stop=StopReason.END)
    assert (choice["message"]["content"], choice["finish_reason"], dropped) == ("Sunny.", "stop", [])
    assert "function_call" not in choice["message"]


def test_more_than_one_call_is_named() -> None:
    choice, dropped = answered(ToolCall("a", "weather", ""), ToolCall("b", "weather", "{}"))
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": "{}"}
    assert dropped == ["choices[].message.tool_calls[1:]"]


def test_a_signature_has_no_place() -> None:
    _, dropped = answered(ToolCall("a", "weather", "{}", seal=Seal("c2ln", "google-gemini-v1")))
    assert dropped == ["choices[].message.tool_calls[].extra_content"]


def test_a_stream() -> None:
    choices, dropped = streamed(
        BlockStart(0, Text("")),
        TextDelta(0, "Let me look."),
        BlockStop(0),
        BlockStart(1, ToolCall("call_1", "weather", "")),
        ArgumentsDelta(1, '{"city":'),
        ArgumentsDelta(1, '"Bern"}'),
        BlockStop(1),
    )
    assert [choice["delta"] for choice in choices] == [
        {"role": "assistant", "content": ""},
        {"content": "Let me look."},
        {"function_call": {"name": "weather", "arguments": ""}},
        {"function_call": {"arguments": '{"city":'}},
        {"function_call": {"arguments": '"Bern"}'}},
        {},
    ]
    assert (choices[-1]["finish_reason"], dropped) == ("function_call", [])


def test_a_stream_of_more_than_one_call() -> None:
    choices, dropped = streamed(
        BlockStart(0, ToolCall("a", "weather", "")),
        SignatureDelta(0, "c2ln", "google-gemini-v1"),
        BlockStop(0),
        BlockStart(1, ToolCall("b", "weather", "")),
        ArgumentsDelta(1, "{}"),
        BlockStop(1),
    )
    calls = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
    assert calls == [{"name": "weather", "arguments": ""}, {"arguments": "{}"}]
    assert dropped == ["choices[].message.tool_calls[].extra_content", "choices[].message.tool_calls[1:]"]


def test_who_asks_with_tools_is_answered_with_tool_calls() -> None:
    tools = [{"type": "function", "function": FUNCTIONS[0]}]
    assert OPENAI.read_request({"model": "m", "messages": [USER], "tools": tools, "functions": FUNCTIONS}).asked == {}


OWN: list[dict[str, Any]] = [
    {"messages": [USER], "functions": FUNCTIONS},
    {"messages": [USER], "functions": [], "function_call": "none"},
    {"messages": [USER], "functions": [{**FUNCTIONS[0], "description": "x", "x_new": 1}], "function_call": {"name": "weather", "x": 1}},
    {"messages": [USER, CALLED, SAID], "functions": FUNCTIONS, "function_call": "auto", "parallel_tool_calls": None},
    {"messages": [USER, {**CALLED, "content": "Hm."}, {**SAID, "content": None, "x_new": 1}], "functions": FUNCTIONS},
    {"messages": [USER, {**CALLED, "function_call": {"name": "weather", "x": 1}}, {**SAID, "content": [{"type": "text", "text": "a"}]}]},
    {"messages": [USER], "functions": FUNCTIONS, "tools": [{"type": "function", "function": {"name": "f"}}], "function_call": "auto"},
    {"messages": [USER], "functions": FUNCTIONS, "web_search_options": {}, "max_completion_tokens": 9},
    {"messages": [USER, {"role": "assistant", "content": "x", "function_call": None}]},
]


@pytest.mark.parametrize("fields", OWN, ids=range(len(OWN)))
def test_nothing_is_lost_in_its_own_dialect(fields: dict[str, Any]) -> None:
    body = {"model": "m", **fields}
    conversation = OPENAI.read_request(body)
    assert OPENAI.write_request(conversation, "m") == body
    assert conversation.dropped == []


def test_a_provider_s_answer_in_that_form() -> None:
    body = {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": CALLED, "finish_reason": "function_call"}],
    }  # fmt: skip
    answer = OPENAI.read_answer(body)
    assert OPENAI.write_answer(answer) == body
    written = DIALECTS["anthropic"].write_answer(OPENAI.read_answer(body))
    assert (written["content"][0]["name"], written["content"][0]["input"]) == ("weather", {"city": "Bern"})
    assert written["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"functions": {}}, "functions"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": [{"name": "f", "parameters": []}]}, "functions[0].parameters"),
        ({"functions": FUNCTIONS, "function_call": 7}, "function_call"),
        ({"functions": FUNCTIONS, "function_call": {}}, "function_call.name"),
        ({"messages": [{"role": "assistant", "function_call": "x"}]}, "messages[0].function_call"),
        ({"messages": [{"role": "assistant", "function_call": {"arguments": "{}"}}]}, "messages[0].function_call.name"),
        ({"messages": [{"role": "function", "name": "f", "content": 7}]}, "messages[0].content"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Reject) as refused:
        OPENAI.read_request({"model": "m", "messages": [USER], **fields})
    assert refused.value.fault.param == path


@pytest.mark.parametrize("target", [name for name in DIALECTS if name != "openai"])
def test_one_call_a_turn_is_asked_for_where_it_can_be(target: str) -> None:
    """Nobody misses it elsewhere: it was not asked for in words."""
    conversation = OPENAI.read_request({"model": "m", "messages": [USER], "functions": FUNCTIONS})
    body = json.dumps(DIALECTS[target].write_request(conversation, "some-model"))
    assert ("parallel" in body) is (target in ("anthropic", "responses"))
    assert conversation.dropped == []
