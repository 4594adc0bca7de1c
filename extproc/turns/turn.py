"""A turn of a conversation, and what a store of them must do."""

from typing import Protocol

from msgspec import Struct


class Turn(Struct, frozen=True, array_like=True, kw_only=True):
    """A request and its answer. New fields go to the end, with a default: other versions of Headgate may have written what is read."""

    id: str
    previous: str
    """The response that it follows; empty: it is the first."""
    input: bytes
    """JSON: the list of items that the client sent with this request."""
    output: bytes
    """JSON: the list of items of the answer."""
    response: bytes
    """JSON: the response as the client got it, but for its output."""


class TurnsDown(Exception):
    """What is kept cannot be looked at now."""


class Chain(Struct, frozen=True, array_like=True):
    """What was found by an id."""

    turns: tuple[Turn, ...] = ()
    """The conversation up to that turn, oldest first. Empty: there is no such turn, or it is larger than was asked for."""
    size: int = 0
    """Bytes of all items together; 0: there is no such turn."""


class Turns(Protocol):
    """Keeps turns by owner and id: what is another owner's is not there. May be awaited outside of a task."""

    async def chain(self, owner: str, id: str, most: int) -> Chain:
        """A turn and those before it, if they have at most `most` bytes. Raises `TurnsDown`."""

    async def put(self, owner: str, turn: Turn, keep: "Keep") -> None:
        """Keeps a turn. What goes wrong is logged and counted where they are kept."""

    async def delete(self, owner: str, id: str) -> bool:
        """Forgets a turn; False if there is none. Raises `TurnsDown`."""


class Keep(Struct, frozen=True, array_like=True):
    """How long turns are kept, and how many."""

    ttl: float
    """Seconds."""
    most: int
    """Bytes of all turns of all owners."""
