"""A stream for Ollama's clients: a line for each piece of text or reasoning, one for each whole tool call, and the last one with the
reason, the counts and `done`.

Tool calls have no pieces: each is written when its arguments are complete, and in order, for clients match results with calls by that.
"""

from typing import Any

from extproc.dialects.calls import is_whole
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Audio,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Error,
    Extra,
    Finish,
    Image,
    Logprob,
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
from extproc.dialects.lines import line
from extproc.dialects.ollama.answer import CHAT, call_id, form_of, write_stop
from extproc.dialects.ollama.errors import write_error
from extproc.dialects.ollama.parts import NAME, own_call, timestamp, write_call, write_logprobs
from extproc.dialects.ollama.watch import write_usage
from extproc.dialects.writing import Writing
from extproc.usage import Usage


class _Call:
    """A tool call on its way."""

    __slots__ = ("block", "index", "pieces")

    def __init__(self, block: ToolCall, index: int) -> None:
        self.block = block
        self.index = index
        self.pieces = [block.arguments] if block.arguments else []

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class StreamWriter(Writing):
    """Writes hub events as lines of the endpoint that was asked."""

    keeps_words = False

    def __init__(self) -> None:
        super().__init__()
        self._form = CHAT
        self._head: Extra = {"model": "", "created_at": timestamp(0)}
        self._own = False
        self._id = ""
        self._open: dict[int, Block] = {}
        self._calls: dict[int, _Call] = {}
        """Those that are not written yet, in order."""
        self._written = 0
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self._ended = False

    def write(self, event: StreamEvent) -> bytes:
        """The event as lines; empty if it has no counterpart yet, and after the end."""
        if self._ended:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ReasoningDelta() if event.index in self._open and event.text:
                return self._line({"thinking": event.text})
            case ArgumentsDelta():
                if call := self._calls.get(event.index):
                    call.pieces.append(event.text)
            case Used():
                self._usage = event.usage
            case BlockStart():
                return self._block(event)
            case BlockStop():
                return self._flush()
            case Start():
                self._start(event)
            case Stop() if not event.choice:
                self._stop = event
            case OpaqueDelta() | Aside():
                return self._opaque(event)
            case CitationDelta():
                self._drop("blocks[].citations")
            case Error():
                self._ended = True
                return line(write_error(event.fault, event.request))
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """What waited, and the last line."""
        if self._ended:
            return b""
        self._ended = True
        calls = self._flush(last=True)
        stop = self._stop or Stop(reason=StopReason.END)
        if stop.dialect == NAME:
            word = {} if stop.raw is None else {"done_reason": stop.raw}
            rest = word | stop.extra
        else:
            rest = {"done_reason": write_stop(stop.reason), **write_usage(self._usage)}
        return calls + line({**self._head, **self._form.put({}), "done": True, **rest})

    def _line(self, said: Extra, rest: Extra | None = None) -> bytes:
        return line({**self._head, **self._form.put(said), "done": False, **(rest or {})})

    def _start(self, event: Start) -> None:
        self._form = form_of(event.asked)
        self._own = event.dialect == NAME
        self._id = event.id
        self._head = {"model": event.model, "created_at": timestamp(event.created), **(event.extra if self._own else {})}
        self._usage = event.usage or self._usage

    def _block(self, event: BlockStart) -> bytes:
        if event.choice:
            self._drop("choices[1:]")
            return b""
        block, index = event.block, event.index
        match block:
            case ToolCall():
                self._calls[index] = _Call(block, index)
                return b""
            case Text() | Refusal():
                self._open[index] = block
                return self._text(TextDelta(index, block.text, None, block.logprobs if type(block) is Text else None))
            case Reasoning() if not block.redacted:
                self._open[index] = block
                return self._line({"thinking": block.text}) if block.text else b""
            case Image() | Audio() if block.data:
                return self._line({"images": [block.data]})
        self._drop(f"blocks[].{kind_of(block)}")
        return b""

    def _text(self, event: TextDelta) -> bytes:
        if event.index not in self._open or not event.text:
            return b""
        rest = _logprobs(event.logprobs, event.extra if self._own else None)
        return self._line({self._form.text: event.text}, rest)

    def _flush(self, *, last: bool = False) -> bytes:
        """Tool calls that are whole, as far as none before them is not."""
        lines = b""
        for index, call in [*self._calls.items()]:
            if not last and not is_whole(call.text):
                break
            del self._calls[index]
            lines += self._line({"tool_calls": [self._call(call)]})
            self._written += 1
        return lines

    def _call(self, call: _Call) -> Extra:
        block = call.block
        if self._own:
            return own_call(block, self._written)
        return write_call(block.name, call.text, call_id(block.id, self._id, call.index), self._written)

    def _opaque(self, event: OpaqueDelta | Aside) -> bytes:
        if event.dialect != NAME:
            self._drop(f"delta.{next(iter(event.value), '')}")
            return b""
        rest = {**event.value}
        said = rest.pop("message", {})
        return self._line(said, rest)


def _logprobs(given: list[Logprob] | None, own: Extra | None) -> dict[str, Any]:
    if own:
        return own
    return {"logprobs": write_logprobs(given)} if given else {}
