"""A conversation as an Anthropic messages request.

The rules that shape it (https://docs.claude.com/en/api/messages): user and assistant alternate, beginning with the user; results of one
turn's tool calls stand together, first in the user's next message; no content is empty; `max_tokens` is required; instructions stand in
`system`. Requests that came in this dialect are written as they were.
"""

import sys

import msgspec

from extproc.dialects import documents, instructions, plain
from extproc.dialects.anthropic.blocks import NAME, write_block
from extproc.dialects.anthropic.models import Abilities, abilities
from extproc.dialects.anthropic.request_restore import DISPLAYS, TIERS, restore
from extproc.dialects.anthropic.sealing import SIGNER, is_own
from extproc.dialects.anthropic.tools import write_tools
from extproc.dialects.anthropic.words import NAMES
from extproc.dialects.fields import object_of, tool_id
from extproc.dialects.hub import (
    INSTRUCTING,
    Block,
    Cache,
    Conversation,
    Document,
    Extra,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    kind_of,
)
from extproc.dialects.quirks import NONE, Quirks, finished
from extproc.dialects.schemas import instruction, tightened

_ID = 64
"""Characters of a tool call's id. Anthropic tells no limit; ours keeps a hostile one out of logs."""

_CARRIED = ("safety_identifier", "stream_options")
"""Fields of other dialects that are read though the hub has no word for them, or have no meaning here."""

_FILLER = "."
"""A user's message where the rules want one and the client has none."""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_LEAST_BUDGET = 1024
_WORDS = (("low", 4096), ("medium", 12288), ("high", sys.maxsize))
"""Efforts, and what budgets they stand for: those below."""
_DOCUMENTS = ("document", "search_result")
_MARKERS = 4
"""Prompt-cache markers that a request may have."""


def write_request(conversation: Conversation, model: str, quirks: Quirks = NONE) -> Extra:
    """The request for a provider with these quirks; names what it cannot say in `conversation.dropped`."""
    if conversation.dialect == NAME:
        return finished(restore(conversation, model), quirks, conversation.drop_path)
    able = abilities(model)
    if quirks.structured != "json_schema" or not quirks.system_turns:
        structured, instructs = able.structured and quirks.structured == "json_schema", able.instructs and quirks.system_turns
        able = msgspec.structs.replace(able, structured=structured, instructs=instructs)
    body: Extra = {"model": model, "max_tokens": able.max_tokens if conversation.max_tokens is None else conversation.max_tokens}
    writer = _Foreign(conversation, able)
    system, messages = writer.system(), writer.messages()
    write_tools(conversation, body, able, writer.mark)
    _format(conversation, body, system, able)
    if system:
        body["system"] = system
    body["messages"] = messages
    _thinking(conversation, body, able)
    _sampling(conversation, body, able)
    _account(conversation, body)
    conversation.drop_extra({key: value for key, value in conversation.extra.items() if key not in _CARRIED})
    return finished(body, quirks, lambda field: conversation.drop(NAMES.get(field, field)))


