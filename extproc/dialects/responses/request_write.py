"""A conversation as a request to the Responses API: https://platform.openai.com/docs/api-reference/responses/create

What the provider could remember of it (`store`) nobody would ask for again, since clients of other dialects send all each time.
Requests that came in this dialect are written as they were.
"""

import hashlib
from typing import Any

from extproc.dialects import plain, texts
from extproc.dialects.fields import tool_id
from extproc.dialects.hub import (
    INSTRUCTING,
    Block,
    Conversation,
    Extra,
    Format,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    kind_of,
)
from extproc.dialects.models import Abilities, abilities
from extproc.dialects.quirks import NONE, Quirks, finished, nearest_effort
from extproc.dialects.responses import reasoning
from extproc.dialects.responses.parts import NAME, write_part, write_upload
from extproc.dialects.responses.request_restore import restore
from extproc.dialects.responses.tools import write_tool, write_tool_choice
from extproc.dialects.responses.words import NAMES
from extproc.dialects.schemas import closed

_ID = 64
"""Characters of a call's id, and of `user`."""

_LEAST = 16
"""The least `max_output_tokens` that OpenAI takes."""

_SHARED = ("metadata", "moderation", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "store")
"""Fields that chat completions and responses of OpenAI have in common, and for which the hub has no word."""

_EFFORTS = ((4096, "low"), (12288, "medium"))
"""Up to how many tokens of a budget an effort goes; beyond is `high`."""


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    if conversation.dialect == NAME:
        return finished(restore(conversation, model), quirks, conversation.drop_path)
    able = abilities(model)
    body: Extra = {"model": model, "input": _Input(conversation, able).items()}
    if instructions := _instructions(conversation):
        body["instructions"] = instructions
    _sampling(conversation, body, able)
    _tools(conversation, body, able)
    _output(conversation, body, able, quirks)
    _account(conversation, body)
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


def _instructions(conversation: Conversation) -> str:
    blocks = conversation.system.blocks if conversation.system else []
    for block in blocks:
        if type(block) is not Text:
            conversation.drop(f"system[].{kind_of(block)}")
        if block.cache:
            conversation.drop("system[].cache")
        conversation.drop_extra(block.extra, "system[].")
    return "\n\n".join(block.text for block in blocks if type(block) is Text)


_ROLES = ("assistant", "system", "developer")
"""What does not speak for the user."""


class _Input:
    """Writes the items of another dialect's conversation."""

    def __init__(self, conversation: Conversation, able: Abilities) -> None:
        self._conversation = conversation
        self._drop = conversation.drop
        self._able = able
        self._taking: set[str] = set()
        """Ids of calls whose tools take a text."""

    def items(self) -> list[Extra]:
        """All of them, in order."""
        written: list[Extra] = []
        for message in self._conversation.messages:
            if not message.extra and (text := plain.words(message.blocks)) is not None:
                role = message.role if message.role in _ROLES else "user"
                written.append({"role": role, "content": text})
                continue
            if message.extra:
                self._conversation.drop_extra(message.extra, "messages[].")
            written += self._turn(message) if message.role == "assistant" else self._others(message)
        if all(item.get("role") in INSTRUCTING for item in written):
            self._conversation.refuse_nothing()
        return written

    def _turn(self, message: Message) -> list[Extra]:
        """What a model said: text up to the next call is one message."""
        written: list[Extra] = []
        said: list[Text | Refusal] = []
        for block in message.blocks:
            self._leftover(block)
            if type(block) is Text or type(block) is Refusal:
                if block.text:
                    said.append(block)
                continue
            if (item := self._item(block)) is not None:
                written += [*_message(said), item]
                said = []
        return written + _message(said)

    def _item(self, block: Block) -> Extra | None:
        if type(block) is ToolCall:
            identifier = tool_id(block.id, _ID)
            if block.custom and self._able.customs:
                self._taking.add(identifier)
                return {"type": "custom_tool_call", "call_id": identifier, "name": block.name, "input": texts.text(block.arguments)}
            return {"type": "function_call", "call_id": identifier, "name": block.name, "arguments": block.arguments or "{}"}
        if type(block) is Reasoning and reasoning.own(block):
            return reasoning.write_reasoning(block)
        self._drop(f"blocks[].{kind_of(block)}")
        return None

    def _others(self, message: Message) -> list[Extra]:
        written = [self._result(block) for block in message.blocks if type(block) is ToolResult]
        rest = [block for block in message.blocks if type(block) is not ToolResult]
        content = self._content(rest) if rest else ""
        if content:
            role = message.role if message.role in ("system", "developer") else "user"
            written.append({"role": role, "content": content})
        return written

    def _result(self, block: ToolResult) -> Extra:
        self._leftover(block)
        if block.error:
            self._drop("blocks[].error")
        identifier = tool_id(block.id, _ID)
        kind = "custom_tool_call_output" if identifier in self._taking else "function_call_output"
        said = plain.words(block.blocks)
        return {"type": kind, "call_id": identifier, "output": self._content(block.blocks) if said is None else said}

    def _content(self, blocks: list[Block]) -> str | list[Extra]:
        """A content: a single text is written as a string, which everybody reads."""
        parts: list[Extra] = []
        for block in blocks:
            upload = block.upload if type(block) is Opaque and self._able.uploads else ""
            part = write_upload(upload) if upload else write_part(block)
            if part is None:
                self._drop(f"blocks[].{kind_of(block)}")
                continue
            self._leftover(block)
            if part.get("text") != "":
                parts.append(part)
        if not parts:
            return ""
        text: str = parts[0].get("text", "")
        return text if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts

    def _leftover(self, block: Block) -> None:
        if block.cache and "prompt_cache_breakpoint" not in block.cache.raw:
            self._drop("blocks[].cache")
        if block.seal:
            self._drop("blocks[].seal")
        if type(block) is Text and block.citations:
            self._drop("blocks[].citations")
        if block.extra and type(block) is not Reasoning:
            self._conversation.drop_extra(block.extra, "blocks[].")


