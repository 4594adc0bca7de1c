"""An Anthropic conversation written back in its own words: nothing is lost and nothing added."""

from typing import Any

from extproc.dialects import betas
from extproc.dialects.anthropic import mcp
from extproc.dialects.anthropic.blocks import write_block
from extproc.dialects.anthropic.sealing import SIGNER
from extproc.dialects.fields import object_of
from extproc.dialects.hub import Block, Conversation, Extra, Message, Reasoning, Text, Tool, ToolCall, ToolChoice, ToolResult

TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only"}
"""`service_tier` in Anthropic's words."""

DISPLAYS = {"auto": "summarized", "concise": "summarized", "detailed": "summarized", "none": "omitted"}
"""How the client wants to read of the thinking, in Anthropic's words."""


def restore(conversation: Conversation, model: str) -> Extra:
    """The request as it was read, with another model's name."""
    messages = [_own_message(message, conversation) for message in conversation.messages if _is_ours(message, conversation)]
    body: Extra = {**conversation.extra, "model": model, "messages": messages}
    if betas.MEMBER in body:
        conversation.headers = {betas.HEADER: ",".join(betas.read_betas(body.pop(betas.MEMBER)))}
    if conversation.max_tokens is not None:
        body["max_tokens"] = conversation.max_tokens
    if conversation.system is not None:
        body["system"] = _own_content(conversation.system)
    for field in ("temperature", "top_p", "top_k", "stream"):
        value = getattr(conversation, field)
        if value is not None:
            body[field] = value
    if conversation.stop is not None:
        body["stop_sequences"] = conversation.stop
    if conversation.tools is not None:
        _own_tools(conversation.tools, body)
    if conversation.tool_choice:
        body["tool_choice"] = _own_choice(conversation.tool_choice, conversation.parallel_tool_calls)
    if conversation.user is not None or conversation.metadata is not None:
        user = {} if conversation.user is None else {"user_id": conversation.user}
        body["metadata"] = {**(conversation.metadata or {}), **user}
    if conversation.service_tier is not None:
        body["service_tier"] = TIERS.get(conversation.service_tier, conversation.service_tier)
    if conversation.cache:
        body["cache_control"] = conversation.cache.raw
    return _own_output(conversation, body)


def _own_output(conversation: Conversation, body: Extra) -> Extra:
    config: Extra = {**conversation.extra.get("output_config", {})}
    if wanted := conversation.format:
        given = wanted.extra if wanted.kind == "opaque" else {**wanted.extra, "type": "json_schema"}
        if wanted.schema is not None:
            given["schema"] = wanted.schema
        (config if wanted.field == "output_config" else body)["format" if wanted.field == "output_config" else "output_format"] = given
    if thinking := conversation.thinking:
        if thinking.effort:
            config["effort"] = thinking.effort
        if thinking.mode:
            budget = {} if thinking.budget is None else {"budget_tokens": thinking.budget}
            display = {"display": DISPLAYS[thinking.summary]} if thinking.summary else {}
            body["thinking"] = {**thinking.extra, **display, "type": thinking.mode, **budget}
    if config:
        body["output_config"] = config
    return body


def _is_ours(message: Message, conversation: Conversation) -> bool:
    """Takes out what another maker signed or encrypted, which Claude refuses. False: nothing is left of the message."""
    ours = [block for block in message.blocks if type(block) is not Reasoning or block.origin == SIGNER]
    if len(ours) < len(message.blocks):
        conversation.drop("blocks[].reasoning")
        message.blocks = ours
        return bool(ours)
    return True


def _own_message(message: Message, conversation: Conversation) -> Extra:
    if any(block.seal for block in message.blocks):
        conversation.drop("blocks[].seal")
    return {**message.extra, "role": message.role, "content": _own_content(message)}


def _own_content(message: Message) -> str | list[Extra]:
    if message.plain and len(message.blocks) == 1 and type(message.blocks[0]) is Text:
        return message.blocks[0].text
    return [own_block(block) for block in message.blocks]


def own_block(block: Block) -> Extra:
    """A block of this dialect, as it was."""
    cache: Extra = {"cache_control": block.cache.raw} if block.cache else {}
    if type(block) is ToolCall:
        return {**block.extra, "type": "tool_use", "id": block.id, "name": block.name, "input": _own_input(block), **cache}
    if type(block) is not ToolResult:
        return write_block(block, True) or {}
    written: Extra = {**block.extra, "type": "tool_result", "tool_use_id": block.id, **cache}
    if block.error is not None:
        written["is_error"] = block.error
    if block.blocks or ("content" not in block.extra and block.plain):
        written["content"] = block.blocks[0].text if block.plain and type(block.blocks[0]) is Text else [own_block(b) for b in block.blocks]
    return written


def _own_input(block: ToolCall) -> Any:
    return object_of(block.arguments)


def _own_tools(given: list[Tool], body: Extra) -> None:
    servers: list[tuple[int, Extra]] = []
    tools = [mcp.restore(tool, servers) if tool.server == "mcp" else _own_tool(tool) for tool in given]
    written = [tool for tool in tools if tool is not None]
    if written or not servers:
        body["tools"] = written
    if servers:
        body["mcp_servers"] = [server for _, server in sorted(servers, key=lambda pair: pair[0])]


def _own_tool(tool: Tool) -> Extra:
    if tool.opaque is not None:
        return tool.opaque
    written: Extra = {**tool.extra, "name": tool.name}
    for field, value in (("description", tool.description), ("input_schema", tool.schema), ("strict", tool.strict)):
        if value is not None:
            written[field] = value
    if tool.cache:
        written["cache_control"] = tool.cache.raw
    return written


def _own_choice(choice: ToolChoice, parallel: bool | None) -> Extra:
    disabled = {} if parallel is None else {"disable_parallel_tool_use": not parallel}
    if choice.raw is not None:
        return {**choice.raw, **disabled}
    mode = "any" if choice.mode == "required" else choice.mode
    return {"type": mode, "name": choice.name, **disabled} if mode == "tool" else {"type": mode, **disabled}
