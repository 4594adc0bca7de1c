"""A stream for Bedrock's clients: messageStart, blocks one after another, messageStop with the reason, metadata with the usage.

Providers of other dialects tell usage last, so the metadata waits for the end of the stream. A block's start is written only for those
that have one (tool calls); a block of which nothing came is not written at all.
"""

import time

import msgspec

from extproc.dialects.bedrock.answer import TIERS, call_id, write_block, write_stop
from extproc.dialects.bedrock.blocks import NAME
from extproc.dialects.bedrock.citations import write_citation
from extproc.dialects.bedrock.errors import exception_of
from extproc.dialects.bedrock.reasoning import SIGNER, write_redacted
from extproc.dialects.bedrock.tokens import write_usage
from extproc.dialects.eventstream import event as message
from extproc.dialects.eventstream import exception
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    BlockStart,
    BlockStop,
    CitationDelta,
    Error,
    Extra,
    Finish,
    Image,
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
    TextDelta,
    ToolCall,
    Used,
    kind_of,
)
from extproc.dialects.seals import pack
from extproc.dialects.writing import Serial
from extproc.errors import Fault
from extproc.usage import Usage

_encode = msgspec.json.encode


class _Written:
    """A block that began; its number here, once something of it was written."""

    __slots__ = ("block", "number", "stopped")

    def __init__(self, block: object) -> None:
        self.block = block
        self.number = -1
        self.stopped = False


