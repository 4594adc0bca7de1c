"""OpenAI's content parts, tool calls and annotations: what requests and answers share."""

from typing import Any

import msgspec

from extproc.dialects import documents, plain, texts
from extproc.dialects.fields import FieldError, data_url, items, need_str, obj, take_list, take_str
from extproc.dialects.hub import (
    Audio,
    Block,
    Cache,
    Citation,
    Document,
    Extra,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Video,
)
from extproc.dialects.openai.functions import FUNCTION, read_call
from extproc.dialects.openai.reasoning import PART, read_reasoning, read_thinking_part
from extproc.dialects.openai.signatures import own_seal, seal_message, take_seal
from extproc.dialects.openai.sound import read_sound, write_sound

NAME = "openai"

CUSTOM = "custom"
"""The type of a tool that takes a text, and where it is told of."""


def read_content(value: Any, path: str) -> tuple[list[Block], bool]:
    """Blocks of a `content`, and whether it was a bare string."""
    if type(value) is str:
        return [Text(value)], True
    return [read_part(part, f"{path}[{i}]") for i, part in enumerate(items(value, path))], False


def read_part(value: Any, path: str) -> Block:
    """One content part."""
    if type(value) is dict and len(value) == 2 and value.get("type") == "text" and type(value.get("text")) is str:
        return Text(value["text"])  # most parts
    rest = obj(value, path)
    kind = need_str(rest, "type", path + ".")
    reader = _PARTS.get(kind)
    block = reader(rest, path + ".") if reader else None
    if block is None:
        return Opaque(NAME, kind, value, upload=_upload(rest) if kind == "file" else "")
    block.cache = _cache(rest)
    block.extra = rest
    return block


def _cache(rest: Extra) -> Cache | None:
    """OpenAI's `prompt_cache_breakpoint`, or `cache_control` as OpenRouter and LiteLLM take it from OpenAI's clients."""
    for field in ("prompt_cache_breakpoint", "cache_control"):
        marker = rest.get(field)
        if type(marker) is dict:
            del rest[field]
            ttl = marker.get("ttl")
            return Cache(ttl if type(ttl) is str else "", {field: marker})
    return None


def _text(rest: Extra, path: str) -> Block:
    return Text(need_str(rest, "text", path))


def _refusal(rest: Extra, path: str) -> Block:
    return Refusal(need_str(rest, "refusal", path), part=True)


def _image(rest: Extra, path: str) -> Block:
    given = rest.get("image_url")
    if type(given) is str:  # not in the documentation, but clients send it and providers take it
        del rest["image_url"]
        url, detail = given, None
    else:
        inner = obj(rest.pop("image_url", None), path + "image_url")
        url, detail = need_str(inner, "url", path + "image_url."), take_str(inner, "detail", path + "image_url.")
        if inner:
            rest["image_url"] = inner
    inline = data_url(url)
    if inline and inline[0]:
        return Image(media_type=inline[0], data=inline[1], detail=detail or "")
    return Image(url=url, detail=detail or "")


def _file(rest: Extra, path: str) -> Block | None:
    inner = rest.get("file")
    if type(inner) is not dict or inner.keys() - {"file_data", "filename"}:
        return None  # a file that was uploaded to OpenAI before
    data, name = inner.get("file_data"), inner.get("filename", "")
    if type(data) is not str or type(name) is not str:
        raise FieldError(path + "file.file_data", "a string", data)
    inline = data_url(data)
    if inline:
        document = Document(media_type=inline[0], data=inline[1], name=name)
    elif data.startswith(("https://", "http://")):  # OpenRouter's: https://openrouter.ai/docs/features/multimodal/pdfs
        document = Document(url=data, name=name)
    else:
        return None
    del rest["file"]
    return document


def _upload(rest: Extra) -> str:
    """The id of a file that was uploaded before; empty if there is more to it, or none."""
    inner = rest.get("file")
    identifier = inner.get("file_id") if type(inner) is dict and inner.keys() <= {"file_id", "filename"} else None
    return identifier if type(identifier) is str and len(rest) == 1 else ""


