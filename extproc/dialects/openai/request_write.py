"""A conversation as an OpenAI chat completion request.

OpenAI's own models and those that merely speak its dialect differ in what they refuse; names tell them apart (`_REASONS`, `_OWN`).
Requests that came in this dialect are written as they were: what they ask is between the client and the provider.
"""

import hashlib
import re
from typing import Any

from extproc.dialects.fields import tool_id
from extproc.dialects.hub import (
    Audio,
    Block,
    Conversation,
    Document,
    Extra,
    Format,
    Image,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    kind_of,
)
from extproc.dialects.openai.parts import NAME, write_part, write_reasoning, write_tool_call
from extproc.dialects.schemas import closed

_OWN = re.compile(r"(^|[/.:])(gpt-|chatgpt-|o[1-9](-|$))")
"""Models of OpenAI's: they take `max_completion_tokens`."""

_FIXED = re.compile(r"(^|[/.:])(o[1-9](-|$)|gpt-[5-9])(?!.*-chat)")
"""Models of OpenAI's that reason: temperature, top_p, penalties and stop sequences are refused."""

_REASONS = re.compile(
    r"(^|[/.:])(o[1-9](-|$)|gpt-[5-9]|gpt-oss|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9])|qwen3|deepseek-v[3-9])", re.IGNORECASE
)
"""Models that take `reasoning_effort`; others answer 400 to it."""

_STOPS = 4
"""`stop` takes up to 4 sequences."""

_USER = 64
"""`user` has at most 64 characters; Claude Code's are longer."""

_ID = 40
"""A tool call's id has at most 40 characters."""


def write_request(conversation: Conversation, model: str) -> Extra:
    """The request for a provider; names what it cannot say in `conversation.dropped`."""
    own = conversation.dialect == NAME
    body: Extra = {"model": model, "messages": _messages(conversation, own)}
    _sampling(conversation, body, not own and bool(_FIXED.search(model)))
    _limits(conversation, body, model, own)
    _tools(conversation, body, own)
    _output(conversation, body, model, own)
    if own:
        return _restore(conversation, body)
    conversation.drop_extra(conversation.extra)
    if conversation.cache:
        conversation.drop("cache_control")
    return body


def _restore(conversation: Conversation, body: Extra) -> Extra:
    """What a reader of this dialect left in `extra`."""
    options = conversation.extra.get("stream_options")
    if options and "stream_options" in body:
        body["stream_options"] = {**options, **body["stream_options"]}
    return {**conversation.extra, **body}


def _messages(conversation: Conversation, own: bool) -> list[Extra]:
    messages: list[Extra] = []
    if conversation.system and conversation.system.blocks:
        messages += _plain_message(Message(role="system", blocks=conversation.system.blocks), conversation, own)
    for message in conversation.messages:
        written = _assistant(message, conversation, own) if message.role == "assistant" else _other(message, conversation, own)
        if own:
            written[0] = {**message.extra, **written[0]}
        elif message.extra:
            conversation.drop_extra(message.extra, "messages[].")
        messages += written
    return messages


def _assistant(message: Message, conversation: Conversation, own: bool) -> list[Extra]:
    body: Extra = {"role": "assistant"}
    texts: list[Block] = []
    calls: list[Extra] = []
    for block in message.blocks:
        match block:
            case Text() if own or block.text:
                texts.append(block)
                if not own and block.citations:
                    conversation.drop("messages[].content[].citations")
            case ToolCall():
                calls.append(write_tool_call(block, block.id if own else tool_id(block.id, _ID), own))
            case Refusal() if not block.part:
                body["refusal"] = block.text
            case Opaque() if own and block.kind == "tool_call":
                calls.append(block.value)
            case Refusal():
                texts.append(block)
            case Reasoning() if own:
                pass
            case Reasoning():
                # Few providers take their reasoning back, OpenAI refuses the field, and nobody takes another's.
                conversation.drop("messages[].content[].thinking")
            case Opaque() if own:
                texts.append(block)
            case Text():
                pass
            case _:
                conversation.drop(f"messages[].content[].{kind_of(block)}")
        if not own:
            _leftover(block, conversation)
    if own:
        body |= write_reasoning(message.blocks)
        body |= _own_content(texts, message.plain)
    elif texts or not calls:
        # Claude's text comes in pieces around citations and calls: together they are the text.
        body["content"] = "".join(block.text for block in texts if isinstance(block, Text | Refusal))
    else:
        body["content"] = None
    if calls:
        body["tool_calls"] = calls
    return [body]


