"""OpenAI's dialect as Mistral's SDK speaks it: https://docs.mistral.ai/api/endpoint/chat

The same paths and the same fields, but for some names in requests. What the model thought is a part of the content, of kind `thinking`
(https://docs.mistral.ai/capabilities/reasoning). A stream has each tool call whole, in one piece (the SDK refuses a piece without a name),
every chunk has a choice, and the last one tells what was used, though nobody asks for it. A whole answer always tells that: one whose
provider has counted nothing says 0. A refusal, which has no field there, is text.
"""

import uuid
from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from extproc.dialects.dialect import Operation
from extproc.dialects.fields import refusing, take_int
from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    Aside,
    Choice,
    Conversation,
    Embedded,
    Extra,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Seal,
    Stop,
    StreamEvent,
    ToolCall,
)
from extproc.dialects.openai import OpenAI
from extproc.dialects.openai.answer import call_id, write_stop
from extproc.dialects.openai.embeddings import Embeddings
from extproc.dialects.openai.parts import NAME
from extproc.dialects.openai.reasoning import PART, write_thinking_part
from extproc.dialects.openai.signatures import own_seal, write_seal
from extproc.dialects.openai.stream_write import DONE, StreamWriter, Written
from extproc.dialects.openai.tokens import write_usage
from extproc.dialects.openai.words import WORDS
from extproc.usage import Usage

_SPOKEN = "mistral"
"""`Conversation.dialect`: to a provider of OpenAI's own form this is another one."""

_PARTS = "messages[].content[]"
_OTHER_WORDS = {"seed": "random_seed", "blocks[].reasoning": f"{_PARTS}.thinking", "blocks[].document": f"{_PARTS}.document_url"}
_WORDS = MappingProxyType({**WORDS, **_OTHER_WORDS})

_CAPABILITIES = {"completion_chat": True, "function_calling": True}

_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")


class MistralEmbeddings(Embeddings):
    """Vectors for Mistral's clients, who want an id: https://docs.mistral.ai/api/endpoint/embeddings"""

    def write_answer(self, answer: Embedded) -> Extra:
        return {"id": uuid.uuid4().hex, **super().write_answer(answer)}


_EMBEDDINGS = MistralEmbeddings()


class Mistral(OpenAI):
    """OpenAI's dialect for Mistral's clients. A provider that answers so itself (`Quirks.sdk`) is not translated."""

    @cached_property
    def operations(self) -> dict[str, Operation[Any, Any]]:
        return {**super().operations, "chat": self, "embeddings": _EMBEDDINGS}

    def read_request(self, body: Extra) -> Conversation:
        if body.get("tool_choice") == "any":
            body = {**body, "tool_choice": "required"}
        conversation = super().read_request(body)
        conversation.dialect, conversation.words, conversation.asked = _SPOKEN, _WORDS, {}
        with refusing():
            if (seed := take_int(conversation.extra, "random_seed")) is not None:
                conversation.seed = seed
        return conversation

    def write_answer(self, given: Answer) -> Extra:
        for choice in given.choices:
            for block in choice.blocks:
                if type(block) is ToolCall:
                    block.custom = False  # there is no other form of a call
        body = super().write_answer(given)
        for choice, written in zip(given.choices, body["choices"], strict=True):
            written["message"] = _message(choice, written["message"])
            written["finish_reason"] = written["finish_reason"] or "stop"
        if body.get("usage") is None:
            body["usage"] = write_usage(given.usage or Usage())
        return body

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        return MistralWriter()

    def describe_model(self, name: str) -> Extra:
        """As https://docs.mistral.ai/api/endpoint/models has it. What a model can do is not known here; all of them are asked for this."""
        return {**super().describe_model(name), "type": "base", "name": name, "aliases": [], "capabilities": {**_CAPABILITIES}}

    def list_models(self, names: Sequence[str]) -> Extra:
        return {"object": "list", "data": [self.describe_model(name) for name in names]}


