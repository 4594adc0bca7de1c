"""A whole answer."""

from enum import Enum

from msgspec import Struct

from extproc.dialects.hub.blocks import Block, Extra
from extproc.usage import Usage


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
    ERROR = "error"
    """The model wrote what nobody can use: a tool call that is malformed, or of a tool that there is none of."""


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
    asked: Extra = {}
    """See `Question.asked`."""
    dropped: list[str] = []
    """What its writer could not express, in the hub's words."""

    def drop(self, name: str) -> None:
        """What the hub calls `name` could not be expressed."""
        if name not in self.dropped:
            self.dropped.append(name)
