"""A provider's stream of the Responses API: https://platform.openai.com/docs/api-reference/responses-streaming

Items are told apart by `output_index`, their parts by `content_index`. Providers that imitate the API leave out what begins and ends items
and parts, or the deltas, or all but the last event; whatever is told first counts, and nothing is told twice.
"""

from collections.abc import Callable
from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import FieldError, need_str, obj
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
    OpaqueDelta,
    Ping,
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
)
from extproc.dialects.openai_errors import read_object
from extproc.dialects.reading import Reading, decoded
from extproc.dialects.responses.answer import read_stop
from extproc.dialects.responses.items import CUSTOM_CALL, ITEM, MORE, is_the_clients, kind_of_item, read_call, read_custom_call, read_output
from extproc.dialects.responses.parts import NAME, read_annotation, read_logprobs, read_part
from extproc.dialects.responses.reasoning import ORIGIN, PARAGRAPHS, opened
from extproc.dialects.responses.tokens import read_usage
from extproc.errors import Fault

FIELD, PART = "field", "part"
"""Keys of `local` and of an `OpaqueDelta`: where reasoning was read from (`summary`, `content`), and which part of a summary begins."""


_SERVERS = "a call that the provider runs"


class _Part:
    """What is open of one block."""

    __slots__ = ("index", "told")

    def __init__(self, index: int) -> None:
        self.index = index
        self.told = False
        """Its text has begun to come."""


class _Item:
    """What is open of one item."""

    __slots__ = ("kind", "paragraph", "parts", "shell", "thought")

    def __init__(self, kind: str, shell: Extra) -> None:
        self.kind = kind
        self.shell = shell
        """As it began."""
        self.parts: dict[int, _Part] = {}
        """By content index; all but messages have one part."""
        self.thought = ""
        """Which field of a reasoning item is told."""
        self.paragraph = 0
        """Which part of its summary."""


