"""A conversation as a request to Cohere's /v2/chat.

Its rules: instructions come first; a tool's result is text or documents; a tool can be forced, but not one of several; a JSON schema
goes with neither tools nor documents; at most five stop sequences, and penalties from 0 to 1. Requests that came in this dialect are
written as they were.
"""

import re

import msgspec

from extproc.dialects import documents, instructions, plain
from extproc.dialects.cohere.parts import MAKER, NAME, PLAN, write_call, write_image
from extproc.dialects.cohere.request_restore import restore
from extproc.dialects.cohere.words import NAMES
from extproc.dialects.fields import tool_id
from extproc.dialects.hub import (
    INSTRUCTING,
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
    ToolResult,
    Video,
    kind_of,
)
from extproc.dialects.quirks import NONE, Quirks, finished

_REASONS = re.compile(r"reasoning|command-a-plus|north", re.IGNORECASE)
"""Models that reason: https://docs.cohere.com/docs/reasoning"""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192}
"""Tokens. Above that, it is best left to the model: https://docs.cohere.com/docs/reasoning#thinking-budgets"""

_STOPS = 5
_TOP_P = (0.01, 0.99)
_TOP_K = 500
_ID = 64
_FILLER = "."
"""A user's message where there is none to answer."""
_BETWEEN = "\n\n"


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    if conversation.dialect == NAME:
        return finished(restore(conversation, model), quirks, conversation.drop_path)
    writer = _Foreign(conversation)
    system, messages = writer.system(), writer.messages()
    body: Extra = {"model": model}
    _tools(conversation, body)
    _format(conversation, body, system)
    if system:
        messages.insert(0, {"role": "system", "content": _BETWEEN.join(system)})
    body["messages"] = messages
    _sampling(conversation, body)
    _thinking(conversation, body, model)
    _account(conversation, body)
    conversation.drop_extra({key: value for key, value in conversation.extra.items() if key != "stream_options"})
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


