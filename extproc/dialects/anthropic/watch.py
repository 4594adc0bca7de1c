"""Usage of what passes through untouched: bytes are looked at before they are parsed."""

import re
from typing import ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.anthropic.tokens import Tokens, count
from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts, data_of
from extproc.dialects.sse import SSE
from extproc.dialects.watching import Watching
from extproc.usage import Usage

_STOP = re.compile(rb'"type"\s*:\s*"message_stop"')

_texts = Texts("text", "thinking", "partial_json")


class _Message(Struct):
    usage: Tokens | None = None
    model: str | None = None


class _Carrier(Struct):
    type: str | None = None
    usage: Tokens | None = None
    model: str | None = None
    message: _Message | None = None


_carrier = msgspec.json.Decoder(_Carrier, strict=False)


def _carried(body: bytes) -> _Carrier:
    return counts.decode(body, _carrier) or _Carrier()


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer. What count_tokens answers is no usage: nothing was used."""
    carrier = _carried(body)
    return (count(carrier.usage) if carrier.usage else None), carrier.model or ""


class StreamUsage(Watching):
    """Watches a stream of Anthropic's events."""

    __slots__ = ("_tokens",)

    needle: ClassVar[bytes] = b'"usage"'

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()

    def feed(self, event: bytes) -> bool:
        """One raw event. True if it changed usage."""
        if event.find(b'"usage"') >= 0:
            return self._count(event)
        if event.find(b"message_stop") >= 0 and _STOP.search(event):
            self.finished = True
        else:
            self.text += _texts.count(event)
        return False

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        events = _texts.condense(pieces)
        if events.find(b'"usage"') < 0 and events.find(b"message_stop") < 0:
            self.text += _texts.count(events)
            return events.find(b'error"') >= 0
        for event in split(SSE, b"".join(pieces)):
            self.feed(event)
        return True

    def _count(self, event: bytes) -> bool:
        carrier = _carried(data_of(event))
        if carrier.message and carrier.message.model:
            self.model = carrier.message.model
        tokens = carrier.usage or (carrier.message.usage if carrier.message else None)
        if tokens is None:
            return False
        self._tokens.update(tokens)
        before, self.usage = self.usage, count(self._tokens)
        return self.usage != before