class StreamReader(Reading):
    """Reads events into hub events."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int | str, _Item] = {}
        self._last: _Item | None = None
        self._started = False
        self._blocks = 0
        self._open: set[int] = set()
        self._unclosed: set[int] = set()
        """Calls of tools that take a text, as long as more of it may come."""
        self._called = False
        self._tools: Any = None
        """Those of the client's, as the response repeats them."""
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
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
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
        self._tools = response.get("tools")
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
        if not self._blocks and type(output) is list:  # nothing was told before
            for i, item in enumerate(output):
                events += self._whole(item, f"response.output[{i}]", item)
        events += self._close_all()
        if usage := read_usage(response.get("usage")):
            events.append(Used(usage, response.get("usage"), NAME))
        status = "incomplete" if value.get("type") == "response.incomplete" else "completed"
        stop = read_stop({**response, "status": status}, called=self._called)
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

    # Items.

    def _item_added(self, value: Extra) -> list[StreamEvent]:
        shell = obj(value.get("item"), "item")
        key = _key(value)
        if key in self._items:
            raise FieldError("output_index", "a new index", key)
        item = self._items[key] = _Item(kind_of_item(shell, "item"), value["item"])
        if item.kind in ("message", "reasoning"):
            return []  # until something of it is told
        if item.kind == "function_call":
            self._called = True
            return self._open_part(item, 0, read_call(shell, "item"))
        if item.kind == CUSTOM_CALL:
            if is_the_clients(shell, self._tools):
                return self._custom_added(item, read_custom_call(shell, "item"))
            item.kind = _SERVERS
        (block,) = self._read_item(value["item"], "item")
        return self._open_part(item, 0, block)

    def _item_done(self, value: Extra) -> list[StreamEvent]:
        key = _key(value)
        final = obj(value.get("item"), "item")
        item = self._items.get(key)
        if item is None or (not item.parts and item.kind in ("message", "reasoning")):
            item = self._items.setdefault(key, _Item(kind_of_item(final, "item"), value["item"]))
            return self._whole(value["item"], "item", item.shell)
        events: list[StreamEvent] = []
        first = next(iter(item.parts.values()), None)
        if item.kind == "reasoning" and type(sealed := final.get("encrypted_content")) is str and sealed and first:
            events += self._sign(first, sealed)
        elif item.kind == "function_call" and first:
            events += self._rest(first, final.get("arguments"), ArgumentsDelta)
        elif item.kind == CUSTOM_CALL and first:
            events += self._input_rest(first, final.get("input"))
        for part in item.parts.values():
            events += self._close(part)
        if first:
            events.append(OpaqueDelta(first.index, NAME, {ITEM: value["item"]}))
        return events

    def _sign(self, part: _Part, sealed: str) -> list[StreamEvent]:
        """Encrypted reasoning comes last; too late, where what follows it has begun before its end."""
        _, value, origin = opened(sealed)
        if part.index in self._open:
            return [SignatureDelta(part.index, value, origin)]
        self._blocks += 1
        return [BlockStart(self._blocks - 1, Reasoning(redacted=value, origin=origin)), BlockStop(self._blocks - 1)]

    def _whole(self, value: Any, path: str, shell: Extra) -> list[StreamEvent]:
        """An item that was not told piece by piece. `shell`: as it began."""
        blocks = self._read_item(value, path)
        for block in blocks[:1]:
            block.local = {ITEM: shell}
        events = self._pause()
        first = self._blocks
        for block in blocks:
            self._called = self._called or type(block) is ToolCall
            events += (BlockStart(self._blocks, block), BlockStop(self._blocks))
            self._blocks += 1
        return [*events, OpaqueDelta(first, NAME, {ITEM: value})] if blocks else []

    def _read_item(self, value: Any, path: str) -> list[Block]:
        found = read_output(value, path, self._tools)
        return found if isinstance(found, list) else []

    def _pause(self) -> list[StreamEvent]:
        """Ends the texts of an item that is still open while another begins: only calls may be told side by side."""
        item, self._last = self._last, None
        if item is None or item.kind not in ("message", "reasoning"):
            return []
        return [event for part in item.parts.values() for event in self._close(part)]

    def _open_part(self, item: _Item, number: int, block: Block) -> list[StreamEvent]:
        """Begins a block. What a part holds from its start on is told as if it came after."""
        block.local = {MORE: True} if item.parts else {ITEM: item.shell}
        if item.thought:
            block.local[FIELD] = item.thought
        begun = [] if self._last is item else self._pause()
        self._last = item
        part = item.parts[number] = _Part(self._blocks)
        self._blocks += 1
        self._open.add(part.index)
        begun.append(BlockStart(part.index, block))
        if isinstance(block, Text | Refusal) and block.text:
            begun += self._rest(part, block.text, TextDelta)
            block.text = ""
        elif type(block) is ToolCall and block.arguments:
            begun += self._rest(part, block.arguments, ArgumentsDelta)
            block.arguments = ""
        return begun

    def _rest(self, part: _Part, text: Any, delta: type[TextDelta] | type[ArgumentsDelta]) -> list[StreamEvent]:
        """A text that is told as a whole, if nothing of it was told before."""
        if part.told or type(text) is not str or not text:
            return []
        part.told = True
        return [delta(part.index, text)]

    def _close(self, part: _Part) -> list[StreamEvent]:
        if part.index not in self._open:
            return []
        self._open.remove(part.index)
        return [*self._end_text(part.index), BlockStop(part.index)]

    def _close_all(self) -> list[StreamEvent]:
        events = [event for index in sorted(self._open) for event in (*self._end_text(index), BlockStop(index))]
        self._open.clear()
        return events

    def _end_text(self, index: int) -> list[StreamEvent]:
        """What makes the arguments of a tool that takes a text whole."""
        if index not in self._unclosed:
            return []
        self._unclosed.remove(index)
        return [ArgumentsDelta(index, texts.CLOSING)]

    # Parts.

    def _item_of(self, value: Extra, kind: str) -> _Item:
        key = _key(value)
        item = self._items.get(key)
        if item is None:
            if kind in ("function_call", CUSTOM_CALL):
                raise FieldError("output_index", "the index of an item", key)
            item = self._items[key] = _Item(kind, {"type": kind, "id": value.get("item_id")})
        return item

    def _part(self, value: Extra, kind: type[Text] | type[Refusal]) -> tuple[_Part, list[StreamEvent]]:
        """A part of a message, and what opens it if it is not open yet."""
        item = self._item_of(value, "message")
        if item.kind != "message":
            raise FieldError("output_index", "the index of a message", item.kind)
        number = _number(value)
        part = item.parts.get(number)
        if part is not None:
            self._check_open(part)
            return part, []
        opened = self._open_part(item, number, Text("") if kind is Text else Refusal("", part=True))
        return item.parts[number], opened

    def _check_open(self, part: _Part) -> None:
        """Only of calls may more come when something else has begun."""
        if part.index not in self._open:
            raise FieldError("output_index", "the index of an open item", part.index)

    def _part_added(self, value: Extra) -> list[StreamEvent]:
        given = obj(value.get("part"), "part")
        if given.get("type") == "reasoning_text":
            return []
        item = self._item_of(value, "message")
        number = _number(value)
        return [] if number in item.parts else self._open_part(item, number, read_part(given, "part"))

    def _part_done(self, value: Extra) -> list[StreamEvent]:
        part = self._known_part(value)
        return self._close(part) if part else []

    def _text(self, value: Extra) -> list[StreamEvent]:
        part, opened = self._part(value, Text)
        part.told = True
        logprobs = read_logprobs(value.get("logprobs"))
        return [*opened, TextDelta(part.index, need_str(value, "delta"), None, logprobs)]

    def _text_done(self, value: Extra) -> list[StreamEvent]:
        if self._is_told(value):
            return []
        part, opened = self._part(value, Text)
        return opened + self._rest(part, value.get("text"), TextDelta)

    def _refusal(self, value: Extra) -> list[StreamEvent]:
        part, opened = self._part(value, Refusal)
        part.told = True
        return [*opened, TextDelta(part.index, need_str(value, "delta"))]

    def _refusal_done(self, value: Extra) -> list[StreamEvent]:
        if self._is_told(value):
            return []
        part, opened = self._part(value, Refusal)
        return opened + self._rest(part, value.get("refusal"), TextDelta)

    def _is_told(self, value: Extra) -> bool:
        """Whether all of a part has been told in pieces; what closes it says nothing new."""
        part = self._known_part(value)
        return part is not None and part.told

    def _known_part(self, value: Extra) -> _Part | None:
        """The part of a message that an event is about, if it has begun."""
        item = self._items.get(_key(value))
        return item.parts.get(_number(value)) if item and item.kind == "message" else None

    def _annotation(self, value: Extra) -> list[StreamEvent]:
        known = self._known_part(value)
        if known is not None and known.index not in self._open:
            return [Aside(NAME, value)]  # too late for others
        part, opened = self._part(value, Text)
        return [*opened, CitationDelta(part.index, read_annotation(value.get("annotation")))]

    def _arguments(self, value: Extra) -> list[StreamEvent]:
        part = self._call(value)
        part.told = True
        return [ArgumentsDelta(part.index, need_str(value, "delta"))]

    def _arguments_done(self, value: Extra) -> list[StreamEvent]:
        return self._rest(self._call(value), value.get("arguments"), ArgumentsDelta)

    def _call(self, value: Extra, kind: str = "function_call") -> _Part:
        item = self._item_of(value, kind)
        if item.kind != kind or 0 not in item.parts:
            raise FieldError("output_index", f"the index of a {kind}", item.kind)
        return item.parts[0]

    def _custom_added(self, item: _Item, call: ToolCall) -> list[StreamEvent]:
        """A call of a tool that takes a text, which the hub has as the one argument."""
        self._called = True
        begun, call.arguments = texts.text(call.arguments), ""
        events = self._open_part(item, 0, call)
        part = item.parts[0]
        self._unclosed.add(part.index)
        return [*events, ArgumentsDelta(part.index, texts.OPENING), *self._input_rest(part, begun)]

    def _input(self, value: Extra) -> list[StreamEvent]:
        if self._is_servers(value):
            return [Aside(NAME, value)]
        part = self._call(value, CUSTOM_CALL)
        if part.index not in self._unclosed:
            raise FieldError("output_index", "the index of an open call", part.index)
        part.told = True
        return [ArgumentsDelta(part.index, texts.piece(need_str(value, "delta")))]

    def _input_done(self, value: Extra) -> list[StreamEvent]:
        if self._is_servers(value):
            return [Aside(NAME, value)]
        return self._input_rest(self._call(value, CUSTOM_CALL), value.get("input"))

    def _is_servers(self, value: Extra) -> bool:
        item = self._items.get(_key(value))
        return item is not None and item.kind == _SERVERS

    def _input_rest(self, part: _Part, text: Any) -> list[StreamEvent]:
        """A text that is told as a whole, if nothing of it was told before."""
        return self._rest(part, texts.piece(text) if type(text) is str else text, ArgumentsDelta)

    def _summary(self, value: Extra) -> list[StreamEvent]:
        return self._reason(value, "summary", _number(value, "summary_index"))

    def _thought(self, value: Extra) -> list[StreamEvent]:
        return self._reason(value, "content", _number(value))

    def _reason(self, value: Extra, field: str, paragraph: int) -> list[StreamEvent]:
        """More reasoning. Of an item that has a summary and the whole text, the one that comes first is told."""
        item = self._item_of(value, "reasoning")
        item.thought = item.thought or field
        if item.kind != "reasoning" or item.thought != field:
            return [Aside(NAME, value)]
        opened: list[StreamEvent] = [] if 0 in item.parts else self._open_part(item, 0, Reasoning(origin=ORIGIN))
        self._check_open(item.parts[0])
        index = item.parts[0].index
        if paragraph != item.paragraph:
            if not opened:
                opened = [OpaqueDelta(index, NAME, {PART: paragraph}), ReasoningDelta(index, PARAGRAPHS)]
            item.paragraph = paragraph
        return [*opened, ReasoningDelta(index, need_str(value, "delta"))]


def _key(value: Extra) -> int | str:
    for field in ("output_index", "item_id"):
        key = value.get(field)
        if type(key) is int or type(key) is str:
            return key
    raise FieldError("output_index", "an integer", value.get("output_index"))


def _number(value: Extra, field: str = "content_index") -> int:
    number = value.get(field)
    return number if type(number) is int else 0


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
