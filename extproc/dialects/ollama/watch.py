"""Ollama's way of counting tokens, and the usage of what passes through untouched: bytes are looked at before they are parsed.

`prompt_eval_count` and `eval_count` stand in the last piece of an answer, and are left out where they are zero (api/types.go, Metrics).
Nothing is said of caches, nor of how much of the output was reasoning, which is in it.
"""

import re
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts
from extproc.dialects.hub import Extra
from extproc.dialects.lines import LINES
from extproc.dialects.watching import Watching
from extproc.usage import Usage, natural

_DONE = re.compile(rb'"done"[ \t]*:[ \t]*true')

_texts = Texts("content", "response", "thinking")


class Tokens(Struct):
    """The counts of an answer or its last piece, and whether it is."""

    prompt_eval_count: int | None = None
    eval_count: int | None = None
    done: bool | None = None
    model: str | None = None


_tokens = msgspec.json.Decoder(Tokens, strict=False)


def _told(body: bytes) -> Tokens:
    return counts.decode(body, _tokens) or Tokens()


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    if tokens.prompt_eval_count is None and tokens.eval_count is None:
        return None
    return Usage(input=natural(tokens.prompt_eval_count), output=natural(tokens.eval_count))


def read_usage(body: Any) -> Usage | None:
    """The counts of a decoded answer. Ones of the wrong type count nothing."""
    tokens = counts.read(body, Tokens)
    return count(tokens) if tokens else None


def write_usage(usage: Usage | None) -> Extra:
    """The counts for a client."""
    return {"prompt_eval_count": usage.input, "eval_count": usage.output} if usage else {}


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer: chat, generate, embed."""
    tokens = _told(body)
    return count(tokens), tokens.model or ""


class StreamUsage(Watching):
    """Watches a stream of chat or generate."""

    __slots__ = ()

    needle: ClassVar[bytes] = b'eval_count"'

    def feed(self, event: bytes) -> bool:
        """One line. True if it told usage."""
        self.text += _texts.count(event)
        # A tool's arguments are an object here, and may have members of any name.
        if self.model and event.find(b'eval_count"') < 0 and not _DONE.search(event):
            return False
        tokens = _told(event)
        self.model = self.model or tokens.model or ""
        self.finished = self.finished or tokens.done is True
        told = count(tokens)
        if told is None or told == self.usage:
            return False
        self.usage = told
        return True

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        events = _texts.condense(pieces)
        if self.model and events.find(b'eval_count"') < 0 and not _DONE.search(events):
            self.text += _texts.count(events)
            return events.find(b'error"') >= 0
        for event in split(LINES, b"".join(pieces)):
            self.feed(event)
        return True
