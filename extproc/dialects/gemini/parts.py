"""Gemini's content parts: what requests, answers and streams share.

https://ai.google.dev/api/caching#Part
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec

from extproc.dialects.fields import FieldError, need_str, object_of, take_str
from extproc.dialects.gemini import glance
from extproc.dialects.gemini.names import Fields, members, note, own, several, spelled
from extproc.dialects.gemini.signatures import REDACTED, SIGNER, sign
from extproc.dialects.hub import Audio, Block, Document, Extra, Image, Opaque, Reasoning, Text, ToolCall, ToolResult, Video
from extproc.dialects.seals import pack

NAME = "gemini"

_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_READ, _ANY = _DATA[:5], frozenset(_DATA)

_SAID = ("output", "result", "error")
"""Members of a function's response that are the whole of it: https://ai.google.dev/api/caching#FunctionResponse"""

_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}

# https://ai.google.dev/gemini-api/docs/document-processing, .../image-understanding, .../video-understanding, .../audio
_ENDINGS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
}
_FILMS = ("www.youtube.com", "youtube.com", "youtu.be", "m.youtube.com")
_PUBLIC = ("https://", "http://")
_UPLOADS = "generativelanguage.googleapis.com"

_encode = msgspec.json.encode


def read_parts(value: Any, path: str) -> tuple[list[Block], bool]:
    """Blocks of `parts`, and whether it was a single object."""
    parts, single = several(value, path)
    blocks: list[Block] = []
    for i, part in enumerate(parts):
        block = glance.part(part)
        blocks.append(read_part(part, f"{path}[{i}]") if block is None else block)
    return blocks, single


def only_text(part: Any) -> str | None:
    """The text of a part that is nothing else; None if it is."""
    text = part.get("text") if type(part) is dict and len(part) == 1 else None
    return text if type(text) is str else None


def read_part(value: Any, path: str) -> Block:
    """One part."""
    names: dict[str, str] = {}
    rest = members(value, path, names)
    data = [key for key in rest if key in _ANY and rest[key] is not None]
    if len(data) > 1:
        data.sort(key=_DATA.index)
    block: Block | None = None
    extra = Fields(names=names)
    if len(data) == 1 and data[0] in _READ:
        block = _READERS[data[0]](rest, extra, path + ".")
    if block is None:
        return Opaque(NAME, data[0] if data else next(iter(rest), "part"), value)
    signature = take_str(rest, "thoughtSignature", path + ".")
    extra.update(rest)
    if extra or extra.names or extra.own:
        block.extra = extra
    if signature is not None:
        sign(block, signature)
    return block


def _text(rest: Extra, extra: Fields, path: str) -> Block:
    text = need_str(rest, "text", path)
    if rest.get("thought") is not True:
        return Text(text)
    del rest["thought"]
    return Reasoning(text, origin=SIGNER)


def _inline(rest: Extra, extra: Fields, path: str) -> Block | None:
    if rest.get("thought") is True:
        return None  # a draft, and no part of the answer
    inner = members(rest["inlineData"], path + "inlineData", extra.names)
    mime = inner.pop("mimeType", None)
    path += "inlineData."
    given = need_str(inner, "data", path)
    if (data := _standard(given)) is not given:
        extra.own["data"] = given
    if type(mime) is not str or "/" not in mime:
        return None
    kind, _, sub = mime.partition("/")
    block: Block
    if kind == "image":
        block = Image(media_type=mime, data=data)
    elif kind == "video":
        block = Video(media_type=mime, data=data)
    elif kind == "audio":
        block = Audio(data, _FORMATS.get(sub, sub))
        extra.own["mimeType"] = mime
    else:
        block = Document(media_type=mime, data=data, name=take_str(inner, "displayName", path) or "")
    _left(rest, "inlineData", inner)
    return block


