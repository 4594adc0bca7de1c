"""What providers and clients of OpenAI's dialect write otherwise than OpenAI."""

from typing import Any

from extproc.dialects import DIALECTS
from extproc.dialects.hub import ToolCall

OPENAI = DIALECTS["openai"]


def test_arguments_may_be_an_object() -> None:
    call: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = OPENAI.read_answer({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    assert answer.choices[0].blocks == [ToolCall("c", "f", '{"a":[1]}')]
    assert call["function"]["arguments"] == {"a": [1]}
