"""A stream for Gemini's clients: responses that hold what is new; the last one says why it stopped, and what it used."""

import itertools
from typing import Protocol

import msgspec

from extproc.dialects.calls import is_whole
from extproc.dialects.fields import length
from extproc.dialects.gemini.answer import write_stop
from extproc.dialects.gemini.citations import write_grounding
from extproc.dialects.gemini.errors import write_error
from extproc.dialects.gemini.logprobs import write_logprobs
from extproc.dialects.gemini.parts import NAME, own_part, write_part
from extproc.dialects.gemini.signatures import SIGNER, UNSIGNED
from extproc.dialects.gemini.tokens import write_usage
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Error,
    Extra,
    Finish,
    Logprob,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Refusal,
    SignatureDelta,
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
from extproc.dialects.seals import pack
from extproc.dialects.writing import Writing

_encode = msgspec.json.encode


class Frame(Protocol):
    """How one response after the other stands in the bytes of a stream."""

    def one(self, response: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class Events:
    """As server-sent events: `alt=sse`."""

    def one(self, response: bytes) -> bytes:
        """One event."""
        return b"data: " + response + b"\n\n"

    def end(self) -> bytes:
        """Nothing ends it."""
        return b""


class _Choice:
    """What is written of one choice."""

    __slots__ = ("called", "calls", "cited", "logprobs", "refused", "size", "stop")

    def __init__(self) -> None:
        self.size = 0
        """Bytes of its text."""
        self.cited: list[tuple[int, Citation]] = []
        self.logprobs: list[Logprob] = []
        self.called = False
        self.calls: list[_Block] = []
        """Those that are not written yet, in order."""
        self.refused = False
        self.stop: Stop | None = None


class _Block:
    """What is known of one block."""

    __slots__ = ("before", "block", "choice", "pieces", "written")

    def __init__(self, event: BlockStart, before: int) -> None:
        self.block = event.block
        self.choice = event.choice
        self.before = before
        """Bytes of its choice's text that precede it."""
        self.pieces: list[str] = []
        """Text, or arguments."""
        self.written = False


class StreamWriter(Writing):
    """Writes hub events as responses."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self._frame = frame
        self._head: Extra = {}
        self._own = False
        self._ended = False
        self._blocks: dict[int, _Block] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Extra | None = None

    def write(self, event: StreamEvent) -> bytes:
        """The event; empty if it has no counterpart, and after the end."""
        if self._ended:
            return b""
        match event:
            case TextDelta():
                return self._text(event)
            case ReasoningDelta():
                return self._part(event.index, {"text": event.text, "thought": True}) if event.text else b""
            case ArgumentsDelta():
                if (known := self._blocks.get(event.index)) is not None:
                    known.pieces.append(event.text)
            case Used():
                self._usage = event.raw if event.dialect == NAME else write_usage(event.usage)
            case SignatureDelta():
                return self._sign(event)
            case CitationDelta():
                self._cite(event)
            case Start():
                self._own = event.dialect == NAME
                self._head = {"modelVersion": event.model, "responseId": event.id, **(event.extra if self._own else {})}
                if event.usage:
                    self._usage = write_usage(event.usage)
            case BlockStart():
                return self._block(event)
            case BlockStop():
                return self._stop_block(event.index)
            case Stop():
                self._choice(event.choice).stop = event
            case OpaqueDelta() | Aside():
                return self._opaque(event)
            case Error():
                self._ended = True
                return self._response(write_error(event.fault, event.request)) + self._frame.end()
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """The last response: reasons to stop, and usage."""
        if self._ended:
            return b""
        written = b"".join(self._call(known) for known in self._blocks.values())
        self._ended = True
        if not self._own and 0 not in self._choices:
            self._choice(0)
        last: Extra = {"candidates": [self._last(number, choice) for number, choice in self._choices.items() if self._real(choice)]}
        if not last["candidates"]:
            last = {}
        if self._usage is not None:
            last["usageMetadata"] = self._usage
        return written + (self._response({**last, **self._head}) if last else b"") + self._frame.end()

    def _real(self, choice: _Choice) -> bool:
        """False for the choice that stands for a prompt that this dialect's provider did not answer."""
        return not self._own or (choice.stop is not None and choice.stop.raw is not None)

    def _last(self, number: int, choice: _Choice) -> Extra:
        stop = choice.stop or Stop(reason=StopReason.END)
        word = stop.raw if self._own and stop.raw else write_stop(stop.reason, refused=choice.refused)
        candidate: Extra = {"content": _nothing(), "finishReason": word, "index": number}
        cited = [("".join(self._blocks[index].pieces), citation) for index, citation in choice.cited]
        if grounding := write_grounding(cited, [self._blocks[index].before for index, _ in choice.cited]):
            candidate["groundingMetadata"] = grounding
        return {**candidate, **write_logprobs(choice.logprobs)}

    def _choice(self, number: int) -> _Choice:
        return self._choices.setdefault(number, _Choice())

    def _block(self, event: BlockStart) -> bytes:
        choice = self._choice(event.choice)
        known = self._blocks[event.index] = _Block(event, choice.size)
        match block := event.block:
            case Text():
                choice.cited += [(event.index, citation) for citation in block.citations if not self._own]
                text = self._text(TextDelta(event.index, block.text)) if block.text else b""
                seal = SignatureDelta(event.index, block.seal.value, block.seal.origin) if block.seal else None
                return text + self._sign(seal) if seal else text
            case Refusal():
                choice.refused = True
                return self._text(TextDelta(event.index, block.text)) if block.text else b""
            case Reasoning() if not block.redacted:
                part = write_part(block) if block.text or block.signature else None
                return self._part(event.index, part) if part else b""
            case ToolCall():
                choice.calls.append(known)
                return b""
            case Opaque() if block.dialect != NAME:
                self._drop(f"blocks[].{block.kind}")
                return b""
        known.written = True
        part = own_part(block) if self._own else write_part(block)
        if part is None:
            self._drop(f"blocks[].{kind_of(block)}")
            return b""
        return self._part(event.index, part)

    def _text(self, event: TextDelta) -> bytes:
        known = self._blocks.get(event.index)
        if known is None or (self._own and type(known.block) is Refusal):
            return b""
        choice = self._choice(known.choice)
        if event.logprobs and not self._own:
            choice.logprobs += event.logprobs
        if not event.text:
            return b""
        known.pieces.append(event.text)
        choice.size += length(event.text)
        return self._part(event.index, {"text": event.text})

    def _sign(self, event: SignatureDelta) -> bytes:
        known = self._blocks.get(event.index)
        if known is None:
            return b""
        origin = event.origin
        if type(known.block) is Reasoning:
            origin = origin or known.block.origin
            return self._part(event.index, {"text": "", "thought": True, "thoughtSignature": pack(event.signature, origin, SIGNER)})
        return self._part(event.index, {"text": "", "thoughtSignature": pack(event.signature, origin, SIGNER)})

    def _cite(self, event: CitationDelta) -> None:
        known = self._blocks.get(event.index)
        if known is None or self._own:
            return
        if event.citation.url:
            self._choice(known.choice).cited.append((event.index, event.citation))
        else:
            self._drop("blocks[].citations")

    def _stop_block(self, index: int) -> bytes:
        known = self._blocks.get(index)
        if known is None or type(known.block) is not ToolCall:
            return b""
        # More of a call may come after its end, where a provider interleaves them; not after the end of its JSON. Clients match results
        # with calls by their order, so one that is not whole holds back those after it.
        calls = self._choice(known.choice).calls
        ready = [*itertools.takewhile(_is_ready, calls)]
        del calls[: len(ready)]
        return b"".join(map(self._call, ready))

    def _call(self, known: _Block) -> bytes:
        block = known.block
        if type(block) is not ToolCall or known.written:
            return b""
        known.written = True
        call = msgspec.structs.replace(block, arguments=block.arguments + "".join(known.pieces))
        if self._own:
            return self._one(known.choice, own_part(call))
        part, choice = write_part(call) or {}, self._choice(known.choice)
        if not choice.called:
            part.setdefault("thoughtSignature", UNSIGNED)  # as in a whole answer
            choice.called = True
        return self._one(known.choice, part)

    def _opaque(self, event: OpaqueDelta | Aside) -> bytes:
        if event.dialect != NAME:
            self._drop(f"delta.{next(iter(event.value), '')}")
            return b""
        if type(event) is OpaqueDelta:
            return self._response({"candidates": [{"content": _nothing(), **event.value, "index": event.choice}], **self._head})
        return self._response({**event.value, **self._head})

    def _part(self, index: int, part: Extra) -> bytes:
        known = self._blocks.get(index)
        return b"" if known is None else self._one(known.choice, part)

    def _one(self, choice: int, part: Extra) -> bytes:
        return self._response({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": choice}], **self._head})

    def _response(self, value: Extra) -> bytes:
        return self._frame.one(_encode(value))


def _nothing() -> Extra:
    """Content for a candidate that says something else: clients look into it without asking."""
    return {"parts": [{"text": ""}], "role": "model"}


def _is_ready(known: _Block) -> bool:
    return type(known.block) is ToolCall and is_whole(known.block.arguments + "".join(known.pieces))
