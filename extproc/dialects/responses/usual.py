"""What most items and tools of requests and answers are made of, known at a glance: see `plain`."""

from typing import Any

from extproc.dialects.hub import Message, Text, Tool, ToolCall, ToolResult

_CALL = frozenset({"type", "id", "status", "call_id", "name", "arguments"})
_RESULT = frozenset({"type", "id", "status", "call_id", "output"})
_MESSAGE = frozenset({"type", "id", "status", "role", "phase", "content"})
_PART = frozenset({"type", "text", "annotations", "logprobs"})


def said(value: Any) -> Text | None:
    """An item of an answer that is a message of one text, and nothing is told of that."""
    if type(value) is not dict or value.get("type") != "message" or not value.keys() <= _MESSAGE:
        return None
    content = value.get("content")
    part = content[0] if type(content) is list and len(content) == 1 else None
    if type(part) is not dict or part.get("type") != "output_text" or not part.keys() <= _PART:
        return None
    text = part.get("text")
    return Text(text) if type(text) is str and not part.get("annotations") and not part.get("logprobs") else None


def call(value: Any) -> ToolCall | None:
    """An item that is a call of a function."""
    if type(value) is not dict or value.get("type") != "function_call" or not value.keys() <= _CALL:
        return None
    identifier, name, arguments = value.get("call_id"), value.get("name"), value.get("arguments")
    if type(identifier) is not str or type(name) is not str or type(arguments) is not str:
        return None
    return ToolCall(identifier, name, arguments)


def result(value: Any) -> Message | None:
    """An item that is what came of a call, in words."""
    if type(value) is not dict or value.get("type") != "function_call_output" or not value.keys() <= _RESULT:
        return None
    identifier, output = value.get("call_id"), value.get("output")
    if type(identifier) is not str or type(output) is not str:
        return None
    return Message(role="tool", blocks=[ToolResult(identifier, [Text(output)], plain=True)])


def tool(value: Any) -> Tool | None:
    """A function."""
    if type(value) is not dict or value.get("type") != "function":
        return None
    name, description, schema, strict = value.get("name"), value.get("description"), value.get("parameters"), value.get("strict")
    known = 3 + (type(description) is str) + (type(strict) is bool)
    if type(name) is not str or type(schema) is not dict or len(value) != known:
        return None
    return Tool(name=name, description=description, schema=schema, strict=strict)
