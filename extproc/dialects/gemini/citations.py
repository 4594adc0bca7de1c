"""Where a Gemini answer's words come from: grounding and citations, as the hub's, and back.

https://ai.google.dev/api/generate-content#GroundingMetadata. Google counts offsets in bytes of UTF-8, the hub in characters.
"""

from typing import Any

from msgspec import Struct

from extproc.dialects.fields import length
from extproc.dialects.gemini.parts import NAME
from extproc.dialects.hub import Citation, Extra


class Span(Struct, frozen=True):
    """A piece of one of several texts."""

    text: int
    """Which."""
    start: int
    end: int
    """In characters."""


def read_citations(candidate: Extra, texts: list[str]) -> list[tuple[int, Citation]]:
    """The sources that a candidate names, each with the number of the text that leans on it."""
    found: list[tuple[int, Citation]] = []
    if texts:
        _grounding(candidate.get("groundingMetadata"), texts, found)
        _cited(candidate.get("citationMetadata"), texts, found)
    return found


def _grounding(value: Any, texts: list[str], found: list[tuple[int, Citation]]) -> None:
    chunks = _list(value, "groundingChunks")
    supports = [one for one in _list(value, "groundingSupports") if type(one) is dict]
    for support in supports:
        span = locate(support.get("segment"), texts)
        numbers = [one for one in _list(support, "groundingChunkIndices") if type(one) is int and 0 <= one < len(chunks)]
        found += [(span.text, _source(chunks[number], span)) for number in numbers]
    if not supports:
        last = Span(len(texts) - 1, 0, 0)
        found += [(last.text, _source(chunk, last)) for chunk in chunks]


def _source(chunk: Any, span: Span) -> Citation:
    inner = next((one for one in chunk.values() if type(one) is dict), {}) if type(chunk) is dict else {}
    raw = chunk if type(chunk) is dict else {"value": chunk}
    return Citation(_word(inner, "uri"), _word(inner, "title"), _word(inner, "text"), span.start, span.end, NAME, raw)


def _cited(value: Any, texts: list[str], found: list[tuple[int, Citation]]) -> None:
    for one in _list(value, "citations") or _list(value, "citationSources"):
        if type(one) is dict:
            span = locate(one, texts)
            found.append((span.text, Citation(_word(one, "uri"), _word(one, "title"), "", span.start, span.end, NAME, one)))


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if type(value) is dict else None
    return found if type(found) is list else []


def _word(value: Extra, key: str) -> str:
    found = value.get(key)
    return found if type(found) is str else ""


def locate(segment: Any, texts: list[str]) -> Span:
    """Where a segment stands in texts that follow each other. Its words are believed before its numbers, which count what was cut."""
    last = Span(len(texts) - 1, 0, 0)
    if type(segment) is not dict:
        return last
    words = _word(segment, "text")
    begin, end = segment.get("startIndex", 0), segment.get("endIndex", 0)
    if type(begin) is not int or type(end) is not int or not 0 <= begin < end:
        return _find(words, texts) or last
    found = _at(begin, end, texts)
    if found is not None and (not words or texts[found.text][found.start : found.end] == words):
        return found
    return _find(words, texts) or found or last


def _at(begin: int, end: int, texts: list[str]) -> Span | None:
    for i, text in enumerate(texts):
        whole = text.encode("utf-8", "surrogatepass")
        if begin < len(whole):
            start = len(whole[:begin].decode("utf-8", "ignore"))
            return Span(i, start, start + len(whole[begin:end].decode("utf-8", "ignore")))
        begin, end = begin - len(whole), end - len(whole)
    return None


def _find(words: str, texts: list[str]) -> Span | None:
    if words:
        for i, text in enumerate(texts):
            start = text.find(words)
            if start >= 0:
                return Span(i, start, start + len(words))
    return None


def write_grounding(citations: list[tuple[str, Citation]], before: list[int]) -> Extra:
    """`groundingMetadata` for citations, each beside the text that it belongs to; `before`: bytes of the answer that precede that text.

    Empty where none of them has a URL to point to.
    """
    chunks: dict[tuple[str, str], int] = {}
    supports: list[Extra] = []
    for (text, citation), offset in zip(citations, before, strict=True):
        if not citation.url:
            continue
        number = chunks.setdefault((citation.url, citation.title), len(chunks))
        start, end = (citation.start, citation.end) if citation.end else (0, len(text))
        words = text[start:end]
        begin = offset + length(text[:start])
        segment = {"startIndex": begin, "endIndex": begin + length(words), "text": words}
        supports.append({"segment": segment, "groundingChunkIndices": [number]})
    if not chunks:
        return {}
    return {"groundingChunks": [{"web": {"uri": url, "title": title}} for url, title in chunks], "groundingSupports": supports}
