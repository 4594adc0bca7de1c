"""The events of a streamed answer."""

from typing import TypeAlias

from msgspec import Struct

from extproc.dialects.hub.answer import StopReason
from extproc.dialects.hub.blocks import Block, Citation, Extra, Logprob
from extproc.errors import Fault
from extproc.usage import Usage


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
    asked: Extra = {}
    """See `Question.asked`."""


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
    logprobs: list[Logprob] | None = None


class ReasoningDelta(Struct):
    """More of a `Reasoning`."""

    index: int
    text: str
    extra: Extra | None = None


class SignatureDelta(Struct):
    """The signature of a `Reasoning`; of any other block, its seal."""

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
    request: str = ""
    """The gateway's id of the request, which its client is told."""


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
