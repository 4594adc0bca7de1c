"""Usage of what passes through untouched, in all of OpenAI's endpoints but responses: bytes are looked at before they are parsed."""

import re
from typing import ClassVar

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.framing import split
from extproc.dialects.glimpse import Texts, data_of
from extproc.dialects.openai.tokens import Tokens, carried, has_usage
from extproc.dialects.sse import SSE
from extproc.dialects.watching import Watching
from extproc.usage import Usage

_MODEL = re.compile(rb'"model"[ \t]*:[ \t]*"([^"\\\r\n]{1,200})"')
_DONE = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)
# How streams end that have no `[DONE]`: speech, transcriptions, images. None of their events names a model.
_LAST = re.compile(rb'"type"\s*:\s*"(?:speech\.audio\.done|transcript\.text\.done|image_(?:generation|edit)\.completed)"')
_EMPTY = re.compile(rb'"choices"\s*:\s*\[\s*\]')

# Chat deltas (`input`: of custom tools), and legacy completions (`text`).
_texts = Texts("content", "reasoning_content", "reasoning", "refusal", "arguments", "input", "text")


class _Chunk(Struct):
    choices: list[msgspec.Raw] | None = None
    usage: Tokens | None = None


_chunk = msgspec.json.Decoder(_Chunk, strict=False)


def usage(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model of a whole answer: chat, completions, embeddings, images."""
    return carried(body) or (None, "")


class StreamUsage(Watching):
    """Watches a stream of chunks."""

    __slots__ = ()

    # Chunks before the last have `"usage":null`.
    needle: ClassVar[bytes] = b'_tokens"'

    def feed(self, event: bytes) -> bool:
        """One raw event. True if it told usage."""
        if not self.model:
            if found := _MODEL.search(event):
                self.model = found[1].decode("utf-8", "replace")
            elif _LAST.search(event):
                self.finished = True
        if event.find(b"[DONE]") >= 0 and _DONE.search(event):
            self.finished = True
            return False
        self.text += _texts.count(event)
        if not has_usage(event):
            return False
        told = carried(data_of(event))
        if not told or not told[0] or told[0] == self.usage:
            return False
        self.usage = told[0]
        return True

    def feed_later(self, pieces: list[bytes]) -> bool:
        """See `dialect.StreamUsage`."""
        events = _texts.condense(pieces)
        if self.model and events.find(b"[DONE]") < 0:
            self.text += _texts.count(events)
            return events.find(b'error"') >= 0
        for event in split(SSE, b"".join(pieces)):
            self.feed(event)
        return True


def is_usage_only(event: bytes) -> bool:
    """True for the chunk without choices that tells usage."""
    if b'"choices"' not in event or not has_usage(event) or not _EMPTY.search(event):
        return False
    chunk = counts.decode(data_of(event), _chunk)
    return chunk is not None and chunk.choices == [] and chunk.usage is not None
