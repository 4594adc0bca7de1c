"""What providers and clients of OpenAI's dialect write otherwise than OpenAI."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import ArgumentsDelta, Error, Finish, ReasoningDelta, Stop, StreamEvent, TextDelta, ToolCall

OPENAI = DIALECTS["openai"]


def test_arguments_may_be_an_object() -> None:
    call: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = OPENAI.read_answer({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    assert answer.choices[0].blocks == [ToolCall("c", "f", '{"a":[1]}')]
    assert call["function"]["arguments"] == {"a": [1]}


def _heard(*choices: dict[str, Any]) -> list[StreamEvent]:
    """What a stream of these choices says."""
    reader = DIALECTS["openai"].stream_reader()
    chunks = [{"id": "c", "model": "m", "choices": [{"index": 0, **choice}]} for choice in choices]
    events = [event for chunk in chunks for event in reader.feed(RawEvent("", json.dumps(chunk).encode()))]
    return [*events, *reader.feed(RawEvent("", b"[DONE]"))]


def _text(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if type(event) is TextDelta)


def test_a_stream_may_say_a_message_at_once() -> None:
    function = {"name": "f", "arguments": '{"a":1}'}
    message = {"role": "assistant", "reasoning_content": "Hm.", "content": "Hi", "tool_calls": [{"id": "t", "function": function}]}
    events = _heard({"message": message, "finish_reason": "tool_calls"})
    assert _text(events) == "Hi"
    assert [event.text for event in events if type(event) is ReasoningDelta] == ["Hm."]
    assert [event.text for event in events if type(event) is ArgumentsDelta] == ['{"a":1}']
    (stop,) = [event for event in events if type(event) is Stop]
    assert (stop.raw, stop.extra) == ("tool_calls", {})
    assert type(events[-1]) is Finish


@pytest.mark.parametrize(
    "choices",
    [
        [{"message": {"content": "Hel"}}, {"message": {"content": "lo"}}, {"message": {}, "finish_reason": "stop"}],
        [{"delta": {"role": "assistant"}}, {"delta": None, "message": {"content": "Hello"}, "finish_reason": "stop"}],
        [{"delta": {"content": ""}, "message": {"content": "Hello"}}, {"delta": {}, "finish_reason": "stop"}],
        # Perplexity tells all so far beside each delta.
        [{"delta": {"content": "Hel"}, "message": {"content": "Hel"}}, {"delta": {"content": "lo"}, "message": {"content": "Hello"}}],
        [{"delta": {"content": "Hello"}}, {"message": {"content": "Hello"}, "finish_reason": "stop"}],
        [{"message": {"content": "Hello"}}, {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        [{"message": {"content": "Hel"}}, {"message": {"content": "lo"}}, {"message": {"content": "Hello"}, "finish_reason": "stop"}],
        [{"message": {"content": "Hello"}, "finish_reason": "stop"}, {"message": {"content": "Hello"}}],
        [{"delta": {"content": "Hello"}}, {"delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}],
    ],
)
def test_what_is_said_in_deltas_is_not_said_again(choices: list[dict[str, Any]]) -> None:
    assert _text(_heard(*choices)) == "Hello"


@pytest.mark.parametrize("message", [None, "Hello", ["Hello"]])
def test_what_is_no_message_says_nothing(message: Any) -> None:
    assert _text(_heard({"message": message, "finish_reason": "stop"})) == ""
    assert type(_heard({"message": {"content": 1}})[-1]) is Error
