"""Anthropic's content blocks: what requests, answers and streams share.

https://docs.claude.com/en/api/messages
"""

from typing import Any

import msgspec

from extproc.dialects import documents
from extproc.dialects.anthropic.sealing import read_redacted, read_signed, write_reasoning
from extproc.dialects.fields import items, need_str, obj, take_bool, take_list, take_obj, take_str
from extproc.dialects.hub import Block, Cache, Citation, Document, Extra, Image, Opaque, Reasoning, Text, ToolCall, ToolResult

NAME = "anthropic"

_encode = msgspec.json.encode


def read_content(value: Any, path: str) -> tuple[list[Block], bool]:
    """Blocks of a `content`, and whether it was a bare string."""
    if type(value) is str:
        return [Text(value)], True
    return [usual_block(block) or read_block(block, f"{path}[{i}]") for i, block in enumerate(items(value, path))], False


def usual_block(value: Any) -> Text | ToolCall | ToolResult | None:
    """A block that says no more than most do: a text, a call, the text that came of one. None: `read_block` reads it, or says what is wrong
    with it.
    """
    if type(value) is not dict:
        return None
    kind, size = value.get("type"), len(value)
    if kind == "text" and size == 2:
        return Text(text) if type(text := value.get("text")) is str else None
    if kind == "tool_use" and size == 4:
        identifier, name, arguments = value.get("id"), value.get("name"), value.get("input")
        if type(identifier) is str and type(name) is str and type(arguments) is dict:
            return ToolCall(identifier, name, _encode(arguments).decode())
    elif kind == "tool_result" and size == 3:
        identifier, content = value.get("tool_use_id"), value.get("content")
        if type(identifier) is str and type(content) is str:
            return ToolResult(identifier, [Text(content)], plain=True)
    return None


def read_block(value: Any, path: str, *, nested: bool = False) -> Block:
    """One content block. `nested`: it stands in a tool's result, and holds no further one."""
    rest = obj(value, path)
    path += "."
    kind = need_str(rest, "type", path)
    block: Block | None = None
    match kind:
        case "text":
            text = need_str(rest, "text", path)
            citations = take_list(rest, "citations", path) if rest.get("citations") else None
            block = Text(text, [read_citation(citation) for citation in citations or ()])
        case "tool_use":
            block = _tool_use(rest, path)
        case "tool_result" if not nested:
            block = _tool_result(rest, path)
        case "thinking":
            block = read_signed(take_str(rest, "thinking", path) or "", take_str(rest, "signature", path) or "")
        case "redacted_thinking":
            block = read_redacted(need_str(rest, "data", path))
        case "image":
            block = _image(rest, path)
        case "document":
            block = _document(rest, path)
        case "search_result":
            block = _search_result(rest, path)
    if block is None:
        return Opaque(NAME, kind, value)
    block.cache = take_cache(rest, path)
    block.extra = rest
    return block


def take_cache(rest: Extra, path: str) -> Cache | None:
    """The `cache_control` marker."""
    marker = take_obj(rest, "cache_control", path)
    if marker is None:
        return None
    return Cache(take_str(marker.copy(), "ttl", path + "cache_control.") or "", marker)


def _tool_use(rest: Extra, path: str) -> Block:
    arguments = rest.pop("input", None)
    return ToolCall(need_str(rest, "id", path), need_str(rest, "name", path), _encode({} if arguments is None else arguments).decode())


def _tool_result(rest: Extra, path: str) -> Block:
    identifier, error = need_str(rest, "tool_use_id", path), take_bool(rest, "is_error", path)
    content = rest.get("content")
    if content is None:
        return ToolResult(identifier, [], error)
    del rest["content"]
    if type(content) is str:
        return ToolResult(identifier, [Text(content)], error, plain=True)
    path += "content"
    return ToolResult(identifier, [read_block(block, f"{path}[{i}]", nested=True) for i, block in enumerate(items(content, path))], error)


