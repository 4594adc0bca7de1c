"""What messages and answers are made of."""

from typing import Any, TypeAlias

from msgspec import Struct

Extra: TypeAlias = dict[str, Any]
"""Fields that only one dialect has, by their own names."""


class Cache(Struct):
    """A prompt-cache marker: all up to here is worth keeping."""

    ttl: str = ""
    """The dialect's word for how long (`5m`, `1h`, `30m`), or empty."""
    raw: Extra = {}
    """The marker as its dialect wrote it."""


class Citation(Struct):
    """Where a piece of text comes from."""

    url: str = ""
    title: str = ""
    quote: str = ""
    """The cited words of the source."""
    start: int = 0
    """First character of the text that leans on the source, in its block."""
    end: int = 0
    """One past the last one; 0 where the dialect says only which block."""
    dialect: str = ""
    raw: Extra = {}
    """The citation as its dialect wrote it."""


class Seal(Struct):
    """What the maker of a block signed it with, and wants back with it; `origin` says whose it is (see `seals.py`)."""

    value: str
    origin: str
    raw: Extra = {}
    """What its dialect wrote around it, by field; what stood beside the block, in its message, is in `message`."""


class _Block(Struct, kw_only=True):
    extra: Extra = {}
    local: Extra = {}
    """What means nothing outside its dialect, and nobody misses: ids, states, where items begin. Put back by its own dialect alone."""
    cache: Cache | None = None
    seal: Seal | None = None
    """A signature on what is no reasoning (Gemini signs calls and texts). Reasoning has its own."""


class Logprob(Struct, kw_only=True):
    """A token of the answer, and how likely it was."""

    token: str
    logprob: float
    """Natural logarithm of its probability."""
    bytes: list[int] | None = None
    """The token in UTF-8, which it may be only a part of."""
    top: list["Logprob"] = []
    """The likeliest tokens in its place."""


class Text(_Block):
    """Words, of anybody."""

    text: str
    citations: list[Citation] = []
    logprobs: list[Logprob] | None = None
    """Of its tokens, if they were asked for."""


class Refusal(_Block):
    """The model declined, in its own words."""

    text: str
    part: bool = False
    """It stood among the content parts, not in a field of its own."""


class Image(_Block):
    """A picture, inline (`data`, base64) or by `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""


class Document(_Block):
    """A file for the model to read: inline (`data`, base64), by `url`, or as plain `text`. With text and URL it is what a search found."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str | None = None
    name: str = ""
    pieces: list[str] = []
    """The texts that `text` is put together from, where there are several that a citation can tell apart."""
    cited: bool = False
    """The model is to cite it. Its dialect's words for that are in `extra` all the same."""
    raw: Extra = {}
    """The document as its dialect wrote it, where `text` is made of fields of its own (a search's finding, say)."""


class Audio(_Block):
    """Sound as input: `data` is base64, `format` its container (`wav`, `mp3`)."""

    data: str
    format: str


class Video(_Block):
    """A film: inline (`data`, base64) or by `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class Reasoning(_Block):
    """What the model thought. It goes back to its maker only with the maker's signature."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    """Encrypted reasoning, in place of text."""
    origin: str = ""
    """Who signed or encrypted it (OpenRouter's `format` words: `anthropic-claude-v1`, ...)."""
    field: str = ""
    """The field that it was read from, where a dialect has several for it."""


class ToolCall(_Block):
    """The model wants a tool of the client's run."""

    id: str
    name: str
    arguments: str
    """JSON text of an object."""
    custom: bool = False
    """It is of a tool that takes a text, which is the one argument (`Tool.custom`)."""


class ToolResult(_Block):
    """What the tool said."""

    id: str
    blocks: list["Block"]
    error: bool | None = None
    plain: bool = False
    """The content was a bare string."""
    name: str = ""
    """The tool's, where a dialect says it beside the id."""


class Opaque(_Block):
    """A block that only `dialect` can express."""

    dialect: str
    kind: str
    value: Extra
    upload: str = ""
    """It is a file that was uploaded before, and this is its id: at OpenAI and at Azure that is the same in both APIs."""


Block: TypeAlias = Text | Refusal | Image | Document | Audio | Video | Reasoning | ToolCall | ToolResult | Opaque


_KINDS: dict[type, str] = {ToolCall: "tool_call", ToolResult: "tool_result"}


def kind_of(block: Block) -> str:
    """What to call a block that could not be expressed: its dialect's own word, if it has one."""
    return block.kind if type(block) is Opaque else _KINDS.get(type(block)) or type(block).__name__.lower()
