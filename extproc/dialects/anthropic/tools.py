"""Tools, read and written; those too that Anthropic runs, each in a version of its own.

https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview
"""

import re
from collections.abc import Callable
from typing import Any

from extproc.dialects import plain
from extproc.dialects.anthropic import mcp
from extproc.dialects.anthropic.blocks import take_cache
from extproc.dialects.anthropic.models import Abilities
from extproc.dialects.fields import need_str, obj, take_bool, take_int, take_list, take_obj, take_str, take_strings
from extproc.dialects.hub import Cache, Conversation, Extra, Tool, ToolCall, ToolChoice
from extproc.dialects.schemas import tightened

_SERVED = re.compile(r"(web_search|web_fetch|code_execution)_\d{8}")
_VERSIONS = {"web_search": "web_search_20250305", "web_fetch": "web_fetch_20250910", "code_execution": "code_execution_20250825"}
"""What is asked for in the name of others: versions that every model knows, without a header for what is being tried out."""

_USUAL = frozenset({"name", "description", "input_schema"})

Mark = Callable[[Extra, Cache, str], None]
"""Puts a prompt-cache marker on what is written, or drops the name."""

_FETCH: dict[str, Callable[[Extra, str, str], Any]] = {
    "allowed_domains": take_strings, "blocked_domains": take_strings, "max_uses": take_int,
}  # fmt: skip
_SETTINGS = {"web_search": {**_FETCH, "user_location": take_obj}, "web_fetch": _FETCH}
"""What a tool can be told in words of the hub, and how it is read."""


def read_tools(conversation: Conversation, rest: Extra) -> None:
    """Takes tools, and what is said about them, out of `rest`."""
    tools = take_list(rest, "tools")
    if tools is not None:
        conversation.tools = [usual(value) or _read_tool(value, f"tools[{i}]") for i, value in enumerate(tools)]
    mcp.join(conversation, rest)
    if (choice := take_obj(rest, "tool_choice")) is not None:
        choice = choice.copy()
        disabled = take_bool(choice, "disable_parallel_tool_use", "tool_choice.")
        conversation.parallel_tool_calls = None if disabled is None else not disabled
        conversation.tool_choice = _read_choice(choice)


def usual(value: Any) -> Tool | None:
    """A tool that is a name, perhaps a description, and a schema, as most are; None: it is more than that, or wrong."""
    return plain.declared(value, _USUAL, "input_schema")


def _read_tool(value: Any, path: str) -> Tool:
    rest = obj(value, path)
    path += "."
    if rest.get("type", "custom") not in ("custom", None):
        return _read_served(value, path)
    return Tool(
        name=need_str(rest, "name", path),
        description=take_str(rest, "description", path),
        schema=take_obj(rest, "input_schema", path),
        strict=take_bool(rest, "strict", path),
        cache=take_cache(rest, path),
        extra=rest,
    )


def _read_choice(choice: Extra) -> ToolChoice:
    match choice.get("type"):
        case "auto" | "none" as mode if len(choice) == 1:
            return ToolChoice(mode=mode)
        case "any" if len(choice) == 1:
            return ToolChoice(mode="required")
        case "tool" if len(choice) == 2:
            return ToolChoice(mode="tool", name=need_str(choice, "name", "tool_choice."))
    return ToolChoice(mode="opaque", raw=choice)


def _read_served(value: Extra, path: str) -> Tool:
    """A tool that Anthropic runs."""
    rest = value.copy()
    kind = rest.pop("type")
    match = _SERVED.fullmatch(kind) if type(kind) is str else None
    if match is None:
        return Tool(opaque=value)
    server = match[1]
    rest.pop("name", None)
    settings = {name: found for name, take in _SETTINGS.get(server, {}).items() if (found := take(rest, name, path)) is not None}
    if where := settings.get("user_location"):
        settings["user_location"] = {field: where[field] for field in where if field != "type"}
    return Tool(name=server, server=server, settings=settings, cache=take_cache(rest, path), opaque=value, extra=rest)


def _write_served(tool: Tool, conversation: Conversation, body: Extra) -> list[Extra]:
    if tool.server == "mcp":
        return mcp.write(tool, conversation, body)
    if tool.server not in _VERSIONS:
        conversation.drop_tool(tool)
        return []
    written: Extra = {"type": _VERSIONS[tool.server], "name": tool.server}
    for name, value in tool.settings.items():
        if name not in _SETTINGS.get(tool.server, ()) or (name == "blocked_domains" and tool.settings.get("allowed_domains")):
            conversation.drop(f"tools[].{name}")  # it takes one list of domains or the other
        else:
            written[name] = {"type": "approximate", **value} if name == "user_location" else value
    conversation.drop_extra(tool.extra, "tools[].")
    return [written]


def write_tools(conversation: Conversation, body: Extra, able: Abilities, mark: Mark) -> None:
    """Puts tools of another dialect, and what is said about them, into `body`; names what cannot be said."""
    choice = conversation.tool_choice or ToolChoice(mode="auto")
    tools: list[Extra] = []
    for tool in conversation.tools or ():
        if choice.allowed is None or tool.server or tool.name in choice.allowed:
            written = _tool(tool, conversation, body, able)
            if written and tool.cache:
                mark(written[-1], tool.cache, "tools[].cache")
            tools += written
    if tools:
        body["tools"] = tools
        chosen = _tool_choice(choice, conversation)
        if conversation.parallel_tool_calls is not None and chosen["type"] != "none":
            chosen["disable_parallel_tool_use"] = not conversation.parallel_tool_calls
        if len(chosen) > 1 or conversation.tool_choice:
            body["tool_choice"] = chosen
        return
    names = {block.name: None for message in conversation.messages for block in message.blocks if type(block) is ToolCall}
    if names:  # earlier calls want their tools defined, though there are none to call any more
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in names]
        body["tool_choice"] = {"type": "none"}


def _tool(tool: Tool, conversation: Conversation, body: Extra, able: Abilities) -> list[Extra]:
    if tool.opaque is not None or tool.server:
        return _write_served(tool, conversation, body)
    conversation.drop_extra(tool.extra, "tools[].")
    schema = {"type": "object", **(tool.schema or {"properties": {}})}
    written: Extra = {"name": tool.name, "input_schema": schema}
    if tool.description:
        written["description"] = tool.description
    if tool.strict and able.structured:
        written |= {"strict": True, "input_schema": tightened(schema)}
    elif tool.strict:
        conversation.drop("tools[].strict")
    return [written]


def _tool_choice(choice: ToolChoice, conversation: Conversation) -> Extra:
    match choice.mode:
        case "tool":
            return {"type": "tool", "name": choice.name}
        case "required":
            return {"type": "any"}
        case "none":
            return {"type": "none"}
        case "opaque":
            conversation.drop("tool_choice")
    return {"type": "auto"}
