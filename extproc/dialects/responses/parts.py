"""Content parts of the Responses API, and what hangs on them: annotations and log probabilities. Requests, answers and streams share them.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from typing import Any

from extproc.dialects import documents
from extproc.dialects.fields import data_url, items, need_str, obj, take_str
from extproc.dialects.hub import Audio, Block, Cache, Citation, Document, Extra, Image, Logprob, Opaque, Refusal, Text

NAME = "responses"

_PDF = "application/pdf"


def read_part(value: Any, path: str) -> Block:
    """One content part, of a message or of a tool's output."""
    if type(value) is dict and len(value) == 2 and value.get("type") in _TEXTS and type(value.get("text")) is str:
        return Text(value["text"])  # most parts
    rest = obj(value, path)
    kind = need_str(rest, "type", path + ".")
    reader = _PARTS.get(kind)
    block = reader(rest, path + ".") if reader else None
    if block is None:
        return Opaque(NAME, kind, value, upload=_upload(rest) if kind == "input_file" else "")
    if type(marker := rest.get("prompt_cache_breakpoint")) is dict:
        del rest["prompt_cache_breakpoint"]
        ttl = marker.get("ttl")
        block.cache = Cache(ttl if type(ttl) is str else "", {"prompt_cache_breakpoint": marker})
    block.extra = rest
    return block


def _text(rest: Extra, path: str) -> Block:
    text = need_str(rest, "text", path)
    annotations, logprobs = rest.pop("annotations", None), rest.pop("logprobs", None)
    if not annotations and not logprobs:
        return Text(text)
    citations = [read_annotation(one, text) for one in items(annotations, path + "annotations")] if annotations else []
    return Text(text, citations, read_logprobs(logprobs))


def _refusal(rest: Extra, path: str) -> Block:
    return Refusal(need_str(rest, "refusal", path), part=True)


def _image(rest: Extra, path: str) -> Block | None:
    if rest.get("file_id") is not None:
        return None  # a file that was uploaded to the provider before
    url, detail = need_str(rest, "image_url", path), take_str(rest, "detail", path) or ""
    inline = data_url(url)
    if inline and inline[0]:
        return Image(media_type=inline[0], data=inline[1], detail=detail)
    return Image(url=url, detail=detail)


def _file(rest: Extra, path: str) -> Block | None:
    if rest.get("file_id") is not None:
        return None
    name, url = take_str(rest, "filename", path) or "", take_str(rest, "file_url", path)
    if url is not None:
        return Document(url=url, name=name)
    data = need_str(rest, "file_data", path)
    if inline := data_url(data):
        return Document(media_type=inline[0], data=inline[1], name=name)
    return Document(media_type=_PDF, data=data, name=name) if name.lower().endswith(".pdf") else None


def _upload(rest: Extra) -> str:
    """The id of a file that was uploaded before; empty if there is more to it, or none."""
    identifier = rest.get("file_id") if rest.keys() <= {"file_id", "filename"} else None
    return identifier if type(identifier) is str else ""


def write_upload(identifier: str) -> Extra:
    """A file that was uploaded before, by its id."""
    return {"type": "input_file", "file_id": identifier}


def _audio(rest: Extra, path: str) -> Block:
    inner = obj(rest.pop("input_audio", None), path + "input_audio")
    path += "input_audio."
    return Audio(need_str(inner, "data", path), need_str(inner, "format", path))


_TEXTS = ("input_text", "output_text")
_PARTS = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def write_part(block: Block) -> Extra | None:
    """A block of another dialect's as a part of a message or of a tool's output; None if there is none for it."""
    match block:
        case Text():
            part: Extra = {"type": "input_text", "text": block.text}
        case Image():
            url = f"data:{block.media_type};base64,{block.data}" if block.data else block.url
            part = {"type": "input_image", "image_url": url, "detail": block.detail or "auto"}
        case Document():
            part = _write_document(block)
        case Audio():
            part = {"type": "input_audio", "input_audio": {"data": block.data, "format": block.format}}
        case _:
            return None
    marker = block.cache.raw.get("prompt_cache_breakpoint") if block.cache else None
    return part | {"prompt_cache_breakpoint": marker} if marker else part


def _write_document(block: Document) -> Extra:
    if block.text is not None:  # files are read by their looks; plain text is surest as text
        return {"type": "input_text", "text": documents.tagged(block, block.text)}
    if not block.data:
        return {"type": "input_file", "file_url": block.url}
    # Kinds of file are told by the ending of the name, and clients of other dialects give a title, or none.
    name = block.name or "document"
    name += ".pdf" if block.media_type == _PDF and not name.lower().endswith(".pdf") else ""
    return {"type": "input_file", "filename": name, "file_data": f"data:{block.media_type};base64,{block.data}"}


def read_annotation(value: Any, text: str = "") -> Citation:
    """One annotation of `text`: `url_citation`, or one of a file (`file_citation`, `container_file_citation`, `file_path`)."""
    raw: Extra = value if type(value) is dict else {"value": value}
    words = {key: found for key in ("url", "title", "filename") if type(found := raw.get(key)) is str}
    start, end = raw.get("start_index"), raw.get("end_index")
    span = (start, end) if type(start) is int and type(end) is int and 0 <= start <= end else (0, 0)
    return Citation(
        url=words.get("url", ""),
        title=words.get("title") or words.get("filename", ""),
        quote=text[span[0] : span[1]],
        start=span[0],
        end=span[1],
        dialect=NAME,
        raw=raw,
    )


def write_annotation(citation: Citation, length: int) -> Extra | None:
    """An annotation for a text of `length` characters; None if it has no URL to point to."""
    if citation.dialect == NAME:
        return citation.raw
    if not citation.url:
        return None
    start, end = (citation.start, citation.end) if citation.end else (0, length)
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or citation.url,
        "start_index": start,
        "end_index": end,
    }


def read_logprobs(value: Any) -> list[Logprob] | None:
    """Log probabilities, of an answer (with `bytes`) or of a stream's delta (without); None if there are none."""
    if type(value) is not list or not value:
        return None
    return [one for one in map(_logprob, value) if one]


def _logprob(value: Any) -> Logprob | None:
    if type(value) is not dict or type(token := value.get("token")) is not str:
        return None
    number, raw, top = value.get("logprob"), value.get("bytes"), value.get("top_logprobs")
    return Logprob(
        token=token,
        logprob=number if type(number) is float or type(number) is int else 0.0,
        bytes=raw if type(raw) is list else None,
        top=[one for one in map(_logprob, top) if one] if type(top) is list else [],
    )


def write_logprobs(logprobs: list[Logprob] | None) -> list[Extra]:
    """Log probabilities as the API gives them; it has `bytes` for each token."""
    return [{**_write_logprob(one), "top_logprobs": [_write_logprob(top) for top in one.top]} for one in logprobs or ()]


def _write_logprob(one: Logprob) -> Extra:
    raw = list(one.token.encode("utf-8", "surrogatepass")) if one.bytes is None else one.bytes
    return {"token": one.token, "logprob": one.logprob, "bytes": raw}
