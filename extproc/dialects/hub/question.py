"""What all questions have in common: that something of them may not be expressible."""

import re

from msgspec import Struct

from extproc.dialects.hub.blocks import Extra

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_DROPPED_MAX = 48


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
    dropped: list[str] = []
    """What a writer could not express: paths in the request without indices, each once, safe to put in a header."""

    def drop(self, name: str) -> None:
        """`name` could not be expressed. Names may come from the caller, so they are cleaned; and there is an end to them."""
        clean = _UNSAFE.sub("_", name[:80])
        if clean not in self.dropped and len(self.dropped) < _DROPPED_MAX:
            self.dropped.append(clean if len(self.dropped) < _DROPPED_MAX - 1 else "...")

    def drop_extra(self, extra: Extra, path: str = "") -> None:
        """None of `extra` could be expressed. What is empty or switched off asks for nothing and is not named."""
        for key, value in extra.items():
            if value or (value == 0 and value is not False):
                self.drop(path + key)
