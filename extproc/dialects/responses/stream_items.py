"""What is open of a provider's stream of the Responses API: its items, their parts, and which block of the hub each of them is.

Items are told apart by `output_index`, their parts by `content_index`. Only calls may be told side by side: of anything else the text ends
where another item begins.
"""

from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import FieldError, obj
from extproc.dialects.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Extra,
    OpaqueDelta,
    Reasoning,
    Refusal,
    SignatureDelta,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
)
from extproc.dialects.responses.items import CUSTOM_CALL, ITEM, MORE, is_the_clients, kind_of_item, read_call, read_custom_call, read_output
from extproc.dialects.responses.parts import NAME
from extproc.dialects.responses.reasoning import opened

FIELD, PART = "field", "part"
"""Keys of `local` and of an `OpaqueDelta`: where reasoning was read from (`summary`, `content`), and which part of a summary begins."""

_SERVERS = "a call that the provider runs"


class Part:
    """What is open of one block."""

    __slots__ = ("index", "told")

    def __init__(self, index: int) -> None:
        self.index = index
        self.told = False
        """Its text has begun to come."""


class Item:
    """What is open of one item."""

    __slots__ = ("kind", "paragraph", "parts", "shell", "thought")

    def __init__(self, kind: str, shell: Extra) -> None:
        self.kind = kind
        self.shell = shell
        """As it began."""
        self.parts: dict[int, Part] = {}
        """By content index; all but messages have one part."""
        self.thought = ""
        """Which field of a reasoning item is told."""
        self.paragraph = 0
        """Which part of its summary."""


