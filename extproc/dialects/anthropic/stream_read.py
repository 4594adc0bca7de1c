"""A provider's Anthropic stream: https://docs.claude.com/en/docs/build-with-claude/streaming"""

from collections.abc import Callable
from typing import Any

from extproc.dialects.anthropic.answer import read_stop, read_tier
from extproc.dialects.anthropic.blocks import NAME, read_block, read_citation
from extproc.dialects.anthropic.errors import read_object
from extproc.dialects.anthropic.sealing import read_signed
from extproc.dialects.anthropic.tokens import Tokens, count, read_tokens
from extproc.dialects.fields import FieldError, need_str, obj, take_int, take_str
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    BlockStart,
    BlockStop,
    CitationDelta,
    Extra,
    Opaque,
    OpaqueDelta,
    Ping,
    Reasoning,
    ReasoningDelta,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.dialects.reading import Reading, decoded

_CHANGED: dict[str, type] = {
    "text_delta": Text,
    "citations_delta": Text,
    "input_json_delta": ToolCall,
    "thinking_delta": Reasoning,
    "signature_delta": Reasoning,
}
"""What changes which type of block."""


class StreamReader(Reading):
    """Reads Anthropic's events into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()
        self._known: dict[str, Callable[[Extra], list[StreamEvent]]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._block,
            "content_block_stop": self._stop_block,
            "message_start": self._start,
            "message_delta": self._message,
            "message_stop": self._stop,
            "ping": self._ping,
            "error": self._error,
        }
        self._open: dict[int, type | None] = {}
        """Blocks that have begun, by index, and of which type they are; None once they have ended."""

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        value = decoded(event)
        kind = value.pop("type", event.event)
        known = self._known.get(kind) if type(kind) is str else None
        if known is None:
            return [Aside(NAME, {"type": kind, **value})]
        return known(value)

    def _error(self, value: Extra) -> list[StreamEvent]:
        return self._fail(read_object(value.get("error")))

    def _ping(self, value: Extra) -> list[StreamEvent]:
        return [Ping()]

    def _stop(self, value: Extra) -> list[StreamEvent]:
        return self._finish()

    def _start(self, value: Extra) -> list[StreamEvent]:
        message = obj(value.get("message"), "message")
        raw = message.pop("usage", None)
        tokens = read_tokens(raw)
        if tokens:
            self._tokens = tokens
        for key in ("type", "role", "content"):
            message.pop(key, None)
        tier = read_tier(raw.get("service_tier")) if type(raw) is dict else None
        identifier, model = take_str(message, "id", "message.") or "", take_str(message, "model", "message.") or ""
        usage = count(self._tokens)
        return [Start(id=identifier, model=model, dialect=NAME, usage=usage, usage_raw=raw, service_tier=tier, extra=message)]

    def _block(self, value: Extra) -> list[StreamEvent]:
        index = _index(value)
        block = read_block(value.get("content_block"), "content_block")
        if index in self._open:
            raise FieldError("index", "a new index", index)
        self._open[index] = type(block)
        if type(block) is ToolCall and block.arguments == "{}":
            block.arguments = ""  # it stands there for form's sake; the arguments follow
        return [BlockStart(index, block)]

    def _stop_block(self, value: Extra) -> list[StreamEvent]:
        index = _index(value)
        if self._open.get(index) is None:
            return []
        self._open[index] = None
        return [BlockStop(index)]

    def _delta(self, value: Extra) -> list[StreamEvent]:
        index = _index(value)
        delta: Any = value.get("delta")
        if type(delta) is not dict:
            raise FieldError("delta", "an object", delta)
        kind, word = self._open.get(index), delta.get("type")
        if kind is None:
            raise FieldError("index", "the index of an open block", index)
        if type(word) is str and kind is not _CHANGED.get(word, kind) and kind is not Opaque:
            raise FieldError("delta.type", "a change to such a block", word)
        match word:
            case "text_delta":
                return [TextDelta(index, need_str(delta, "text", "delta."))]
            case "input_json_delta":
                return [ArgumentsDelta(index, need_str(delta, "partial_json", "delta."))]
            case "thinking_delta":
                return [ReasoningDelta(index, need_str(delta, "thinking", "delta."))]
            case "signature_delta":
                signed = read_signed("", need_str(delta, "signature", "delta."))
                return [SignatureDelta(index, signed.signature, signed.origin)]
            case "citations_delta":
                return [CitationDelta(index, read_citation(delta.get("citation")))]
        return [OpaqueDelta(index, NAME, delta)]

    def _message(self, value: Extra) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        raw = value.get("usage")
        tokens = read_tokens(raw)
        if tokens:
            self._tokens.update(tokens)
            usage = count(self._tokens)
            if usage:
                events.append(Used(usage, raw, NAME))
        delta = obj(value.get("delta") or {}, "delta")
        rest = {key: value[key] for key in value if key not in ("usage", "delta")}
        word, sequence = take_str(delta, "stop_reason", "delta."), take_str(delta, "stop_sequence", "delta.")
        if word is not None:
            extra = {"delta": delta, "event": rest}
            events.append(Stop(reason=read_stop(word), raw=word, sequence=sequence, dialect=NAME, extra=extra))
        return events


def _index(value: Extra) -> int:
    index = take_int(value, "index")
    if index is None:
        raise FieldError("index", "an integer", None)
    return index