class _Foreign:
    """Writes messages of another dialect's conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._drop = conversation.drop

    def system(self) -> list[str]:
        """Instructions that stand first: "system turn must be the first in the list"."""
        parts = instructions.front(self._conversation, self._parts)
        return [part["text"] for part in parts if part["type"] == "text" and part["text"]]

    def messages(self) -> list[Extra]:
        written: list[Extra] = []
        said = False
        for message in instructions.turns(self._conversation):
            if message.role in INSTRUCTING:
                self._conversation.drop_extra(message.extra, "messages[].")
                written += self._other(Message(role="user", blocks=instructions.marked(message, self._conversation)))
                continue
            if not message.extra and (text := plain.words(message.blocks)) is not None:
                written.append({"role": "assistant" if message.role == "assistant" else "user", "content": text})
                said = True
                continue
            self._conversation.drop_extra(message.extra, "messages[].")
            new = self._assistant(message) if message.role == "assistant" else self._other(message)
            said = said or bool(new)
            written += new
        if not said:
            self._conversation.refuse_nothing()
        return written or [{"role": "user", "content": _FILLER}]

    def _assistant(self, message: Message) -> list[Extra]:
        body: Extra = {}
        content: list[Extra] = []
        text = ""
        for block in message.blocks:
            if type(block) is ToolCall:
                self._leftover(block)
                body.setdefault("tool_calls", []).append(write_call(block, tool_id(block.id, _ID)))
                continue
            match block:
                case Text() | Refusal():
                    self._leftover(block)
                    text += block.text
                    if type(block) is Text and block.citations:
                        self._drop("blocks[].citations")
                case Reasoning() if block.origin != MAKER:
                    self._drop("blocks[].reasoning")  # nobody takes another's
                case Reasoning() if block.signature == PLAN:
                    body[PLAN] = body.get(PLAN, "") + block.text
                case Reasoning():
                    content.append({"type": "thinking", "thinking": block.text})
                case _:
                    self._drop(f"blocks[].{kind_of(block)}")
        if content:
            body["content"] = [*content, *([{"type": "text", "text": text}] if text else [])]
        elif text:
            body["content"] = text
        return [{"role": "assistant", **body}] if body else []

    def _other(self, message: Message) -> list[Extra]:
        written: list[Extra] = []
        rest: list[Block] = []
        for block in message.blocks:
            if type(block) is ToolResult:
                written.append(self._result(block, rest))
            else:
                rest.append(block)
        parts = self._parts(rest)
        if len(parts) == 1 and parts[0]["type"] == "text":
            written.append({"role": "user", "content": parts[0]["text"]})
        elif parts:
            written.append({"role": "user", "content": parts})
        return written

    def _result(self, result: ToolResult, rest: list[Block]) -> Extra:
        """A tool's message. Pictures follow in the user's next message, which goes to `rest`."""
        self._leftover(result)
        if result.error:
            self._drop("blocks[].error")
        identifier = tool_id(result.id, _ID)
        if (words := plain.words(result.blocks)) is not None:
            return {"role": "tool", "tool_call_id": identifier, "content": words}
        shown = [block for block in result.blocks if type(block) in (Image, Audio, Video)]
        for block in shown:
            rest += (Text(f"From the result of tool call {identifier}:"), block)
        parts = self._parts([block for block in result.blocks if type(block) in (Text, Document, Opaque, Refusal)])
        text = _BETWEEN.join(part["text"] for part in parts) or ("The result follows in the next message." if shown else "")
        return {"role": "tool", "tool_call_id": identifier, "content": text}

    def _parts(self, blocks: list[Block]) -> list[Extra]:
        parts: list[Extra] = []
        for block in blocks:
            self._leftover(block)
            match block:
                case Text() | Refusal():
                    if block.text:
                        parts.append({"type": "text", "text": block.text})
                case Image():
                    parts.append({"type": "image_url", "image_url": write_image(block)})
                case Document() if (text := documents.words(block)) is not None:
                    parts.append({"type": "text", "text": documents.tagged(block, text)})
                case _:
                    self._drop(f"blocks[].{kind_of(block)}")
        return parts

    def _leftover(self, block: Block) -> None:
        if block.cache:
            self._drop("blocks[].cache")
        if block.seal:
            self._drop("blocks[].seal")
        if block.extra:
            self._conversation.drop_extra(block.extra, "blocks[].")


def _tools(conversation: Conversation, body: Extra) -> None:
    choice = conversation.tool_choice
    # To force one of several, it is offered alone.
    allowed = None if choice is None else [choice.name] if choice.mode == "tool" else choice.allowed
    offered = [tool for tool in conversation.tools or () if allowed is None or tool.name in allowed]
    tools = [one for tool in offered for one in _tool(tool, conversation)]
    if not tools:
        return
    body["tools"] = tools
    if strict := [tool for tool in offered if tool.strict and tool.opaque is None]:
        if len(strict) == len(tools) and all((tool.schema or {}).get("required") for tool in strict):
            body["strict_tools"] = True  # at least one required parameter is wanted
        else:
            conversation.drop("tools[].strict")
    if choice and choice.mode in ("required", "tool"):
        body["tool_choice"] = "REQUIRED"
    elif choice and choice.mode == "none":
        body["tool_choice"] = "NONE"
    elif choice and choice.mode == "opaque":
        conversation.drop("tool_choice")
    if conversation.parallel_tool_calls is False:
        conversation.drop("parallel_tool_calls")


def _tool(tool: Tool, conversation: Conversation) -> list[Extra]:
    if tool.opaque is not None:
        conversation.drop_tool(tool)
        return []
    if tool.extra:
        conversation.drop_extra(tool.extra, "tools[].")
    if tool.cache:
        conversation.drop("tools[].cache")
    function: Extra = {"name": tool.name, "parameters": {"type": "object", **(tool.schema or {"properties": {}})}}
    if tool.description:
        function["description"] = tool.description
    return [{"type": "function", "function": function}]


def _format(conversation: Conversation, body: Extra, system: list[str]) -> None:
    """Structured output; beside tools an instruction, which is no promise and therefore named."""
    wanted = conversation.format
    if wanted is None or wanted.kind == "text":
        return
    if wanted.kind == "opaque" or "tools" in body:
        conversation.drop("format")
        if wanted.kind != "opaque":
            system.append(_instruction(wanted))
        return
    body["response_format"] = {"type": "json_object", **({} if wanted.schema is None else {"json_schema": wanted.schema})}


def _instruction(wanted: Format) -> str:
    words = "When you answer and call no tool, answer with one JSON object and nothing else."
    return words if wanted.schema is None else f"{words} It must match this JSON schema:\n{msgspec.json.encode(wanted.schema).decode()}"


def _sampling(conversation: Conversation, body: Extra) -> None:
    if conversation.max_tokens is not None:
        body["max_tokens"] = conversation.max_tokens
    for field, name, least, most in (
        ("temperature", "temperature", 0, 1),
        ("frequency_penalty", "frequency_penalty", 0, 1),
        ("presence_penalty", "presence_penalty", 0, 1),
        ("top_k", "k", 0, _TOP_K),
    ):
        value = getattr(conversation, field)
        if value and name == "presence_penalty" and body.get("frequency_penalty"):
            conversation.drop(field)  # "only one of 'presence_penalty' and 'frequency_penalty' can be specified for this model"
        elif value or (value is not None and "penalty" not in name):
            body[name] = min(max(value, least), most)
            if body[name] != value:
                conversation.drop(field)  # as much of it as there is, and named
    if conversation.top_p is not None:
        # All of it, or next to nothing, is as near as can be, and named; what is beyond either is for Cohere to refuse.
        body["p"] = min(max(conversation.top_p, _TOP_P[0]), _TOP_P[1]) if 0 <= conversation.top_p <= 1 else conversation.top_p
        if body["p"] != conversation.top_p:
            conversation.drop("top_p")
    if conversation.seed is not None:
        if conversation.seed >= 0:
            body["seed"] = conversation.seed
        else:
            conversation.drop("seed")
    if conversation.stop:
        body["stop_sequences"] = conversation.stop[:_STOPS]
        if len(conversation.stop) > _STOPS:
            conversation.drop("stop")


def _thinking(conversation: Conversation, body: Extra, model: str) -> None:
    wanted = conversation.thinking
    if wanted is None:
        return
    conversation.drop_extra(wanted.extra, "thinking.")
    off = wanted.mode == "disabled" or wanted.effort == "none" or wanted.budget == 0
    if not _REASONS.search(model):
        if not off and (wanted.effort or wanted.budget or wanted.mode):
            conversation.drop("thinking.effort" if wanted.effort else "thinking")
        return
    if off:
        body["thinking"] = {"type": "disabled"}
        return
    budget = _budget(wanted)
    body["thinking"] = {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}


def _budget(wanted: Thinking) -> int | None:
    return wanted.budget if wanted.budget is not None and wanted.budget > 0 else _BUDGETS.get(wanted.effort)


def _account(conversation: Conversation, body: Extra) -> None:
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if conversation.logprobs:
        body["logprobs"] = True
    if conversation.top_logprobs:
        conversation.drop("top_logprobs")
    conversation.drop_account()
