"""Bedrock's content blocks, each an object with one member that tells its kind: what requests and answers share.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html

What the hub has no word for stays in a block's `extra`, under the member that it stood in. Where two kinds of blocks become the same one
in the hub, its `local` tells which member it was (`MEMBER`), so that a field of the same name that stood beside it is not taken for that.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from extproc.dialects import documents
from extproc.dialects.bedrock import glance
from extproc.dialects.bedrock.citations import read_citations
from extproc.dialects.bedrock.media import DOCUMENTS, IMAGES, VIDEOS, format_of, media_type
from extproc.dialects.bedrock.reasoning import read_reasoning
from extproc.dialects.fields import items, need_str, obj, take_list, take_str
from extproc.dialects.hub import Audio, Block, Cache, Document, Extra, Image, Opaque, Text, ToolCall, ToolResult, Video

NAME = "bedrock"

SERVER_CALL = "server_tool_use"

MEMBER = "member"
"""In the `local` of a text, or a document: the member that it was, where that is not the usual one."""

_encode = msgspec.json.encode


def read_content(value: Any, path: str, *, nested: bool = False) -> list[Block]:
    """Blocks of a `content`, each with the cache point that follows it. `nested`: they stand in a tool's result."""
    blocks: list[Block] = []
    for i, given in enumerate(items(value, path)):
        if not nested and (block := glance.block(given)) is not None:
            blocks.append(block)
        elif type(given) is dict and "cachePoint" in given and blocks and blocks[-1].cache is None:
            blocks[-1].cache = read_cache(given)
        else:
            blocks.append(read_block(given, f"{path}[{i}]", nested=nested))
    return blocks


def read_cache(block: Extra) -> Cache:
    """A cache point: all before it is worth keeping."""
    marker = block.get("cachePoint")
    ttl = marker.get("ttl") if type(marker) is dict else None
    return Cache(ttl if type(ttl) is str else "", block)


def read_block(value: Any, path: str, *, nested: bool = False) -> Block:
    """One content block."""
    if type(value) is dict and len(value) == 1 and type(value.get("text")) is str:
        return Text(value["text"])  # most of what is nested
    rest = obj(value, path)
    kind = next((name for name in _READERS if name in rest), "")
    if not kind or (kind == "toolResult" if nested else kind == "json"):
        return Opaque(NAME, kind or next(iter(rest), "block"), value)
    block = _READERS[kind](rest, path + ".")
    if block is None:
        return Opaque(NAME, kind, value)
    block.extra = rest
    return block


def _text(rest: Extra, path: str) -> Block:
    return Text(need_str(rest, "text", path))


def _json(rest: Extra, path: str) -> Block:
    return Text(_encode(rest.pop("json")).decode(), local={MEMBER: "json"})


def _tool_use(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["toolUse"], path + "toolUse")
    if inner.get("type") == SERVER_CALL:
        return None
    path += "toolUse."
    arguments = inner.pop("input", None)
    call = ToolCall(
        need_str(inner, "toolUseId", path), need_str(inner, "name", path), _encode({} if arguments is None else arguments).decode()
    )
    _leave(rest, "toolUse", inner)
    return call


def _tool_result(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["toolResult"], path + "toolResult")
    if inner.get("type") is not None:
        return None  # of a tool that the provider has run
    path += "toolResult."
    content = take_list(inner, "content", path) or []
    status = inner.get("status")
    if status in ("error", "success"):
        del inner["status"]
    error = {"error": True, "success": False}.get(status) if type(status) is str else None
    result = ToolResult(need_str(inner, "toolUseId", path), read_content(content, path + "content", nested=True), error)
    _leave(rest, "toolResult", inner)
    return result


def _leave(rest: Extra, kind: str, inner: Extra) -> None:
    if inner:
        rest[kind] = inner
    else:
        del rest[kind]


def _image(rest: Extra, path: str) -> Block | None:
    if (found := _media(rest, "image", path, IMAGES)) is None:
        return None
    known, data, url = found
    return Image(media_type=known, data=data, url=url)


def _video(rest: Extra, path: str) -> Block | None:
    if (found := _media(rest, "video", path, VIDEOS)) is None:
        return None
    known, data, url = found
    return Video(media_type=known, data=data, url=url)


