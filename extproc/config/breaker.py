"""When a target that fails is left alone, and for how long."""

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta

from extproc.config.section import Seconds, Section

Failing = Literal["server_error", "overloaded", "timeout", "connect", "reset", "bad_answer", "credential"]
"""Kinds of failures that count: 5xx; 503, 529 and whoever says that it is overloaded; no answer in time; no connection; an answer that
broke off; what is no answer; a credential that is refused, or has no money left."""
FAILINGS: tuple[Failing, ...] = ("server_error", "overloaded", "timeout", "connect", "reset", "bad_answer", "credential")


class Breaker(Section, frozen=True):
    """When a target that fails is asked no more, and when it is tried again. Also what a 429 means for the requests after it."""

    failures: Annotated[int, Meta(ge=1, le=10_000)] = 5
    """So many failures in a row open it: it is passed over then."""
    rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    """This share of failures opens it as well, such as `0.5`."""
    least: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    """A `rate` counts only among so many attempts, or more."""
    over: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    """And among those of so many seconds."""
    open: Seconds = 60.0
    """Seconds for which it stays open. Then it is half open: single requests try whether it answers again."""
    probes: Annotated[int, Meta(ge=1, le=100)] = 1
    """So many requests try it at once, and so many have to be answered before it is closed again; the first failure opens it again."""
    counts: Annotated[tuple[Failing, ...], Meta(min_length=1)] = FAILINGS
    """The failures that count: all of these unless given."""
    cool: Annotated[float, Meta(ge=0, le=86_400)] = 3600.0
    """A target (or a key, where the provider has several) that answers 429 is asked no more until it has said to come again; for so many
    seconds at most. 0: a 429 changes nothing for the requests after it."""


class Breakers(Breaker, frozen=True):
    """The same for all providers that say nothing else, and what becomes of requests that nobody is left for."""

    when_all_open: Literal["refuse", "ask"] = "refuse"
    """What becomes of a request whose targets are all open, or cool down: it is refused at once (503 or 429, with `Retry-After`), or asked
    as if none were."""


def check_breaker(path: str, breaker: Breaker, warning: Callable[[str, str], None]) -> None:
    """Tells of what is said of a breaker and changes nothing. `warning` takes a path and a message."""
    usual = Breaker()
    for name in ("least", "over"):
        if breaker.rate is None and getattr(breaker, name) != getattr(usual, name):
            warning(f"{path}.{name}", f"`{name}` counts with `rate` alone")
