"""An Ollama conversation written back in its own words: nothing is lost and nothing added."""

from typing import Any

from extproc.dialects.hub import (
    Audio,
    Block,
    Conversation,
    Extra,
    Format,
    Image,
    Message,
    Opaque,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from extproc.dialects.ollama.parts import MADE, own_call
from extproc.dialects.ollama.request_read import OPTION


def restore(conversation: Conversation, model: str) -> Extra:
    """The chat as it was read, with another model's name."""
    body = _rest(conversation, model)
    body["messages"] = [own_message(message) for message in conversation.messages]
    if conversation.tools is not None:
        body["tools"] = [_tool(tool) for tool in conversation.tools]
    return body


def restore_generate(conversation: Conversation, model: str) -> Extra:
    """The prompt as it was read."""
    body = _rest(conversation, model)
    for message in conversation.messages:
        body |= own_content(message.blocks, "prompt")
    if conversation.system:
        body |= own_content(conversation.system.blocks, "system")
    return body


def _rest(conversation: Conversation, model: str) -> Extra:
    body: Extra = {key: value for key, value in conversation.extra.items() if not key.startswith(OPTION)}
    body["model"] = model
    if options := write_options(conversation):
        body["options"] = options
    for field in ("stream", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None:
            body[field] = value
    if thinking := conversation.thinking:
        body["think"] = {"enabled": True, "disabled": False}.get(thinking.mode, thinking.effort)
    if conversation.format:
        body["format"] = _format(conversation.format)
    return body


def write_options(conversation: Conversation) -> Extra:
    """`options`, the same for conversations of all dialects; and those of Ollama's own that it alone has."""
    options = {key[len(OPTION) :]: value for key, value in conversation.extra.items() if key.startswith(OPTION)}
    named = {
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "seed": conversation.seed,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "num_predict": conversation.max_tokens,
        "stop": conversation.stop,
    }
    return options | {name: value for name, value in named.items() if value is not None}


def _format(given: Format) -> Any:
    if given.kind == "opaque":
        return given.extra["format"]
    return given.schema if given.kind == "json_schema" else "json"


def own_message(message: Message) -> Extra:
    """A message of this dialect, as it was."""
    body: Extra = {**message.extra, "role": message.role}
    result = message.blocks[0] if message.blocks else None
    if type(result) is not ToolResult:
        return body | own_content(message.blocks, "content")
    if MADE not in result.extra:
        body["tool_call_id"] = result.id
    if result.name:
        body["tool_name"] = result.name
    return body | own_content(result.blocks, "content")


def own_content(blocks: list[Block], field: str) -> Extra:
    """What a message, or an answer, is made of. `field`: where its text stands."""
    body: Extra = {}
    for block in blocks:
        match block:
            case Text():
                body[field] = block.text
            case Image() | Audio():
                body.setdefault("images", []).append(block.data)
            case Reasoning():
                body["thinking"] = block.text
            case ToolCall():
                calls = body.setdefault("tool_calls", [])
                calls.append(own_call(block, len(calls)))
            case Opaque():
                body.setdefault("tool_calls", []).append(block.value)
    return body


def _tool(tool: Tool) -> Extra:
    if tool.opaque is not None:
        return tool.opaque
    function: Extra = {**tool.extra.get("function", {}), "name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    return {**tool.extra, "type": "function", "function": function}
