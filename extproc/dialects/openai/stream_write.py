"""A stream for OpenAI's clients: role first, then deltas, a chunk with `finish_reason`, usage if it was asked for, `[DONE]`."""

import time

import msgspec

from extproc.dialects import texts
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Audio,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Document,
    Error,
    Extra,
    Finish,
    Image,
    Opaque,
    OpaqueDelta,
    Ping,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
    Video,
    kind_of,
)
from extproc.dialects.openai import functions
from extproc.dialects.openai.answer import call_id, service_tier, write_stop
from extproc.dialects.openai.completions import FORM, likely
from extproc.dialects.openai.completions import finish as plain_stop
from extproc.dialects.openai.logprobs import write_logprobs
from extproc.dialects.openai.parts import CUSTOM, NAME, write_annotation, write_picture
from extproc.dialects.openai.reasoning import PART, write_details
from extproc.dialects.openai.signatures import own_seal, write_seal
from extproc.dialects.openai.tokens import write_usage
from extproc.dialects.openai_errors import write_error
from extproc.dialects.writing import Writing
from extproc.usage import Usage

_encode = msgspec.json.encode

DONE = b"data: [DONE]\n\n"
_PING = b": ping\n\n"


class Written:
    """What is written of one block."""

    __slots__ = ("begin", "block", "choice", "citations", "length", "origin", "seal", "slot", "text", "unwrapping")

    def __init__(self, block: Block, choice: int, slot: int, begin: int) -> None:
        self.block = block
        self.choice = choice
        self.slot = slot
        """A tool call's index among those of its choice."""
        self.begin = begin
        """Where its text begins in the message, in characters."""
        self.length = 0
        self.text: list[str] = []
        self.citations: list[Citation] = []
        self.seal = self.origin = ""
        self.unwrapping: texts.Unwrapping | None = None
        """Of a call whose tool takes a text."""


