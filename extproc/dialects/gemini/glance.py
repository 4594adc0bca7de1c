"""What most requests and answers are made of, known at a glance: texts, calls of functions, their results, and the functions.

None means that there is more to it, or that something is wrong with it: then `parts`, `request_read` and `tools_read` read it, and
say what. Whatever is taken here they would read just the same (a test holds that); it only takes longer.
"""

from typing import Any

import msgspec

from extproc.dialects import plain
from extproc.dialects.gemini.signatures import sign
from extproc.dialects.hub import Block, Message, Text, Tool, ToolCall, ToolResult

ROLES = {"user": "user", "model": "assistant", "function": "tool"}
"""Roles of contents in the hub's words."""

_FUNCTION = frozenset({"name", "description", "parametersJsonSchema"})

_encode = msgspec.json.encode


def content(value: Any) -> Message | None:
    """A content of one part: `{"role": "user", "parts": [{"text": "..."}]}`."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, parts = value.get("role"), value.get("parts")
    if role not in ("user", "model") or type(parts) is not list or len(parts) != 1:
        return None
    block = part(parts[0])
    return None if block is None else Message(role="user" if role == "user" else "assistant", blocks=[block])


def instructions(value: Any) -> Message | None:
    """Instructions of one part, which need no role: `{"parts": [{"text": "..."}]}`."""
    if type(value) is not dict or len(value) != 1 or type(parts := value.get("parts")) is not list or len(parts) != 1:
        return None
    block = part(parts[0])
    return None if block is None else Message(role="system", blocks=[block])


def part(value: Any) -> Block | None:
    """A part that is a text, a call or a result, and perhaps signed."""
    if type(value) is not dict:
        return None
    if len(value) == 1:
        text = value.get("text")
        return Text(text) if type(text) is str else _only(value)
    signature = value.get("thoughtSignature")
    if len(value) != 2 or type(signature) is not str or (block := _only(value)) is None:
        return None
    sign(block, signature)
    return block


def words(candidates: Any) -> tuple[int, str] | None:
    """Of a chunk of a stream: the candidate, and more of its text, where there is one and says nothing beside."""
    if type(candidates) is not list or len(candidates) != 1 or type(candidate := candidates[0]) is not dict:
        return None
    index, inner = candidate.get("index", 0), candidate.get("content")
    if type(index) is not int or len(candidate) != (2 if "index" in candidate else 1) or type(inner) is not dict:
        return None
    parts = inner.get("parts")
    if type(parts) is not list or len(parts) != 1 or type(parts[0]) is not dict or len(parts[0]) != 1:
        return None
    text = parts[0].get("text")
    return (index, text) if type(text) is str and text else None


def _only(value: dict[str, Any]) -> Block | None:
    """What stands in a part, signatures aside."""
    if type(text := value.get("text")) is str:
        return Text(text)
    if type(call := value.get("functionCall")) is dict:
        return _call(call)
    response = value.get("functionResponse")
    return _result(response) if type(response) is dict else None


def _call(value: dict[str, Any]) -> ToolCall | None:
    identifier, name, args = value.get("id", ""), value.get("name"), value.get("args")
    if type(identifier) is not str or type(name) is not str or type(args) is not dict or len(value) != (3 if identifier else 2):
        return None
    return ToolCall(identifier, name, _encode(args).decode())


def _result(value: dict[str, Any]) -> ToolResult | None:
    """A result in words: a response that is nothing but its `output`."""
    identifier, name, response = value.get("id", ""), value.get("name"), value.get("response")
    if type(identifier) is not str or type(name) is not str or type(response) is not dict or len(value) != (3 if identifier else 2):
        return None
    said = response.get("output")
    return ToolResult(identifier, [Text(said)], name=name) if type(said) is str and len(response) == 1 else None


def functions(entry: Any) -> list[Tool] | None:
    """An entry of `tools` that holds functions alone, each with a name, perhaps a description, and a schema."""
    if type(entry) is not dict or len(entry) != 1 or type(given := entry.get("functionDeclarations")) is not list:
        return None
    tools: list[Tool] = []
    for value in given:
        if (tool := plain.declared(value, _FUNCTION, "parametersJsonSchema")) is None:
            return None
        tools.append(tool)
    return tools or None