def _standard(data: str) -> str:
    """Base64 as everybody else reads it. Google's own SDK writes the other alphabet (RFC 4648, section 5), and Google reads both."""
    if "-" not in data and "_" not in data:
        return data
    return data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4)


def _left(rest: Extra, field: str, inner: Extra) -> None:
    del rest[field]
    for key, value in inner.items():
        rest[f"{field}.{key}"] = value


def _file(rest: Extra, extra: Fields, path: str) -> Block | None:
    inner = members(rest["fileData"], path + "fileData", extra.names)
    path += "fileData."
    uri, mime = need_str(inner, "fileUri", path), take_str(inner, "mimeType", path) or ""
    parts = urlsplit(uri) if uri.startswith(_PUBLIC) and "[" not in uri[:300] else None
    if parts is None or parts.netloc == _UPLOADS:
        return None  # in a store that Google alone can read
    known = mime or guess(uri)
    block: Block
    if known.startswith("video/") or parts.netloc in _FILMS:
        block = Video(media_type=mime, url=uri)
    elif known.startswith("image/"):
        block = Image(media_type=mime, url=uri)
    elif known and not known.startswith("audio/"):
        block = Document(media_type=mime, url=uri, name=take_str(inner, "displayName", path) or "")
    else:
        return None
    _left(rest, "fileData", inner)
    return block


def guess(url: str) -> str:
    """A media type, by the ending of the path; empty if that says nothing."""
    bare = url.partition("?")[0].partition("#")[0]
    return _ENDINGS.get(bare.rpartition(".")[2].lower(), "") if "." in bare[-6:] else ""


def _call(rest: Extra, extra: Fields, path: str) -> Block | None:
    inner = members(rest["functionCall"], path + "functionCall", extra.names)
    if "partialArgs" in inner or "willContinue" in inner:
        return None  # its arguments come in pieces, by paths: only who asked for that can read it
    path += "functionCall."
    identifier = (take_str(inner, "id", path) or "") if inner.get("id") else ""
    given = inner.pop("args", None)
    if given is not None and type(given) is not dict:
        raise FieldError(path + "args", "an object", given)
    if given is None:
        extra.own["args"] = None
    call = ToolCall(identifier, need_str(inner, "name", path), _encode(given or {}).decode())
    _left(rest, "functionCall", inner)
    return call


def _response(rest: Extra, extra: Fields, path: str) -> Block:
    inner = members(rest["functionResponse"], path + "functionResponse", extra.names)
    path += "functionResponse."
    identifier = (take_str(inner, "id", path) or "") if inner.get("id") else ""
    result = ToolResult(identifier, [], name=need_str(inner, "name", path))
    given = inner.pop("response", None)
    extra.own["response"] = None
    if given is not None:
        if type(given) is not dict:
            raise FieldError(path + "response", "an object", given)
        said = next((key for key in _SAID if len(given) == 1 and type(given.get(key)) is str), "")
        extra.own["response"] = said
        result.error = True if said == "error" else None
        result.blocks.append(Text(given[said] if said else _encode(given).decode()))
    if inner.get("parts") is not None:
        blocks, extra.own["single"] = read_parts(inner.pop("parts"), path + "parts")
        result.blocks += blocks
        extra.own["parts"] = True
    _left(rest, "functionResponse", inner)
    return result


_READERS = {"text": _text, "inlineData": _inline, "fileData": _file, "functionCall": _call, "functionResponse": _response}


def write_part(block: Block) -> Extra | None:
    """A block as a part; None if there is none for it. Function responses are written elsewhere: they need their call's name."""
    if type(block) is Text and not block.seal:
        return {"text": block.text}  # most blocks
    match block:
        case Text():
            part: Extra | None = {"text": block.text}
        case ToolCall():
            call = {"name": block.name, "args": object_of(block.arguments)}
            part = {"functionCall": {"id": block.id, **call} if block.id else call}
        case Reasoning():
            return _write_reasoning(block)
        case Image() | Video():
            part = _write_media(block, "video/mp4" if type(block) is Video else "image/jpeg")
        case Audio():
            part = {"inlineData": {"mimeType": f"audio/{block.format}", "data": block.data}}
        case Document() if block.text is None:
            part = _write_media(block, "application/pdf")
        case Opaque():
            return block.value if block.dialect == NAME else None
        case _:
            return None
    return {**part, **_seal(block)} if block.seal and part is not None else part


