"""What Ollama's requests, answers and streams share: messages and their parts.

https://github.com/ollama/ollama/blob/main/docs/api.md, https://github.com/ollama/ollama/blob/main/api/types.go
"""

import binascii
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from extproc.dialects.fields import FieldError, items, need_str, obj, object_of, take_list, take_str
from extproc.dialects.hub import Audio, Block, Extra, Image, Logprob, Opaque, Reasoning, Text, ToolCall

NAME = "ollama"

MAKER = "ollama-v1"
"""The origin of reasoning that a model at Ollama wrote. It is not signed; what stands for a signature says only whose it is."""

_SIGNATURE = "thinking"

ASKED: Extra = {"form": "generate"}
"""What the answer to a prompt has to know of it."""

PLACE = "function.index"
"""In a call's `extra`: it told its index, which is its place among the calls of its message."""
MADE = "made_id"
"""In the `extra` of a call or its result: it came without an id, and the one that it has was made for other dialects."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as everything written from it says

_encode = msgspec.json.encode

# The first bytes of what `images` holds: it has no media type of its own, and sound goes the same way (openai/openai.go, FromChatRequest).
_LOOKS = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
)
_SEEN = 16
"""Letters of base64 that are looked at: twelve bytes."""


def read_blob(data: Any, path: str) -> Block:
    """One of `images`: a picture or a sound, by its looks."""
    if type(data) is not str:
        raise FieldError(path, "a string", data)
    try:
        head = b64decode(data[:_SEEN])
    except (binascii.Error, ValueError):
        head = b""
    kind = next((kind for looks, kind in _LOOKS if head.startswith(looks)), "image/png")
    if head.startswith(b"RIFF"):
        kind = "wav" if head[8:12] == b"WAVE" else "image/webp"
    return Image(media_type=kind, data=data) if "/" in kind else Audio(data, kind)


def read_content(rest: Extra, path: str, field: str = "content") -> list[Block]:
    """Pictures and text, in the order in which Ollama puts them before the model. What is empty stays in `rest`."""
    blocks: list[Block] = []
    if rest.get("images"):
        images = items(rest.pop("images"), path + "images")
        blocks += [read_blob(data, f"{path}images[{i}]") for i, data in enumerate(images)]
    if rest.get(field) or type(rest.get(field)) not in (str, type(None)):
        blocks.append(Text(take_str(rest, field, path) or ""))
    return blocks


def read_thinking(rest: Extra, path: str) -> list[Block]:
    """The reasoning of an assistant's message."""
    if not rest.get("thinking"):
        return []
    return [reasoning(take_str(rest, "thinking", path) or "")]


def reasoning(text: str) -> Reasoning:
    """Reasoning of a model at Ollama."""
    return Reasoning(text, _SIGNATURE, origin=MAKER)


def read_assistant(rest: Extra, path: str, field: str = "content") -> list[Block]:
    """Blocks of an assistant's message, out of a request or an answer; takes what it reads out of `rest`."""
    blocks = read_thinking(rest, path) + read_content(rest, path, field)
    if rest.get("tool_calls"):
        calls = take_list(rest, "tool_calls", path) or []
        blocks += [usual_call(call, i) or read_call(call, f"{path}tool_calls[{i}]", i) for i, call in enumerate(calls)]
    return blocks


def usual_call(value: Any, position: int) -> ToolCall | None:
    """A call that says no more than most do; None: `read_call` reads it, or says what is wrong with it."""
    if type(value) is not dict or len(value) != 2:
        return None
    identifier, function = value.get("id"), value.get("function")
    if type(identifier) is not str or type(function) is not dict or len(function) != 3 or function.get("index") != position:
        return None
    name, arguments = function.get("name"), function.get("arguments")
    if type(name) is not str or type(arguments) is not dict:
        return None
    return ToolCall(identifier, name, _encode(arguments).decode(), extra={PLACE: None})


def read_call(value: Any, path: str, position: int) -> Block:
    """One tool call, always whole. Older servers give it no id. `position`: among the calls of its message."""
    rest = obj(value, path)
    if rest.get("type", "function") != "function":
        return Opaque(NAME, "tool_call", value)
    function = obj(rest.pop("function", None), path + ".function")
    name = need_str(function, "name", path + ".function.")
    arguments = function.pop("arguments", None)
    identifier = take_str(rest, "id", path + ".") or ""
    if function.get("index") == position:
        del function["index"]
        rest[PLACE] = None
    if function:
        rest["function"] = function
    text = arguments if type(arguments) is str else _encode({} if arguments is None else arguments).decode()
    return ToolCall(identifier, name, text, extra=rest)


def own_call(call: ToolCall, position: int) -> Extra:
    """One tool call as it was read."""
    rest = {key: value for key, value in call.extra.items() if key not in (PLACE, MADE)}
    index = {"index": position} if PLACE in call.extra else {}
    function = {**rest.get("function", {}), **index, "name": call.name, "arguments": object_of(call.arguments)}
    given = {"id": call.id} if call.id and MADE not in call.extra else {}
    return {**rest, **given, "function": function}


def write_call(name: str, text: str, identifier: str, position: int) -> Extra:
    """One tool call of another dialect. `text`: its arguments."""
    return {"id": identifier, "function": {"index": position, "name": name, "arguments": object_of(text)}}


def read_logprobs(value: Any) -> list[Logprob] | None:
    """`logprobs` of an answer or a piece of it; None if there are none that can be read."""
    if type(value) is not list or not value:
        return None
    try:
        return [_logprob(entry) for entry in value]
    except (KeyError, TypeError):
        return None


def _logprob(entry: Any) -> Logprob:
    token, logprob, top = entry["token"], entry["logprob"], entry.get("top_logprobs")
    if type(token) is not str or type(logprob) not in (float, int):
        raise TypeError
    return Logprob(token=token, logprob=logprob, bytes=entry.get("bytes"), top=[_logprob(one) for one in top or ()])


def write_logprobs(logprobs: list[Logprob]) -> list[Extra]:
    """The same for a client."""
    written = []
    for one in logprobs:
        entry: Extra = {"token": one.token, "logprob": one.logprob}
        if one.bytes is not None:
            entry["bytes"] = one.bytes
        if one.top:
            entry["top_logprobs"] = write_logprobs(one.top)
        written.append(entry)
    return written


def seconds(created_at: Any) -> int:
    """Unix seconds of a `created_at` (RFC 3339); 0 if it is none."""
    try:
        return int(datetime.fromisoformat(created_at).timestamp())
    except (TypeError, ValueError, OverflowError):
        return 0


def timestamp(created: int) -> str:
    """A `created_at`."""
    try:
        # A fraction of what `fromtimestamp` takes, which asks time zones.
        moment = _EPOCH + timedelta(seconds=created) if created else _now()
    except OverflowError:
        moment = _now()
    return moment.isoformat(timespec="microseconds") + "Z"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