def _own_content(texts: list[Block], plain: bool) -> Extra:
    if not texts:
        return {} if plain else {"content": []}
    if plain and len(texts) == 1 and type(texts[0]) is Text:
        text = texts[0]
        annotations = {"annotations": [citation.raw for citation in text.citations]} if text.citations else {}
        return {"content": text.text, **annotations}
    return {"content": [write_part(block, True) for block in texts]}


def _other(message: Message, conversation: Conversation, own: bool) -> list[Extra]:
    results = [block for block in message.blocks if type(block) is ToolResult]
    if not results:
        return _plain_message(message, conversation, own) or []
    rest: list[Block] = []
    written = [_tool_result(result, rest, conversation, own) for result in results]
    rest += [block for block in message.blocks if type(block) is not ToolResult]
    if rest:
        written += _plain_message(Message(role="user", blocks=rest), conversation, own)
    return written


def _tool_result(result: ToolResult, rest: list[Block], conversation: Conversation, own: bool) -> Extra:
    """A tool's message. It takes text only: pictures and files follow in the user's next message, which goes to `rest`."""
    if not own:
        _leftover(result, conversation)
        if result.error:
            conversation.drop("messages[].content[].is_error")
    seen = [block for block in result.blocks if own or type(block) in (Text, Opaque)]
    for block in result.blocks:
        if not own and type(block) in (Image, Document, Audio):
            rest += (Text(f"From the result of tool call {tool_id(result.id, _ID)}:"), block)
    content = _content(Message(role="tool", blocks=seen, plain=result.plain), conversation, own)
    if content is None:
        content = "The result follows in the next message." if len(seen) < len(result.blocks) else ""
    return {"role": "tool", "tool_call_id": result.id if own else tool_id(result.id, _ID), "content": content}


def _plain_message(message: Message, conversation: Conversation, own: bool) -> list[Extra]:
    content = _content(message, conversation, own)
    if content is None:
        return [{"role": message.role}] if own else []
    return [{"role": message.role, "content": content}]


def _content(message: Message, conversation: Conversation, own: bool) -> str | list[Extra] | None:
    """A message's content; None if nothing is left of it. A single text is written as a string, which everybody reads."""
    parts: list[Extra] = []
    for block in message.blocks:
        part = write_part(block, own)
        if part is None:
            conversation.drop(f"messages[].content[].{kind_of(block)}")
            continue
        parts.append(part)
        if not own:
            _leftover(block, conversation)
    if not parts:
        return [] if own and message.blocks else None
    if len(parts) == 1 and type(message.blocks[0]) is Text and (message.plain or not own):
        text: str = parts[0]["text"]
        return text
    return parts


def _leftover(block: Block, conversation: Conversation) -> None:
    if block.cache:
        conversation.drop("messages[].content[].cache_control")
    if block.extra:
        conversation.drop_extra(block.extra, "messages[].content[].")


