"""A Cohere conversation written back in its own words: nothing is lost and nothing added."""

from typing import Any

from extproc.dialects.cohere.parts import own_assistant, own_block, own_document
from extproc.dialects.cohere.request_read import CHOICES
from extproc.dialects.hub import Block, Conversation, Document, Extra, Format, Message, Text, Thinking, Tool, ToolChoice, ToolResult

_WORDS = {mode: word for word, mode in CHOICES.items()}


def restore(conversation: Conversation, model: str) -> Extra:
    """The request as it was read, with another model's name."""
    body: Extra = {**conversation.extra, "model": model, "messages": [_message(message) for message in conversation.messages]}
    users = [message for message in conversation.messages if message.role == "user"]
    if documents := [own_document(block) for message in users for block in message.blocks if type(block) is Document]:
        body["documents"] = documents
    named = {
        "max_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "p": conversation.top_p,
        "k": conversation.top_k,
        "seed": conversation.seed,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "logprobs": conversation.logprobs,
        "stop_sequences": conversation.stop,
        "stream": conversation.stream,
    }
    body |= {name: value for name, value in named.items() if value is not None}
    if conversation.tools is not None:
        body["tools"] = [_tool(tool) for tool in conversation.tools]
        if any(tool.strict for tool in conversation.tools):
            body["strict_tools"] = True
    if conversation.tool_choice:
        body["tool_choice"] = _choice(conversation.tool_choice)
    if conversation.format:
        body["response_format"] = _format(conversation.format)
    if conversation.thinking:
        body["thinking"] = _thinking(conversation.thinking)
    return body


def _message(message: Message) -> Extra:
    body: Extra = {**message.extra, "role": message.role}
    if message.role == "assistant":
        return own_assistant(message.blocks, message.plain) | body
    result = message.blocks[0] if message.blocks else None
    if type(result) is ToolResult:
        return body | {"tool_call_id": result.id} | _content(result.blocks, result.plain)
    return body | _content([block for block in message.blocks if type(block) is not Document], message.plain)


def _content(blocks: list[Block], plain: bool) -> Extra:
    if not blocks:
        return {}
    first = blocks[0]
    return {"content": first.text if plain and type(first) is Text else [own_block(block) for block in blocks]}


def _tool(tool: Tool) -> Extra:
    if tool.opaque is not None:
        return tool.opaque
    function: Extra = {**tool.extra.get("function", {}), "name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    return {**tool.extra, "type": "function", "function": function}


def _choice(choice: ToolChoice) -> Any:
    return _WORDS.get(choice.mode, choice.raw)


def _format(given: Format) -> Extra:
    if given.kind == "opaque":
        return given.extra
    kind = "text" if given.kind == "text" else "json_object"
    return {**given.extra, "type": kind, **({given.field: given.schema} if given.schema is not None else {})}


def _thinking(given: Thinking) -> Extra:
    kind = {"type": given.mode} if given.mode else {}
    return {**given.extra, **kind, **({} if given.budget is None else {"token_budget": given.budget})}
