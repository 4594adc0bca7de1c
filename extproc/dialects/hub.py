"""The internal form of a conversation, an answer and a stream: what lies between two dialects.

Every dialect reads into these types and writes out of them, so N dialects are N pieces of code and not N². Rules:

- A message, a block or a tool keeps what its dialect said and the hub has no word for in `extra`, by its own name. A writer of the same
  dialect puts it back; any other names it in `dropped`.
- A block that only one dialect has (a server-side tool's result, say) travels whole, as `Opaque`.
- Several choices (`n` > 1) are several `Choice`s, and stream events carry the number of theirs. A dialect without choices writes the first.
- Tool arguments are JSON text, as the model wrote them: it may have been cut off, and is then no JSON.
"""

import re
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from extproc.errors import Fault
from extproc.usage import Usage

Extra: TypeAlias = dict[str, Any]
"""Fields that only one dialect has, by their own names."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]")
_DROPPED_MAX = 48


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


class _Block(Struct, kw_only=True):
    extra: Extra = {}
    cache: Cache | None = None


class Text(_Block):
    """Words, of anybody."""

    text: str
    citations: list[Citation] = []


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
    """A file for the model to read: inline (`data`, base64), by `url`, or as plain `text`."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str | None = None
    name: str = ""


class Audio(_Block):
    """Sound as input: `data` is base64, `format` its container (`wav`, `mp3`)."""

    data: str
    format: str


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


class ToolResult(_Block):
    """What the tool said."""

    id: str
    blocks: list["Block"]
    error: bool | None = None
    plain: bool = False
    """The content was a bare string."""


class Opaque(_Block):
    """A block that only `dialect` can express."""

    dialect: str
    kind: str
    value: Extra


Block: TypeAlias = Text | Refusal | Image | Document | Audio | Reasoning | ToolCall | ToolResult | Opaque


_KINDS: dict[type, str] = {ToolCall: "tool_call", ToolResult: "tool_result"}


def kind_of(block: Block) -> str:
    """What to call a block that could not be expressed: its dialect's own word, if it has one."""
    return block.kind if type(block) is Opaque else _KINDS.get(type(block)) or type(block).__name__.lower()


class Message(Struct, kw_only=True):
    """One turn, or a part of one: `system`, `developer`, `user`, `assistant` or `tool`."""

    role: str
    blocks: list[Block]
    plain: bool = False
    """The content was a bare string."""
    extra: Extra = {}


class Tool(Struct, kw_only=True):
    """A tool of the client's; or with `opaque`, one that the provider of that `dialect` runs."""

    name: str = ""
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache: Cache | None = None
    opaque: Extra | None = None
    extra: Extra = {}


class ToolChoice(Struct, kw_only=True):
    """Which tool to use: mode `auto`, `none`, `required` (any), `tool` (the one in `name`), or `opaque` (in `raw`)."""

    mode: str
    name: str = ""
    allowed: list[str] | None = None
    """Only these may be called (mode `auto` or `required`)."""
    raw: Any = None


class Format(Struct, kw_only=True):
    """What the answer's text must look like: `text`, `json_object`, `json_schema`, or `opaque`."""

    kind: str
    schema: dict[str, Any] | None = None
    name: str = ""
    strict: bool | None = None
    field: str = ""
    """The request field that it was read from, where a dialect has two for it."""
    extra: Extra = {}


class Thinking(Struct, kw_only=True):
    """How much to reason: an `effort` word, a `budget` of tokens, or `mode` (`enabled`, `adaptive`, `disabled`, ...)."""

    effort: str = ""
    """none, minimal, low, medium, high, xhigh, max."""
    budget: int | None = None
    mode: str = ""
    extra: Extra = {}