def _message(said: list[Text | Refusal]) -> list[Extra]:
    if not said:
        return []
    if all(type(block) is Text for block in said):
        return [{"role": "assistant", "content": "".join(block.text for block in said)}]
    parts = [
        {"type": "output_text", "text": block.text} if type(block) is Text else {"type": "refusal", "refusal": block.text} for block in said
    ]
    return [{"role": "assistant", "content": parts}]


def _sampling(conversation: Conversation, body: Extra, able: Abilities) -> None:
    for field, value in (("temperature", conversation.temperature), ("top_p", conversation.top_p)):
        if value is not None and field not in able.refuses:
            body[field] = value
        elif value not in (None, 1):
            conversation.drop(field)
    for field in ("top_k", "seed", "presence_penalty", "frequency_penalty"):
        value = getattr(conversation, field)
        if value or (value is not None and field == "seed"):
            conversation.drop(field)
    if conversation.n is not None and conversation.n != 1:
        conversation.drop("n")
    if conversation.stop:
        conversation.drop("stop")
    if conversation.max_tokens is not None:
        least = _LEAST if able.developer else 0
        body["max_output_tokens"] = max(conversation.max_tokens, least)
        if conversation.max_tokens < least:
            conversation.drop("max_tokens")
    _logprobs(conversation, body, able)


def _logprobs(conversation: Conversation, body: Extra, able: Abilities) -> None:
    if not conversation.logprobs and conversation.top_logprobs is None:
        return
    if "logprobs" in able.refuses:
        conversation.drop("logprobs" if conversation.logprobs else "top_logprobs")
        return
    if conversation.logprobs:
        body["include"] = ["message.output_text.logprobs"]
    if conversation.top_logprobs is not None:
        body["top_logprobs"] = conversation.top_logprobs


def _tools(conversation: Conversation, body: Extra, able: Abilities) -> None:
    tools = [written for tool in conversation.tools or () if (written := write_tool(tool, conversation, able))]
    if not tools:
        return
    body["tools"] = tools
    choice: Any = write_tool_choice(conversation.tool_choice, conversation, able) if conversation.tool_choice else None
    if choice is not None:
        body["tool_choice"] = choice
    if conversation.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = conversation.parallel_tool_calls


def _output(conversation: Conversation, body: Extra, able: Abilities, quirks: Quirks) -> None:
    text: Extra = {}
    if conversation.format and conversation.format.kind == "opaque":
        conversation.drop("format")
    elif conversation.format:
        text["format"] = _format(conversation.format)
    if conversation.verbosity is not None:
        text["verbosity"] = conversation.verbosity
    if text:
        body["text"] = text
    if conversation.thinking:
        _thinking(conversation.thinking, conversation, body, able, quirks)
    if able.developer and able.reasons:
        # So that a client that sends its reasoning back can go on: it is not stored.
        body["include"] = [*body.get("include", ()), "reasoning.encrypted_content"]


def _format(given: Format) -> Extra:
    if given.kind != "json_schema":
        return {"type": given.kind}
    schema = given.schema or {"type": "object"}
    described = {"description": text} if type(text := given.extra.get("description")) is str else {}
    return {"type": "json_schema", "name": given.name or "answer", "schema": schema, "strict": closed(schema), **described}


def _thinking(thinking: Thinking, conversation: Conversation, body: Extra, able: Abilities, quirks: Quirks) -> None:
    conversation.drop_extra(thinking.extra, "thinking.")
    effort = thinking.effort
    if not effort and thinking.budget:
        effort = next((word for most, word in _EFFORTS if thinking.budget < most), "high")
    effort = nearest_effort(effort, quirks.efforts) if effort else ""
    asked = {"effort": effort} if effort and thinking.mode != "disabled" else {}
    if thinking.summary not in ("", "none"):
        asked["summary"] = thinking.summary
    lost = bool(thinking.effort) and not effort
    if asked and able.reasons and quirks.reasoning != "none":
        body["reasoning"] = asked
    else:
        lost = lost or bool(asked)
    if lost and (able.reasons or asked not in ({}, {"effort": "none"})):  # a model that does not reason need not be told so
        conversation.drop("thinking.budget" if thinking.budget is not None else "thinking.effort")


def _account(conversation: Conversation, body: Extra) -> None:
    extra = conversation.extra
    body["store"] = False
    if extra:
        shared = {field: extra[field] for field in _SHARED if extra.get(field) is not None}
        body.update(shared)
        conversation.drop_extra({field: value for field, value in extra.items() if field not in (*shared, "stream_options")})
    metadata = conversation.metadata or {}
    if metadata and all(type(value) is str for value in metadata.values()):
        body["metadata"] = metadata
    else:
        conversation.drop_extra(metadata, "metadata.")
    if user := conversation.user:
        body["user"] = user if len(user) <= _ID else hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    if conversation.service_tier is not None:
        body["service_tier"] = conversation.service_tier
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if conversation.cache:
        conversation.drop("cache")