class StreamWriter(Writing):
    """Writes hub events as chunks."""

    def __init__(self, include_usage: bool) -> None:
        super().__init__()
        self._include_usage = include_usage
        self._head: Extra = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": ""}
        self._own = False
        self._blocks: dict[int, Written] = {}
        self._roles: set[int] = set()
        self._slots: dict[int, int] = {}
        self._lengths: dict[int, int] = {}
        self._details: dict[int, int] = {}
        self._pictures: dict[int, int] = {}
        self._usage: Usage | None = None
        self._usage_raw: Extra | None = None
        self._ended = False
        self._taking: list[str] = []
        """The client's tools that take a text."""
        self._functional = False
        """The client has asked with `functions`, and has no other form for calls."""
        self._echo: str | None = None
        """What a legacy completion begins with; None for a conversation."""

    def write(self, event: StreamEvent) -> bytes:
        """The event as chunks; empty if it has no counterpart, and after the end."""
        if self._ended:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ArgumentsDelta():
                return self._arguments(event)
            case ReasoningDelta():
                return self._reasoning(event)
            case Used():
                self._use(event.usage, event.raw, event.dialect)
            case Start():
                return self._start(event)
            case BlockStart():
                return self._block(event)
            case BlockStop():
                return self._stop_block(event.index)
            case Stop():
                return self._stop(event)
            case SignatureDelta() | CitationDelta() | OpaqueDelta():
                return self._mark(event)
            case Ping():
                return _PING
            case Aside() if event.dialect == NAME:
                return self._event({**self._head, "choices": [], **event.value})
            case Error():
                return self._fail(event)
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """Usage, if it was asked for, and [DONE]."""
        if self._ended:
            return b""
        self._ended = True
        if not self._include_usage or self._usage is None:
            return DONE
        raw = self._usage_raw if self._usage_raw is not None else write_usage(self._usage)
        return self._event({**self._head, "choices": [], "usage": raw}) + DONE

    def _event(self, value: Extra) -> bytes:
        return b"data: " + _encode(value) + b"\n\n"

    def _chunk(self, choice: int, delta: Extra, finish: str | None = None, extra: Extra | None = None) -> bytes:
        if self._echo is not None:
            return self._piece(choice, delta, finish, extra or {})
        body = {"index": choice, "delta": delta, "finish_reason": finish}
        if extra:
            body = {**extra, **body}
        return self._event({**self._head, "choices": [body]})

    def _piece(self, choice: int, delta: Extra, finish: str | None, extra: Extra) -> bytes:
        """A chunk of a legacy completion, which is of text alone."""
        text = self._echo if "role" in delta else delta.get("content") or delta.get("refusal") or ""
        if not text and not finish:
            return b""
        word = None if finish is None else plain_stop(finish)
        body = {"text": text, "index": choice, "logprobs": extra.get("logprobs"), "finish_reason": word}
        return self._event({**self._head, "choices": [body]})

    def _start(self, event: Start) -> bytes:
        self._own = event.dialect == NAME
        if (form := event.asked.get(FORM)) is not None:
            self._echo = form["echo"]
            self._head["object"] = "text_completion"
        self._taking = event.asked.get(texts.ASKED, [])
        self._functional = not self._own and functions.ASKED in event.asked
        self._head |= {"id": event.id, "created": event.created or int(time.time()), "model": event.model}
        tier = event.service_tier if self._own else service_tier(event.service_tier)
        if tier:
            self._head["service_tier"] = tier
        if self._own:
            self._head |= event.extra
        if self._include_usage:
            self._head["usage"] = None
        if event.usage:
            self._use(event.usage, event.usage_raw, event.dialect)
        return self._role(0)

    def _role(self, choice: int) -> bytes:
        if choice in self._roles:
            return b""
        self._roles.add(choice)
        return self._chunk(choice, {"role": "assistant", "content": ""})

    def _use(self, usage: Usage, raw: Extra | None, dialect: str) -> None:
        self._usage, self._usage_raw = usage, raw if dialect == NAME else None

    def _block(self, event: BlockStart) -> bytes:
        block, choice = event.block, event.choice
        written = Written(block, choice, self._slots.get(choice, 0), self._lengths.get(choice, 0))
        self._blocks[event.index] = written
        role = self._role(choice)
        match block:
            case ToolCall():
                self._slots[choice] = written.slot + 1
                return role + self._call(block, written, event.index)
            case Text():
                written.citations += block.citations
                if block.text:
                    return role + self._text(TextDelta(event.index, block.text, None, block.logprobs))
            case Refusal() if block.text:
                return role + self._text(TextDelta(event.index, block.text))
            case Reasoning() if block.text:
                return role + self._reasoning(ReasoningDelta(event.index, block.text))
            case Image():
                position = self._pictures.get(choice, 0)
                self._pictures[choice] = position + 1
                picture = block.extra.get("images") if self._own else write_picture(block, position)
                return role + self._chunk(choice, {"images": [picture]})
            case Opaque() | Document() | Audio() | Video():
                self._drop(f"blocks[].{kind_of(block)}")
        return role

    def _call(self, block: ToolCall, written: Written, index: int) -> bytes:
        if self._functional:
            return self._function(block, written, index)
        identifier = block.id if self._own else call_id(block.id, self._head["id"], index)
        extra = {**block.extra, **own_seal(block)} if self._own else write_seal(block.seal) if block.seal else {}
        if block.custom or block.name in self._taking:
            written.unwrapping = texts.Unwrapping()
            call = {**extra, "index": written.slot, "id": identifier, "type": CUSTOM, CUSTOM: {"name": block.name, "input": ""}}
            first = self._chunk(written.choice, {"tool_calls": [call]})
            return first + self._arguments(ArgumentsDelta(index, block.arguments))
        call = {**extra, "index": written.slot, "id": identifier, "type": "function", "function": {"name": block.name, "arguments": ""}}
        first = self._chunk(written.choice, {"tool_calls": [call]})
        return first + self._arguments(ArgumentsDelta(index, block.arguments)) if block.arguments else first

    def _function(self, block: ToolCall, written: Written, index: int) -> bytes:
        """The one call of an answer in the form before tools."""
        if written.slot:
            self._drop("choices[].message.tool_calls[1:]")
            return b""
        first = self._chunk(written.choice, {functions.FUNCTION: {"name": block.name, "arguments": ""}})
        return first + self._arguments(ArgumentsDelta(index, block.arguments))

    def _text(self, event: TextDelta) -> bytes:
        written = self._blocks.get(event.index)
        if written is None or not event.text:
            return b""
        field = "refusal" if type(written.block) is Refusal else "content"
        if field == "content":
            written.length += len(event.text)
            self._lengths[written.choice] = self._lengths.get(written.choice, 0) + len(event.text)
        return self._chunk(written.choice, {field: event.text}, None, event.extra if self._own else self._likely(event, written.choice))

    def _likely(self, event: TextDelta, choice: int) -> Extra | None:
        if not event.logprobs:
            return None
        if self._echo is None:
            return {"logprobs": write_logprobs(event.logprobs)}
        return {"logprobs": likely(event.logprobs, len(self._echo) + self._lengths.get(choice, 0) - len(event.text))}

    def _reasoning(self, event: ReasoningDelta) -> bytes:
        written = self._blocks.get(event.index)
        more = event.extra if self._own else None
        if written is None or not (event.text or more):
            return b""
        written.text.append(event.text)
        field = written.block.field if type(written.block) is Reasoning else ""
        if field == PART:
            thought = {"type": "thinking", "thinking": [{"type": "text", "text": event.text}] if event.text else [], **(more or {})}
            return self._chunk(written.choice, {"content": [thought]})
        return self._chunk(written.choice, {field or "reasoning_content": event.text})

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        written = self._blocks.get(event.index)
        if written is None or type(written.block) is not ToolCall or not event.text:
            return b""
        written.length += 1
        if self._functional:
            return b"" if written.slot else self._chunk(written.choice, {functions.FUNCTION: {"arguments": event.text}})
        if written.unwrapping:
            return self._input(written, written.unwrapping.feed(event.text))
        return self._chunk(written.choice, {"tool_calls": [{"index": written.slot, "function": {"arguments": event.text}}]})

    def _input(self, written: Written, text: str) -> bytes:
        """More of the text that a tool is called with."""
        return self._chunk(written.choice, {"tool_calls": [{"index": written.slot, CUSTOM: {"input": text}}]}) if text else b""

    def _mark(self, event: SignatureDelta | CitationDelta | OpaqueDelta) -> bytes:
        """What waits for the end of its block; or another's own, which is written only for that other."""
        if type(event) is OpaqueDelta:
            return self._chunk(event.choice, event.value) if event.dialect == NAME and event.index < 0 else b""
        written = self._blocks.get(event.index)
        if written is None:
            return b""
        if type(event) is CitationDelta:
            written.citations.append(event.citation)
        elif type(event) is SignatureDelta and type(written.block) is Reasoning:
            written.block.signature += event.signature
            written.block.origin = event.origin or written.block.origin
        elif type(event) is SignatureDelta and not self._own:
            written.seal += event.signature
            written.origin = event.origin or written.origin
        return b""

    def _stop_block(self, index: int) -> bytes:
        written = self._blocks.get(index)
        if written is None:
            return b""
        match written.block:
            case ToolCall() if not self._own:
                empty = b"" if written.length or written.unwrapping else self._arguments(ArgumentsDelta(index, "{}"))
                return empty + (self._seal(written, tool=True) if written.seal else b"")
            case Reasoning():
                return self._sign(written)
            case Text() as text:
                if text.seal and not self._own:
                    written.seal, written.origin = text.seal.value, text.seal.origin
                sealed = self._seal(written, tool=False) if written.seal else b""
                return sealed + (self._annotate(written) if written.citations else b"")
        return b""

    def _seal(self, written: Written, *, tool: bool) -> bytes:
        """A signature that came after its block had begun."""
        if tool and self._functional:
            self._drop("choices[].message.tool_calls[].extra_content")
            return b""
        field = write_seal(Seal(written.seal, written.origin))
        return self._chunk(written.choice, {"tool_calls": [{"index": written.slot, **field}]} if tool else field)

    def _sign(self, written: Written) -> bytes:
        """The whole of a signed block once more, as a client must send it back."""
        block = written.block
        if type(block) is not Reasoning or block.field == PART:  # a part's stands in the part
            return b""
        block.text = "".join(written.text)
        position = self._details.get(written.choice, 0)
        details = write_details(block, position)
        if not details:
            return b""
        self._details[written.choice] = position + 1
        return self._chunk(written.choice, {field: [entry] for field, entry in details.items()})

    def _annotate(self, written: Written) -> bytes:
        end = written.begin + written.length
        given = [write_annotation(citation, written.begin, end) for citation in written.citations]
        annotations = [annotation for annotation in given if annotation]
        if len(annotations) < len(given):
            self._drop("blocks[].citations")
        return self._chunk(written.choice, {"annotations": annotations}) if annotations else b""

    def _stop(self, event: Stop) -> bytes:
        own = event.dialect == NAME
        word = event.raw if own and event.raw else write_stop(event.reason, functional=self._functional)
        rest = b"".join(
            [
                self._input(written, written.unwrapping.end())
                for written in self._blocks.values()
                if written.unwrapping and written.choice == event.choice
            ]
        )
        return self._role(event.choice) + rest + self._chunk(event.choice, {}, word, event.extra if own else None)

    def _fail(self, event: Error) -> bytes:
        self._ended = True
        return self._event(write_error(event.fault, event.request)) + DONE