class StreamWriter(Serial):
    """Writes hub events as Bedrock's."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._id = ""
        self._own = False
        self._started = False
        self._stopped = False
        self._ended = False
        self._blocks: dict[int, _Written] = {}
        self._numbers = 0
        self._usage: Usage | None = None
        self._metadata: Extra | None = None
        self._tier: str | None = None
        self._called = False
        self._refused = False

    def write(self, event: StreamEvent) -> bytes:
        """The event; empty if it has no counterpart, and after the end."""
        if self._ended or (self._waiting and self._waits(event)):
            return b""
        match event:
            case TextDelta():
                return self._delta(event.index, {"text": event.text}) if event.text else b""
            case ArgumentsDelta():
                return self._delta(event.index, {"toolUse": {"input": event.text}}) if event.text else b""
            case ReasoningDelta():
                return self._delta(event.index, {"reasoningContent": {"text": event.text}}) if event.text else b""
            case Used():
                self._usage, self._metadata = event.usage, event.raw if event.dialect == NAME else self._metadata
            case SignatureDelta():
                return self._sign(event)
            case CitationDelta():
                return self._delta(event.index, {"citation": write_citation(event.citation)})
            case Start():
                return self._start(event)
            case BlockStart():
                return self._begin_block(event)
            case BlockStop():
                return self._end_block(event.index)
            case Stop() if not event.choice:
                return self._stop(event)
            case OpaqueDelta() | Aside():
                return self._opaque(event)
            case Error():
                self._ended = True
                return fail(event.fault, event.request)
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """messageStop, unless it was written, and metadata."""
        if self._ended:
            return b""
        start = b"" if self._started else self._start(Start(id="", model=""))
        stop = b"" if self._stopped else self._stop(Stop(reason=StopReason.END))
        self._ended = True
        return start + stop + message("metadata", _encode(self._told()))

    def _told(self) -> Extra:
        if self._metadata is not None:
            return self._metadata
        milliseconds = int((time.monotonic() - self._began) * 1000)
        told: Extra = {"usage": write_usage(self._usage), "metrics": {"latencyMs": milliseconds}}
        return told | {"serviceTier": {"type": self._tier}} if self._tier in TIERS else told

    def _start(self, event: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._own = event.dialect == NAME
        self._id, self._usage, self._tier = event.id, event.usage or self._usage, event.service_tier
        return message("messageStart", _encode({**(event.extra if self._own else {}), "role": "assistant"}))

    def _block(self, event: BlockStart) -> bytes:
        if event.choice:
            self._drop("choices[1:]")
            return b""
        block = event.block
        self._blocks[event.index] = _Written(block)
        match block:
            case ToolCall():
                self._called = True
                more = block.extra.get("toolUse", {}) if self._own else {}
                identifier = block.id if self._own else call_id(block.id, self._id, event.index)
                start = self._begin(event.index, {"toolUse": {**more, "toolUseId": identifier, "name": block.name}})
                return start + self._delta(event.index, {"toolUse": {"input": block.arguments}}) if block.arguments else start
            case Opaque() if block.dialect == NAME:
                return self._begin(event.index, block.value) if block.value else b""
            case Reasoning():
                return self._reasoned(event.index, block)
            case Image():
                return self._image(event.index, block)
        self._refused = self._refused or type(block) is Refusal
        written = write_block(block)
        if written is None:
            del self._blocks[event.index]
            self._drop(f"blocks[].{kind_of(block)}")
        return self._delta(event.index, written) if written and "text" in written else b""

    def _reasoned(self, index: int, block: Reasoning) -> bytes:
        if block.redacted:
            return self._delta(index, {"reasoningContent": {"redactedContent": write_redacted(block.redacted, block.origin)}})
        text = self._delta(index, {"reasoningContent": {"text": block.text}}) if block.text else b""
        return text + self._sign(SignatureDelta(index, block.signature, block.origin)) if block.signature else text

    def _image(self, index: int, block: Image) -> bytes:
        """A picture, whole."""
        written = write_block(block)
        if not written:
            del self._blocks[index]
            self._drop("blocks[].image")
            return b""
        start = self._begin(index, {"image": {"format": written["image"]["format"]}})
        return start + self._delta(index, {"image": {"source": written["image"]["source"]}})

    def _sign(self, event: SignatureDelta) -> bytes:
        written = self._blocks.get(event.index)
        if written is None or type(written.block) is not Reasoning:
            self._drop("blocks[].seal")
            return b""
        signature = pack(event.signature, event.origin or written.block.origin or SIGNER, SIGNER)
        return self._delta(event.index, {"reasoningContent": {"signature": signature}}) if signature else b""

    def _begin(self, index: int, start: Extra) -> bytes:
        return message("contentBlockStart", _encode({"start": start, "contentBlockIndex": self._number(self._blocks[index])}))

    def _delta(self, index: int, delta: Extra) -> bytes:
        written = self._blocks.get(index)
        if written is None:
            return b""
        return message("contentBlockDelta", _encode({"delta": delta, "contentBlockIndex": self._number(written)}))

    def _number(self, written: _Written) -> int:
        if written.number < 0:
            written.number = self._numbers
            self._numbers += 1
        return written.number

    def _stop_block(self, index: int) -> bytes:
        written = self._blocks.get(index)
        if written is None or written.number < 0 or written.stopped:
            return b""
        written.stopped = True
        return message("contentBlockStop", _encode({"contentBlockIndex": written.number}))

    def _stop(self, event: Stop) -> bytes:
        if self._stopped:
            return b""
        rest = self._all_stopped()
        self._stopped = True
        own = event.dialect == NAME
        word = event.raw if own and event.raw else write_stop(event.reason, called=self._called, refused=self._refused)
        extra: Extra = event.extra if own else {}
        if event.sequence is not None and not own:
            extra = {"additionalModelResponseFields": {"stop_sequence": event.sequence}}
        closed = b"".join([self._stop_block(index) for index in self._blocks])
        return rest + closed + message("messageStop", _encode({**extra, "stopReason": word}))

    def _opaque(self, event: OpaqueDelta | Aside) -> bytes:
        if event.dialect != NAME:
            self._drop(f"delta.{next(iter(event.value), '')}")
            return b""
        if type(event) is OpaqueDelta:
            return self._delta(event.index, event.value)
        kind, value = next(iter(event.value.items()), ("", {}))
        if kind == "metadata":
            self._metadata = value
            return b""
        return message(kind, _encode(value)) if kind else b""


def fail(fault: Fault, request_id: str) -> bytes:
    """An exception, which ends a stream."""
    told = f"{fault.message} (request {request_id})" if request_id else fault.message
    return exception(exception_of(fault), _encode({"message": told}))