def _sampling(conversation: Conversation, body: Extra, fixed: bool) -> None:
    for field in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        value = getattr(conversation, field)
        if value is not None and fixed:
            if value != (0 if "penalty" in field else 1):
                conversation.drop(field)
        elif value is not None:
            body[field] = value
    for field in ("seed", "n", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None:
            body[field] = value
    if conversation.stop is not None:
        _stop(conversation, body, fixed)
    if conversation.top_k is not None:
        if conversation.dialect == NAME:
            body["top_k"] = conversation.top_k
        else:
            conversation.drop("top_k")


def _stop(conversation: Conversation, body: Extra, fixed: bool) -> None:
    stop = conversation.stop or []
    if conversation.dialect == NAME:
        body["stop"] = stop[0] if conversation.stop_plain else stop
        return
    if (fixed and stop) or len(stop) > _STOPS:
        conversation.drop("stop_sequences")
    if stop and not fixed:
        body["stop"] = stop[:_STOPS]


def _limits(conversation: Conversation, body: Extra, model: str, own: bool) -> None:
    if conversation.max_tokens is not None:
        field = "max_completion_tokens" if _OWN.search(model) else "max_tokens"
        body[conversation.max_tokens_field if own else field] = conversation.max_tokens


def _tools(conversation: Conversation, body: Extra, own: bool) -> None:
    if conversation.tools is not None:
        tools = [tool for tool in (_tool(tool, conversation, own) for tool in conversation.tools) if tool]
        if tools or own:
            body["tools"] = tools
    has_tools = bool(body.get("tools"))
    if conversation.tool_choice and (has_tools or own):
        choice = _tool_choice(conversation.tool_choice, own)
        if choice is None:
            conversation.drop("tool_choice")
        else:
            body["tool_choice"] = choice
    if conversation.parallel_tool_calls is not None and (has_tools or own):
        body["parallel_tool_calls"] = conversation.parallel_tool_calls


def _tool(tool: Tool, conversation: Conversation, own: bool) -> Extra | None:
    if tool.opaque is not None:
        if own:
            return tool.opaque
        conversation.drop(f"tools[].{tool.opaque.get('type', 'type')}")
        return None
    function: Extra = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        if own or not tool.strict or closed(tool.schema):
            function["strict"] = tool.strict
        else:
            conversation.drop("tools[].strict")  # OpenAI's strict mode refuses optional properties
    if own:
        return {**tool.extra, "type": "function", "function": {**tool.extra.get("function", {}), **function}}
    conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache_control")
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice, own: bool) -> Any:
    if choice.raw is not None:
        return choice.raw if own else None
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "tool" else choice.mode


def _output(conversation: Conversation, body: Extra, model: str, own: bool) -> None:
    if conversation.format and (own or conversation.format.kind != "opaque"):
        body["response_format"] = _format(conversation.format, own)
    elif conversation.format:
        conversation.drop("output_config.format")
    if conversation.thinking:
        _thinking(conversation.thinking, conversation, body, model, own)
    if conversation.user is not None:
        body["user"] = conversation.user if own or len(conversation.user) <= _USER else _digest(conversation.user)
    if conversation.service_tier is not None:
        body["service_tier"] = conversation.service_tier
    if conversation.metadata and not own:
        conversation.drop_extra(conversation.metadata, "metadata.")
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if conversation.include_usage is not None:
        body["stream_options"] = {"include_usage": conversation.include_usage}
    elif conversation.stream and not own:
        body["stream_options"] = {"include_usage": True}


def _format(given: Format, own: bool) -> Extra:
    if given.kind == "opaque":
        return given.extra
    if given.kind != "json_schema":
        return {**given.extra, "type": given.kind}
    inner: Extra = {**given.extra} if own else {}
    if given.name or not own:
        inner["name"] = given.name or "answer"
    if given.schema is not None:
        inner["schema"] = given.schema
    strict = given.strict if own else closed(given.schema)
    if strict is not None:
        inner["strict"] = strict
    return {"type": "json_schema", "json_schema": inner}


def _thinking(thinking: Thinking, conversation: Conversation, body: Extra, model: str, own: bool) -> None:
    if own:
        body["reasoning_effort"] = thinking.effort
        return
    conversation.drop_extra(thinking.extra, "thinking.")
    effort = thinking.effort
    if not effort and thinking.budget is not None:
        effort = "low" if thinking.budget < 4096 else "medium" if thinking.budget < 12288 else "high"
    if not effort or thinking.mode == "disabled":
        return  # whether to think at all is left to the model, which is its default
    if _REASONS.search(model):
        body["reasoning_effort"] = effort
    else:
        conversation.drop("thinking.budget_tokens" if thinking.budget is not None else "output_config.effort")


def _digest(user: str) -> str:
    """A name for the user that is as good for telling users apart, and short enough."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