class _Foreign:
    """Writes messages of another dialect's conversation."""

    def __init__(self, conversation: Conversation, able: Abilities) -> None:
        self._conversation = conversation
        self._drop = conversation.drop
        self._able = able
        self._markers = 0
        self._said = False
        """There is something beside instructions."""

    def system(self) -> list[Extra]:
        """Instructions that stand first."""
        return instructions.front(self._conversation, self._blocks)

    def messages(self) -> list[Extra]:
        """User and assistant in turns; and instructions after a user's, for models that take them there."""
        turns: list[Extra] = []
        for message in instructions.turns(self._conversation):
            if message.extra:
                self._conversation.drop_extra(message.extra, "messages[].")
            if message.role in INSTRUCTING:
                self._instruct(message, turns)
                continue
            if message.role not in ("user", "assistant", "tool"):
                instructions.name_role(message.role, self._conversation)
                continue
            if content := self._blocks(message.blocks):
                self._said = True
                _join("assistant" if message.role == "assistant" else "user", content, turns)
        return self._mended(self._placed(turns))

    def _instruct(self, message: Message, turns: list[Extra]) -> None:
        native = self._able.instructs and all(type(block) is Text for block in message.blocks)
        content = self._blocks(message.blocks if native else instructions.marked(message, self._conversation))
        if content and native:
            turns.append({"role": message.role, "content": content})
        elif content:
            _join("user", content, turns)

    def _placed(self, turns: list[Extra]) -> list[Extra]:
        """Instructions stand at the end of the user's turn; where none stands between two of the assistant's, they are words of the user's.

        https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages#limitations
        """
        if not self._able.instructs or not any(turn["role"] in INSTRUCTING for turn in turns):
            return turns
        placed: list[Extra] = []
        late: list[Extra] = []
        for turn in turns:
            if turn["role"] in INSTRUCTING:
                late.append(turn)
                continue
            if turn["role"] == "assistant":
                self._settle(late, placed)
                late = []
            _join(turn["role"], turn["content"], placed)
        self._settle(late, placed)
        return placed

    def _settle(self, late: list[Extra], placed: list[Extra]) -> None:
        if placed and placed[-1]["role"] == "user":
            placed += [{"role": "system", "content": [block for turn in late for block in turn["content"]]}] if late else []
            return
        for turn in late:
            instructions.name_role(turn["role"], self._conversation)
            _join("user", [{**block, "text": instructions.tagged(block["text"])} for block in turn["content"]], placed)

    def _mended(self, turns: list[Extra]) -> list[Extra]:
        if not self._said:
            self._conversation.refuse_nothing()
        if not turns or turns[0]["role"] == "assistant":
            turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _FILLER}]})
        for turn in turns:
            if turn["role"] == "user" and len(turn["content"]) > 1:
                turn["content"].sort(key=lambda block: block["type"] != "tool_result")
        last = turns[-1]
        if last["role"] == "assistant":
            if not self._able.prefill or last["content"][-1]["type"] == "tool_use":
                turns.append({"role": "user", "content": [{"type": "text", "text": _FILLER}]})
            elif last["content"][-1]["type"] == "text":
                _strip_end(last["content"])  # "final assistant content cannot end with trailing whitespace"
        return turns

    def _blocks(self, blocks: list[Block]) -> list[Extra]:
        if (text := plain.words(blocks)) is not None:
            return [{"type": "text", "text": text}]
        written: list[Extra] = []
        for block in blocks:
            one = self._block(block)
            if one is None:
                continue
            if block.cache:
                self.mark(one, block.cache, "blocks[].cache")
            if block.seal:
                self._drop("blocks[].seal")
            for key, value in block.extra.items():
                carried = type(block) is Reasoning or documents.says_cited(block, value, can=one["type"] in _DOCUMENTS)
                if value and not carried:
                    self._drop(f"blocks[].{key}")
            written.append(one)
        return written

    def mark(self, written: Extra, cache: Cache, name: str) -> None:
        """A prompt-cache marker on what is written; `name` is what is dropped where there are too many."""
        if self._markers == _MARKERS:
            self._drop(name)
            return
        self._markers += 1
        written["cache_control"] = {"type": "ephemeral", "ttl": "1h"} if cache.ttl in ("1h", "12h") else {"type": "ephemeral"}

    def _block(self, block: Block) -> Extra | None:
        if type(block) is ToolCall:
            return {"type": "tool_use", "id": tool_id(block.id, _ID), "name": block.name, "input": object_of(block.arguments)}
        if type(block) is ToolResult:
            return self._result(block)
        match block:
            case Text() | Refusal():
                if type(block) is Text and block.citations:
                    self._drop("blocks[].citations")  # they want the search, or the document, that they are of
                return {"type": "text", "text": block.text} if block.text.strip() else None
            case Reasoning():
                return self._reasoning(block)
            case Document() if documents.is_found(block) and not self._able.finds:
                return {"type": "text", "text": documents.tagged(block, block.text or "")}
            case Document():
                written = write_block(_readable(block), False)
            case _:
                if getattr(block, "detail", "") not in ("", "auto"):
                    self._drop("blocks[].detail")
                written = write_block(block, False)
        if written is None:
            self._drop(f"blocks[].{kind_of(block)}")
        return written

    def _reasoning(self, block: Reasoning) -> Extra | None:
        if is_own(block):
            # It may say of which of Anthropic's offers it is; to Anthropic its maker is Claude.
            return write_block(Reasoning(block.text, block.signature, block.redacted, SIGNER), False)
        self._drop("blocks[].reasoning")  # Anthropic takes back only what Claude signed
        return None

    def _result(self, block: ToolResult) -> Extra:
        written: Extra = {"type": "tool_result", "tool_use_id": tool_id(block.id, _ID)}
        if (text := plain.words(block.blocks)) is not None:
            written["content"] = text
        elif content := self._blocks(block.blocks):
            written["content"] = content[0]["text"] if len(content) == 1 and content[0].keys() == {"type", "text"} else content
        if block.error:
            written["is_error"] = True
        return written


