"""What a request needs of the model that answers it: tools, pictures, sound, documents, structured output, reasoning, a stream.

A table tells how each dialect says it. Bytes are looked at first: a word that stands in no string of a body's JSON is no member, type or
media type of it, so most bodies are never decoded for this. Where a word stands there it may be a tool's property as well, or a text of
one word, so the decoded body has the last say. A bulky one is decoded aside; where there is no room for that, the word counts.

The sources are the API references that the readers of the dialects name (`dialects/*/request_read.py`); a test holds that both agree.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from msgspec import Struct

from extproc.aside import Aside, Undone
from extproc.dialects import INVOKED
from extproc.dialects.envelope import open_document
from extproc.values import Request

NEEDS = ("tools", "images", "audio", "video", "documents", "structured_output", "reasoning", "stream")
"""All that a request may need, as the configuration calls it."""

_ESCAPED = re.compile(rb"\\u00[4-7]")
"""A letter may be written so, and then no word is found by its bytes: https://www.rfc-editor.org/rfc/rfc8259#section-7"""
_NOTHING = (None, "", "none", "NONE", "disabled", "text", "text/plain", 0, False)
"""Values that ask for nothing, wherever they stand. (Of numbers, 0 is a budget of none.)"""
_MEDIA = {"image": "images", "audio": "audio", "video": "video", "application": "documents", "text": "documents"}
_FILM = re.compile(r"https?://(www\.|m\.)?(youtube\.com|youtu\.be)/")

Path = tuple[str, ...]


class Words(Struct, frozen=True):
    """How a dialect says what is needed."""

    turns: tuple[str, ...]
    """Members of the body that hold the conversation."""
    settings: Mapping[str, tuple[Path, ...]]
    """By need: members, and members of those, that ask for it by their value, unless that is one of `_NOTHING`."""
    types: Mapping[str, str]
    """By the `type` of an item or a part: what it is of."""
    members: Mapping[str, str]
    """By a member of a turn or a part: what that is of, unless it is empty."""
    modalities: tuple[Path, ...] = ()
    """Where a list of what the answer is to be made of stands."""
    media: tuple[str, ...] = ()
    """Members whose media type tells what they are."""
    inner: tuple[str, ...] = ("content",)
    """Members of turns and parts that hold further parts."""
    whole: Path = ()
    """Where the request stands in a request to count its tokens."""

    def hints(self, need: str) -> tuple[bytes, ...]:
        """What stands in the bytes of every body that needs it, one of them at least."""
        # All members of a path are there, so one does: not `type`, which stands everywhere.
        names = {path[-2] if path[-1] == "type" else path[-1] for path in self.settings.get(need, ())}
        names |= {name for table in (self.types, self.members) for name, meant in table.items() if meant == need}
        quoted = [f'"{name}"'.encode() for name in sorted(names)]
        if self.media and need in _MEDIA.values():
            quoted += [f'"{name}"'.encode() for name in self.media if name.startswith("file")]
            quoted += [f'"{kind}/'.encode() for kind, meant in _MEDIA.items() if meant == need]
        if need in ("images", "audio"):
            quoted += [f'"{path[-1]}"'.encode() for path in self.modalities]
        return tuple(quoted)


_CALLS = {"tool_calls": "tools", "tool_call_id": "tools"}

_OPENAI = Words(
    turns=("messages",),
    settings={
        "tools": (("tools",), ("functions",), ("web_search_options",)),
        "structured_output": (("response_format", "type"),),
        "reasoning": (
            ("reasoning_effort",), ("reasoning", "effort"), ("reasoning", "max_tokens"), ("reasoning", "enabled"), ("thinking", "type"),
            ("enable_thinking",), ("thinking_budget",),
        ),
    },
    types={"image_url": "images", "input_audio": "audio", "video_url": "video", "file": "documents", "document_url": "documents"},
    members={**_CALLS, "function_call": "tools", "images": "images", "audio": "audio"},
    modalities=(("modalities",),),
)  # fmt: skip

_RESPONSES = Words(
    turns=("input",),
    settings={
        "tools": (("tools",),),
        "structured_output": (("text", "format", "type"),),
        "reasoning": (("reasoning", "effort"),),
    },
    types={
        "input_image": "images", "computer_screenshot": "images", "input_audio": "audio", "input_file": "documents",
        **dict.fromkeys(("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"), "tools"),
    },
    members={},
    inner=("content", "output"),
)  # fmt: skip

