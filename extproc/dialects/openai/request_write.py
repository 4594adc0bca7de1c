"""A conversation as an OpenAI chat completion request.

OpenAI's own models and those that merely speak its dialect differ in what they refuse: models by their names (`models.toml`), providers
by their `Quirks`. Requests that came in this dialect are written as they were, but for what the provider refuses: what they ask is between
the client and the provider.
"""

import hashlib
import re
from typing import Any, NamedTuple

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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    kind_of,
)
from extproc.dialects.models import Abilities, abilities
from extproc.dialects.openai.effort import write_thinking
from extproc.dialects.openai.parts import NAME, write_part, write_reasoning, write_tool_call
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.dialects.schemas import closed, instruction

_STOPS = 4
"""`stop` takes up to 4 sequences."""

_USER = 64
"""`user` has at most 64 characters; Claude Code's are longer."""

_ID = 40
"""A tool call's id has at most 40 characters."""


_PLAIN_ID = re.compile(r"[A-Za-z0-9]+")

_SHARED = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")
"""Fields for which the hub has no word, and which OpenAI's other API calls the same."""

_NAMES = {"stop": "stop_sequences"}
"""What a caller of another dialect knows a refused field as."""


class _Taste(NamedTuple):
    """What decides how a request is written."""

    own: bool
    """It came in this dialect."""
    able: Abilities
    quirks: Quirks

    @property
    def developer(self) -> bool:
        return self.able.developer if self.quirks.developer is None else self.quirks.developer

    def call_id(self, given: str) -> str:
        """A tool call's id as the provider takes it."""
        if self.own:
            return given
        length = self.quirks.call_id_length
        if length is None:
            return tool_id(given, _ID)
        return given if len(given) == length and _PLAIN_ID.fullmatch(given) else _digest(given)[:length]


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    own = conversation.dialect == NAME
    able = abilities(model)
    taste = _Taste(own, able, quirks)
    body: Extra = {"model": model, "messages": _messages(conversation, taste)}
    _sampling(conversation, body, taste)
    _limits(conversation, body, taste)
    _tools(conversation, body, taste)
    _output(conversation, body, taste)
    if own:
        return finished(_restore(conversation, body), quirks, conversation.drop)
    if able.refuses:
        finished(body, Quirks(refuses=able.refuses), lambda field: conversation.drop(_NAMES.get(field, field)))
    shared = {field: conversation.extra[field] for field in _SHARED if taste.able.developer and conversation.extra.get(field) is not None}
    body |= shared
    conversation.drop_extra({field: value for field, value in conversation.extra.items() if field not in shared})
    if conversation.cache:
        conversation.drop("cache_control")
    return finished(body, quirks, lambda field: conversation.drop(_NAMES.get(field, field)))


def _restore(conversation: Conversation, body: Extra) -> Extra:
    """What a reader of this dialect left in `extra`."""
    options = conversation.extra.get("stream_options")
    if options and "stream_options" in body:
        body["stream_options"] = {**options, **body["stream_options"]}
    return {**conversation.extra, **body}


def _messages(conversation: Conversation, taste: _Taste) -> list[Extra]:
    messages: list[Extra] = []
    if conversation.system and conversation.system.blocks:
        messages += _plain_message(Message(role="system", blocks=conversation.system.blocks), conversation, taste)
    for message in conversation.messages:
        written = _assistant(message, conversation, taste) if message.role == "assistant" else _other(message, conversation, taste)
        if taste.own:
            written[0] = {**message.extra, **written[0]}
        elif message.extra:
            conversation.drop_extra(message.extra, "messages[].")
        messages += written
    return messages