def _join(role: str, content: list[Extra], turns: list[Extra]) -> None:
    """One more message: of the same role, it goes on with the last."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += content
    else:
        turns.append({"role": role, "content": content})


def _strip_end(content: list[Extra]) -> None:
    content[-1]["text"] = content[-1]["text"].rstrip()


def _readable(block: Document) -> Document:
    """A text file is sent as text: as base64 Anthropic takes PDF only."""
    text = documents.words(block) if block.data else None
    return block if text is None else Document(media_type="text/plain", text=text, name=block.name, cited=block.cited)


def _format(conversation: Conversation, body: Extra, system: list[Extra], able: Abilities) -> None:
    """Structured output where the model has it; elsewhere an instruction, which is no promise and therefore named."""
    wanted = conversation.format
    if wanted is None or wanted.kind == "text":
        return
    if wanted.kind == "json_schema" and able.structured and wanted.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": tightened(wanted.schema)}}
        return
    conversation.drop("format")
    if wanted.kind != "opaque":
        system.append({"type": "text", "text": instruction(wanted.schema)})


def _thinking(conversation: Conversation, body: Extra, able: Abilities) -> None:
    wanted = conversation.thinking
    if wanted is None or wanted.mode == "disabled" or wanted.effort == "none" or wanted.budget == 0:
        return
    conversation.drop_extra(wanted.extra, "thinking.")
    if not wanted.effort and wanted.budget is None and not wanted.mode:
        return
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")  # "Thinking may not be enabled when tool_choice forces tool use"
    if not able.thinks or forced:
        _name(wanted, conversation)
    elif able.adaptive:
        _adaptive(wanted, body, able)
    else:
        _budget(wanted, conversation, body)


def _adaptive(wanted: Thinking, body: Extra, able: Abilities) -> None:
    effort = wanted.effort
    if not effort and wanted.budget is not None:
        effort = next(word for word, budget in _WORDS if wanted.budget < budget)
    if effort == "minimal":
        effort = "low"
    elif effort == "xhigh" and not able.xhigh:
        effort = "high"
    display = {"display": DISPLAYS[wanted.summary]} if wanted.summary in DISPLAYS else {}
    body["thinking"] = {"type": "adaptive", **display}
    if effort:
        body.setdefault("output_config", {})["effort"] = effort


def _budget(wanted: Thinking, conversation: Conversation, body: Extra) -> None:
    """At most half of what the answer may have goes to thinking, as `max_tokens` counts both."""
    asked = _BUDGETS.get(wanted.effort, _BUDGETS["medium"]) if wanted.budget is None else max(wanted.budget, _LEAST_BUDGET)
    budget = min(asked, body["max_tokens"] // 2)
    if budget < _LEAST_BUDGET or _unsigned(body["messages"]):
        _name(wanted, conversation)
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _name(wanted: Thinking, conversation: Conversation) -> None:
    conversation.drop("thinking.effort" if wanted.effort or wanted.budget is None else "thinking.budget")


def _unsigned(messages: list[Extra]) -> bool:
    """A tool call is being answered whose thinking the client did not keep: "Expected `thinking`, but found `tool_use`"."""
    turns = [message for message in messages[-3:] if message["role"] != "system"]
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")


def _sampling(conversation: Conversation, body: Extra, able: Abilities) -> None:
    free = able.sampling and "thinking" not in body  # thinking wants temperature 1, and no top_k
    temperature = conversation.temperature
    if temperature is not None and free:
        if temperature > 1:
            conversation.drop("temperature")  # 0 to 2 there, 0 to 1 here: the most there is, and named
        body["temperature"] = min(temperature, 1)
    elif temperature not in (None, 1):
        conversation.drop("temperature")
    if conversation.top_p is not None and conversation.top_p != 1:
        if free and not (able.one_of and temperature is not None):
            body["top_p"] = conversation.top_p
        else:
            conversation.drop("top_p")
    if conversation.top_k is not None:
        if free:
            body["top_k"] = conversation.top_k
        else:
            conversation.drop("top_k")
    _rest_of_sampling(conversation, body)


def _rest_of_sampling(conversation: Conversation, body: Extra) -> None:
    for field in ("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
        value = getattr(conversation, field)
        if value is not None and (value or field == "seed"):
            conversation.drop(field)
    if conversation.n is not None and conversation.n != 1:
        conversation.drop("n")
    if conversation.verbosity not in (None, "medium"):
        conversation.drop("verbosity")
    if conversation.stop:
        stop = [sequence for sequence in conversation.stop if sequence.strip()]  # "each stop sequence must contain non-whitespace"
        if len(stop) < len(conversation.stop):
            conversation.drop("stop")
        if stop:
            body["stop_sequences"] = stop


def _account(conversation: Conversation, body: Extra) -> None:
    user, safety = conversation.user, conversation.extra.get("safety_identifier")
    if user and safety not in (None, user):
        conversation.drop_path("safety_identifier")
    user = user or safety
    if type(user) is str and user:
        body["metadata"] = {"user_id": user}
    if conversation.stream is not None:
        body["stream"] = conversation.stream
    if conversation.service_tier in TIERS:
        body["service_tier"] = TIERS[conversation.service_tier]
    elif conversation.service_tier is not None:
        conversation.drop("service_tier")
    if conversation.metadata:
        conversation.drop_extra(conversation.metadata, "metadata.")
    if conversation.cache:
        body["cache_control"] = {"type": "ephemeral"}
