"""What most requests and answers are made of, known at a glance: texts, calls of functions, their results, and the functions.

None means that there is more to it, or that something is wrong with it: then `parts`, `request_read` and `tools_read` read it, and
say what. Whatever is taken here they would read just the same (a test holds that); it only takes longer.
"""

from typing import Any

import msgspec

from extproc.dialects.gemini.names import Fields
from extproc.dialects.gemini.signatures import sign
from extproc.dialects.hub import Block, Message, Text, Tool, ToolCall, ToolResult

ROLES = {"user": "user", "model": "assistant", "function": "tool"}
"""Roles of contents in the hub's words."""

_CALLS = ({"name", "args"}, {"id", "name", "args"})
_RESULTS = ({"name", "response"}, {"id", "name", "response"})
_FUNCTION = frozenset({"name", "description", "parametersJsonSchema"})

_encode = msgspec.json.encode


def content(value: Any) -> Message | None:
    """A content of one part: `{"role": "user", "parts": [{"text": "..."}]}`."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, parts = value.get("role"), value.get("parts")
    if type(role) is not str or role not in ROLES or type(parts) is not list or len(parts) != 1:
        return None
    block = part(parts[0])
    return None if block is None else Message(role=ROLES[role], blocks=[block])


def part(value: Any) -> Block | None:
    """A part that is a text, a call or a result, and perhaps signed."""
    if type(value) is not dict:
        return None
    signature = value.get("thoughtSignature")
    if len(value) != (1 if signature is None else 2):
        return None
    block: Block | None = None
    if type(text := value.get("text")) is str:
        block = Text(text)
    elif type(call := value.get("functionCall")) is dict:
        block = _call(call)
    elif type(response := value.get("functionResponse")) is dict:
        block = _result(response)
    if block is None or signature is None:
        return block
    if type(signature) is not str:
        return None
    sign(block, signature)
    return block


def _call(value: dict[str, Any]) -> ToolCall | None:
    if value.keys() not in _CALLS:
        return None
    identifier, name, args = value.get("id", "-"), value["name"], value["args"]
    if type(identifier) is not str or not identifier or type(name) is not str or type(args) is not dict:
        return None
    return ToolCall(identifier if "id" in value else "", name, _encode(args).decode())


def _result(value: dict[str, Any]) -> ToolResult | None:
    """A result in words: a response that is nothing but its `output`."""
    if value.keys() not in _RESULTS:
        return None
    identifier, name, response = value.get("id", "-"), value["name"], value["response"]
    if type(identifier) is not str or not identifier or type(name) is not str or type(response) is not dict or len(response) != 1:
        return None
    said = response.get("output")
    if type(said) is not str:
        return None
    return ToolResult(identifier if "id" in value else "", [Text(said)], extra=Fields(name=name, response="output"))


def functions(entry: Any) -> list[Tool] | None:
    """An entry of `tools` that holds functions alone, each with a name, perhaps a description, and a schema."""
    if type(entry) is not dict or len(entry) != 1 or type(given := entry.get("functionDeclarations")) is not list:
        return None
    tools: list[Tool] = []
    for value in given:
        if (tool := _function(value)) is None:
            return None
        tools.append(tool)
    return tools or None


def _function(value: Any) -> Tool | None:
    if type(value) is not dict or not value.keys() <= _FUNCTION:
        return None
    name, description, schema = value.get("name"), value.get("description", ""), value.get("parametersJsonSchema")
    if type(name) is not str or type(description) is not str or type(schema) is not dict:
        return None
    return Tool(name=name, description=description if "description" in value else None, schema=schema)
