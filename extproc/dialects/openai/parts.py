"""OpenAI's content parts, tool calls and reasoning fields: what requests and answers share.

Reasoning has no field in OpenAI's own API. `reasoning_content` is what vLLM, DeepSeek, LiteLLM and the clients agreed upon (Groq, Cerebras
and OpenRouter say `reasoning`); what must go back to its maker unchanged rides in `reasoning_details`, OpenRouter's list of entries
`{type: reasoning.text, text, signature, format}` and `{type: reasoning.encrypted, data, format}`, which a client sends back with the
message. LiteLLM's `thinking_blocks` are read as well.
"""

from typing import Any

from extproc.dialects.fields import FieldError, data_url, items, need_str, obj, take_list, take_str
from extproc.dialects.hub import Audio, Block, Cache, Citation, Document, Extra, Image, Opaque, Reasoning, Refusal, Seal, Text, ToolCall
from extproc.dialects.seals import pack, unpack

NAME = "openai"

GEMINI = "google-gemini-v1"
"""The origin of what Gemini signed."""

CLAUDE = "anthropic-claude-v1"
"""The `format` of reasoning that Claude signed."""


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
        return Opaque(NAME, kind, value)
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


def _audio(rest: Extra, path: str) -> Block:
    inner = obj(rest.pop("input_audio", None), path + "input_audio")
    path += "input_audio."
    audio = Audio(need_str(inner, "data", path), need_str(inner, "format", path))
    if inner:
        rest["input_audio"] = inner
    return audio


def _file(rest: Extra, path: str) -> Block | None:
    inner = rest.get("file")
    if type(inner) is not dict or inner.keys() - {"file_data", "filename"}:
        return None  # a file that was uploaded to OpenAI before
    data, name = inner.get("file_data"), inner.get("filename", "")
    if type(data) is not str or type(name) is not str:
        raise FieldError(path + "file.file_data", "a string", data)
    inline = data_url(data)
    if not inline:
        return None
    del rest["file"]
    return Document(media_type=inline[0], data=inline[1], name=name)


_PARTS = {"text": _text, "image_url": _image, "input_audio": _audio, "file": _file, "refusal": _refusal}


def read_assistant(rest: Extra, path: str) -> tuple[list[Block], bool]:
    """Blocks of an assistant's message, out of a request or an answer; takes what it reads out of `rest`."""
    blocks: list[Block] = [*_read_reasoning(rest, path)]
    plain = True
    if rest.get("content") is not None:
        content, plain = read_content(rest.pop("content"), path + "content")
        blocks += content
    if annotations := rest.get("annotations"):
        del rest["annotations"]
        _annotate(blocks, items(annotations, path + "annotations"))
    if (refusal := take_str(rest, "refusal", path)) is not None:
        blocks.append(Refusal(refusal))
    for i, call in enumerate(take_list(rest, "tool_calls", path) or () if rest.get("tool_calls") else ()):
        blocks.append(read_tool_call(call, f"{path}tool_calls[{i}]"))
    return blocks, plain


def read_tool_call(value: Any, path: str) -> Block:
    """One whole tool call."""
    rest = obj(value, path)
    if rest.get("type", "function") != "function":
        return Opaque(NAME, "tool_call", value)
    function = obj(rest.pop("function", None), path + ".function")
    name = need_str(function, "name", path + ".function.")
    arguments = take_str(function, "arguments", path + ".function.") or ""
    identifier = take_str(rest, "id", path + ".") or ""
    rest.pop("type", None)
    if function:
        rest["function"] = function
    call = ToolCall(identifier, name, arguments, extra=rest)
    _take_seal(rest, call)
    return call


def _take_seal(rest: Extra, call: ToolCall) -> None:
    """A call's signature: where Google's own service of this dialect has it, or packed in the same place by us.

    https://ai.google.dev/gemini-api/docs/thought-signatures#openai
    """
    match rest.get("extra_content"):
        case {"google": {"thought_signature": str(value), **more}, **others} as given if not more and not others:
            del rest["extra_content"]
            signed, origin = unpack(value, GEMINI)
            call.seal = Seal(signed, origin)
            if signed == value:
                call.local = {"extra_content": given}


def write_seal(call: ToolCall) -> Extra:
    """The member of a tool call that brings its signature back from a client; empty if it has none. It is packed in any case: a provider
    of this dialect that has not made it refuses the member.
    """
    seal = call.seal
    return {"extra_content": {"google": {"thought_signature": pack(seal.value, seal.origin, NAME)}}} if seal else {}


