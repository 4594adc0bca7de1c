"""Tools of the Responses API, those that the provider runs too, and the choice among them.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools
"""

from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import items, need_str, obj, take_bool, take_obj, take_str
from extproc.dialects.hub import Conversation, Custom, Extra, Tool, ToolChoice
from extproc.dialects.models import Abilities
from extproc.dialects.schemas import closed

CUSTOM = "custom"
"""The type of a tool that takes a text."""

_SERVED = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "code_interpreter": "code_execution",
    "file_search": "file_search",
    "image_generation": "image_generation",
    "mcp": "mcp",
}
"""The hub's words for tools that the provider runs."""

_PLACE = ("city", "region", "country", "timezone")


def read_tool(value: Any, path: str) -> Tool:
    """One tool."""
    rest = obj(value, path)
    path += "."
    kind = need_str(rest, "type", path)
    if kind == CUSTOM:
        return _read_custom(value, rest, path)
    if kind != "function":
        server = _SERVED.get(kind, "")
        return Tool(server=server, settings=_settings(server, rest), opaque=value)
    return Tool(
        name=need_str(rest, "name", path),
        description=take_str(rest, "description", path),
        schema=take_obj(rest, "parameters", path),
        strict=take_bool(rest, "strict", path),
        extra=rest,
    )


def _read_custom(value: Extra, rest: Extra, path: str) -> Tool:
    name, description = need_str(rest, "name", path), take_str(rest, "description", path)
    form = rest.get("format")
    given = form if type(form) is dict else {}
    if given.get("type") == "text":
        del rest["format"]
    syntax, definition = (found if type(found := given.get(word)) is str else "" for word in ("syntax", "definition"))
    tool = texts.tool(name, description, Custom(syntax=syntax, definition=definition, raw=value))
    tool.extra = rest
    return tool


def _settings(server: str, rest: Extra) -> Extra:
    """What the hub has a word for. Whatever has a wrong type is left to the provider to complain about."""
    found: Extra = {}
    if server == "web_search":
        filters, place = rest.get("filters"), rest.get("user_location")
        if type(filters) is dict and type(domains := filters.get("allowed_domains")) is list:
            found["allowed_domains"] = domains
        if type(place) is dict and (told := {key: place[key] for key in _PLACE if type(place.get(key)) is str}):
            found["user_location"] = told
    if server == "mcp":
        words = (("label", "server_label"), ("url", "server_url"), ("token", "authorization"))
        found = {word: rest[field] for word, field in words if type(rest.get(field)) is str}
        if type(allowed := rest.get("allowed_tools")) is list:
            found["allowed"] = allowed
    return found


def restore_tool(tool: Tool) -> Extra:
    """A tool of this dialect, as it was."""
    if tool.opaque is not None:
        return tool.opaque
    if tool.custom is not None:
        return tool.custom.raw
    body: Extra = {**tool.extra, "type": "function", "name": tool.name}
    for field, value in (("description", tool.description), ("parameters", tool.schema), ("strict", tool.strict)):
        if value is not None:
            body[field] = value
    return body


def write_tool(tool: Tool, conversation: Conversation, able: Abilities) -> Extra | None:
    """A tool of another dialect; None if there is none like it."""
    if tool.opaque is not None or tool.server:
        written = _write_served(tool, conversation)
        if written is None:
            conversation.drop_tool(tool)
        return written
    if tool.custom is not None and able.customs:
        return _write_custom(tool, tool.custom, conversation)
    if tool.extra:
        conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache")
    schema = tool.schema or {"type": "object", "properties": {}}
    # Strict is the default here, and refuses optional properties: https://platform.openai.com/docs/guides/function-calling#strict-mode
    strict = bool(tool.strict) and closed(schema)
    if tool.strict and not strict:
        conversation.drop("tools[].strict")
    description = {} if tool.description is None else {"description": tool.description}
    return {"type": "function", "name": tool.name, **description, "parameters": schema, "strict": strict}


def _write_custom(tool: Tool, custom: Custom, conversation: Conversation) -> Extra:
    written: Extra = {"type": CUSTOM, "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if custom.definition:
        written["format"] = {"type": "grammar", "syntax": custom.syntax, "definition": custom.definition}
    if tool.cache:
        conversation.drop("tools[].cache")
    conversation.drop_extra({key: tool.extra[key] for key in tool.extra if key != "format" or not custom.definition}, "tools[].")
    return written


def _write_served(tool: Tool, conversation: Conversation) -> Extra | None:
    settings = tool.settings
    known: tuple[str, ...] = ()
    match tool.server:
        case "web_search":
            written: Extra | None = {"type": "web_search"}
            if domains := settings.get("allowed_domains"):
                written = {"type": "web_search", "filters": {"allowed_domains": domains}}
            if written and (place := settings.get("user_location")):
                written["user_location"] = {"type": "approximate", **place}
            known = ("allowed_domains", "user_location")
        case "code_execution":
            written = {"type": "code_interpreter", "container": {"type": "auto"}}
        case "image_generation":
            written = {"type": "image_generation"}
        case "mcp" if settings.get("label") and settings.get("url"):
            written = {"type": "mcp", "server_label": settings["label"], "server_url": settings["url"], "require_approval": "never"}
            written |= {
                field: settings[word] for word, field in (("token", "authorization"), ("allowed", "allowed_tools")) if settings.get(word)
            }
            known = ("label", "url", "token", "allowed")
        case _:  # file_search looks through what was uploaded to OpenAI before
            return None
    for name in settings:
        if name not in known:
            conversation.drop(f"tools[].{name}")
    return written


def read_tool_choice(value: Any) -> ToolChoice:
    """A `tool_choice`. One of a tool that the provider runs is opaque."""
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    choice = obj(value, "tool_choice")
    match choice.get("type"):
        case "function":
            return ToolChoice(mode="tool", name=need_str(choice, "name", "tool_choice."))
        case "custom":
            return ToolChoice(mode="tool", name=need_str(choice, "name", "tool_choice."), raw=value)
        case "allowed_tools":
            names = [tool.get("name") for tool in items(choice.get("tools"), "tool_choice.tools") if type(tool) is dict]
            mode = "required" if choice.get("mode") == "required" else "auto"
            return ToolChoice(mode=mode, allowed=[name for name in names if type(name) is str], raw=value)
    return ToolChoice(mode="opaque", raw=value)


def restore_tool_choice(choice: ToolChoice) -> Any:
    """A choice of this dialect's, as it was."""
    if choice.raw is not None:
        return choice.raw
    return {"type": "function", "name": choice.name} if choice.mode == "tool" else choice.mode


def write_tool_choice(choice: ToolChoice, conversation: Conversation, able: Abilities) -> Any:
    """A choice of another dialect's; None if there is none like it."""
    if choice.mode == "opaque":
        conversation.drop("tool_choice")
        return None
    if choice.mode == "tool":
        return _named(choice.name, conversation, able)
    if choice.allowed is None:
        return choice.mode
    return {"type": "allowed_tools", "mode": choice.mode, "tools": [_named(name, conversation, able) for name in choice.allowed]}


def _named(name: str, conversation: Conversation, able: Abilities) -> Extra:
    return {"type": CUSTOM if able.customs and name in texts.names(conversation.tools) else "function", "name": name}


def asked_texts(asked: Extra) -> list[str]:
    """The client's tools that take a text, by what a response repeats of its request."""
    return [tool["name"] for tool in asked["tools"] if tool["type"] == CUSTOM] if "tools" in asked else []