_ANTHROPIC = Words(
    turns=("system", "messages"),
    settings={
        "tools": (("tools",), ("mcp_servers",)),
        "structured_output": (("output_config", "format", "type"), ("output_format", "type")),
        "reasoning": (("thinking", "type"), ("output_config", "effort")),
    },
    types={
        "image": "images", "document": "documents", "search_result": "documents", "container_upload": "documents", "tool_use": "tools",
        "tool_result": "tools", "server_tool_use": "tools", "mcp_tool_use": "tools", "mcp_tool_result": "tools",
    },
    members={},
)  # fmt: skip

_CONFIG = ("generationConfig", "generation_config")
_GEMINI = Words(
    turns=("contents", "systemInstruction", "system_instruction"),
    settings={
        "tools": (("tools",),),
        "structured_output": tuple((config, name) for config in _CONFIG for name in ("responseMimeType", "response_mime_type")),
        "reasoning": tuple(
            (config, *path)
            for config in _CONFIG
            for path in (
                ("thinkingConfig", "thinkingLevel"), ("thinkingConfig", "thinkingBudget"),
                ("thinking_config", "thinking_level"), ("thinking_config", "thinking_budget"),
            )
        ),
    },
    types={},
    members=dict.fromkeys(
        ("functionCall", "functionResponse", "executableCode", "codeExecutionResult", "function_call", "function_response",
         "executable_code", "code_execution_result"),
        "tools",
    ),
    modalities=tuple((config, name) for config in _CONFIG for name in ("responseModalities", "response_modalities")),
    media=("inlineData", "fileData", "inline_data", "file_data"),
    inner=("parts", "functionResponse", "function_response"),
    whole=("generateContentRequest",),
)  # fmt: skip

_COHERE = Words(
    turns=("messages",),
    settings={
        "tools": (("tools",),),
        "documents": (("documents",),),
        "structured_output": (("response_format", "type"),),
        "reasoning": (("thinking", "type"),),
    },
    types={"image_url": "images", "document": "documents"},
    members=_CALLS,
)

_OLLAMA = Words(
    turns=("messages",),
    settings={
        "tools": (("tools",),),
        "images": (("images",),),
        "structured_output": (("format",),),
        "reasoning": (("think",),),
    },
    types={},
    members={**_CALLS, "tool_name": "tools", "images": "images"},
)

_EXTRA = "additionalModelRequestFields"
_BEDROCK = Words(
    turns=("system", "messages"),
    settings={
        "tools": (("toolConfig", "tools"),),
        "structured_output": (("outputConfig", "textFormat", "type"),),
        "reasoning": (
            ("outputConfig", "effort"), (_EXTRA, "thinking", "type"), (_EXTRA, "reasoningConfig", "type"), (_EXTRA, "reasoning_effort"),
            (_EXTRA, "reasoning_config"), (_EXTRA, "output_config", "effort"), (_EXTRA, "reasoningConfig", "maxReasoningEffort"),
        ),
    },
    types={},
    members={
        "image": "images", "audio": "audio", "video": "video", "document": "documents", "searchResult": "documents", "toolUse": "tools",
        "toolResult": "tools",
    },
    inner=("content", "toolResult"),
    whole=("input", "converse"),
)  # fmt: skip

TABLE: Mapping[str, Words] = {
    "openai": _OPENAI,
    "responses": _RESPONSES,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "cohere": _COHERE,
    "ollama": _OLLAMA,
    "bedrock": _BEDROCK,
}
"""By the dialect that the client speaks."""


class Needed(Struct, frozen=True, tag=True):
    """What `Needing` finds."""

    needs: tuple[str, ...]


class Needing(Struct, frozen=True, tag=True):
    """The job to find what a request needs, see `aside`."""

    dialect: str
    """Whose words its body has."""

    def work(self, body: bytes) -> Needed:
        """Does it. Raises `Reject` 400 where the body is no JSON."""
        return Needed(tuple(sorted(said(self.dialect, open_document(body)[0]))))


def needs(request: Request, wanted: frozenset[str]) -> frozenset[str]:
    """Which of `wanted` a request needs. What is no conversation needs none of them, but perhaps a stream. Raises as `Request.envelope`."""
    found = set[str]()
    if "stream" in wanted and request.endpoint.json and request.stream:
        found.add("stream")
    if request.needs is not None:
        found |= request.needs
    elif (dialect := _words_of(request)) and may_need(dialect, request.body, wanted):
        found |= hinting(dialect, request.body, wanted) if request.bulky else said(dialect, request.json)
    return wanted & found


