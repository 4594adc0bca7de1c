"""How many requests may be under way at once, and how those beyond may wait: said of tenants, of targets and of providers."""

from typing import Annotated

from msgspec import Meta

from extproc.config.section import Section

Many = Annotated[int, Meta(ge=1, le=1_000_000)]


class Concurrency(Section, frozen=True):
    """How many requests may be under way at once, on one machine."""

    most: Many
    """So many."""
    adapt: bool = False
    """True: fewer while it says that it has too much to do (429, 503, 529, no answer in time), and more again, one by one, while it
    answers."""


class Queue(Section, frozen=True):
    """Where requests wait that find no room. First come, first served."""

    most: Annotated[int, Meta(ge=1, le=100_000)] = 100
    """So many wait in front of one limit; those beyond are refused at once."""
    wait: Annotated[float, Meta(gt=0, le=15)] = 5.0
    """Seconds after which one is refused that still waits."""


def concurrency(said: int | Concurrency | None) -> Concurrency | None:
    """A limit with all that can be said of it, whichever way it is written."""
    return Concurrency(most=said) if isinstance(said, int) else said
