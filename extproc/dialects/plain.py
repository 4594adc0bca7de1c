"""What most requests are made of, known at a glance: messages of nothing but words, and tools that are functions.

None means that there is more to it, or that something is wrong with it: then the dialect's own way reads or writes it, and says what.
Whatever is taken here that way would read and write just the same (a test holds that); it only takes longer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from extproc.dialects.hub import Block, Extra, Message, Text, Tool

_FUNCTION = frozenset({"name", "description", "parameters"})


def message(value: Any) -> Message | None:
    """A message of words: `{"role": "user", "content": "..."}`. One of a tool is more than that in every dialect."""
    if type(value) is not dict or len(value) != 2:
        return None
    role, content = value.get("role"), value.get("content")
    if type(role) is not str or type(content) is not str or not content or role == "tool":
        return None
    return Message(role=role, blocks=[Text(content)], plain=True)


def function(value: Any) -> Tool | None:
    """A tool of the client's as OpenAI's dialect has it, and those that follow it in that: a name, perhaps a description, a schema."""
    if type(value) is not dict or len(value) != 2 or value.get("type") != "function":
        return None
    given = value.get("function")
    if type(given) is not dict or not given.keys() <= _FUNCTION:
        return None
    name, description, schema = given.get("name"), given.get("description", ""), given.get("parameters")
    if type(name) is not str or type(description) is not str or type(schema) is not dict:
        return None
    return Tool(name=name, description=description if "description" in given else None, schema=schema)


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
    for field in [field for field in rest if field in settings]:
        name, take = settings[field]
        setattr(into, name, take(rest, field, path))
