"""Usage of what passes through untouched: bytes are looked at before they are parsed.

A message's kind stands in its headers, where a length comes before it that no JSON has, so no text can look like it.
"""

from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.bedrock.tokens import Tokens, count
from extproc.dialects.eventstream import EVENT_STREAM, parse
from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts
from extproc.dialects.watching import Watching
from extproc.usage import Usage, natural, of_tier

_STOP = b"\x0b:event-type\x07\x00\x0bmessageStop"
_METADATA = b"\x0b:event-type\x07\x00\x08metadata"
_CHUNK = b"\x0b:event-type\x07\x00\x05chunk"
_LAST = b"amazon-bedrock-invocationMetrics"
"""Stands in the last chunk of whatever is invoked, whoever has made the model."""

_texts = Texts("text", "input")


class _Router(Struct):
    invokedModelId: str | None = None  # noqa: N815 - their name


class _Trace(Struct):
    promptRouter: _Router | None = None  # noqa: N815


class _Carrier(Struct):
    usage: Tokens | None = None
    inputTextTokenCount: int | None = None  # noqa: N815 - Titan's, for a vector
    trace: _Trace | None = None
    serviceTier: Any = None  # noqa: N815


class _Metrics(Struct):
    inputTokenCount: int | None = None  # noqa: N815
    outputTokenCount: int | None = None  # noqa: N815
    cacheReadInputTokenCount: int | None = None  # noqa: N815
    cacheWriteInputTokenCount: int | None = None  # noqa: N815


class _Ending(Struct, rename={"metrics": _LAST.decode()}):
    metrics: _Metrics | None = None


class _Chunk(Struct, rename={"data": "bytes"}):
    data: bytes = b""
    """In base64, which msgspec undoes."""


_carrier = msgspec.json.Decoder(_Carrier, strict=False)
_ending = msgspec.json.Decoder(_Ending, strict=False)
_chunk = msgspec.json.Decoder(_Chunk)


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer. Only a prompt router tells which model it asked."""
    carrier = counts.decode(body, _carrier)
    if carrier is None:
        return None, ""
    router = carrier.trace.promptRouter if carrier.trace else None
    tier = carrier.serviceTier
    told = of_tier(count(carrier.usage), tier.get("type") if type(tier) is dict else None) if carrier.usage else None
    if told is None and carrier.inputTextTokenCount is not None:
        told = Usage(input=natural(carrier.inputTextTokenCount))
    return told, (router.invokedModelId if router else None) or ""


class StreamUsage(Watching):
    """Watches a stream of Bedrock's messages."""

    __slots__ = ()

    needle: ClassVar[bytes] = b'"usage"'
    trouble: ClassVar[bytes] = b":exception-type"

    def feed(self, event: bytes) -> bool:
        """One raw message. True if it changed usage."""
        if event.find(_METADATA) >= 0:
            return self._count(event)
        if event.find(_STOP) >= 0:
            self.finished = True
        elif event.find(_CHUNK) >= 0:
            return self._invoked(event)
        else:
            self.text += _texts.count(event)
        return False

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        for event in split(EVENT_STREAM, b"".join(pieces)):
            self.feed(event)
        return True

    def _invoked(self, event: bytes) -> bool:
        """A chunk of what InvokeModel streams: the maker's event, in base64."""
        try:
            told = _chunk.decode(parse(event).data).data
            metrics = _ending.decode(told).metrics if told.find(_LAST) >= 0 else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        self.text += _texts.count(told)
        if metrics is None:
            return False
        read, written = natural(metrics.cacheReadInputTokenCount), natural(metrics.cacheWriteInputTokenCount)
        given = natural(metrics.inputTokenCount) + read + written
        self.usage = Usage(input=given, output=natural(metrics.outputTokenCount), cache_read=read, cache_write=written)
        self.finished = True
        return True

    def _count(self, event: bytes) -> bool:
        told, model = usage(parse(event).data)
        self.model = model or self.model
        if told is None or told == self.usage:
            return False
        self.usage = told
        return True
