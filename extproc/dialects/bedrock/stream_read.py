"""A provider's ConverseStream: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

The kind of an event is its name in the framing. Texts and reasoning begin without a word, with their first delta. The last event is
`metadata`, which tells the usage; every event may be padded (`p`) so that its length says nothing.
"""

from collections.abc import Callable
from typing import Any

from extproc.dialects.bedrock.answer import read_stop, stop_sequence, tier_of
from extproc.dialects.bedrock.blocks import NAME, SERVER_CALL, read_block
from extproc.dialects.bedrock.citations import read_citation
from extproc.dialects.bedrock.errors import read_exception
from extproc.dialects.bedrock.reasoning import read_redacted, read_signature
from extproc.dialects.bedrock.tokens import read_usage
from extproc.dialects.eventstream import DAMAGED
from extproc.dialects.fields import FieldError, need_str, obj, take_int, take_str
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Extra,
    Finish,
    Opaque,
    OpaqueDelta,
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
from extproc.errors import Fault
from extproc.usage import of_tier

PADDING = "p"


class StreamReader(Reading):
    """Reads Bedrock's events into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False
        self._blocks = 0
        self._open: dict[int, tuple[int, type]] = {}
        """By the provider's index: the block that is open there, and of which kind it is."""
        self._known: dict[str, Callable[[Extra], list[StreamEvent]]] = {
            "contentBlockDelta": self._delta,
            "contentBlockStart": self._block,
            "contentBlockStop": self._stop_block,
            "messageStart": self._start,
            "messageStop": self._stop,
            "metadata": self._metadata,
        }

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        kind = event.event
        if not kind or kind == DAMAGED:
            return self._fail(Fault(502, "bad_provider_event", "the provider sent a stream event that is damaged"))
        value = decoded(event)
        value.pop(PADDING, None)
        if kind.startswith(DAMAGED):
            return self._fail(read_exception(kind.removeprefix(DAMAGED), value))
        known = self._known.get(kind)
        return known(value) if known else [Aside(NAME, {kind: value})]

    def _is_complete(self) -> bool:
        return self._stopped  # only the usage is missing

    def _start(self, value: Extra) -> list[StreamEvent]:
        value.pop("role", None)
        return [Start(id="", model="", dialect=NAME, extra=value)]

    def _block(self, value: Extra) -> list[StreamEvent]:
        index, start = _index(value), obj(value.get("start"), "start")
        call = start.get("toolUse")
        if type(call) is dict and call.get("type") != SERVER_CALL:
            block = read_block({"toolUse": call}, "start")
            if type(block) is ToolCall:
                block.arguments = ""  # they follow
                return self._begin(index, block)
        if not start:
            return []  # its first delta tells what it is
        return self._begin(index, Opaque(NAME, next(iter(start)), start))

    def _begin(self, index: int, block: Block) -> list[StreamEvent]:
        # Only calls may be told side by side.
        over = [known for known, (_, kind) in self._open.items() if known == index or kind is not ToolCall]
        events: list[StreamEvent] = [BlockStop(self._open.pop(known)[0]) for known in over]
        self._open[index] = (self._blocks, type(block))
        events.append(BlockStart(self._blocks, block))
        self._blocks += 1
        return events

    def _continue(self, index: int, kind: type[Text | Reasoning]) -> tuple[int, list[StreamEvent]]:
        """The block of a delta, which begins with it where none of that kind is open."""
        at = self._open.get(index)
        if at is not None and at[1] is kind:
            return at[0], []
        block = Text("") if kind is Text else Reasoning()
        events = self._begin(index, block)
        return self._blocks - 1, events

    def _stop_block(self, value: Extra) -> list[StreamEvent]:
        at = self._open.pop(_index(value), None)
        return [BlockStop(at[0])] if at else []  # a block without any delta never began

    def _delta(self, value: Extra) -> list[StreamEvent]:
        index = _index(value)
        delta: Any = value.get("delta")
        if type(delta) is not dict:
            raise FieldError("delta", "an object", delta)
        at = self._open.get(index)
        if at is not None and at[1] is Opaque:
            return [OpaqueDelta(at[0], NAME, delta)]
        if "text" in delta:
            block, events = self._continue(index, Text)
            events.append(TextDelta(block, need_str(delta, "text", "delta.")))
            return events
        if "toolUse" in delta:
            if at is None or at[1] is not ToolCall:
                raise FieldError("contentBlockIndex", "the index of an open tool call", index)
            return [ArgumentsDelta(at[0], need_str(obj(delta["toolUse"], "delta.toolUse"), "input", "delta.toolUse."))]
        if "reasoningContent" in delta:
            return self._reasoning(index, obj(delta["reasoningContent"], "delta.reasoningContent"))
        if "citation" in delta:
            block, events = self._continue(index, Text)
            events.append(CitationDelta(block, read_citation(delta["citation"])))
            return events
        events = [] if at else self._begin(index, Opaque(NAME, next(iter(delta), "delta"), {}))
        return [*events, OpaqueDelta(self._open[index][0], NAME, delta)]

    def _reasoning(self, index: int, delta: Extra) -> list[StreamEvent]:
        path = "delta.reasoningContent."
        if redacted := take_str(delta, "redactedContent", path):
            data, origin = read_redacted(redacted)
            return self._begin(index, Reasoning(redacted=data, origin=origin))
        block, events = self._continue(index, Reasoning)
        if (text := take_str(delta, "text", path)) is not None:
            events.append(ReasoningDelta(block, text))
        if signature := take_str(delta, "signature", path):
            events.append(SignatureDelta(block, *read_signature(signature)))
        return events

    def _stop(self, value: Extra) -> list[StreamEvent]:
        word = need_str(value, "stopReason")
        events: list[StreamEvent] = [BlockStop(block) for block, _ in self._open.values()]
        self._open.clear()
        self._stopped = True
        met = stop_sequence(value.get("additionalModelResponseFields"))
        return [*events, Stop(reason=read_stop(word), raw=word, sequence=met, dialect=NAME, extra=value)]

    def _metadata(self, value: Extra) -> list[StreamEvent]:
        usage = of_tier(read_usage(value.get("usage")), tier_of(value.get("serviceTier")))
        told: list[StreamEvent] = [Used(usage, value, NAME)] if usage else [Aside(NAME, {"metadata": value})]
        if not self._stopped:
            return told
        self._ended = True
        return [*told, Finish()]


def _index(value: Extra) -> int:
    index = take_int(value, "contentBlockIndex")
    if index is None:
        raise FieldError("contentBlockIndex", "an integer", None)
    return index
