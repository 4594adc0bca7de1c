"""Where a text comes from: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html"""

from typing import Any
from urllib.parse import urlsplit

from extproc.dialects.hub import Citation, Extra

_WEB = ("http://", "https://")


def read_citations(values: list[Any] | None) -> list[Citation]:
    """The citations of a text."""
    return [read_citation(value) for value in values or ()]


def read_citation(value: Any) -> Citation:
    """One of them, of an answer or of a stream."""
    raw: Extra = value if type(value) is dict else {"value": value}
    source, title = _word(raw, "source"), _word(raw, "title")
    location = raw.get("location")
    web = location.get("web") if type(location) is dict else None
    url = _word(web, "url") if type(web) is dict else ""
    content = raw.get("sourceContent")
    pieces = [_word(piece, "text") for piece in content if type(piece) is dict] if type(content) is list else []
    return Citation(url=url or (source if source.startswith(_WEB) else ""), title=title, quote="".join(pieces), dialect="bedrock", raw=raw)


def _word(value: Extra, key: str) -> str:
    found = value.get(key)
    return found if type(found) is str else ""


def write_citation(citation: Citation) -> Extra:
    """A citation in Bedrock's form, in which all is optional."""
    if citation.dialect == "bedrock":
        return citation.raw
    written: Extra = {}
    if citation.title:
        written["title"] = citation.title
    if citation.quote:
        written["sourceContent"] = [{"text": citation.quote}]
    if citation.url:
        written |= {"source": citation.url, "location": {"web": {"url": citation.url, "domain": _domain(citation.url)}}}
    return written


def _domain(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
