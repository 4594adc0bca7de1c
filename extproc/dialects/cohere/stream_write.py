"""A stream for Cohere's clients: message-start, contents and tool calls one after another, message-end with the reason and the usage.

Other dialects' citations say which text they are for and not always which part of it, so they wait for its end.
"""

import msgspec

from extproc.dialects.calls import is_whole
from extproc.dialects.cohere.answer import call_id, write_stop
from extproc.dialects.cohere.errors import write_end
from extproc.dialects.cohere.parts import NAME, PLAN, THINKING, own_call, write_citation, write_logprobs
from extproc.dialects.cohere.tokens import write_usage
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Error,
    Extra,
    Finish,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
    kind_of,
)
from extproc.dialects.writing import Writing
from extproc.errors import Fault
from extproc.usage import Usage

_encode = msgspec.json.encode

_DONE = b"data: [DONE]\n\n"


class _Written:
    """What is written of one block."""

    __slots__ = ("block", "citations", "index", "pieces")

    def __init__(self, block: Block, index: int) -> None:
        self.block = block
        self.index = index
        """Among the contents, or among the tool calls; -1: a tool's plan."""
        self.pieces: list[str] = []
        self.citations: list[Citation] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def called(self) -> bool:
        return type(self.block) is ToolCall


class StreamWriter(Writing):
    """Writes hub events as Cohere's."""

    def __init__(self) -> None:
        super().__init__()
        self._own = False
        self._id = ""
        self._started = False
        self._ended = False
        self._blocks: dict[int, _Written] = {}
        self._unended: dict[int, _Written] = {}
        """Blocks whose end is not written: more of a tool call may still come where a provider interleaves them."""
        self._contents = 0
        self._calls = 0
        self._citations = 0
        self._stop: Stop | None = None
        self._usage: Usage | None = None
        self._usage_raw: Extra | None = None

    def write(self, event: StreamEvent) -> bytes:
        """The event; empty if it has no counterpart, and after the end."""
        if self._ended:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ArgumentsDelta():
                return self._arguments(event.index, event.text)
            case ReasoningDelta():
                return self._reasoning(event.index, event.text)
            case Used():
                self._usage, self._usage_raw = event.usage, event.raw if event.dialect == NAME else None
            case Start():
                return self._start(event)
            case BlockStart():
                return self._block(event)
            case BlockStop():
                return self._stop_block(event.index)
            case CitationDelta():
                return self._cite(event)
            case Stop() if not event.choice:
                self._stop = event
            case Aside() if event.dialect == NAME and type(event.value.get("type")) is str:
                return _event(event.value)
            case Aside() | OpaqueDelta():
                self._drop(f"delta.{next(iter(event.value), '')}")
            case Error():
                self._ended = True
                return fail(event.fault, event.request)
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """message-end and what the stream ends with."""
        if self._ended:
            return b""
        begin = b"" if self._started else self._start(Start(id="", model=""))
        ends = b"".join(self._end(written) for written in [*self._unended.values()])
        self._ended = True
        stop = self._stop or Stop(reason=StopReason.END)
        own = stop.dialect == NAME
        word = stop.raw if own else write_stop(stop.reason, called=self._calls > 0)
        delta: Extra = {**(stop.extra.get("delta", {}) if own else {}), "finish_reason": word}
        if self._usage_raw is not None or self._usage is not None:
            delta["usage"] = self._usage_raw if self._usage_raw is not None else write_usage(self._usage or Usage())
        extra = stop.extra.get("event", {}) if own else {}
        return begin + ends + _event({**extra, "type": "message-end", "delta": delta}) + _DONE

    def _start(self, event: Start) -> bytes:
        self._started = True
        self._own = event.dialect == NAME
        self._id = event.id
        self._usage = event.usage or self._usage
        message: Extra = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        rest = event.extra if self._own else {"delta": {"message": message}}
        return _event({"id": event.id, "type": "message-start", **rest})

    def _block(self, event: BlockStart) -> bytes:
        if event.choice:
            self._drop("choices[1:]")
            return b""
        block, index = event.block, event.index
        match block:
            case ToolCall():
                return self._call(index, block)
            case Text() | Refusal():
                begin = self._content(index, block, {"type": "text", "text": ""})
                if type(block) is Text:
                    self._blocks[index].citations += block.citations
                return begin + self._text(TextDelta(index, block.text, None, block.logprobs if type(block) is Text else None))
            case Reasoning() if self._own and block.signature == PLAN:
                self._blocks[index] = _Written(block, -1)
                return self._reasoning(index, block.text)
            case Reasoning() if not block.redacted:
                return self._content(index, block, {"type": THINKING, THINKING: ""}) + self._reasoning(index, block.text)
        self._drop(f"blocks[].{kind_of(block)}")
        return b""

    def _content(self, index: int, block: Block, content: Extra) -> bytes:
        written = self._blocks[index] = self._unended[index] = _Written(block, self._contents)
        self._contents += 1
        return _event({"type": "content-start", "index": written.index, "delta": {"message": {"content": content}}})

    def _call(self, index: int, block: ToolCall) -> bytes:
        written = self._blocks[index] = self._unended[index] = _Written(block, self._calls)
        self._calls += 1
        call: Extra = own_call(block) if self._own else {"id": call_id(block.id, self._id, index), "type": "function"}
        call["function"] = {**call.get("function", {}), "name": block.name, "arguments": ""}
        first = _event({"type": "tool-call-start", "index": written.index, "delta": {"message": {"tool_calls": call}}})
        return first + self._arguments(index, block.arguments)

    def _text(self, event: TextDelta) -> bytes:
        written = self._blocks.get(event.index)
        own = event.extra if self._own else None
        if written is None or (not event.text and not own):
            return b""
        written.pieces.append(event.text)
        value: Extra = {"type": "content-delta", "index": written.index, "delta": {"message": {"content": {"text": event.text}}}}
        if own:
            value |= own
        elif event.logprobs:
            value["logprobs"] = _joined(write_logprobs(event.logprobs))
        return _event(value)

    def _reasoning(self, index: int, text: str) -> bytes:
        written = self._blocks.get(index)
        if written is None or not text:
            return b""
        if written.index < 0:
            return _event({"type": "tool-plan-delta", "delta": {"message": {PLAN: text}}})
        return _event({"type": "content-delta", "index": written.index, "delta": {"message": {"content": {THINKING: text}}}})

    def _arguments(self, index: int, text: str) -> bytes:
        written = self._blocks.get(index)
        if written is None or not written.called or not text:
            return b""
        written.pieces.append(text)
        delta = {"message": {"tool_calls": {"function": {"arguments": text}}}}
        return _event({"type": "tool-call-delta", "index": written.index, "delta": delta})

    def _cite(self, event: CitationDelta) -> bytes:
        written = self._blocks.get(event.index)
        if written is None:
            return b""
        if not self._own:
            written.citations.append(event.citation)
            return b""
        return self._citation(event.citation.raw) if event.citation.raw else b""

    def _citation(self, raw: Extra) -> bytes:
        index = self._citations
        self._citations += 1
        start = _event({"type": "citation-start", "index": index, "delta": {"message": {"citations": raw}}})
        return start + _event({"type": "citation-end", "index": index})

    def _stop_block(self, index: int) -> bytes:
        written = self._unended.get(index)
        if written is None or (written.called and not is_whole(written.text)):
            return b""
        return self._end(written)

    def _end(self, written: _Written) -> bytes:
        self._unended = {index: one for index, one in self._unended.items() if one is not written}
        if not written.called:
            text = written.text
            citations = b"".join(self._citation(write_citation(one, text, written.index)) for one in written.citations)
            return citations + _event({"type": "content-end", "index": written.index})
        empty = b""
        if not written.pieces and not self._own:
            delta = {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}
            empty = _event({"type": "tool-call-delta", "index": written.index, "delta": delta})
        return empty + _event({"type": "tool-call-end", "index": written.index})


def _joined(entries: list[Extra]) -> Extra:
    """An event has one entry, of as many tokens as its text."""
    logprobs = [one for entry in entries for one in entry["logprobs"]]
    return {"text": "".join(entry["text"] for entry in entries), "token_ids": [], "logprobs": logprobs}


def fail(fault: Fault, request_id: str) -> bytes:
    """The end of a stream that has failed."""
    return _event(write_end(fault, request_id)) + _DONE


def _event(value: Extra) -> bytes:
    return f"event: {value['type']}\ndata: ".encode() + _encode(value) + b"\n\n"
