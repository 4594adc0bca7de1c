"""Tools, their results, and cache points: https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html"""

from typing import Any

import msgspec

from extproc.dialects.bedrock.families import Family
from extproc.dialects.hub import Cache, Conversation, Extra, Tool, ToolCall, ToolChoice, ToolResult
from extproc.dialects.schemas import tightened

_EMPTY = "(empty)"
"""What a tool said that said nothing."""

_MOST_POINTS = 4
"""Cache points that a request may have."""


class CachePoints:
    """Cache points as far as a request has room for them: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""

    def __init__(self, conversation: Conversation, able: Family) -> None:
        self._drop = conversation.drop
        self._able = able
        self._left = _MOST_POINTS

    def mark(self, written: list[Extra], cache: Cache, name: str, *, tools: bool = False) -> None:
        """A point after all that is written so far; `name` is what is dropped where there can be none."""
        takes = self._able.caches_tools if tools else self._able.caches
        if not takes or not self._left or not written:
            self._drop(name)
            return
        self._left -= 1
        long = self._able.hour and cache.ttl in ("1h", "12h", "24h")
        written.append({"cachePoint": {"type": "default", "ttl": "1h"} if long else {"type": "default"}})


def result_content(inside: list[Extra], *, json: bool) -> list[Extra]:
    """The content of a tool's result, which may not be empty. `json`: the model takes no text there."""
    inside = inside or [{"text": _EMPTY}]
    return [_as_json(block) if json and "text" in block else block for block in inside]


def _as_json(block: Extra) -> Extra:
    try:
        value = msgspec.json.decode(block["text"])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        value = None
    return {"json": value if type(value) is dict else {"result": block["text"]}}


def write_tools(conversation: Conversation, able: Family, points: CachePoints) -> Extra | None:
    """The `toolConfig`; None if no tool is to be told of."""
    choice = conversation.tool_choice or ToolChoice(mode="auto")
    if choice.mode == "none" and not _used(conversation):
        return None  # there is no word for it, but then there are no tools
    tools: list[Extra] = []
    for tool in conversation.tools or ():
        if choice.allowed is not None and tool.name not in choice.allowed:
            continue
        if written := _tool(tool, conversation, able):
            tools.append(written)
            if tool.cache:
                points.mark(tools, tool.cache, "tools[].cache", tools=True)
    if not tools:
        used = _used(conversation)
        if not used:
            return None
        # Earlier calls want their tools defined, though there are none to call any more.
        return {"tools": [{"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}} for name in used]}
    if conversation.parallel_tool_calls is False:
        conversation.drop("parallel_tool_calls")
    written_choice = _choice(choice, conversation, able)
    return {"tools": tools, "toolChoice": written_choice} if written_choice else {"tools": tools}


def _used(conversation: Conversation) -> dict[str, None]:
    """Names of the tools that were called before; of what has only a result, some name."""
    names: dict[str, None] = {}
    for message in conversation.messages:
        for block in message.blocks:
            if type(block) is ToolCall:
                names[block.name] = None
            elif type(block) is ToolResult and not names:
                names["tool"] = None
    return names


def _tool(tool: Tool, conversation: Conversation, able: Family) -> Extra | None:
    if tool.server and tool.server in able.servers:
        conversation.drop_extra(tool.settings, "tools[].")
        return {"systemTool": {"name": able.servers[tool.server]}}
    if tool.opaque is not None:
        conversation.drop_tool(tool)
        return None
    conversation.drop_extra(tool.extra, "tools[].")
    schema = {"type": "object", **(tool.schema or {"properties": {}})}
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description and tool.description.strip():
        spec["description"] = tool.description
    if tool.strict and able.structured:
        spec |= {"strict": True, "inputSchema": {"json": tightened(schema)}}
    elif tool.strict:
        conversation.drop("tools[].strict")
    return {"toolSpec": spec}


def _choice(choice: ToolChoice, conversation: Conversation, able: Family) -> Extra | None:
    """The `toolChoice`; None is `auto`, which not all models know by name."""
    if choice.mode == "auto":
        return {"auto": {}} if conversation.tool_choice and able.choices else None
    if choice.mode == "required" and "required" in able.choices:
        return {"any": {}}
    if choice.mode == "tool" and "tool" in able.choices:
        return {"tool": {"name": choice.name}}
    conversation.drop("tool_choice")
    return None
