"""Another dialect's tools for Gemini: functions, and those of Google's that mean the same."""

from extproc.dialects.gemini.models import Abilities
from extproc.dialects.gemini.request_restore import write_choice
from extproc.dialects.hub import Conversation, Extra, Tool, ToolChoice

_SERVERS = {"web_search": "googleSearch", "web_fetch": "urlContext", "code_execution": "codeExecution"}


def write_tools(conversation: Conversation, body: Extra, able: Abilities) -> None:
    """`tools` and `toolConfig`."""
    functions = [_function(tool, conversation) for tool in conversation.tools or () if tool.opaque is None]
    servers: Extra = {}
    for tool in conversation.tools or ():
        if tool.opaque is not None:
            servers |= _server(tool, conversation, alone=not functions)
    tools: list[Extra] = [{"functionDeclarations": functions}] if functions else []
    tools += [{name: settings} for name, settings in servers.items()]
    if not tools:
        return
    body["tools"] = tools
    if conversation.parallel_tool_calls is False:
        conversation.drop("parallel_tool_calls")
    if functions:
        _choice(conversation, body, able)


def _function(tool: Tool, conversation: Conversation) -> Extra:
    conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache")
    written: Extra = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.schema is not None:
        # `parameters` takes OpenAPI's words only; this one also $ref, additionalProperties and types in lower case:
        # https://ai.google.dev/api/caching#FunctionDeclaration
        written["parametersJsonSchema"] = tool.schema
    return written


def _server(tool: Tool, conversation: Conversation, *, alone: bool) -> Extra:
    """A tool of Google's. Beside functions it is left out: models before 3 refuse that, and later ones want what Vertex refuses."""
    name = _SERVERS.get(tool.server)
    if name is None or not alone:
        conversation.drop_tool(tool)
        return {}
    conversation.drop_extra(tool.settings, "tools[].")
    return {name: {}}


def _choice(conversation: Conversation, body: Extra, able: Abilities) -> None:
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "opaque":
        conversation.drop("tool_choice")
        choice = None
    config = write_choice(choice)
    strict = any(tool.strict for tool in conversation.tools or ())
    if strict and config.get("mode", "AUTO") == "AUTO":
        # Calls are held to their schemas, as they are in mode ANY; which is told for all functions or none.
        config = {**write_choice(choice or ToolChoice(mode="auto")), "mode": "VALIDATED"}
    if config:
        if config["mode"] in ("AUTO", "NONE") and "allowedFunctionNames" in config:
            _only(body, config.pop("allowedFunctionNames"))
        body["toolConfig"] = {"functionCallingConfig": config}


def _only(body: Extra, allowed: list[str]) -> None:
    """Takes away the other functions: names are taken with ANY and VALIDATED only."""
    for tool in body["tools"]:
        if "functionDeclarations" in tool:
            kept = [function for function in tool["functionDeclarations"] if function["name"] in allowed]
            tool["functionDeclarations"] = kept or tool["functionDeclarations"]