def write_upload(identifier: str) -> Extra:
    """A file that was uploaded before, by its id."""
    return {"type": "file", "file": {"file_id": identifier}}


def _document_url(rest: Extra, path: str) -> Block:
    """Mistral's: https://docs.mistral.ai/capabilities/document_ai/document_qna/"""
    url, name = need_str(rest, "document_url", path), take_str(rest, "document_name", path) or ""
    inline = data_url(url)
    document = Document(media_type=inline[0], data=inline[1], name=name) if inline else Document(url=url, name=name)
    document.local = {"document_url": url}
    return document


def write_document_url(block: Document) -> Extra:
    """A file in Mistral's form."""
    url = block.local.get("document_url") or (f"data:{block.media_type};base64,{block.data}" if block.data else block.url)
    name = {"document_name": block.name} if block.name else {}
    return {"type": "document_url", "document_url": url, **name}


def _video(rest: Extra, path: str) -> Block:
    """Not OpenAI's own, but vLLM, OpenRouter, Gemini and Qwen take it: https://openrouter.ai/docs/features/multimodal/videos"""
    inner = obj(rest.pop("video_url", None), path + "video_url")
    url = need_str(inner, "url", path + "video_url.")
    if inner:
        rest["video_url"] = inner
    inline = data_url(url)
    return Video(media_type=inline[0], data=inline[1]) if inline and inline[0] else Video(url=url)


def _thinking(rest: Extra, path: str) -> Block:
    return read_thinking_part(rest)


_PARTS = {
    "text": _text,
    "image_url": _image,
    "input_audio": read_sound,
    "file": _file,
    "document_url": _document_url,
    "refusal": _refusal,
    "video_url": _video,
    "thinking": _thinking,
}


_USUAL = frozenset({"content", "annotations", "refusal", "tool_calls"})
"""Fields of an assistant's message beside its role, for all that most of them have to say."""


def read_assistant(rest: Extra, path: str) -> tuple[list[Block], bool]:
    """Blocks of an assistant's message, out of a request or an answer, and whether its content was a bare string; takes what it reads out
    of `rest`.
    """
    more = not rest.keys() <= _USUAL
    blocks: list[Block] = [*read_reasoning(rest, path)] if more else []
    bare = True
    if rest.get("content") is not None:
        content, bare = read_content(rest.pop("content"), path + "content")
        blocks += content
    if annotations := rest.get("annotations"):
        del rest["annotations"]
        _annotate(blocks, items(annotations, path + "annotations"))
    if (refusal := take_str(rest, "refusal", path)) is not None:
        blocks.append(Refusal(refusal))
    if more:
        blocks += _made(rest)
    if rest.get("tool_calls"):
        for i, call in enumerate(take_list(rest, "tool_calls", path) or ()):
            blocks.append(plain.call(call) or read_tool_call(call, f"{path}tool_calls[{i}]"))
    if more:
        if rest.get(FUNCTION):
            blocks.append(read_call(rest.pop(FUNCTION), path + FUNCTION))
        seal_message(rest, blocks)
    return blocks, bare


def _made(rest: Extra) -> list[Block]:
    """Pictures that the model made (`images`, OpenRouter's), and what it said aloud (`audio`), words first.

    `extra` has them as they were.
    """
    blocks: list[Block] = []
    images = rest.get("images")
    if type(images) is list and images and all(map(is_picture, images)):
        del rest["images"]
        blocks += map(read_picture, images)
    audio = rest.get("audio")
    if type(audio) is dict and type(audio.get("data")) is str:
        del rest["audio"]
        if type(words := audio.get("transcript")) is str and words:
            blocks.append(Text(words, extra={SPOKEN: False}))
        blocks.append(Audio(audio["data"], "", extra={"audio": audio}))
    return blocks


