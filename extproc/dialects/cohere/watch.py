"""Usage of what passes through untouched: bytes are looked at before they are parsed."""

import re
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.cohere.tokens import Counts, count
from extproc.dialects.cohere_vectors import read_meta
from extproc.dialects.fields import length
from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts, data_of
from extproc.dialects.sse import SSE
from extproc.dialects.watching import Watching
from extproc.usage import Usage

_END = re.compile(rb'"type"[ \t]*:[ \t]*"message-end"')
_texts = Texts("text", "thinking", "tool_plan", "arguments")

_CITATION = b'"citation-'
_LOGPROBS = b'"token_ids"'


class _Content(Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(Struct):
    content: _Content | list[msgspec.Raw] | None = None


class _Delta(Struct):
    usage: Counts | None = None
    message: _Message | None = None


class _Carrier(Struct):
    type: str | None = None
    usage: Counts | None = None
    meta: dict[str, Any] | None = None
    delta: _Delta | None = None


_carrier = msgspec.json.Decoder(_Carrier, strict=False)


def _carried(body: bytes) -> _Carrier:
    return counts.decode(body, _carrier) or _Carrier()


def _content(carrier: _Carrier) -> int:
    content = carrier.delta.message.content if carrier.delta and carrier.delta.message else None
    return length((content.text or "") + (content.thinking or "")) if isinstance(content, _Content) else 0


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage of a whole answer: of a chat, or in `meta` of embed and rerank. No answer names its model."""
    carrier = _carried(body)
    if carrier.usage is None:
        return read_meta(carrier.meta)[0], ""
    return count(carrier.usage), ""


class StreamUsage(Watching):
    """Watches a stream of Cohere's events."""

    __slots__ = ()

    needle: ClassVar[bytes] = b'"usage"'
    trouble: ClassVar[bytes] = b"message-end"

    def feed(self, event: bytes) -> bool:
        """One raw event. True if it told usage."""
        if event.find(_CITATION) >= 0:  # it repeats text, and what the text leans on
            return False
        if event.find(b"message-end") < 0 or not _END.search(event):
            # Log probabilities repeat it, too.
            self.text += _texts.count(event) if event.find(_LOGPROBS) < 0 else _content(_carried(data_of(event)))
            return False
        carrier = _carried(data_of(event))
        if carrier.type != "message-end":
            return False
        self.finished = True
        told = count(carrier.delta.usage) if carrier.delta and carrier.delta.usage else None
        if told is None or told == self.usage:
            return False
        self.usage = told
        return True

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        events = _texts.condense(pieces)
        if events.find(b"message-end") < 0 and events.find(_CITATION) < 0 and events.find(_LOGPROBS) < 0:
            self.text += _texts.count(events)
            return events.find(b'error"') >= 0
        for event in split(SSE, b"".join(pieces)):
            self.feed(event)
        return True
