"""Usage of what passes through untouched: bytes are looked at before they are parsed."""

import re
from typing import ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.framing import split
from extproc.dialects.gemini.tokens import Tokens, count
from extproc.dialects.glimpse import Texts, data_of
from extproc.dialects.sse import SSE
from extproc.dialects.watching import Watching
from extproc.usage import Usage, natural

_STOP = re.compile(rb'"(?:finishReason|blockReason)"\s*:\s*"')
_SPACE = b" \t\r\n"
_COUNTED = re.compile(rb'"token_count"\s*:\s*([0-9]{1,12})')

_texts = Texts("text")


class _Carrier(Struct):
    usageMetadata: Tokens | None = None  # noqa: N815 - Google's word
    modelVersion: str | None = None  # noqa: N815


_carrier = msgspec.json.Decoder(_Carrier, strict=False)
_carriers = msgspec.json.Decoder(list[_Carrier], strict=False)


def _carried(body: bytes) -> _Carrier:
    return counts.decode(body, _carrier) or _Carrier()


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer; or of a stream that was asked for without `alt=sse`, a list of them. Counting tokens uses none."""
    if body[:64].lstrip(_SPACE).startswith(b"["):
        return _last(body)
    carrier = _carried(body)
    told = count(carrier.usageMetadata) if carrier.usageMetadata else _vectors(body)
    return told, carrier.modelVersion or ""


def _vectors(body: bytes) -> Usage | None:
    """What Vertex counts of each vector: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api"""
    if body.find(b'"token_count"') < 0:
        return None
    told = _COUNTED.findall(body)
    return Usage(input=natural(sum(map(int, told)))) if told else None


def _last(body: bytes) -> tuple[Usage | None, str]:
    carriers = counts.decode(body, _carriers)
    if carriers is None:
        return None, ""
    tokens, model = Tokens(), ""
    for carrier in carriers:
        model = carrier.modelVersion or model
        if carrier.usageMetadata:
            tokens = tokens.merged(carrier.usageMetadata)
    return count(tokens), model


class StreamUsage(Watching):
    """Watches a stream of responses."""

    __slots__ = ("_tokens",)

    needle: ClassVar[bytes] = b'"usageMetadata"'

    def __init__(self) -> None:
        super().__init__()
        self._tokens = Tokens()

    def feed(self, event: bytes) -> bool:
        """One raw event. True if it changed usage."""
        self.text += _texts.count(event)
        if not self.finished and event.find(b"Reason") >= 0 and _STOP.search(event):
            self.finished = True
        if event.find(b'"usageMetadata"') < 0:
            return False
        carrier = _carried(data_of(event))
        self.model = carrier.modelVersion or self.model
        if carrier.usageMetadata is None:
            return False
        self._tokens = self._tokens.merged(carrier.usageMetadata)
        before, self.usage = self.usage, count(self._tokens)
        return self.usage != before

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        for event in split(SSE, b"".join(pieces)):
            self.feed(event)
        return True