class Items:
    """The items of one response. What begins and ends them is told in the hub's words."""

    def __init__(self) -> None:
        self.blocks = 0
        """How many have begun."""
        self.called = False
        """The client is to run something."""
        self.tools: Any = None
        """Those of the client's, as the response repeats them."""
        self._items: dict[int | str, Item] = {}
        self._last: Item | None = None
        self._open: set[int] = set()
        self._unclosed: set[int] = set()
        """Calls of tools that take a text, as long as more of it may come."""

    def added(self, value: Extra) -> list[StreamEvent]:
        """`response.output_item.added`. Raises `FieldError`, as all that look an item up do."""
        shell = obj(value.get("item"), "item")
        key = _key(value)
        if key in self._items:
            raise FieldError("output_index", "a new index", key)
        item = self._items[key] = Item(kind_of_item(shell, "item"), value["item"])
        if item.kind in ("message", "reasoning"):
            return []  # until something of it is told
        if item.kind == "function_call":
            self.called = True
            return self.open_part(item, 0, read_call(shell, "item"))
        if item.kind == CUSTOM_CALL:
            if is_the_clients(shell, self.tools):
                return self._custom_added(item, read_custom_call(shell, "item"))
            item.kind = _SERVERS
        (block,) = self._read_item(value["item"], "item")
        return self.open_part(item, 0, block)

    def done(self, value: Extra) -> list[StreamEvent]:
        """`response.output_item.done`, which repeats the whole: what was not told before is told now."""
        key = _key(value)
        final = obj(value.get("item"), "item")
        item = self._items.get(key)
        if item is None or (not item.parts and item.kind in ("message", "reasoning")):
            item = self._items.setdefault(key, Item(kind_of_item(final, "item"), value["item"]))
            return self.whole(value["item"], "item", item.shell)
        events: list[StreamEvent] = []
        first = next(iter(item.parts.values()), None)
        if item.kind == "reasoning" and type(sealed := final.get("encrypted_content")) is str and sealed and first:
            events += self._sign(first, sealed)
        elif item.kind == "function_call" and first:
            events += self.rest(first, final.get("arguments"), ArgumentsDelta)
        elif item.kind == CUSTOM_CALL and first:
            events += self.input_rest(first, final.get("input"))
        for part in item.parts.values():
            events += self.close(part)
        if first:
            events.append(OpaqueDelta(first.index, NAME, {ITEM: value["item"]}))
        return events

    def _sign(self, part: Part, sealed: str) -> list[StreamEvent]:
        """Encrypted reasoning comes last; too late, where what follows it has begun before its end."""
        _, value, origin = opened(sealed)
        if part.index in self._open:
            return [SignatureDelta(part.index, value, origin)]
        self.blocks += 1
        return [BlockStart(self.blocks - 1, Reasoning(redacted=value, origin=origin)), BlockStop(self.blocks - 1)]

    def whole(self, value: Any, path: str, shell: Extra) -> list[StreamEvent]:
        """An item that was not told piece by piece. `shell`: as it began."""
        blocks = self._read_item(value, path)
        for block in blocks[:1]:
            block.local = {ITEM: shell}
        events = self._pause()
        first = self.blocks
        for block in blocks:
            self.called = self.called or type(block) is ToolCall
            events += (BlockStart(self.blocks, block), BlockStop(self.blocks))
            self.blocks += 1
        return [*events, OpaqueDelta(first, NAME, {ITEM: value})] if blocks else []

    def _read_item(self, value: Any, path: str) -> list[Block]:
        found = read_output(value, path, self.tools)
        return found if isinstance(found, list) else []

    def _pause(self) -> list[StreamEvent]:
        """Ends the texts of an item that is still open while another begins: only calls may be told side by side."""
        item, self._last = self._last, None
        if item is None or item.kind not in ("message", "reasoning"):
            return []
        return [event for part in item.parts.values() for event in self.close(part)]

    def open_part(self, item: Item, number: int, block: Block) -> list[StreamEvent]:
        """Begins a block. What a part holds from its start on is told as if it came after."""
        block.local = {MORE: True} if item.parts else {ITEM: item.shell}
        if item.thought:
            block.local[FIELD] = item.thought
        begun = [] if self._last is item else self._pause()
        self._last = item
        part = item.parts[number] = Part(self.blocks)
        self.blocks += 1
        self._open.add(part.index)
        begun.append(BlockStart(part.index, block))
        if isinstance(block, Text | Refusal) and block.text:
            begun += self.rest(part, block.text, TextDelta)
            block.text = ""
        elif type(block) is ToolCall and block.arguments:
            begun += self.rest(part, block.arguments, ArgumentsDelta)
            block.arguments = ""
        return begun

    def rest(self, part: Part, text: Any, delta: type[TextDelta] | type[ArgumentsDelta]) -> list[StreamEvent]:
        """A text that is told as a whole, if nothing of it was told before."""
        if part.told or type(text) is not str or not text:
            return []
        part.told = True
        return [delta(part.index, text)]

    def close(self, part: Part) -> list[StreamEvent]:
        """Ends a block, once."""
        if part.index not in self._open:
            return []
        self._open.remove(part.index)
        return [*self._end_text(part.index), BlockStop(part.index)]

    def close_all(self) -> list[StreamEvent]:
        """Ends all that is open, as the response has ended."""
        events = [event for index in sorted(self._open) for event in (*self._end_text(index), BlockStop(index))]
        self._open.clear()
        return events

    def _end_text(self, index: int) -> list[StreamEvent]:
        """What makes the arguments of a tool that takes a text whole."""
        if index not in self._unclosed:
            return []
        self._unclosed.remove(index)
        return [ArgumentsDelta(index, texts.CLOSING)]

    # What an event is about.

    def find(self, value: Extra, kind: str) -> Item:
        """The item. `kind`: what it has to be where its beginning was not told; that of a call is needed, since it has the name."""
        key = _key(value)
        item = self._items.get(key)
        if item is None:
            if kind in ("function_call", CUSTOM_CALL):
                raise FieldError("output_index", "the index of an item", key)
            item = self._items[key] = Item(kind, {"type": kind, "id": value.get("item_id")})
        return item

    def part(self, value: Extra, kind: type[Text] | type[Refusal]) -> tuple[Part, list[StreamEvent]]:
        """A part of a message, and what opens it if it is not open yet."""
        item = self.find(value, "message")
        if item.kind != "message":
            raise FieldError("output_index", "the index of a message", item.kind)
        number = number_in(value)
        part = item.parts.get(number)
        if part is not None:
            self.check_open(part)
            return part, []
        opened = self.open_part(item, number, Text("") if kind is Text else Refusal("", part=True))
        return item.parts[number], opened

    def check_open(self, part: Part) -> None:
        """Only of calls may more come when something else has begun."""
        if part.index not in self._open:
            raise FieldError("output_index", "the index of an open item", part.index)

    def known_part(self, value: Extra) -> Part | None:
        """The part of a message that an event is about, if it has begun."""
        item = self._items.get(_key(value))
        return item.parts.get(number_in(value)) if item and item.kind == "message" else None

    def call(self, value: Extra, kind: str = "function_call") -> Part:
        """The block of a call."""
        item = self.find(value, kind)
        if item.kind != kind or 0 not in item.parts:
            raise FieldError("output_index", f"the index of a {kind}", item.kind)
        return item.parts[0]

    def is_servers(self, value: Extra) -> bool:
        """Whether it is a call of a tool that takes a text, which the provider runs itself."""
        item = self._items.get(_key(value))
        return item is not None and item.kind == _SERVERS

    def is_open(self, part: Part) -> bool:
        """Whether its block has not ended."""
        return part.index in self._open

    def takes_more(self, part: Part) -> bool:
        """Whether more may come of the text that a tool is called with."""
        return part.index in self._unclosed

    # Calls of tools that take a text.

    def _custom_added(self, item: Item, call: ToolCall) -> list[StreamEvent]:
        """A call of a tool that takes a text, which the hub has as the one argument."""
        self.called = True
        begun, call.arguments = texts.text(call.arguments), ""
        events = self.open_part(item, 0, call)
        part = item.parts[0]
        self._unclosed.add(part.index)
        return [*events, ArgumentsDelta(part.index, texts.OPENING), *self.input_rest(part, begun)]

    def input_rest(self, part: Part, text: Any) -> list[StreamEvent]:
        """A text that is told as a whole, if nothing of it was told before."""
        return self.rest(part, texts.piece(text) if type(text) is str else text, ArgumentsDelta)


def _key(value: Extra) -> int | str:
    for field in ("output_index", "item_id"):
        key = value.get(field)
        if type(key) is int or type(key) is str:
            return key
    raise FieldError("output_index", "an integer", value.get("output_index"))


def number_in(value: Extra, field: str = "content_index") -> int:
    """Which part an event is about; providers that have one leave it out."""
    number = value.get(field)
    return number if type(number) is int else 0
