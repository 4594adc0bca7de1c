"""Tools, read and written: https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools

The one tool that OpenAI itself runs for a chat completion is asked for by a field of its own, `web_search_options`, and only some models
have it: https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat
"""

from typing import Any

from extproc.dialects import plain, texts
from extproc.dialects.fields import items, need_str, obj, take_bool, take_list, take_obj, take_str
from extproc.dialects.hub import Conversation, Custom, Extra, Tool, ToolChoice
from extproc.dialects.models import Abilities
from extproc.dialects.openai import functions
from extproc.dialects.openai.parts import CUSTOM, NAME
from extproc.dialects.quirks import Quirks
from extproc.dialects.schemas import closed

SEARCH = "web_search_options"


def read_tools(conversation: Conversation, rest: Extra) -> None:
    """Takes tools, and what is said about them, out of `rest`."""
    tools = take_list(rest, "tools")
    if tools is not None:
        conversation.tools = [plain.function(value) or _read_tool(value, i) for i, value in enumerate(tools)]
        if taking := texts.names(conversation.tools):
            conversation.asked = {**conversation.asked, texts.ASKED: taking}
    if functions.ASKED in rest or functions.FUNCTION in rest:
        functions.read_functions(conversation, rest)
    if (options := take_obj(rest, SEARCH)) is not None:
        if tools == []:
            rest["tools"] = []
        conversation.tools = [*(conversation.tools or ()), _search(options)]
    if rest.get("tool_choice") is not None:
        conversation.tool_choice = _read_choice(rest.pop("tool_choice"))


def _read_tool(value: Any, number: int) -> Tool:
    path = f"tools[{number}]"
    rest = obj(value, path)
    if (kind := need_str(rest, "type", path + ".")) != "function":
        return _read_custom(value, rest, path) if kind == CUSTOM else Tool(opaque=value)
    function = obj(rest.pop("function", None), path + ".function")
    path += ".function."
    tool = Tool(
        name=need_str(function, "name", path),
        description=take_str(function, "description", path),
        schema=take_obj(function, "parameters", path),
        strict=take_bool(function, "strict", path),
        extra=rest,
    )
    if function:
        rest["function"] = function
    return tool


def _read_custom(value: Extra, rest: Extra, path: str) -> Tool:
    """https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools, custom tool"""
    inner = obj(rest.pop(CUSTOM, None), f"{path}.{CUSTOM}")
    path += f".{CUSTOM}."
    name, description = need_str(inner, "name", path), take_str(inner, "description", path)
    form = inner.get("format")
    grammar = form.get("grammar") if type(form) is dict else None
    given = grammar if type(grammar) is dict else {}
    syntax, definition = (found if type(found := given.get(word)) is str else "" for word in ("syntax", "definition"))
    if form == {"type": "text"}:
        del inner["format"]
    tool = texts.tool(name, description, Custom(syntax=syntax, definition=definition, raw=value))
    tool.extra = {**rest, **inner}
    return tool


def _read_choice(value: Any) -> ToolChoice:
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    choice = obj(value, "tool_choice")
    match choice.get("type"):
        case "function":
            return ToolChoice(
                mode="tool", name=need_str(obj(choice.get("function"), "tool_choice.function"), "name", "tool_choice.function.")
            )
        case "custom":
            inner = obj(choice.get(CUSTOM), f"tool_choice.{CUSTOM}")
            return ToolChoice(mode="tool", name=need_str(inner, "name", f"tool_choice.{CUSTOM}."), raw=value)
        case "allowed_tools":
            inner = obj(choice.get("allowed_tools"), "tool_choice.allowed_tools")
            names = [_allowed(tool) for tool in items(inner.get("tools"), "tool_choice.allowed_tools.tools")]
            mode = "required" if inner.get("mode") == "required" else "auto"
            return ToolChoice(mode=mode, allowed=[name for name in names if name], raw=value)
    return ToolChoice(mode="opaque", raw=value)


def _allowed(tool: Any) -> str:
    inner = tool.get("function") or tool.get(CUSTOM) if type(tool) is dict else None
    name = inner.get("name") if type(inner) is dict else None
    return name if type(name) is str else ""