def _message(choice: Choice, message: Extra) -> Extra:
    """A message as OpenAI's clients get it, for Mistral's."""
    message = {name: value for name, value in message.items() if name not in (*_THOUGHTS, "refusal")}
    for call in message.get("tool_calls") or ():
        if "function" in call and call["function"].get("arguments") is None:
            call["function"]["arguments"] = "{}"
    content = message.get("content") or ""
    refusal = "".join(block.text for block in choice.blocks if type(block) is Refusal)
    thoughts = [
        write_thinking_part(block.text, block)
        for block in choice.blocks
        if type(block) is Reasoning and (block.text or block.signature or block.redacted) and block.field != PART
    ]
    if type(content) is str and thoughts:
        content = [{"type": "text", "text": content}] if content else []
    if type(content) is str:
        return {**message, "content": content + refusal}
    return {**message, "content": [*thoughts, *content, *([{"type": "text", "text": refusal}] if refusal else [])]}


class MistralWriter(StreamWriter):
    """Writes hub events as Mistral's chunks."""

    def __init__(self) -> None:
        super().__init__(include_usage=False)
        self._last: Extra | None = None
        """The chunk that says why the answer stopped: it waits for what was used."""
        self._calls: dict[int, Written] = {}
        """Those that are not complete, by their block."""

    def write(self, event: StreamEvent) -> bytes:
        # What stands in chunks without choices is OpenAI's or its providers' own, and clients here look for a choice in every chunk.
        return b"" if type(event) is Aside else super().write(event)

    def end(self) -> bytes:
        """The last chunk, with what was used, and [DONE]."""
        if self._ended:
            return b""
        calls = b"".join(map(self._complete, sorted({written.choice for written in self._calls.values()})))
        self._ended = True
        last = self._last
        if self._usage is not None:
            raw = self._usage_raw if self._usage_raw is not None else write_usage(self._usage)
            last = {**(last or {**self._head, "choices": []}), "usage": raw}
        return calls + (self._event(last) if last else b"") + DONE

    def _chunk(self, choice: int, delta: Extra, finish: str | None = None, extra: Extra | None = None) -> bytes:
        if "refusal" in delta:
            delta = {"content": delta["refusal"]}
        return super()._chunk(choice, delta, finish, extra)

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        written = self._blocks.get(event.index)
        if written is None or not event.text:
            return b""
        written.text.append(event.text)
        return self._chunk(written.choice, {"content": [write_thinking_part(event.text)]})

    def _sign(self, written: Written) -> bytes:
        block = written.block
        if type(block) is not Reasoning or not (block.signature or block.redacted):
            return b""
        return self._chunk(written.choice, {"content": [write_thinking_part("", block)]})

    def _call(self, block: ToolCall, written: Written, index: int) -> bytes:
        self._calls[index] = written
        written.text.append(block.arguments)
        return b""

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        if (written := self._calls.get(event.index)) is not None:
            written.text.append(event.text)
        return b""

    def _stop_block(self, index: int) -> bytes:
        # Arguments of several calls may come by turns: none is complete before the answer has stopped.
        return b"" if index in self._calls else super()._stop_block(index)

    def _complete(self, choice: int) -> bytes:
        """All calls of a choice."""
        done = {index: written for index, written in self._calls.items() if written.choice == choice}
        for index in done:
            del self._calls[index]
        calls = [self._whole(index, written) for index, written in done.items()]
        return self._chunk(choice, {"tool_calls": calls}) if calls else b""

    def _whole(self, index: int, written: Written) -> Extra:
        block = written.block
        assert type(block) is ToolCall
        seal = Seal(written.seal, written.origin) if written.seal else block.seal
        extra = {**block.extra, **own_seal(block)} if self._own else write_seal(seal) if seal else {}
        function = {"name": block.name, "arguments": "".join(written.text) or "{}"}
        identifier = block.id if self._own else call_id(block.id, self._head["id"], index)
        return {**extra, "index": written.slot, "id": identifier, "type": "function", "function": function}

    def _stop(self, event: Stop) -> bytes:
        own = event.dialect == NAME
        word = event.raw if own and event.raw else write_stop(event.reason)
        told = self._role(event.choice) + self._complete(event.choice) + (self._event(self._last) if self._last else b"")
        body = {"index": event.choice, "delta": {"content": ""}, "finish_reason": word}
        self._last = {**self._head, "choices": [{**event.extra, **body} if own else body]}
        return told