def _audio(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["audio"], path + "audio")
    where = inner.get("source")
    if type(where) is not dict or where.keys() != {"bytes"}:
        return None
    audio = Audio(need_str(where.copy(), "bytes", path + "audio.source."), need_str(inner, "format", path + "audio."))
    del inner["source"]
    _leave(rest, "audio", inner)
    return audio


def _document(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["document"], path + "document")
    name = take_str(inner, "name", path + "document.") or ""
    where = inner.get("source")
    if type(where) is dict and where.keys() == {"text"}:
        known = take_str(inner, "format", path + "document.") or ""
        document = Document(
            media_type=media_type(DOCUMENTS, known), text=need_str(where.copy(), "text", path + "document.source."), name=name
        )
        documents.take_citing(document, inner)
        del inner["source"]
        _leave(rest, "document", inner)
        return document
    outer = {"document": inner}
    if (found := _media(outer, "document", path, DOCUMENTS)) is None:
        return None
    rest.pop("document")
    document = Document(media_type=found[0], data=found[1], url=found[2], name=name)
    if left := outer.get("document"):
        documents.take_citing(document, left)
        _leave(outer, "document", left)
    rest |= outer
    return document


def _media(rest: Extra, kind: str, path: str, formats: dict[str, str]) -> tuple[str, str, str] | None:
    """Media type, data and URL; None where there is another source."""
    inner = obj(rest[kind], path + kind)
    path += kind + "."
    where = obj(inner.get("source"), path + "source")
    if where.keys() == {"bytes"}:
        data, url = need_str(where, "bytes", path + "source."), ""
    elif where.keys() == {"s3Location"}:
        where = obj(where["s3Location"], path + "source.s3Location")
        data, url = "", need_str(where, "uri", path + "source.s3Location.")
    else:
        return None
    del inner["source"]
    if where:
        inner["source"] = {"s3Location": where}
    name = take_str(inner, "format", path) or ""
    known = media_type(formats, name)
    if name and format_of(formats, known) != name:
        inner["format"] = name  # some clients say `video/mp4`
    _leave(rest, kind, inner)
    return known, data, url


def _citations_content(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["citationsContent"], path + "citationsContent")
    texts = _texts(inner.get("content"))
    if texts is None:
        return None
    citations = read_citations(take_list(inner, "citations", path + "citationsContent.") if inner.get("citations") else None)
    if len(texts) == 1:
        del inner["content"]
    rest["citationsContent"] = inner
    return Text("".join(texts), citations, local={MEMBER: "citationsContent"})


def _search_result(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["searchResult"], path + "searchResult")
    texts = _texts(inner.get("content"))
    if texts is None:
        return None
    path += "searchResult."
    document = Document(text="\n\n".join(texts), name=need_str(inner, "title", path), url=need_str(inner, "source", path))
    document.pieces = texts if len(texts) > 1 else []
    documents.take_citing(document, inner)
    document.local = {**document.local, MEMBER: "searchResult"}
    del inner["content"]
    rest["searchResult"] = inner
    return document


def _guard_content(rest: Extra, path: str) -> Block | None:
    inner = obj(rest["guardContent"], path + "guardContent")
    words = inner.get("text")
    if inner.keys() != {"text"} or type(words) is not dict:
        return None
    words = words.copy()
    text = Text(need_str(words, "text", path + "guardContent.text."), local={MEMBER: "guardContent"})
    rest["guardContent"] = words
    return text


def _texts(value: Any) -> list[str] | None:
    """The texts of a list of objects that hold nothing else."""
    if type(value) is not list or not value:
        return None
    if any(type(one) is not dict or one.keys() != {"text"} or type(one["text"]) is not str for one in value):
        return None
    return [one["text"] for one in value]


_READERS: dict[str, Callable[[Extra, str], Block | None]] = {
    "text": _text,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": read_reasoning,
    "image": _image,
    "document": _document,
    "video": _video,
    "audio": _audio,
    "citationsContent": _citations_content,
    "searchResult": _search_result,
    "guardContent": _guard_content,
    "json": _json,
}