SPOKEN = "transcript"
"""In `extra` of a text that stood in `audio`."""


def is_picture(value: Any) -> bool:
    """An entry of `images` as OpenRouter writes it: https://openrouter.ai/docs/features/multimodal/image-generation"""
    inner = value.get("image_url") if type(value) is dict else None
    return type(inner) is dict and type(inner.get("url")) is str


def read_picture(value: Extra) -> Image:
    """An entry of `images`, which `extra` keeps as it was."""
    url = value["image_url"]["url"]
    inline = data_url(url)
    image = Image(media_type=inline[0], data=inline[1]) if inline and inline[0] else Image(url=url)
    image.extra = {"images": value}
    return image


def write_picture(image: Image, index: int) -> Extra:
    """An entry of `images`."""
    return {"type": "image_url", "image_url": {"url": _url(image)}, "index": index}


def own_fields(block: Block, message: Extra) -> bool:
    """Puts a block that stood in a field of its own back into `message`. False: it stood among the content."""
    match block:
        case ToolCall() if FUNCTION in block.local:
            message[FUNCTION] = block.local[FUNCTION]
        case ToolCall():
            message.setdefault("tool_calls", []).append(write_tool_call(block, block.id, True))
        case Opaque() if block.kind == "tool_call":
            message.setdefault("tool_calls", []).append(block.value)
        case Refusal() if not block.part:
            message["refusal"] = block.text
        case Image() if "images" in block.extra:
            message.setdefault("images", []).append(block.extra["images"])
        case Audio() if "audio" in block.extra:
            message["audio"] = block.extra["audio"]
        case Text() if SPOKEN in block.extra:
            pass
        case Reasoning() if block.field != PART:
            pass
        case _:
            return False
    return True


def read_tool_call(value: Any, path: str) -> Block:
    """One whole tool call."""
    rest = obj(value, path)
    if rest.get("type", "function") != "function":
        return _read_custom(rest, path) if rest["type"] == CUSTOM else Opaque(NAME, "tool_call", value)
    function = obj(rest.pop("function", None), path + ".function")
    name = need_str(function, "name", path + ".function.")
    if type(function.get("arguments")) is dict:  # as Ollama and a few others send it
        function["arguments"] = msgspec.json.encode(function["arguments"]).decode()
    arguments = take_str(function, "arguments", path + ".function.")
    identifier = take_str(rest, "id", path + ".") or ""
    rest.pop("type", None)
    if arguments is None:
        rest["arguments"] = None if "arguments" in function else False  # for the own dialect: null, or not there
        function.pop("arguments", None)
    if function:
        rest["function"] = function
    seal = take_seal(rest)
    return ToolCall(identifier, name, arguments or "", seal=seal, extra=rest)


def _read_custom(rest: Extra, path: str) -> Block:
    """A call of a tool that takes a text."""
    inner = obj(rest.pop(CUSTOM, None), f"{path}.{CUSTOM}")
    name, text = need_str(inner, "name", f"{path}.{CUSTOM}."), take_str(inner, "input", f"{path}.{CUSTOM}.") or ""
    identifier = take_str(rest, "id", path + ".") or ""
    del rest["type"]
    if inner:
        rest[CUSTOM] = inner
    seal = take_seal(rest)
    return ToolCall(identifier, name, texts.arguments(text), custom=True, seal=seal, extra=rest)


def _annotate(blocks: list[Block], annotations: list[Any]) -> None:
    """Annotations belong to the text as a whole; they stay with its first block."""
    text = next((block for block in blocks if type(block) is Text), None)
    if text is None:
        text = Text("")
        blocks.append(text)
    text.citations = [read_annotation(annotation, text.text) for annotation in annotations]


