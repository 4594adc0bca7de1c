"""A provider's Cohere stream: https://docs.cohere.com/v2/docs/streaming

Contents and tool calls are numbered each by themselves; a tool's plan has no number, and no beginning or end.
"""

from collections.abc import Callable
from typing import Any

from extproc.dialects.cohere.answer import FAILED, read_stop
from extproc.dialects.cohere.errors import fault
from extproc.dialects.cohere.parts import NAME, NO_ARGUMENTS, PLAN, THINKING, read_call, read_citation, read_logprobs, reasoning
from extproc.dialects.cohere.tokens import read_usage
from extproc.dialects.fields import FieldError, obj, take_int, take_str
from extproc.dialects.framing import RawEvent
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
    ReasoningDelta,
    Start,
    Stop,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.dialects.reading import Reading, decoded


class StreamReader(Reading):
    """Reads Cohere's events into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks = 0
        self._contents: dict[int, tuple[int, type]] = {}
        """By the provider's index: the block, and of which type it is."""
        self._live: set[int] = set()
        """Those of them that are open: one at most, in a stream as it should be."""
        self._calls: dict[int, int] = {}
        self._argued: set[int] = set()
        """Calls of which some arguments were told."""
        self._plan: int | None = None
        self._asides: set[int] = set()
        """Citations of what is no text."""
        self._known: dict[str, Callable[[Extra], list[StreamEvent]]] = {
            "content-delta": self._content_delta,
            "tool-call-delta": self._call_delta,
            "tool-plan-delta": self._plan_delta,
            "content-start": self._content_start,
            "content-end": self._content_end,
            "tool-call-start": self._call_start,
            "tool-call-end": self._call_end,
            "citation-start": self._citation,
            "citation-end": self._citation_end,
            "message-start": self._start,
            "message-end": self._end,
        }

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        value = decoded(event)
        kind = value.pop("type", event.event)
        known = self._known.get(kind) if type(kind) is str else None
        if known is not None:
            return known(value)
        if not kind and type(value.get("message")) is str:
            return self._fail(fault(502, value["message"]))
        return [Aside(NAME, {"type": kind, **value})]

    def _start(self, value: Extra) -> list[StreamEvent]:
        identifier = take_str(value, "id") or ""
        return [Start(id=identifier, model="", dialect=NAME, extra=value)]

    def _open(self, block: Block, events: list[StreamEvent]) -> int:
        self._close(events)
        index = self._blocks
        self._blocks += 1
        events.append(BlockStart(index, block))
        return index

    def _close(self, events: list[StreamEvent]) -> None:
        """What is open ends where something else begins, or the message ends. Calls may go on."""
        if self._plan is not None:
            events.append(BlockStop(self._plan))
            self._plan = None
        events += [BlockStop(self._contents[number][0]) for number in self._live]
        self._live.clear()

    def _plan_delta(self, value: Extra) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        text = take_str(_message(value), PLAN, "delta.message.") or ""
        if text:
            if self._plan is None:
                self._plan = self._open(reasoning("", PLAN), events)
            events.append(ReasoningDelta(self._plan, text))
        return events

    def _content_start(self, value: Extra) -> list[StreamEvent]:
        content = obj(_message(value).get("content"), "delta.message.content")
        return self._content(_index(value), content, thinks=content.get("type") == "thinking")

    def _content_delta(self, value: Extra) -> list[StreamEvent]:
        content = obj(_message(value).get("content"), "delta.message.content")
        raw = value.get("logprobs")
        return self._content(_index(value), content, thinks="thinking" in content and not content.get("text"), raw=raw)

    def _content(self, number: int, content: Extra, *, thinks: bool, raw: Any = None) -> list[StreamEvent]:
        """More of a content, which begins with it where it was not begun before."""
        events: list[StreamEvent] = []
        if number not in self._live:
            block: Block = reasoning("", THINKING) if thinks else Text("")
            self._contents[number] = (self._open(block, events), type(block))
            self._live.add(number)
        index, kind = self._contents[number]
        if kind is Text:
            text = take_str(content, "text", "delta.message.content.") or ""
            if text or raw:
                events.append(TextDelta(index, text, {"logprobs": raw} if raw else None, read_logprobs(raw) if raw else None))
        elif text := take_str(content, "thinking", "delta.message.content.") or "":
            events.append(ReasoningDelta(index, text))
        return events

    def _content_end(self, value: Extra) -> list[StreamEvent]:
        number = _index(value)
        if number not in self._live:
            return []
        self._live.remove(number)
        return [BlockStop(self._contents[number][0])]

    def _call_start(self, value: Extra) -> list[StreamEvent]:
        call = read_call(_one(_message(value).get("tool_calls"), "delta.message.tool_calls"), "delta.message.tool_calls")
        events: list[StreamEvent] = []
        if type(call) is not ToolCall:
            events.append(Aside(NAME, {"type": "tool-call-start", **value}))
            return events
        text, call.arguments = call.arguments, ""
        index = self._calls[_index(value)] = self._open(call, events)
        if text:
            self._argued.add(index)
            events.append(ArgumentsDelta(index, text))
        return events

    def _call_delta(self, value: Extra) -> list[StreamEvent]:
        call = obj(_one(_message(value).get("tool_calls"), "delta.message.tool_calls"), "delta.message.tool_calls")
        function = obj(call.get("function") or {}, "delta.message.tool_calls.function")
        text = take_str(function, "arguments", "delta.message.tool_calls.function.") or ""
        index = self._calls.get(_index(value))
        if index is None:
            raise FieldError("index", "the index of a tool call that has begun", value.get("index"))
        if not text or (text == NO_ARGUMENTS and index not in self._argued):
            return []
        self._argued.add(index)
        return [ArgumentsDelta(index, text)]

    def _call_end(self, value: Extra) -> list[StreamEvent]:
        index = self._calls.pop(_index(value), None)
        return [] if index is None else [BlockStop(index)]

    def _citation(self, value: Extra) -> list[StreamEvent]:
        raw = obj(_one(_message(value).get("citations"), "delta.message.citations"), "delta.message.citations")
        number = raw.get("content_index")
        if type(number) is not int:
            number = next((number for number in self._live), -1)
        index, kind = self._contents.get(number, (-1, Text))
        if number not in self._live or kind is not Text or raw.get("type", "TEXT_CONTENT") != "TEXT_CONTENT":
            self._asides.add(_index(value))
            return [Aside(NAME, {"type": "citation-start", **value})]
        return [CitationDelta(index, citation) for citation in read_citation(raw)]

    def _citation_end(self, value: Extra) -> list[StreamEvent]:
        return [Aside(NAME, {"type": "citation-end", **value})] if _index(value) in self._asides else []

    def _end(self, value: Extra) -> list[StreamEvent]:
        self._ended = True
        delta = obj(value.pop("delta", None) or {}, "delta")
        word, error = take_str(delta, "finish_reason", "delta."), delta.get("error")
        if error or word == FAILED:
            return [Error(fault(502, error if type(error) is str else "the provider failed while it generated"))]
        events: list[StreamEvent] = []
        self._close(events)
        raw = delta.pop("usage", None)
        extra = {"event": value, "delta": delta}
        events.append(Stop(reason=read_stop(word or ""), raw=word, dialect=NAME, extra=extra))
        usage = read_usage(raw)
        if usage:
            events.append(Used(usage, raw, NAME))
        return [*events, Finish()]


def _message(value: Extra) -> Extra:
    return obj(obj(value.get("delta"), "delta").get("message"), "delta.message")


def _one(value: Any, path: str) -> Any:
    """One of what is called as if it were several. A list is taken as well, in which only the first can be meant."""
    if type(value) is list:
        if not value:
            raise FieldError(path, "an object", value)
        return value[0]
    return value


def _index(value: Extra) -> int:
    return take_int(dict(value), "index") or 0