def _image(rest: Extra, path: str) -> Block | None:
    source = obj(rest.get("source"), path + "source")
    match source.get("type"):
        case "base64" if source.keys() == {"type", "media_type", "data"}:
            image = Image(media_type=need_str(source, "media_type", path + "source."), data=need_str(source, "data", path + "source."))
        case "url" if source.keys() == {"type", "url"}:
            image = Image(url=need_str(source, "url", path + "source."))
        case _:
            return None  # a file that was uploaded to Anthropic before
    del rest["source"]
    return image


def _document(rest: Extra, path: str) -> Block | None:
    source = obj(rest.get("source"), path + "source")
    path += "source."
    match source.get("type"):
        case "base64" if source.keys() == {"type", "media_type", "data"}:
            document = Document(media_type=need_str(source, "media_type", path), data=need_str(source, "data", path))
        case "text" if source.keys() == {"type", "media_type", "data"}:
            document = Document(media_type=need_str(source, "media_type", path), text=need_str(source, "data", path))
        case "url" if source.keys() == {"type", "url"}:
            document = Document(url=need_str(source, "url", path))
        case _:
            return None
    del rest["source"]
    document.name = take_str(rest, "title", path) or ""
    documents.take_citing(document, rest)
    return document


def _search_result(rest: Extra, path: str) -> Block | None:
    """https://platform.claude.com/docs/en/build-with-claude/search-results"""
    content = rest.get("content")
    if type(content) is not list or not content or not rest.get("source"):
        return None
    if any(type(one) is not dict or one.keys() != {"type", "text"} or type(one["text"]) is not str for one in content):
        return None
    texts = [one["text"] for one in content]
    found = Document(text="\n\n".join(texts), name=need_str(rest, "title", path), url=need_str(rest, "source", path))
    found.pieces = texts if len(texts) > 1 else []
    documents.take_citing(found, rest)
    del rest["content"]
    return found


def read_citation(value: Any) -> Citation:
    """One citation of a text block."""
    raw: Extra = value if type(value) is dict else {"value": value}

    def word(key: str) -> str:
        found = raw.get(key)
        return found if type(found) is str else ""

    url = word("url") or (word("source") if word("source").startswith(("http://", "https://")) else "")
    return Citation(url=url, title=word("title") or word("document_title"), quote=word("cited_text"), dialect=NAME, raw=raw)


def write_citation(citation: Citation) -> Extra | None:
    """A citation for a text block; None if there is no form for it."""
    if citation.dialect == NAME:
        return citation.raw
    if not citation.url:
        return None
    # The only form with a URL. Its encrypted_index is for Anthropic's own search, and required.
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.quote,
        "encrypted_index": "",
    }


def write_block(block: Block, own: bool) -> Extra | None:
    """A block in Anthropic's form; None if there is none for it. Tool calls and results are written elsewhere: their ids may change."""
    match block:
        case Opaque():
            return block.value if block.dialect == NAME else None
        case Text():
            written: Extra | None = {"type": "text", "text": block.text}
            citations = [written for written in map(write_citation, block.citations) if written]
            if citations and written:
                written["citations"] = citations
        case Reasoning():
            written = write_reasoning(block)
        case Image():
            written = {"type": "image", "source": _source(block.media_type, block.data, block.url)}
        case Document():
            written = _write_document(block)
        case _:
            return None
    if written is None or not own:
        return written
    return {**block.extra, **block.local, **written, **({"cache_control": block.cache.raw} if block.cache else {})}


def _source(media_type: str, data: str, url: str) -> Extra:
    return {"type": "base64", "media_type": media_type, "data": data} if data else {"type": "url", "url": url}


def _write_document(block: Document) -> Extra | None:
    cited = {"citations": documents.CITED} if block.cited else {}
    if documents.is_found(block):
        content = [{"type": "text", "text": piece} for piece in documents.pieces(block)]
        return {"type": "search_result", "source": block.url, "title": block.name, "content": content, **cited}
    title = {"title": block.name, **cited} if block.name else cited
    if block.text is not None:
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": block.text}, **title}
    if block.data and block.media_type != "application/pdf" and not block.media_type.startswith("application/vnd."):
        return None
    return {"type": "document", "source": _source(block.media_type, block.data, block.url), **title}