def read_annotation(value: Any, text: str = "") -> Citation:
    """One annotation; OpenAI documents only `url_citation`."""
    raw: Extra = value if type(value) is dict else {"value": value}
    inner = raw.get("url_citation")
    if type(inner) is not dict:
        return Citation(dialect=NAME, raw=raw)
    url, title, start, end = inner.get("url"), inner.get("title"), inner.get("start_index"), inner.get("end_index")
    span = (start, end) if type(start) is int and type(end) is int and 0 <= start <= end else (0, 0)
    return Citation(
        url=url if type(url) is str else "",
        title=title if type(title) is str else "",
        quote=text[span[0] : span[1]],
        start=span[0],
        end=span[1],
        dialect=NAME,
        raw=raw,
    )


def write_annotation(citation: Citation, start: int, end: int) -> Extra | None:
    """An annotation for text that begins at character `start` of the message and ends at `end`; None if it has no URL to point to."""
    if citation.dialect == NAME:
        return citation.raw
    if not citation.url:
        return None
    if citation.end:
        start, end = start + citation.start, start + citation.end
    span = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": {"url": citation.url, "title": citation.title or citation.url, **span}}


def write_part(block: Block, own: bool) -> Extra | None:
    """A block as content part; None if there is none for it."""
    part = _write_part(block, own)
    if part is not None and own:
        whole = {**block.extra, **part, **(block.cache.raw if block.cache else {})}
        for field in ("image_url", "input_audio", "video_url"):
            if field in block.extra and field in part:
                whole[field] = {**block.extra[field], **part[field]}
        return whole
    return part


def _write_part(block: Block, own: bool) -> Extra | None:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Image():
            url = _url(block)
            return {"type": "image_url", "image_url": {"url": url, "detail": block.detail} if block.detail else {"url": url}}
        case Video():
            return {"type": "video_url", "video_url": {"url": _url(block)}}
        case Reasoning() if block.field == PART:
            return {"type": "thinking"}
        case Audio():
            return write_sound(block, own=own)
        case Document() if own and "document_url" in block.local:
            return write_document_url(block)
        case Document():
            return _write_document(block, own)
        case Refusal():
            return {"type": "refusal", "refusal": block.text}
        case Opaque() if own:
            return block.value
    return None


def _url(block: Image | Video) -> str:
    return f"data:{block.media_type};base64,{block.data}" if block.data else block.url


def _write_document(block: Document, own: bool) -> Extra | None:
    if block.text is not None:  # files are read by their looks; plain text is surest as text
        return {"type": "text", "text": documents.tagged(block, block.text)}
    if not block.data and not own:
        return None
    name = block.name if own else _filename(block)
    file = {"file_data": f"data:{block.media_type};base64,{block.data}" if block.data else block.url}
    return {"type": "file", "file": {**file, "filename": name} if name else file}


def _filename(block: Document) -> str:
    """A name for a file that came with a title or none: OpenAI tells kinds of file by the ending."""
    name = block.name or "document"
    return name + ".pdf" if block.media_type == "application/pdf" and not name.lower().endswith(".pdf") else name


def write_custom_call(call: ToolCall, identifier: str) -> Extra:
    """One whole call of a tool that takes a text."""
    return {"id": identifier, "type": CUSTOM, CUSTOM: {"name": call.name, "input": texts.text(call.arguments)}}


def write_tool_call(call: ToolCall, identifier: str, own: bool) -> Extra:
    """One whole tool call."""
    if own and call.custom:
        written = write_custom_call(call, identifier)
        return {**call.extra, **own_seal(call), **written, CUSTOM: {**call.extra.get(CUSTOM, {}), **written[CUSTOM]}}
    function: Extra = {"name": call.name, "arguments": call.arguments if own else call.arguments or "{}"}
    if not own:
        return {"id": identifier, "type": "function", "function": function}
    extra = {**call.extra}
    without = extra.pop("arguments", function)
    if without is None:
        function["arguments"] = None
    elif without is False:
        del function["arguments"]
    return {**extra, **own_seal(call), "id": identifier, "type": "function", "function": {**extra.get("function", {}), **function}}
