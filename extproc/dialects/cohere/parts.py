"""What Cohere's requests, answers and streams share: content blocks, tool calls, citations.

https://docs.cohere.com/reference/chat
"""

from typing import Any

import msgspec

from extproc.dialects import plain
from extproc.dialects.fields import data_url, items, need_str, obj, take_list, take_str
from extproc.dialects.hub import Block, Citation, Document, Extra, Image, Logprob, Opaque, Reasoning, Text, ToolCall

NAME = "cohere"

MAKER = "cohere-v2"
"""The origin of reasoning that a model of Cohere's wrote. It is not signed; what stands for a signature is the field that it was in."""

PLAN = "tool_plan"
THINKING = "thinking"

_encode = msgspec.json.encode


def read_content(value: Any, path: str, *, documents: bool = False) -> tuple[list[Block], bool]:
    """Blocks of a `content`, and whether it was a bare string. `documents`: it is a tool's, and may hold them."""
    if type(value) is str:
        return [Text(value)], True
    return [usual_text(block) or _block(block, f"{path}[{i}]", documents) for i, block in enumerate(items(value, path))], False


def usual_text(value: Any) -> Text | None:
    """A block that is a text and nothing else, as most are."""
    if type(value) is not dict or len(value) != 2 or value.get("type") != "text":
        return None
    return Text(text) if type(text := value.get("text")) is str else None


def _block(value: Any, path: str, documents: bool) -> Block:
    rest = obj(value, path)
    path += "."
    kind = need_str(rest, "type", path)
    block: Block | None = None
    match kind:
        case "text":
            block = Text(need_str(rest, "text", path))
        case "thinking":
            block = reasoning(need_str(rest, "thinking", path), THINKING)
        case "image_url":
            block = _image(rest, path)
        case "document" if documents:
            block = read_document(rest.pop("document", None), path + "document")
    if block is None:
        return Opaque(NAME, kind, value)
    block.extra = rest
    return block


def reasoning(text: str, field: str) -> Reasoning:
    """Reasoning of a model of Cohere's, from `field`."""
    return Reasoning(text, field, origin=MAKER)


def _image(rest: Extra, path: str) -> Block:
    inner = obj(rest.pop("image_url", None), path + "image_url")
    url, detail = need_str(inner, "url", path + "image_url."), take_str(inner, "detail", path + "image_url.") or ""
    if inner:
        rest["image_url"] = inner
    inline = data_url(url)
    return Image(media_type=inline[0], data=inline[1], detail=detail) if inline and inline[0] else Image(url=url, detail=detail)


def read_document(value: Any, path: str) -> Document:
    """A document to lean on: a string, or fields of any names. To others its text is what they say."""
    if type(value) is str:
        return Document(media_type="text/plain", text=value)
    data = obj(value, path).get("data")
    if type(data) is str:
        return Document(media_type="text/plain", text=data, raw=value)
    fields = obj(data, path + ".data")
    title = fields.get("title")
    name = fields.pop("title") if type(title) is str else ""
    texts = {key: field if type(field) is str else _encode(field).decode() for key, field in fields.items()}
    text = next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{key}: {field}" for key, field in texts.items())
    return Document(media_type="text/plain", text=text, name=name, raw=value)


def own_document(block: Document) -> Any:
    """A document as it was read."""
    return block.raw or block.text


def read_assistant(rest: Extra, path: str) -> tuple[list[Block], bool]:
    """Blocks of an assistant's message, out of a request or an answer; takes what it reads out of `rest`. What is empty stays there."""
    blocks: list[Block] = []
    if rest.get(PLAN):
        blocks.append(reasoning(take_str(rest, PLAN, path) or "", PLAN))
    plain = False
    if rest.get("content"):
        content, plain = read_content(rest.pop("content"), path + "content")
        _cite(content, rest, path)
        blocks += content
    if rest.get("tool_calls"):
        calls = take_list(rest, "tool_calls", path) or []
        blocks += [usual_call(call) or read_call(call, f"{path}tool_calls[{i}]") for i, call in enumerate(calls)]
    return blocks, plain


def _cite(content: list[Block], rest: Extra, path: str) -> None:
    """Gives citations to the texts that they are about. If they would not come back as they were, they stay in `rest` as well."""
    if not rest.get("citations"):
        return
    given = items(rest["citations"], path + "citations")
    for value in given:
        raw: Extra = value if type(value) is dict else {}
        index = raw.get("content_index", 0)
        block = content[index] if type(index) is int and 0 <= index < len(content) else None
        if type(block) is Text and raw.get("type", "TEXT_CONTENT") == "TEXT_CONTENT":
            block.citations = [*block.citations, *read_citation(raw)]
    if own_citations(content) == given:
        del rest["citations"]