def _seal(block: Block) -> Extra:
    return {"thoughtSignature": pack(block.seal.value, block.seal.origin, SIGNER)} if block.seal else {}


def _write_media(block: Image | Video | Document, otherwise: str) -> Extra:
    if block.data:
        return {"inlineData": {"mimeType": block.media_type or otherwise, "data": block.data}}
    return {"fileData": {"mimeType": block.media_type or guess(block.url) or otherwise, "fileUri": block.url}}


def _write_reasoning(block: Reasoning) -> Extra:
    part: Extra = {"text": block.text, "thought": True}
    value = block.signature
    if block.redacted:
        value = block.redacted if block.origin == SIGNER else REDACTED + block.redacted
    return {**part, "thoughtSignature": pack(value, block.origin, SIGNER)} if value else part


def is_ours(block: Block) -> bool:
    """False for what another maker signed or encrypted: Gemini refuses it."""
    return type(block) is not Reasoning or block.origin == SIGNER


def own_part(block: Block) -> Extra:
    """A part of this dialect, as it was."""
    if type(block) is Opaque:
        return block.value
    part = _own_response(block) if type(block) is ToolResult else write_part(block) or {}
    _mend(part, block)
    extra = block.extra
    if not extra and type(extra) is not Fields:
        return part
    names = extra.names if type(extra) is Fields else {}
    whole: Extra = {}
    for key, value in extra.items():
        field, _, member = key.partition(".")
        if member and field in part:
            part[field] = {**part[field], member: value}
        else:
            whole[key] = value
    whole |= {key: spelled(value, names) if type(value) is dict else value for key, value in part.items()}
    return spelled(whole, names)


def _mend(part: Extra, block: Block) -> None:
    """What this dialect says in its own way."""
    extra = block.extra
    if (signature := own(extra, "thoughtSignature")) is not None:
        part["thoughtSignature"] = signature
    if (data := own(extra, "data")) is not None:
        part["inlineData"]["data"] = data
    match block:
        case ToolCall():
            if own(extra, "made"):
                del part["functionCall"]["id"]
            if own(extra, "args", block) is None and block.arguments == "{}":
                del part["functionCall"]["args"]
        case Audio() if mime := own(extra, "mimeType"):
            part["inlineData"]["mimeType"] = mime
        case Document() if block.name:
            next(iter(part.values()))["displayName"] = block.name
    if "fileData" in part and not getattr(block, "media_type", ""):
        del part["fileData"]["mimeType"]


def _own_response(block: ToolResult) -> Extra:
    extra, blocks = block.extra, block.blocks
    written: Extra = {"name": block.name}
    if identifier := own(extra, "id", block.id):
        written["id"] = identifier
    said = own(extra, "response", "output")
    if said is not None and blocks and type(blocks[0]) is Text:
        written["response"] = {said: blocks[0].text} if said else object_of(blocks[0].text)
        blocks = blocks[1:]
    if own(extra, "parts"):
        parts = [own_part(one) for one in blocks]
        written["parts"] = parts[0] if own(extra, "single") and parts else parts
    return {"functionResponse": written, **_seal(block)}


def made(block: ToolCall | ToolResult, identifier: str) -> None:
    """Gives a call, or its result, an id that its client did not give: other dialects need one, this one leaves it away again."""
    written = block.id
    block.id = identifier
    if type(block) is ToolCall:
        block.extra = note(block.extra, made=True)
    else:
        block.extra = note(block.extra, id=written)