async def look_aside(request: Request, wanted: frozenset[str], aside: Aside) -> None:
    """Has a bulky body looked into, so that `needs` knows more than its words. Raises `Reject` 400 where it is no JSON."""
    dialect = _words_of(request)
    if dialect and may_need(dialect, request.body, wanted):
        with suppress(Undone):
            request.needs = frozenset((await aside.work(Needing(dialect), request.body, request.identity.lane)).needs)


def _words_of(request: Request) -> str:
    """The dialect whose words a conversation has; empty for what is none."""
    endpoint = request.endpoint
    if not endpoint.json or endpoint.operation not in ("chat", "count"):
        return ""
    return "anthropic" if endpoint.kind in INVOKED else endpoint.dialect


@lru_cache(maxsize=256)
def _hints(dialect: str, wanted: frozenset[str]) -> tuple[re.Pattern[bytes] | None, Mapping[bytes, frozenset[str]]]:
    """What finds the words for any of `wanted`, in one go, and what each of them is for; None where the dialect has none."""
    told: dict[bytes, frozenset[str]] = {}
    for need in wanted:
        for hint in TABLE[dialect].hints(need):
            told[hint] = told.get(hint, frozenset()) | {need}
    # All begin with a quote, which is found fastest by itself.
    words = b"|".join(re.escape(hint[1:]) for hint in sorted(told))
    return (re.compile(b'"(?:%b)' % words) if told else None), told


def may_need(dialect: str, body: bytes, wanted: frozenset[str]) -> bool:
    """Whether a body may need any of `wanted`, by its bytes. False: it does not."""
    words = _hints(dialect, wanted)[0]
    return words is not None and (words.search(body) is not None or _ESCAPED.search(body) is not None)


def hinting(dialect: str, body: bytes, wanted: frozenset[str]) -> frozenset[str]:
    """Which of `wanted` a body may need, by its bytes: not one that it needs is missing."""
    words, told = _hints(dialect, wanted)
    if words is None:
        return frozenset()
    if _ESCAPED.search(body):
        return frozenset[str]().union(*told.values())
    return frozenset[str]().union(*(told[hint] for hint in set(words.findall(body))))


def said(dialect: str, document: Mapping[str, Any]) -> set[str]:
    """All that a decoded body needs, but a stream."""
    words = TABLE[dialect]
    inside = _at(document, words.whole) if words.whole else None
    if type(inside) is dict:
        document = inside
    found = {need for need, paths in words.settings.items() if any(_asks(_at(document, path)) for path in paths)}
    for path in words.modalities:
        found |= _modalities(_at(document, path))
    _look([document.get(name) for name in words.turns], words, found)
    return found


def _look(waiting: list[Any], words: Words, found: set[str]) -> None:
    """Adds what the turns, and all that they hold, are of. `waiting` is used up."""
    while waiting:
        value = waiting.pop()
        if type(value) is list:
            waiting += value
        if type(value) is not dict:
            continue
        kind = value.get("type")
        if type(kind) is str and kind in words.types:
            found.add(words.types[kind])
        for name in value:
            if name in words.members and _asks(value[name]):
                found.add(words.members[name])
            if name in words.media and type(value[name]) is dict:
                found |= _medium(value[name])
            if name in words.inner:
                waiting.append(value[name])


def _at(document: Any, path: Path) -> Any:
    value = document
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value


def _asks(value: Any) -> bool:
    if type(value) is dict:
        return value.get("type") != "disabled"
    return value not in _NOTHING and value != []


def _modalities(value: Any) -> set[str]:
    listed = {one.lower() for one in value if type(one) is str} if type(value) is list else set[str]()
    return {need for need, name in (("images", "image"), ("audio", "audio")) if name in listed}


def _medium(part: Mapping[str, Any]) -> set[str]:
    """What a part of Gemini's is of, by its media type, or by where it lies."""
    mime, uri = (part.get(long) or part.get(short) for long, short in (("mimeType", "mime_type"), ("fileUri", "file_uri")))
    if type(uri) is str and _FILM.match(uri):
        return {"video"}
    kind = mime.partition("/")[0] if type(mime) is str else ""
    if kind in _MEDIA:
        return {_MEDIA[kind]}
    return {"documents"} if uri else set()
