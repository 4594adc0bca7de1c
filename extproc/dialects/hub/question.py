"""What all questions have in common: that something of them may not be expressible."""

import re
from collections.abc import Mapping

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra
from extproc.errors import Fault

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_DROPPED_MAX = 48
_BLOCKS = "blocks[]"


class Question(Struct, kw_only=True):
    """A request, of no dialect."""

    dialect: str
    """The one that it was read from: `extra` is in its words."""
    model: str
    extra: Extra = {}
    local: Extra = {}
    """What means nothing outside its dialect, and nobody misses."""
    asked: Extra = {}
    """What of the request its answer has to know: it is handed to the writer of the same dialect with the answer."""
    words: Mapping[str, str] = {}
    """What the hub calls something, and where it stands in a request of `dialect`: one mapping for all requests, which its reader leaves.
    Of what is called the same there is no entry.

    The hub's names are those of its fields: of the question (`stop`, `format`, `thinking.budget`), of any of its blocks (`blocks[].cache`;
    or the block as such, by `kind_of`: `blocks[].image`), of a tool (`tools[].strict`). An entry counts for all that begins with it:
    `{"blocks[]": "messages[].content[]"}`. One that is empty is of what the client has not asked for, and does not miss.
    """
    needs: Fault | None = None
    """It builds on what only a provider of its own dialect keeps, or can read: what the client is told where another one would be asked,
    since nobody is to be answered without what he refers to."""
    headers: dict[str, str] = {}
    """Request headers that the provider wants to see with what its writer wrote, by their names in small letters."""
    place: str = "blocks[]"
    """Which blocks a writer is at: what it drops of `blocks[]` is told of these. `system[]` while it writes instructions that stand
    outside the messages."""
    dropped: list[str] = []
    """What a writer could not express: paths in the client's request without indices, each once, safe to put in a header."""

    @property
    def remembered(self) -> Extra:
        """`asked`, and what the answer is measured by whoever writes it."""
        return self.asked

    def check(self) -> None:
        """Raises `Reject` 400 where the request contradicts itself, so that no provider could do what it asks."""

    def drop(self, name: str) -> None:
        """What the hub calls `name` could not be expressed: it is told in the words of the client's dialect."""
        if self.place != _BLOCKS and name.startswith(_BLOCKS):
            name = self.place + name[len(_BLOCKS) :]
        words, head, tail = self.words, name, ""
        while head and head not in words:
            head, dot, last = head.rpartition(".")
            tail = f"{dot}{last}{tail}"
        if head and not words[head]:
            return
        self.drop_path(words[head] + tail if head else name)

    def drop_path(self, path: str) -> None:
        """`path` in the client's request could not be expressed. It may be of the caller's making, so it is cleaned; and there is an end to
        them.
        """
        clean = _UNSAFE.sub("_", path[:80])
        if clean not in self.dropped and len(self.dropped) < _DROPPED_MAX:
            self.dropped.append(clean if len(self.dropped) < _DROPPED_MAX - 1 else "...")

    def drop_extra(self, extra: Extra, path: str = "") -> None:
        """None of `extra` could be expressed; `path` is the hub's name of what it stands in, with a dot. What is empty or switched off asks
        for nothing and is not named.
        """
        for key, value in extra.items():
            if value or (value == 0 and value is not False):
                (self.drop if path else self.drop_path)(path + key)