class Conversation(Struct, kw_only=True):
    """A request for an answer, of no dialect."""

    dialect: str
    """The one that it was read from: `extra` and `Opaque` are in its words."""
    model: str
    messages: list[Message]
    system: Message | None = None
    """Instructions that stand outside the messages (Anthropic's `system`)."""
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    max_tokens_field: str = ""
    stop: list[str] | None = None
    stop_plain: bool = False
    """`stop` was a bare string."""
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: Format | None = None
    thinking: Thinking | None = None
    cache: Cache | None = None
    """A marker for the whole prompt."""
    user: str | None = None
    """The end user, for the provider's abuse detection."""
    metadata: Extra | None = None
    service_tier: str | None = None
    """`auto`, `default`, `flex`, `priority`, ... (OpenAI's words)."""
    stream: bool | None = None
    include_usage: bool | None = None
    extra: Extra = {}
    dropped: list[str] = []
    """What a writer could not express: paths in the request without indices, each once, safe to put in a header."""

    def drop(self, name: str) -> None:
        """`name` could not be expressed. Names may come from the caller, so they are cleaned; and there is an end to them."""
        clean = _UNSAFE.sub("_", name[:80])
        if clean not in self.dropped and len(self.dropped) < _DROPPED_MAX:
            self.dropped.append(clean if len(self.dropped) < _DROPPED_MAX - 1 else "...")

    def drop_extra(self, extra: Extra, path: str = "") -> None:
        """None of `extra` could be expressed. What is empty or switched off asks for nothing and is not named."""
        for key, value in extra.items():
            if value or (value == 0 and value is not False):
                self.drop(path + key)


class StopReason(Enum):
    """Why the model stopped."""

    END = "end"
    LENGTH = "length"
    STOP_SEQUENCE = "stop_sequence"
    TOOL = "tool"
    FILTER = "filter"
    """A filter outside the model cut the answer off."""
    REFUSAL = "refusal"
    PAUSE = "pause"
    """A long turn with server-side tools was paused; the client sends it back to go on."""
    CONTEXT = "context"
    """The context window was full."""


class Choice(Struct, kw_only=True):
    """One of the answers to a request; mostly the only one."""

    index: int = 0
    blocks: list[Block]
    stop: StopReason | None = None
    stop_raw: str | None = None
    """The dialect's own word for `stop`."""
    stop_sequence: str | None = None
    plain: bool = False
    extra: Extra = {}
    message_extra: Extra = {}


class Answer(Struct, kw_only=True):
    """A whole answer."""

    dialect: str
    id: str
    model: str
    created: int = 0
    """Unix seconds; 0 where the provider does not say."""
    choices: list[Choice]
    usage: Usage | None = None
    usage_raw: Extra | None = None
    """Usage in the dialect's own words."""
    service_tier: str | None = None
    extra: Extra = {}
    dropped: list[str] = []


class Start(Struct, kw_only=True):
    """The stream began."""

    id: str
    model: str
    created: int = 0
    dialect: str = ""
    usage: Usage | None = None
    usage_raw: Extra | None = None
    service_tier: str | None = None
    extra: Extra = {}


class BlockStart(Struct):
    """A block opens. Indices count up from 0 over all choices; text, arguments and the like follow as deltas."""

    index: int
    block: Block
    choice: int = 0


class TextDelta(Struct):
    """More of a `Text` or a `Refusal`."""

    index: int
    text: str
    extra: Extra | None = None


class ReasoningDelta(Struct):
    """More of a `Reasoning`."""

    index: int
    text: str


class SignatureDelta(Struct):
    """The signature of a `Reasoning`."""

    index: int
    signature: str
    origin: str = ""


class ArgumentsDelta(Struct):
    """More JSON text of a `ToolCall`."""

    index: int
    text: str


class CitationDelta(Struct):
    """One more source of a `Text`."""

    index: int
    citation: Citation


class OpaqueDelta(Struct):
    """A change to a block (or, with index -1, to choice `choice`) that only `dialect` can express."""

    index: int
    dialect: str
    value: Extra
    choice: int = 0


class BlockStop(Struct):
    """The block is complete. A late delta of a tool call may still follow where a provider interleaves them."""

    index: int


class Stop(Struct, kw_only=True):
    """A choice is complete."""

    reason: StopReason
    raw: str | None = None
    sequence: str | None = None
    choice: int = 0
    dialect: str = ""
    extra: Extra = {}


class Used(Struct):
    """Usage so far, cumulative; the last one counts."""

    usage: Usage
    raw: Extra | None = None
    dialect: str = ""


class Aside(Struct):
    """An event that only `dialect` can express."""

    dialect: str
    value: Extra


class Ping(Struct):
    """Nothing but a sign of life."""


class Error(Struct):
    """The stream failed; nothing follows."""

    fault: Fault


class Finish(Struct):
    """The provider ended the stream properly."""


StreamEvent: TypeAlias = (
    Start
    | BlockStart
    | TextDelta
    | ReasoningDelta
    | SignatureDelta
    | ArgumentsDelta
    | CitationDelta
    | OpaqueDelta
    | BlockStop
    | Stop
    | Used
    | Aside
    | Ping
    | Error
    | Finish
)