def read_citation(raw: Extra) -> list[Citation]:
    """One citation, and its sources: each is one to others."""
    start, end = raw.get("start"), raw.get("end")
    span = (start, end) if type(start) is int and type(end) is int and 0 <= start <= end else (0, 0)
    found: list[Citation] = []
    for source in raw.get("sources") or [{}] if type(raw.get("sources")) in (list, type(None)) else [{}]:
        document = source.get("document") or source.get("tool_output") if type(source) is dict else None
        fields = document if type(document) is dict else {}
        named = {key: value for key, value in fields.items() if type(value) is str}
        quote = named.get("snippet") or named.get("text") or ""
        # The first one holds all of it.
        found.append(
            Citation(named.get("url", ""), named.get("title", ""), quote, span[0], span[1], NAME, {} if found else raw),
        )
    return found


def own_citations(blocks: list[Block]) -> list[Extra]:
    """Citations as they were read."""
    return [citation.raw for block in blocks if type(block) is Text for citation in block.citations if citation.raw]


def write_citation(citation: Citation, text: str, index: int) -> Extra:
    """A citation of another dialect, of the content block `index`, which says `text`."""
    start, end = (citation.start, min(citation.end, len(text))) if citation.end else (0, len(text))
    fields = {"title": citation.title, "url": citation.url, "snippet": citation.quote}
    document = {key: value for key, value in fields.items() if value}
    source = {"type": "document", "id": citation.url or citation.title, "document": document}
    return {"start": start, "end": end, "text": text[start:end], "sources": [source], "content_index": index, "type": "TEXT_CONTENT"}


NO_ARGUMENTS = "null"
"""What it says of the arguments of a tool that has no parameters."""


def usual_call(value: Any) -> ToolCall | None:
    """A call that says no more than most do; None: `read_call` reads it, or says what is wrong with it."""
    call = plain.call(value)
    return None if call is None or call.arguments == NO_ARGUMENTS else call


def read_call(value: Any, path: str) -> Block:
    """One whole tool call."""
    rest = obj(value, path)
    if rest.get("type", "function") != "function":
        return Opaque(NAME, "tool_call", value)
    function = obj(rest.pop("function", None) or {}, path + ".function")
    name, text = take_str(function, "name", path + ".function.") or "", take_str(function, "arguments", path + ".function.") or ""
    identifier = take_str(rest, "id", path + ".") or ""
    rest.pop("type", None)
    if text == NO_ARGUMENTS:
        function["arguments"], text = text, ""
    if function:
        rest["function"] = function
    return ToolCall(identifier, name, text, extra=rest)


def own_call(call: ToolCall) -> Extra:
    """One tool call as it was read."""
    function = {"name": call.name, "arguments": call.arguments, **call.extra.get("function", {})}
    return {**call.extra, "id": call.id, "type": "function", "function": function}


def write_call(call: ToolCall, identifier: str) -> Extra:
    """One tool call of another dialect."""
    return {"id": identifier, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def own_block(block: Block) -> Extra:
    """A content block of this dialect, as it was."""
    match block:
        case Text():
            return {**block.extra, "type": "text", "text": block.text}
        case Reasoning():
            return {**block.extra, "type": "thinking", "thinking": block.text}
        case Image():
            inner = block.extra.get("image_url", {})
            return {**block.extra, "type": "image_url", "image_url": {**inner, **write_image(block)}}
        case Document():
            return {**block.extra, "type": "document", "document": own_document(block)}
        case Opaque():
            return block.value
    raise AssertionError(f"a block that no content has: {block}")


def write_image(block: Image) -> Extra:
    """What stands in `image_url`."""
    url = f"data:{block.media_type};base64,{block.data}" if block.data else block.url
    return {"url": url, "detail": block.detail} if block.detail else {"url": url}


def own_assistant(blocks: list[Block], plain: bool) -> Extra:
    """An assistant's message as it was, but for its `extra`."""
    body: Extra = {}
    content: list[Block] = []
    for block in blocks:
        match block:
            case Reasoning() if block.signature == PLAN:
                body[PLAN] = block.text
            case ToolCall():
                body.setdefault("tool_calls", []).append(own_call(block))
            case Opaque() if block.kind == "tool_call":
                body.setdefault("tool_calls", []).append(block.value)
            case _:
                content.append(block)
    if content:
        first = content[0]
        body["content"] = first.text if plain and type(first) is Text else [own_block(block) for block in content]
        if citations := own_citations(content):
            body["citations"] = citations
    return body


def read_logprobs(value: Any) -> list[Logprob] | None:
    """Log probabilities of pieces of text; None if there are none, or a piece is of several tokens, which cannot be told apart."""
    entries = value if type(value) is list else [value]
    found: list[Logprob] = []
    for entry in entries:
        text, logprobs = (entry.get("text"), entry.get("logprobs")) if type(entry) is dict else (None, None)
        if type(text) is not str or type(logprobs) is not list or len(logprobs) != 1 or type(logprobs[0]) not in (int, float):
            return None
        found.append(Logprob(token=text, logprob=logprobs[0]))
    return found


def write_logprobs(logprobs: list[Logprob]) -> list[Extra]:
    """The same for a client. Other dialects do not number their tokens."""
    return [{"text": one.token, "token_ids": [], "logprobs": [one.logprob]} for one in logprobs]
