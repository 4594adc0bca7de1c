"""What a slot is, and what those who hand slots out must do."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct


class Want(Struct, frozen=True, array_like=True):
    """A slot that is wanted."""

    scope: str
    """What it is a slot of: its kind, a colon, and its name, as `tenant:red`, `target:openai/gpt-5` or `provider:openai`."""
    most: int
    """Slots that the scope has, on one machine. What the last caller says counts, so that a new configuration takes effect at once."""
    adapt: bool = False
    """Fewer while the scope says that it has too much to do."""


Choice = tuple[Want, ...]
"""Slots that are wanted together. None at all are always to be had."""


class Line(Struct, frozen=True, array_like=True):
    """How those who find no slot may wait for one."""

    most: int = 0
    """So many at once in front of one scope; 0: nobody waits."""
    wait: float = 0.0
    """Seconds, at most."""


NO_LINE = Line()


class Taken(Struct, frozen=True, array_like=True):
    """The slots of one choice are held, until `Slots.release`."""

    ticket: bytes
    choice: int
    """Which one, counted from 0."""


class Full(Struct, frozen=True, array_like=True):
    """There was no slot, or none in time."""

    scope: str
    """One that was full when it ended: of the first choice."""
    again: float
    """Seconds after which one is likely to be free."""
    waited: bool
    """It stood in the line, until the time was over."""


class Count(Struct, frozen=True, array_like=True):
    """Of one kind of scope."""

    held: int = 0
    waiting: int = 0


class Slots(Protocol):
    """Hands slots out. What does not wait needs no task."""

    async def take(self, choices: tuple[Choice, ...], line: Line) -> Taken | Full:
        """The slots of the first choice that are all to be had; if there is none, of the first that come to be while it waits in `line`.
        First come, first served. Given up while it waits, it holds nothing.
        """

    def release(self, ticket: bytes) -> None:
        """Gives back what a ticket holds. Call once."""

    def give_back(self, ticket: bytes) -> None:
        """The same for a ticket that another process of this machine may have taken, which need not know."""

    def hand_over(self, ticket: bytes) -> None:
        """Whoever adopts it holds it from now on, in this process or another one of this machine. If nobody does so soon, it is given
        back.
        """

    def adopt(self, ticket: bytes, choice: Choice) -> None:
        """Holds what another one has handed over."""

    def is_full(self, choice: Choice) -> bool:
        """Whether these slots are not to be had now, as far as is known without asking."""

    def overloaded(self, scope: str) -> None:
        """The scope has said that it has too much to do."""

    def counts(self) -> Mapping[str, Count]:
        """What this process holds and waits for, by the kind of scope."""

    def refusals(self) -> Mapping[str, int]:
        """How often there was no slot, since the process began, by the kind of scope."""


def kind(scope: str) -> str:
    """The kind of a scope."""
    return scope.partition(":")[0]