def _read_reasoning(rest: Extra, path: str) -> list[Reasoning]:
    text, field = take_thought(rest, path)
    blocks: list[Reasoning] = []
    for name in ("reasoning_details", "thinking_blocks"):
        entries = rest.get(name)
        if type(entries) is list and entries and all(type(entry) is dict for entry in entries) and not blocks:
            del rest[name]
            blocks = [read_detail(entry) for entry in entries]
    if text and text == "".join(block.text for block in blocks):
        blocks[0].field = field  # the entries say the same, piece by piece
    elif text and any(block.text for block in blocks):
        rest[field] = text
    elif text:
        blocks.insert(0, Reasoning(text, field=field))
    return blocks


def take_thought(rest: Extra, path: str) -> tuple[str, str]:
    """Reasoning text and the field it stands in. Some providers fill both fields with the same."""
    for field in ("reasoning_content", "reasoning"):
        if type(rest.get(field)) is str:
            text = take_str(rest, field, path) or ""
            return text, field
    return "", ""


def read_detail(entry: Extra) -> Reasoning:
    """One entry of `reasoning_details` or `thinking_blocks`; `extra` keeps it as it is, for its own dialect."""

    def word(key: str) -> str:
        value = entry.get(key)
        return value if type(value) is str else ""

    claude = word("type") in ("thinking", "redacted_thinking")
    return Reasoning(
        text=word("text") or word("thinking") or word("summary"),
        signature=word("signature"),
        redacted=word("data"),
        origin=CLAUDE if claude else word("format"),
        extra={"thinking_blocks" if claude else "reasoning_details": entry},
    )


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
        for field in ("image_url", "input_audio"):
            if field in block.extra and field in part:
                whole[field] = {**block.extra[field], **part[field]}
        return whole
    return part


def _write_part(block: Block, own: bool) -> Extra | None:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Image():
            url = f"data:{block.media_type};base64,{block.data}" if block.data else block.url
            return {"type": "image_url", "image_url": {"url": url, "detail": block.detail} if block.detail else {"url": url}}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": block.data, "format": block.format}}
        case Document():
            return _write_document(block, own)
        case Refusal():
            return {"type": "refusal", "refusal": block.text}
        case Opaque() if own:
            return block.value
    return None


def _write_document(block: Document, own: bool) -> Extra | None:
    if block.text is not None:  # files are read by their looks; plain text is surest as text
        title = f' title="{block.name}"' if block.name else ""
        return {"type": "text", "text": f"<document{title}>\n{block.text}\n</document>"}
    if not block.data:
        return None
    name = block.name if own else _filename(block)
    file = {"file_data": f"data:{block.media_type};base64,{block.data}"}
    return {"type": "file", "file": {**file, "filename": name} if name else file}


def _filename(block: Document) -> str:
    """A name for a file that came with a title or none: OpenAI tells kinds of file by the ending."""
    name = block.name or "document"
    return name + ".pdf" if block.media_type == "application/pdf" and not name.lower().endswith(".pdf") else name


def write_tool_call(call: ToolCall, identifier: str, own: bool) -> Extra:
    """One whole tool call."""
    function: Extra = {"name": call.name, "arguments": call.arguments if own else call.arguments or "{}"}
    if not own:
        return {"id": identifier, "type": "function", "function": function}
    rest = {**call.extra, **call.local}
    return {**rest, "id": identifier, "type": "function", "function": {**call.extra.get("function", {}), **function}}


def write_reasoning(blocks: list[Block]) -> Extra:
    """The fields of a message that carry reasoning: its text, and entries for what must come back whole."""
    reasoning = [block for block in blocks if type(block) is Reasoning]
    if not reasoning:
        return {}
    fields: Extra = {}
    # Entries of this dialect (`extra`) may stand alone; then no field tells the text again.
    if text := "".join(block.text for block in reasoning if reasoning[0].field or not block.extra):
        fields[reasoning[0].field or "reasoning_content"] = text
    for i, block in enumerate(reasoning):
        for field, entry in write_details(block, i).items():
            fields.setdefault(field, []).append(entry)
    return fields


def write_details(block: Reasoning, index: int) -> Extra:
    """The entry that carries a signature or encrypted reasoning, by its field; empty if there is neither."""
    if block.extra:
        return block.extra
    if block.redacted:
        return {"reasoning_details": {"type": "reasoning.encrypted", "data": block.redacted, "format": block.origin, "index": index}}
    if block.signature:
        entry = {"type": "reasoning.text", "text": block.text, "signature": block.signature, "format": block.origin, "index": index}
        return {"reasoning_details": entry}
    return {}
