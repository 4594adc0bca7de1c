"""Servers of tools that Anthropic calls itself: https://docs.claude.com/en/docs/agents-and-tools/mcp-connector

Where they are stands in `mcp_servers`, and what of them may be called in a tool of type `mcp_toolset`, or earlier beside the address.
In the hub that is one tool; in `opaque` stand both halves as they were, and the place of the server among the others.
"""

from typing import Any

from extproc.dialects.hub import Conversation, Extra, Tool

_BETA = ("anthropic-beta", "mcp-client-2025-11-20")
_TOOLSET, _SERVERS = "mcp_toolset", "mcp_servers"


def join(conversation: Conversation, rest: Extra) -> None:
    """Makes one tool of each server and its toolset; takes the servers out of `rest`."""
    servers = rest.get(_SERVERS)
    if type(servers) is not list or not all(type(server) is dict and type(server.get("name")) is str for server in servers):
        return
    places = {server["name"]: i for i, server in enumerate(servers)}
    if not servers or len(places) < len(servers):
        return
    del rest[_SERVERS]
    if conversation.tools == []:
        rest["tools"] = []
    tools = conversation.tools or []
    for i, tool in enumerate(tools):
        toolset = tool.opaque or {}
        name = toolset.get("mcp_server_name") if toolset.get("type") == _TOOLSET else None
        place = places.pop(name, None) if type(name) is str else None
        if place is not None:
            tools[i] = _joined(servers[place], toolset, place)
    conversation.tools = [*tools, *(_joined(servers[place], None, place) for place in places.values())]


def _joined(server: Extra, toolset: Extra | None, place: int) -> Tool:
    rest = {**server}
    rest.pop("type", None)
    words = (("label", "name"), ("url", "url"), ("token", "authorization_token"))
    settings: Extra = {word: rest.pop(field) for word, field in words if type(rest.get(field)) is str}
    allowed = _allowed(rest, toolset or {})
    if allowed is not None:
        settings["allowed"] = allowed
    extra = {**rest, **{field: value for field, value in (toolset or {}).items() if field not in ("type", "mcp_server_name")}}
    opaque = {"type": _SERVERS, "server": server, "toolset": toolset, "place": place}
    return Tool(name=server["name"], server="mcp", settings=settings, opaque=opaque, extra=extra)


def _allowed(server: Extra, toolset: Extra) -> list[str] | None:
    """Names of tools, taken out of where they stand; None: all, or what only Anthropic can say."""
    given = server.get("tool_configuration")
    if type(given) is dict and given.keys() <= {"enabled", "allowed_tools"} and given.get("enabled") is not False:
        del server["tool_configuration"]
        allowed = given.get("allowed_tools")
        return allowed if type(allowed) is list else None
    usual, configs = toolset.get("default_config"), toolset.get("configs")
    if usual == {"enabled": False} and type(configs) is dict and all(config == {"enabled": True} for config in configs.values()):
        return list(configs)
    return None


def restore(tool: Tool, servers: list[tuple[int, Extra]]) -> Extra | None:
    """The toolset as it was, if there was one; the server goes to `servers`."""
    opaque: Any = tool.opaque or {}
    servers.append((opaque["place"], opaque["server"]))
    return opaque["toolset"]  # type: ignore[no-any-return]


def write(tool: Tool, conversation: Conversation, body: Extra) -> list[Extra]:
    """The toolset for a tool of another dialect's; its server goes to `body`."""
    settings = tool.settings
    label, url = settings.get("label"), settings.get("url")
    if not label or not url:
        conversation.drop_tool(tool)
        return []
    server = {"type": "url", "name": label, "url": url}
    if token := settings.get("token"):
        server["authorization_token"] = token
    body.setdefault(_SERVERS, []).append(server)
    toolset: Extra = {"type": _TOOLSET, "mcp_server_name": label}
    if (allowed := settings.get("allowed")) is not None:
        toolset |= {"default_config": {"enabled": False}, "configs": {name: {"enabled": True} for name in allowed}}
    conversation.headers |= dict([_BETA])
    conversation.drop_extra(tool.extra, "tools[].")
    return [toolset]
