"""What most requests are made of, known at a glance: messages of nothing but words, tools that are functions, calls and their results.

None means that there is more to it, or that something is wrong with it: then the dialect's own way reads or writes it, and says what.
Whatever is taken here that way would read and write just the same (a test holds that); it only takes longer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from extproc.dialects.hub import Block, Extra, Message, Text, Tool, ToolCall, ToolResult


def message(value: Any) -> Message | None:
    """A message of words: `{"role": "user", "content": "..."}`. One of a tool, or of a function, is more than that in every
    dialect.
    """
    if type(value) is not dict or len(value) != 2:
        return None
    role, content = value.get("role"), value.get("content")
    if type(role) is not str or type(content) is not str or not content or role in ("tool", "function"):
        return None
    return Message(role=role, blocks=[Text(content)], plain=True)


def function(value: Any) -> Tool | None:
    """A tool of the client's as OpenAI's dialect has it, and those that follow it in that: a name, perhaps a description, a schema."""
    if type(value) is not dict or len(value) != 2 or value.get("type") != "function":
        return None
    given = value.get("function")
    if type(given) is not dict:
        return None
    name, description, schema = given.get("name"), given.get("description"), given.get("parameters")
    if type(name) is not str or type(schema) is not dict or len(given) != (3 if type(description) is str else 2):
        return None
    return Tool(name=name, description=description, schema=schema)


def declared(value: Any, fields: frozenset[str], schema: str) -> Tool | None:
    """A tool whose name, perhaps a description, and schema stand side by side: `fields` are the names of these, `schema` the last one's."""
    if type(value) is not dict or not value.keys() <= fields:
        return None
    name, description, given = value.get("name"), value.get("description", ""), value.get(schema)
    if type(name) is not str or type(description) is not str or type(given) is not dict:
        return None
    return Tool(name=name, description=description if "description" in value else None, schema=given)


def call(value: Any) -> ToolCall | None:
    """A call of such a tool: `{"id": "...", "type": "function", "function": {"name": "...", "arguments": "{}"}}`."""
    if type(value) is not dict or len(value) != 3 or value.get("type") != "function":
        return None
    identifier, given = value.get("id"), value.get("function")
    if type(identifier) is not str or type(given) is not dict or len(given) != 2:
        return None
    name, arguments = given.get("name"), given.get("arguments")
    return ToolCall(identifier, name, arguments) if type(name) is str and type(arguments) is str else None


def result(value: Any) -> Message | None:
    """What came of a call, in words: `{"role": "tool", "tool_call_id": "...", "content": "..."}`."""
    if type(value) is not dict or len(value) != 3 or value.get("role") != "tool":
        return None
    identifier, content = value.get("tool_call_id"), value.get("content")
    if type(identifier) is not str or type(content) is not str:
        return None
    return Message(role="tool", blocks=[ToolResult(identifier, [Text(content)], plain=True)])


def words(blocks: list[Block]) -> str | None:
    """The text of the only block, if that is one, says something, and nothing is to be said of it beside."""
    if len(blocks) != 1:
        return None
    block = blocks[0]
    if type(block) is not Text or block.extra or block.cache or block.seal or block.citations:
        return None
    text = block.text
    return text if text and not text.isspace() else None


Settings = Mapping[str, tuple[str, Callable[[Extra, str, str], Any]]]
"""Fields of a request: the hub's name of each, and the function of `fields` that takes it."""


def take_settings(rest: Extra, into: Any, settings: Settings, path: str = "") -> None:
    """Takes those of `settings` that are there out of `rest`, and sets them in `into`: most are absent from most requests."""
    for field in [*filter(settings.__contains__, rest)]:
        name, take = settings[field]
        setattr(into, name, take(rest, field, path))
