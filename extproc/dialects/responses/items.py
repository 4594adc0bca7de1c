"""Items that a model's turn is made of, read into blocks: what requests, answers and streams share.

A message's blocks are its parts; any other item is one block. The first block of an item keeps the item as it was (`local`), and those
after it a mark that they are parts of the same, so that items are written back as they were.
"""

from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import FieldError, items, need_str, obj, take_str
from extproc.dialects.hub import Block, Extra, Image, Opaque, Seal, Text, ToolCall
from extproc.dialects.responses.parts import NAME, read_part
from extproc.dialects.responses.reasoning import read_reasoning

ITEM, MORE = "item", "more"
"""Keys of `local`: the item that the block was read from; and the mark of one that is a further part of it."""

_SILENT = ("type", "role", "id", "status", "phase")
"""Of an item: what nobody misses."""


def kind_of_item(value: Extra, path: str) -> str:
    """The type of an item. A message and a reference may come without it."""
    kind = value.get("type")
    if type(kind) is str:
        return kind
    if kind is None and ("role" in value or "id" in value):
        return "message" if "role" in value else "item_reference"
    raise FieldError(path + ".type", "a string", kind)


CUSTOM_CALL = "custom_tool_call"
_LATER = ("namespace", "tool_search")
"""Kinds of tools that hold others, which are not told one by one."""


def is_the_clients(call: Extra, tools: Any) -> bool:
    """Whether a call of a tool that takes a text is of one that the client has, by the `tools` that a response repeats. xAI tells what it
    runs itself with such items, too.
    """
    told = [tool for tool in tools if type(tool) is dict] if type(tools) is list else []
    if not told or any(tool.get("type") in _LATER for tool in told):
        return True
    return any(tool.get("type") == "custom" and tool.get("name") == call.get("name") for tool in told)


def read_output(value: Any, path: str, tools: Any = None) -> list[Block] | Seal:
    """Blocks of an item of the model's, one at least; or the seal of the block before it. `tools`: see `is_the_clients`."""
    rest = obj(value, path)
    match kind_of_item(rest, path):
        case "message":
            blocks, _, unknown = read_message(rest, path)
            blocks = blocks or [Text("")]
            blocks[0].extra = {**blocks[0].extra, **unknown}
        case "function_call":
            blocks = [read_call(rest, path)]
        case "custom_tool_call" if is_the_clients(rest, tools):
            blocks = [read_custom_call(rest, path)]
        case "reasoning":
            found = read_reasoning(rest, path)
            if isinstance(found, Seal):
                return found
            blocks = [found]
        case "image_generation_call" if type(picture := rest.get("result")) is str and picture:
            kind = take_str(rest, "output_format", path + ".") or "png"
            blocks = [Image(media_type=f"image/{kind}", data=picture)]
        case kind:
            blocks = [Opaque(NAME, kind, value)]
    blocks[0].local = {ITEM: value}
    for block in blocks[1:]:
        block.local = {MORE: True}
    return blocks


def read_message(rest: Extra, path: str) -> tuple[list[Block], bool, Extra]:
    """Blocks of a message's content, whether it was a bare string, and the message's fields that nobody knows."""
    content = rest.pop("content", None)
    unknown = {key: rest[key] for key in rest if key not in _SILENT}
    if type(content) is str:
        return [Text(content)], True, unknown
    path += ".content"
    return [read_part(part, f"{path}[{i}]") for i, part in enumerate(items(content, path))], False, unknown


def read_call(rest: Extra, path: str) -> ToolCall:
    """A call of a function."""
    path += "."
    name, arguments = need_str(rest, "name", path), take_str(rest, "arguments", path) or ""
    identifier = take_str(rest, "call_id", path) or ""
    return ToolCall(identifier, name, arguments, extra={key: rest[key] for key in rest if key not in _SILENT})


def read_custom_call(rest: Extra, path: str) -> ToolCall:
    """A call of a tool that takes a text: https://platform.openai.com/docs/api-reference/responses/object, custom tool call"""
    path += "."
    name, text = need_str(rest, "name", path), take_str(rest, "input", path) or ""
    identifier = take_str(rest, "call_id", path) or ""
    extra = {key: rest[key] for key in rest if key not in _SILENT}
    return ToolCall(identifier, name, texts.arguments(text), custom=True, extra=extra)


def restored(blocks: list[Block]) -> list[Extra]:
    """The items of a turn of this dialect, as they were."""
    return [block.local[ITEM] for block in blocks if ITEM in block.local]
