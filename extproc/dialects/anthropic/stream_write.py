"""A stream for Anthropic's clients: message_start, blocks one after another, message_delta with the reason and the usage, message_stop.

Providers of other dialects tell usage last, and after the stop reason: both are kept until the end of the stream. Until then the input is
said to be zero, which clients know from `message_delta` correcting it.
"""

import msgspec

from extproc.dialects.anthropic.answer import call_id, write_stop, write_tier
from extproc.dialects.anthropic.blocks import NAME, write_block, write_citation
from extproc.dialects.anthropic.errors import write_error
from extproc.dialects.anthropic.request_restore import own_block
from extproc.dialects.anthropic.sealing import SIGNER, sign, write_seal
from extproc.dialects.anthropic.tokens import write_creation, write_usage
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Error,
    Extra,
    Finish,
    OpaqueDelta,
    Ping,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Seal,
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
from extproc.dialects.writing import Serial
from extproc.usage import Usage

_encode = msgspec.json.encode

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class StreamWriter(Serial):
    """Writes hub events as Anthropic's."""

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._own = False
        self._started = False
        self._ended = False
        self._indices: dict[int, int] = {}
        """The hub's index of a block, and the one that it was written with."""
        self._next = 0
        self._unsigned: dict[int, str] = {}
        """Thoughts of others that are not signed yet, and who would sign them."""
        self._seals: dict[int, Seal] = {}
        """Signatures on other blocks that came after the block had begun."""
        self._stop: Stop | None = None
        self._usage: Usage | None = None
        self._usage_raw: Extra | None = None
        self._called = False
        self._refused = False

    def write(self, event: StreamEvent) -> bytes:
        """The event; empty if it has no counterpart, and after the end."""
        if self._ended or (self._waiting and self._waits(event)):
            return b""
        match event:
            case TextDelta():
                return self._delta(event.index, {"type": "text_delta", "text": event.text})
            case ArgumentsDelta():
                return self._delta(event.index, {"type": "input_json_delta", "partial_json": event.text})
            case ReasoningDelta():
                return self._delta(event.index, {"type": "thinking_delta", "thinking": event.text})
            case Used():
                self._usage, self._usage_raw = event.usage, event.raw if event.dialect == NAME else None
            case SignatureDelta():
                return self._sign(event)
            case CitationDelta():
                citation = write_citation(event.citation)
                if citation is None:
                    self._drop("blocks[].citations")
                return self._delta(event.index, {"type": "citations_delta", "citation": citation}) if citation else b""
            case Start():
                return self._start(event)
            case BlockStart():
                return self._begin_block(event)
            case BlockStop():
                return self._end_block(event.index)
            case Stop() if not event.choice:
                self._stop = event
            case Ping():
                return _PING
            case OpaqueDelta() | Aside():
                return self._opaque(event)
            case Error():
                self._ended = True
                return _event("error", write_error(event.fault, event.request))
            case Finish():
                return self.end()
        return b""

    def end(self) -> bytes:
        """message_delta and message_stop."""
        if self._ended:
            return b""
        start = b"" if self._started else self._start(Start(id="", model=""))
        rest = self._all_stopped()
        self._ended = True
        return start + rest + self._message_delta() + _STOP

    def _message_delta(self) -> bytes:
        stop = self._stop or Stop(reason=StopReason.END)
        own = stop.dialect == NAME
        word = stop.raw if own else write_stop(stop.reason, called=self._called, refused=self._refused)
        usage = self._usage_raw if self._usage_raw is not None else write_usage(self._usage)
        extra: Extra = stop.extra if own else {}
        delta = {**extra.get("delta", {}), "stop_reason": word, "stop_sequence": stop.sequence}
        return _event("message_delta", {**extra.get("event", {}), "delta": delta, "usage": usage})

    def _start(self, event: Start) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._own = event.dialect == NAME
        self._id = event.id
        self._usage = event.usage or self._usage
        message: Extra = {"id": event.id, "type": "message", "role": "assistant", "model": event.model, "content": []}
        message |= {"stop_reason": None, "stop_sequence": None, **(event.extra if self._own else {})}
        if self._own and event.usage_raw is not None:
            message["usage"] = event.usage_raw
        else:
            tier = write_tier(event.service_tier)
            message["usage"] = write_usage(self._usage) | {"cache_creation": write_creation(self._usage)}
            message["usage"] |= {"service_tier": tier} if tier else {}
        return _event("message_start", {"message": message})

    def _block(self, event: BlockStart) -> bytes:
        if event.choice:
            self._drop("choices[1:]")
            return b""
        block = event.block
        sealed = self._carry(write_seal(block.seal)) if block.seal and not self._own else b""
        written = self._begin(block, self._next)
        if written is None:
            self._drop(f"blocks[].{kind_of(block)}")
            return sealed
        index = self._indices[event.index] = self._next
        self._next += 1
        first = _event("content_block_start", {"index": index, "content_block": written})
        if self._own:
            return first
        if type(block) is Reasoning and not block.redacted:
            self._unsigned[event.index] = block.origin
        return sealed + first + self._content(event.index, block)

    def _carry(self, written: Extra) -> bytes:
        """A whole block that none of the provider's is: it carries the seal of one."""
        index, self._next = self._next, self._next + 1
        start = _event("content_block_start", {"index": index, "content_block": written})
        return start + _event("content_block_stop", {"index": index})

    def _sign(self, event: SignatureDelta) -> bytes:
        """The signature of a thought; any other block's waits for its end, for blocks stand one after another."""
        if not self._own and event.index in self._unsigned:
            signature = sign(event.signature, event.origin or self._unsigned.pop(event.index))
            self._unsigned.pop(event.index, None)
            return self._delta(event.index, {"type": "signature_delta", "signature": signature})
        if self._own:
            return self._delta(event.index, {"type": "signature_delta", "signature": sign(event.signature, event.origin or SIGNER)})
        self._seals[event.index] = Seal(event.signature, event.origin)
        return b""

    def _stop_block(self, index: int) -> bytes:
        written = self._indices.get(index)
        if written is None:
            return b""
        unsigned, seal = self._unsigned.pop(index, None), self._seals.pop(index, None)
        last = b""
        if unsigned is not None:
            last = self._delta(index, {"type": "signature_delta", "signature": sign("", unsigned)})
        last += _event("content_block_stop", {"index": written})
        return last + self._carry(write_seal(seal, late=True)) if seal else last

    def _begin(self, block: Block, index: int) -> Extra | None:
        """The block as it begins: empty, but for what never comes in deltas."""
        if self._own:
            return own_block(block)
        match block:
            case ToolCall():
                self._called = True
                return {"type": "tool_use", "id": call_id(block.id, self._id, index), "name": block.name, "input": {}}
            case Text():
                return {"type": "text", "text": ""}
            case Refusal():
                self._refused = True
                return {"type": "text", "text": ""}
            case Reasoning() if not block.redacted:
                return {"type": "thinking", "thinking": "", "signature": ""}
            case Reasoning():
                return write_block(block, False)
        return None

    def _content(self, index: int, block: Block) -> bytes:
        """What a foreign block already holds at its start."""
        match block:
            case Text() | Refusal() if block.text:
                return self._delta(index, {"type": "text_delta", "text": block.text})
            case ToolCall() if block.arguments:
                return self._delta(index, {"type": "input_json_delta", "partial_json": block.arguments})
            case Reasoning():
                text = self._delta(index, {"type": "thinking_delta", "thinking": block.text}) if block.text else b""
                return text + self._sign(SignatureDelta(index, block.signature, block.origin)) if block.signature else text
        return b""

    def _delta(self, given: int, delta: Extra) -> bytes:
        index = self._indices.get(given)
        return b"" if index is None else _event("content_block_delta", {"index": index, "delta": delta})

    def _opaque(self, event: OpaqueDelta | Aside) -> bytes:
        if event.dialect != NAME:
            self._drop(f"delta.{next(iter(event.value), '')}")
            return b""
        if type(event) is OpaqueDelta:
            return self._delta(event.index, event.value)
        kind = event.value.get("type")
        return _event(kind, event.value) if type(kind) is str else b""


def _event(kind: str, value: Extra) -> bytes:
    return f"event: {kind}\ndata: ".encode() + _encode({"type": kind, **value}) + b"\n\n"
