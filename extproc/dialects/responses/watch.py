"""Usage of what passes through untouched: bytes are looked at before they are parsed.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re
from typing import ClassVar

from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts, data_of
from extproc.dialects.responses.tokens import carried
from extproc.dialects.sse import SSE
from extproc.dialects.watching import Watching
from extproc.usage import Usage

_MODEL = re.compile(rb'"model"[ \t]*:[ \t]*"([^"\\\r\n]{1,200})"')
_HAS_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_TERMINAL = re.compile(rb'"type"\s*:\s*"response\.(?:completed|incomplete|failed)"')
_WHOLE = re.compile(rb'"type"\s*:\s*"response\.[a-z_.]*(?:done|added|created|queued|in_progress|completed|incomplete|failed)"')
"""Events that repeat text which was counted as deltas."""

# Deltas of texts, arguments, reasoning and code; the others are those of a whole answer.
_texts = Texts("delta", "text", "arguments", "refusal")


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer. What input_tokens answers is no usage: nothing was used."""
    return carried(body)


class StreamUsage(Watching):
    """Watches a stream of the Responses API's events."""

    __slots__ = ()

    # Every event that holds a response names fields so; only the last one counts anything.
    needle: ClassVar[bytes] = b'_tokens"'

    def feed(self, event: bytes) -> bool:
        """One raw event. True if it told usage."""
        if not self.model and (found := _MODEL.search(event)):
            self.model = found[1].decode("utf-8", "replace")
        if event.find(b'"response.') < 0 or not _WHOLE.search(event):
            self.text += _texts.count(event)
        elif _TERMINAL.search(event):
            self.finished = True
        if event.find(b'"usage"') < 0 or not _HAS_USAGE.search(event):
            return False
        told, model = carried(data_of(event))
        self.model = model or self.model
        if told is None or told == self.usage:
            return False
        self.usage = told
        return True

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        events = _texts.condense(pieces)
        if self.model and not _WHOLE.search(events):
            self.text += _texts.count(events)
            return events.find(b'error"') >= 0
        for event in split(SSE, b"".join(pieces)):
            self.feed(event)
        return True
