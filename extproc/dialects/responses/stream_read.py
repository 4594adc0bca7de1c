"""A provider's stream of the Responses API: https://platform.openai.com/docs/api-reference/responses-streaming

Providers that imitate the API leave out what begins and ends items and parts, or the deltas, or all but the last event; whatever is told
first counts, and nothing is told twice. Which items and parts are open is kept in `stream_items`.
"""

from collections.abc import Callable
from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import FieldError, need_str, obj
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import (
    ArgumentsDelta,
    Aside,
    CitationDelta,
    Extra,
    Finish,
    OpaqueDelta,
    Ping,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Used,
)
from extproc.dialects.openai_errors import read_object
from extproc.dialects.reading import Reading, decoded
from extproc.dialects.responses.answer import read_stop
from extproc.dialects.responses.items import CUSTOM_CALL
from extproc.dialects.responses.parts import NAME, read_annotation, read_logprobs, read_part
from extproc.dialects.responses.reasoning import ORIGIN, PARAGRAPHS
from extproc.dialects.responses.stream_items import PART, Items, number_in
from extproc.dialects.responses.tokens import read_usage
from extproc.errors import Fault
from extproc.usage import of_tier


class StreamReader(Reading):
    """Reads events into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._items = items = Items()
        self._started = False
        self._known: dict[str, Callable[[Extra], list[StreamEvent]]] = {
            "response.output_text.delta": self._text,
            "response.function_call_arguments.delta": self._arguments,
            "response.reasoning_summary_text.delta": self._summary,
            "response.reasoning_text.delta": self._thought,
            "response.custom_tool_call_input.delta": self._input,
            "response.refusal.delta": self._refusal,
            "response.output_text.done": self._text_done,
            "response.refusal.done": self._refusal_done,
            "response.function_call_arguments.done": self._arguments_done,
            "response.custom_tool_call_input.done": self._input_done,
            "response.output_text.annotation.added": self._annotation,
            "response.output_item.added": items.added,
            "response.output_item.done": items.done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            "response.created": self._begin,
            "response.queued": self._begin,
            "response.in_progress": self._begin,
            "response.completed": self._complete,
            "response.incomplete": self._complete,
            "response.failed": self._failed,
            "response.reasoning_summary_part.added": self._nothing,
            "response.reasoning_summary_part.done": self._nothing,
            "response.reasoning_summary_text.done": self._nothing,
            "response.reasoning_text.done": self._nothing,
            "keepalive": self._ping,
            "error": self._error,
        }

    def _read(self, event: RawEvent) -> list[StreamEvent]:
        if event.data == b"[DONE]":
            return []
        value = decoded(event)
        kind = value.get("type", event.event)
        known = self._known.get(kind) if type(kind) is str else None
        if known is not None:
            return known(value)
        if type(value.get("error")) is dict:  # as OpenAI's other APIs put it
            return self._error(value)
        return [Aside(NAME, value)]

    # The response.

    def _begin(self, value: Extra) -> list[StreamEvent]:
        response = obj(value.get("response"), "response")
        if self._started:
            return [Aside(NAME, value)]
        self._started = True
        self._items.tools = response.get("tools")
        created, tier = response.get("created_at"), response.get("service_tier")
        identifier, model = response.get("id"), response.get("model")
        return [
            Start(
                id=identifier if type(identifier) is str else "",
                model=model if type(model) is str else "",
                created=int(created) if type(created) is int or type(created) is float else 0,
                dialect=NAME,
                service_tier=tier if type(tier) is str else None,
                extra=value,
            )
        ]

    def _complete(self, value: Extra) -> list[StreamEvent]:
        response = obj(value.get("response"), "response")
        events = [] if self._started else self._begin(value)
        output = response.get("output")
        if not self._items.blocks and type(output) is list:  # nothing was told before
            for i, item in enumerate(output):
                events += self._items.whole(item, f"response.output[{i}]", item)
        events += self._items.close_all()
        if usage := of_tier(read_usage(response.get("usage")), response.get("service_tier")):
            events.append(Used(usage, response.get("usage"), NAME))
        status = "incomplete" if value.get("type") == "response.incomplete" else "completed"
        stop = read_stop({**response, "status": status}, called=self._items.called)
        self._ended = True
        return [*events, Stop(reason=stop or StopReason.END, dialect=NAME, extra=value), Finish()]

    def _failed(self, value: Extra) -> list[StreamEvent]:
        return self._fail(read_fault(obj(value.get("response"), "response").get("error")))

    def _error(self, value: Extra) -> list[StreamEvent]:
        nested = value.get("error")
        return self._fail(read_fault(nested if type(nested) is dict else {key: value[key] for key in value if key != "type"}))

    def _ping(self, value: Extra) -> list[StreamEvent]:
        return [Ping()]

    def _nothing(self, value: Extra) -> list[StreamEvent]:
        """What ends a part of reasoning: the item's own end says so, too. What begins one: its text does."""
        return []

    # Parts.

    def _part_added(self, value: Extra) -> list[StreamEvent]:
        given = obj(value.get("part"), "part")
        if given.get("type") == "reasoning_text":
            return []
        item = self._items.find(value, "message")
        number = number_in(value)
        return [] if number in item.parts else self._items.open_part(item, number, read_part(given, "part"))

    def _part_done(self, value: Extra) -> list[StreamEvent]:
        part = self._items.known_part(value)
        return self._items.close(part) if part else []

    def _text(self, value: Extra) -> list[StreamEvent]:
        part, opened = self._items.part(value, Text)
        part.told = True
        logprobs = read_logprobs(value.get("logprobs"))
        return [*opened, TextDelta(part.index, need_str(value, "delta"), None, logprobs)]

    def _text_done(self, value: Extra) -> list[StreamEvent]:
        if self._is_told(value):
            return []
        part, opened = self._items.part(value, Text)
        return opened + self._items.rest(part, value.get("text"), TextDelta)

    def _refusal(self, value: Extra) -> list[StreamEvent]:
        part, opened = self._items.part(value, Refusal)
        part.told = True
        return [*opened, TextDelta(part.index, need_str(value, "delta"))]

    def _refusal_done(self, value: Extra) -> list[StreamEvent]:
        if self._is_told(value):
            return []
        part, opened = self._items.part(value, Refusal)
        return opened + self._items.rest(part, value.get("refusal"), TextDelta)

    def _is_told(self, value: Extra) -> bool:
        """Whether all of a part has been told in pieces; what closes it says nothing new."""
        part = self._items.known_part(value)
        return part is not None and part.told

    def _annotation(self, value: Extra) -> list[StreamEvent]:
        known = self._items.known_part(value)
        if known is not None and not self._items.is_open(known):
            return [Aside(NAME, value)]  # too late for others
        part, opened = self._items.part(value, Text)
        return [*opened, CitationDelta(part.index, read_annotation(value.get("annotation")))]

    def _arguments(self, value: Extra) -> list[StreamEvent]:
        part = self._items.call(value)
        self._items.check_open(part)
        part.told = True
        return [ArgumentsDelta(part.index, need_str(value, "delta"))]

    def _arguments_done(self, value: Extra) -> list[StreamEvent]:
        return self._items.rest(self._items.call(value), value.get("arguments"), ArgumentsDelta)

    def _input(self, value: Extra) -> list[StreamEvent]:
        if self._items.is_servers(value):
            return [Aside(NAME, value)]
        part = self._items.call(value, CUSTOM_CALL)
        if not self._items.takes_more(part):
            raise FieldError("output_index", "the index of an open call", part.index)
        part.told = True
        return [ArgumentsDelta(part.index, texts.piece(need_str(value, "delta")))]

    def _input_done(self, value: Extra) -> list[StreamEvent]:
        if self._items.is_servers(value):
            return [Aside(NAME, value)]
        return self._items.input_rest(self._items.call(value, CUSTOM_CALL), value.get("input"))

    def _summary(self, value: Extra) -> list[StreamEvent]:
        return self._reason(value, "summary", number_in(value, "summary_index"))

    def _thought(self, value: Extra) -> list[StreamEvent]:
        return self._reason(value, "content", number_in(value))

    def _reason(self, value: Extra, field: str, paragraph: int) -> list[StreamEvent]:
        """More reasoning. Of an item that has a summary and the whole text, the one that comes first is told."""
        item = self._items.find(value, "reasoning")
        item.thought = item.thought or field
        if item.kind != "reasoning" or item.thought != field:
            return [Aside(NAME, value)]
        opened: list[StreamEvent] = [] if 0 in item.parts else self._items.open_part(item, 0, Reasoning(origin=ORIGIN))
        self._items.check_open(item.parts[0])
        index = item.parts[0].index
        if paragraph != item.paragraph:
            if not opened:
                opened = [OpaqueDelta(index, NAME, {PART: paragraph}), ReasoningDelta(index, PARAGRAPHS)]
            item.paragraph = paragraph
        return [*opened, ReasoningDelta(index, need_str(value, "delta"))]


def read_fault(error: Any) -> Fault:
    """The error of a stream, or of a response that failed. It has no status but its code."""
    fault = read_object(error, 502)
    code = fault.code
    status = next((status for word, status in _STATUSES if word in code), fault.status)
    return Fault(status, code, fault.message, fault.param, fault.type)


_STATUSES = (
    ("rate_limit", 429),
    ("insufficient_quota", 429),
    ("server_is_overloaded", 503),
    ("overloaded", 503),
    ("slow_down", 503),
    ("context_length", 400),
    ("invalid", 400),
    ("policy", 400),
    ("image", 400),
)
"""Codes in https://platform.openai.com/docs/api-reference/responses/object#responses-object-error, and what they mean."""
