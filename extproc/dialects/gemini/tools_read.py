"""Gemini's tools, and which of them are to be used: https://ai.google.dev/api/caching#Tool, https://ai.google.dev/api/caching#ToolConfig

An entry of `tools` holds functions and tools of Google's together. Each becomes a `Tool` of its own, which knows the number of its entry.
"""

from typing import Any

from extproc.dialects.fields import FieldError, items, need_str, take_str
from extproc.dialects.gemini import glance
from extproc.dialects.gemini.names import Fields, members, note, several
from extproc.dialects.gemini.schemas import json_schema
from extproc.dialects.hub import Conversation, Extra, Tool, ToolChoice

SERVERS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
    "fileSearch": "file_search",
}
"""Google's names of tools that several providers have."""

_FUNCTIONS = "functionDeclarations"
_CHOICE = "toolConfig.functionCallingConfig"
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none"}


def read_tools(conversation: Conversation, rest: Extra, extra: Fields) -> None:
    """The entries of `tools`."""
    if rest.get("tools") is None:
        return
    entries, extra.own["tools"] = several(rest.pop("tools"), "tools")
    conversation.tools = []
    for i, value in enumerate(entries):
        # Functions that say nothing of their entry stand in the first one.
        conversation.tools += (glance.functions(value) if not i else None) or _entry(value, i, f"tools[{i}]")


def _entry(value: Any, number: int, path: str) -> list[Tool]:
    names: dict[str, str] = {}
    rest = members(value, path, names)
    tools: list[Tool] = []
    if rest.get(_FUNCTIONS):
        functions, single = several(rest.pop(_FUNCTIONS), f"{path}.{_FUNCTIONS}")
        tools = [_function(function, number, f"{path}.{_FUNCTIONS}[{i}]") for i, function in enumerate(functions)]
        for tool in tools:
            tool.extra = note(tool.extra, single=single, entry_names=names)
    for key, settings in rest.items():
        extra = Fields(entry=number, entry_names=names)
        tools.append(Tool(opaque={key: settings}, server=SERVERS.get(key, ""), settings=_settings(settings), extra=extra))
    return tools or [Tool(opaque={}, extra=Fields(entry=number, entry_names=names))]


def _settings(given: Any) -> Extra:
    excluded = given.get("excludeDomains", given.get("exclude_domains")) if type(given) is dict else None
    return {"blocked_domains": excluded} if type(excluded) is list and excluded else {}


def _function(value: Any, number: int, path: str) -> Tool:
    extra = Fields(entry=number)
    rest = members(value, path, extra.names)
    path += "."
    tool = Tool(name=need_str(rest, "name", path), description=take_str(rest, "description", path))
    for field in ("parametersJsonSchema", "parameters"):
        given = rest.get(field)
        if given is None or tool.schema is not None:
            continue
        if type(given) is not dict:
            raise FieldError(path + field, "an object", given)
        del rest[field]
        tool.schema = given if field == "parametersJsonSchema" else json_schema(given)
        extra.own |= {"field": field, "schema": given}
    extra.update(rest)
    tool.extra = extra
    return tool


def read_choice(conversation: Conversation, rest: Extra, extra: Fields) -> None:
    """`toolConfig`."""
    if rest.get("toolConfig") is None:
        return
    config = members(rest.pop("toolConfig"), "toolConfig", extra.names)
    given = config.pop("functionCallingConfig", None)
    extra.own["tool_config"] = True
    for key, value in config.items():
        extra[f"toolConfig.{key}"] = value
    if given is None:
        return
    choice = members(given, _CHOICE, extra.names)
    extra.own["calling_config"] = True
    mode, allowed = choice.get("mode"), choice.get("allowedFunctionNames")
    if type(mode) is not str or (mode not in _MODES and mode != "VALIDATED"):
        extra |= {f"{_CHOICE}.{key}": value for key, value in choice.items()}
        return
    names = _names(allowed)
    conversation.tool_choice = _choice(mode, names)
    if mode == "VALIDATED":  # free to call, and then with arguments that keep to the schema
        extra[f"{_CHOICE}.mode"] = mode
    extra |= {f"{_CHOICE}.{key}": value for key, value in choice.items() if key not in ("mode", "allowedFunctionNames")}


def _names(allowed: Any) -> list[str] | None:
    if allowed is None:
        return None
    for i, name in enumerate(items(allowed, _CHOICE + ".allowedFunctionNames")):
        if type(name) is not str:
            raise FieldError(f"{_CHOICE}.allowedFunctionNames[{i}]", "a string", name)
    names: list[str] = allowed
    return names


def _choice(mode: str, names: list[str] | None) -> ToolChoice:
    if mode == "ANY" and names is not None and len(names) == 1:
        return ToolChoice(mode="tool", name=names[0])
    return ToolChoice(mode=_MODES.get(mode, "auto"), allowed=names)