def _assistant(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    own = taste.own
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
                calls.append(write_tool_call(block, taste.call_id(block.id), own))
            case Refusal() if not block.part:
                body["refusal"] = block.text
            case Opaque() if own and block.kind == "tool_call":
                calls.append(block.value)
            case Refusal():
                texts.append(block)
            case Reasoning():
                # Few providers take their reasoning back, OpenAI refuses the field, and nobody takes another's.
                if not (own or (taste.quirks.reasoning_back and block.text)):
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
    back = "".join(block.text for block in message.blocks if type(block) is Reasoning)
    if back and taste.quirks.reasoning_back and not own:
        body[taste.quirks.reasoning_back] = back
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


def _other(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    results = [block for block in message.blocks if type(block) is ToolResult]
    if not results:
        return _plain_message(message, conversation, taste) or []
    rest: list[Block] = []
    written = [_tool_result(result, rest, conversation, taste) for result in results]
    rest += [block for block in message.blocks if type(block) is not ToolResult]
    if rest:
        written += _plain_message(Message(role="user", blocks=rest), conversation, taste)
    return written


def _tool_result(result: ToolResult, rest: list[Block], conversation: Conversation, taste: _Taste) -> Extra:
    """A tool's message. It takes text only: pictures and files follow in the user's next message, which goes to `rest`."""
    own = taste.own
    if not own:
        _leftover(result, conversation)
        if result.error:
            conversation.drop("messages[].content[].is_error")
    seen = [block for block in result.blocks if own or type(block) in (Text, Opaque)]
    for block in result.blocks:
        if not own and type(block) in (Image, Document, Audio):
            rest += (Text(f"From the result of tool call {taste.call_id(result.id)}:"), block)
    content = _content(Message(role="tool", blocks=seen, plain=result.plain), conversation, taste)
    if content is None:
        content = "The result follows in the next message." if len(seen) < len(result.blocks) else ""
    return {"role": "tool", "tool_call_id": taste.call_id(result.id), "content": content}


def _plain_message(message: Message, conversation: Conversation, taste: _Taste) -> list[Extra]:
    content = _content(message, conversation, taste)
    if content is None:
        return [{"role": message.role}] if taste.own else []
    role = "system" if message.role == "developer" and not (taste.own or taste.developer) else message.role
    return [{"role": role, "content": content}]


def _content(message: Message, conversation: Conversation, taste: _Taste) -> str | list[Extra] | None:
    """A message's content; None if nothing is left of it. A single text is written as a string, which everybody reads."""
    own = taste.own
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


def _sampling(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    for field in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "n", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None:
            body[field] = value
    if conversation.stop is not None:
        _stop(conversation, body, taste)
    if conversation.top_k is not None:
        if taste.own or taste.quirks.top_k:
            body["top_k"] = conversation.top_k
        else:
            conversation.drop("top_k")


def _stop(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    stop = conversation.stop or []
    if taste.own:
        body["stop"] = stop[0] if conversation.stop_plain else stop
        return
    most = _STOPS if taste.quirks.stop_limit is None else taste.quirks.stop_limit
    if len(stop) > most:
        conversation.drop("stop_sequences")
    if stop[:most]:
        body["stop"] = stop[:most]


def _limits(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    if conversation.max_tokens is not None:
        field = taste.quirks.max_tokens_field or taste.able.max_tokens_field
        body[conversation.max_tokens_field if taste.own else field] = conversation.max_tokens


def _tools(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    own = taste.own
    if conversation.tools is not None:
        tools = [tool for tool in (_tool(tool, conversation, taste) for tool in conversation.tools) if tool]
        if tools or own:
            body["tools"] = tools
    has_tools = bool(body.get("tools"))
    if conversation.tool_choice and (has_tools or own):
        choice = _tool_choice(conversation.tool_choice, taste)
        if choice is None:
            conversation.drop("tool_choice")
        else:
            body["tool_choice"] = choice
    if conversation.parallel_tool_calls is not None and (has_tools or own):
        body["parallel_tool_calls"] = conversation.parallel_tool_calls


def _tool(tool: Tool, conversation: Conversation, taste: _Taste) -> Extra | None:
    own = taste.own
    if tool.opaque is not None:
        if own:
            return tool.opaque
        conversation.drop(f"tools[].{tool.kind}")
        return None
    function: Extra = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        if own or (taste.quirks.strict and (not tool.strict or closed(tool.schema))):
            function["strict"] = tool.strict
        elif tool.strict:
            conversation.drop("tools[].strict")  # OpenAI's strict mode refuses optional properties
    if own:
        return {**tool.extra, "type": "function", "function": {**tool.extra.get("function", {}), **function}}
    conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache_control")
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice, taste: _Taste) -> Any:
    if choice.mode == "opaque" or (taste.own and choice.raw is not None):
        return choice.raw if taste.own else None
    if not taste.own and choice.mode not in taste.quirks.tool_choice:
        return None
    if choice.allowed is not None:
        if not taste.able.developer:
            return None  # only OpenAI has it
        tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "tool" else choice.mode


def _verbosity(verbosity: str, conversation: Conversation, body: Extra, taste: _Taste) -> None:
    """Of OpenAI's models, those that reason take it: https://platform.openai.com/docs/guides/latest-model#verbosity"""
    if taste.own or (taste.able.developer and taste.able.reasons):
        body["verbosity"] = verbosity
    elif verbosity != "medium":
        conversation.drop("verbosity")


def _output(conversation: Conversation, body: Extra, taste: _Taste) -> None:
    own = taste.own
    if conversation.format:
        _format(conversation.format, conversation, body, taste)
    if conversation.thinking and own:
        body["reasoning_effort"] = conversation.thinking.effort
    elif conversation.thinking:
        conversation.drop_extra(conversation.thinking.extra, "thinking.")
        write_thinking(conversation.thinking, conversation, body, taste.able, taste.quirks)
    if conversation.verbosity is not None:
        _verbosity(conversation.verbosity, conversation, body, taste)
    if conversation.user is not None:
        most = _USER if taste.quirks.user_limit is None else taste.quirks.user_limit
        body["user"] = conversation.user if own or len(conversation.user) <= most else _digest(conversation.user)[:most]
    if conversation.service_tier is not None:
        body["service_tier"] = conversation.service_tier
    if conversation.metadata and not own:
        conversation.drop_extra(conversation.metadata, "metadata.")
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if own and conversation.include_usage is not None:
        body["stream_options"] = {"include_usage": conversation.include_usage}
    elif conversation.stream and not own and taste.quirks.stream_usage:
        body["stream_options"] = {"include_usage": True if conversation.include_usage is None else conversation.include_usage}


def _format(wanted: Format, conversation: Conversation, body: Extra, taste: _Taste) -> None:
    """The answer's form where the provider promises it; elsewhere what it does promise, and an instruction, which is no promise and
    therefore named.
    """
    most = taste.quirks.structured
    if taste.own or wanted.kind in ("text", most) or (most == "json_schema" and wanted.kind != "opaque"):
        body["response_format"] = _own_format(wanted, taste.own)
        return
    conversation.drop("output_config.format")
    if wanted.kind == "opaque":
        return
    if most == "json_object":
        body["response_format"] = {"type": "json_object"}
    _instruct(instruction(wanted.schema), body["messages"])


def _instruct(text: str, messages: list[Extra]) -> None:
    """Adds to the instructions that stand first; or puts them there."""
    if not messages or messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": text})
    elif isinstance(messages[0]["content"], str):
        messages[0]["content"] += f"\n\n{text}"
    else:
        messages[0]["content"].append({"type": "text", "text": text})


def _own_format(given: Format, own: bool) -> Extra:
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


def _digest(user: str) -> str:
    """A name for the user that is as good for telling users apart, and short enough."""
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
