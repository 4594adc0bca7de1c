"""What a stream for clients of the Responses API has told so far: its events' numbers, and the items of the response's `output`.

Every event has the next `sequence_number`. An item is added, told and done; a message is done when another item begins, since it has as
many parts as there are texts in a row.
"""

import msgspec

from extproc.dialects import texts
from extproc.dialects.hub import Block, Citation, Error, Extra, Logprob, Seal
from extproc.dialects.openai_errors import write_error
from extproc.dialects.responses.answer import Ids
from extproc.dialects.responses.reasoning import write_seal
from extproc.errors import Fault

_encode = msgspec.json.encode


class Item:
    """One item of the response, in the making."""

    __slots__ = ("body", "done", "index")

    def __init__(self, index: int, body: Extra) -> None:
        self.index = index
        """Its `output_index`."""
        self.body = body
        self.done = False


class Open:
    """One block, in the making."""

    __slots__ = ("annotations", "block", "item", "logprobs", "number", "pieces", "skip", "stopped", "unwrapping", "waiting")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.item: Item | None = None
        """None until it is shown."""
        self.number = 0
        """Which part of its item it is, or which of a summary's is told."""
        self.pieces: list[str] = []
        self.annotations: list[Extra] = []
        self.waiting: list[Citation] = []
        """Those that are about all of the text, and wait for its end."""
        self.logprobs: list[Logprob] = []
        self.stopped = False
        self.unwrapping: texts.Unwrapping | None = None
        """Of a call whose tool takes a text."""
        self.skip = False
        """The next reasoning is the hub's mark between two parts, which are parts here."""

    def is_json(self) -> bool:
        """Whether the arguments of a call are whole."""
        try:
            msgspec.json.decode("".join(self.pieces))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return False
        return True


class Output:
    """The items of one response, and the events that tell of them."""

    __slots__ = ("ids", "items", "message", "own", "sequence")

    def __init__(self) -> None:
        self.ids = Ids("")
        self.own = False
        """The stream is of this dialect: its items are told in the provider's own words, and it ends them itself."""
        self.sequence = 0
        """The next event's number."""
        self.items: list[Item] = []
        self.message: Item | None = None
        """The message that the next text is a part of."""

    def event(self, kind: str, value: Extra) -> bytes:
        """The next one."""
        body = {"type": kind, "sequence_number": self.sequence, **value}
        self.sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + _encode(body) + b"\n\n"

    def error(self, event: Error) -> bytes:
        """The next one, after which clients read no more of the output."""
        told = stream_error(event.fault, event.request, self.sequence)
        self.sequence += 1
        return told

    def item_event(self, kind: str, given: Open, value: Extra) -> bytes:
        """An event about an item; empty while it is not shown."""
        if given.item is None:
            return b""
        return self.event(kind, {"item_id": given.item.body.get("id", ""), "output_index": given.item.index, **value})

    def part_event(self, kind: str, given: Open, value: Extra) -> bytes:
        """An event about a part of a message, or of reasoning that is no summary; empty while its item is not shown."""
        if (item := given.item) is None:
            return b""
        return self.event(kind, {"item_id": item.body.get("id", ""), "output_index": item.index, "content_index": given.number, **value})

    def add(self, body: Extra) -> tuple[Item, bytes]:
        """A new item, as it begins."""
        ended = b"" if self.own else self.end_message("completed")
        self.message = None
        item = Item(len(self.items), body)
        self.items.append(item)
        return item, ended + self.event("response.output_item.added", {"output_index": item.index, "item": body})

    def done(self, item: Item) -> bytes:
        """Its end, which repeats it."""
        item.done = True
        return self.event("response.output_item.done", {"output_index": item.index, "item": item.body})

    def end_message(self, status: str) -> bytes:
        """The end of the message that is open, if there is one. `status`: how it ends."""
        item, self.message = self.message, None
        if item is None:
            return b""
        item.body["status"] = status
        return self.done(item)

    def seal(self, seal: Seal) -> bytes:
        """An item of its own, after the one that is sealed."""
        item, added = self.add({"id": self.ids.item("rs"), **write_seal(seal)})
        return added + self.done(item)


def stream_error(fault: Fault, request_id: str, sequence: int = 0) -> bytes:
    """The event that ends a stream which failed. Beside its own fields it holds the error as other answers do: the SDK raises on that."""
    error = write_error(fault, request_id)["error"]
    told = {field: error[field] for field in ("code", "message", "param")}
    return b"event: error\ndata: " + _encode({"type": "error", "sequence_number": sequence, **told, "error": error}) + b"\n\n"
