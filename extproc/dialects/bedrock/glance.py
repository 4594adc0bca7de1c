"""What most requests and answers are made of, known at a glance: texts, calls of tools, their results, and the tools.

None means that there is more to it, or that something is wrong with it: then `blocks` and `request_read` read it, and say what. Whatever
is taken here they would read just the same (a test holds that); it only takes longer.
"""

from typing import Any

import msgspec

from extproc.dialects.hub import Block, Message, Text, Tool, ToolCall, ToolResult

_SPEC = frozenset({"name", "description", "inputSchema"})
_FAILED = {"error": True, "success": False}

_encode = msgspec.json.encode


def message(value: Any) -> Message | None:
    """A message of one block: `{"role": "user", "content": [{"text": "..."}]}`."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, content = value.get("role"), value.get("content")
    if type(role) is not str or type(content) is not list or len(content) != 1:
        return None
    only = block(content[0])
    return None if only is None else Message(role=role, blocks=[only])


def block(value: Any) -> Block | None:
    """A block that is a text, a call or a result. It does not stand in a result itself."""
    if type(value) is not dict or len(value) != 1:
        return None
    if type(text := value.get("text")) is str:
        return Text(text)
    if type(call := value.get("toolUse")) is dict:
        return _call(call)
    result = value.get("toolResult")
    return _result(result) if type(result) is dict else None


def _call(value: dict[str, Any]) -> ToolCall | None:
    identifier, name, given = value.get("toolUseId"), value.get("name"), value.get("input")
    if type(identifier) is not str or type(name) is not str or type(given) is not dict or len(value) != 3:
        return None
    return ToolCall(identifier, name, _encode(given).decode())


def _result(value: dict[str, Any]) -> ToolResult | None:
    """A result that is one text."""
    identifier, content, status = value.get("toolUseId"), value.get("content"), value.get("status", "")
    if type(identifier) is not str or type(content) is not list or len(content) != 1 or type(status) is not str:
        return None
    only, error = content[0], _FAILED.get(status)
    if len(value) != (2 if error is None else 3) or type(only) is not dict or len(only) != 1 or type(text := only.get("text")) is not str:
        return None
    return ToolResult(identifier, [Text(text)], error)


def tool(value: Any) -> Tool | None:
    """A tool of the client's: a name, perhaps a description, a schema."""
    if type(value) is not dict or len(value) != 1 or type(spec := value.get("toolSpec")) is not dict or not spec.keys() <= _SPEC:
        return None
    name, description, given = spec.get("name"), spec.get("description", ""), spec.get("inputSchema")
    if type(name) is not str or type(description) is not str or type(given) is not dict or len(given) != 1:
        return None
    schema = given.get("json")
    if type(schema) is not dict:
        return None
    return Tool(name=name, description=description if "description" in spec else None, schema=schema)