def _search(options: Extra) -> Tool:
    rest = options.copy()
    settings: Extra = {}
    location = rest.get("user_location")
    where = location.get("approximate") if type(location) is dict else None
    if type(where) is dict:
        del rest["user_location"]
        settings["user_location"] = where
    return Tool(name="web_search", server="web_search", settings=settings, opaque={"type": SEARCH, SEARCH: options}, extra=rest)


def _write_search(tool: Tool, conversation: Conversation, body: Extra, able: Abilities) -> None:
    if conversation.dialect == NAME and tool.opaque:
        body[SEARCH] = tool.opaque[SEARCH]
        return
    if not able.searches:
        conversation.drop_tool(tool)
        return
    where = tool.settings.get("user_location")
    body[SEARCH] = {"user_location": {"type": "approximate", "approximate": where}} if where else {}
    for name in ("allowed_domains", "blocked_domains", "max_uses"):
        if tool.settings.get(name):
            conversation.drop(f"tools[].{name}")
    conversation.drop_extra(tool.extra, "tools[].")


def write_tools(conversation: Conversation, body: Extra, able: Abilities, quirks: Quirks) -> None:
    """Puts tools, and what is said about them, into `body`; names what cannot be said."""
    own = conversation.dialect == NAME
    if conversation.tools is not None:
        found = [tool for tool in conversation.tools if tool.server == "web_search"]
        rest = [tool for tool in conversation.tools if tool.server != "web_search"] if found else conversation.tools
        for tool in found:
            _write_search(tool, conversation, body, able)
        tools = [written for tool in rest if (written := _tool(tool, conversation, able, quirks))]
        if tools or (own and not found):
            body["tools"] = tools
    has_tools = bool(body.get("tools"))
    if conversation.tool_choice and (has_tools or own):
        choice = _tool_choice(conversation.tool_choice, conversation, able, quirks)
        if choice is None:
            conversation.drop("tool_choice")
        else:
            body["tool_choice"] = choice
    if conversation.parallel_tool_calls is not None and (has_tools or own):
        body["parallel_tool_calls"] = conversation.parallel_tool_calls
    if own and conversation.fields:
        functions.restore(conversation, body)


def _tool(tool: Tool, conversation: Conversation, able: Abilities, quirks: Quirks) -> Extra | None:
    own = conversation.dialect == NAME
    if tool.opaque is not None or tool.server:
        if own:
            return tool.opaque
        conversation.drop_tool(tool)
        return None
    if tool.custom is not None and (own or able.customs):
        return tool.custom.raw if own else _custom(tool, tool.custom, conversation)
    function: Extra = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        if own or (quirks.strict and (not tool.strict or closed(tool.schema))):
            function["strict"] = tool.strict
        elif tool.strict:
            conversation.drop("tools[].strict")  # OpenAI's strict mode refuses optional properties
    if own:
        return {**tool.extra, "type": "function", "function": {**tool.extra.get("function", {}), **function}}
    if tool.extra:
        conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache")
    return {"type": "function", "function": function}


def _custom(tool: Tool, custom: Custom, conversation: Conversation) -> Extra:
    written: Extra = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if custom.definition:
        written["format"] = {"type": "grammar", "grammar": {"syntax": custom.syntax, "definition": custom.definition}}
    if tool.cache:
        conversation.drop("tools[].cache")
    conversation.drop_extra({key: tool.extra[key] for key in tool.extra if key != "format" or not custom.definition}, "tools[].")
    return {"type": CUSTOM, CUSTOM: written}


def _tool_choice(choice: ToolChoice, conversation: Conversation, able: Abilities, quirks: Quirks) -> Any:
    own = conversation.dialect == NAME
    if choice.mode == "opaque" or (own and choice.raw is not None):
        return choice.raw if own else None
    if not own and choice.mode not in quirks.tool_choice:
        return None
    if choice.allowed is not None:
        if not able.developer:
            return None  # only OpenAI has it
        tools = [_named(name, conversation, able) for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return _named(choice.name, conversation, able) if choice.mode == "tool" else choice.mode


def _named(name: str, conversation: Conversation, able: Abilities) -> Extra:
    kind = CUSTOM if able.customs and name in texts.names(conversation.tools) else "function"
    return {"type": kind, kind: {"name": name}}
