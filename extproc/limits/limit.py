"""What is asked of those who count, and what they answer."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Protocol

from msgspec import Struct

from extproc.limits.news import Exhausted
from extproc.limits.rule import Terms, Want
from extproc.limits.window import Spot

_SOON = 1_000
"""Milliseconds after which it is worth asking again for what has no window."""


class LimitsDown(Exception):
    """Those who count cannot be asked, or do not answer in time."""


class Look(Struct, frozen=True, array_like=True):
    """What a counter holds."""

    used: int = 0
    """Settled, or reserved and not over."""
    settled: int = 0
    room: int = 0
    """Of a sliding window: the earliest moment at which there is room for what was wanted, in milliseconds, if nothing else comes."""


class State(Struct, frozen=True, array_like=True):
    """How a rule stands after a request was judged."""

    left: int
    """Of its amount. Below 0 where a soft one is exceeded, or more was settled than had been reserved."""
    resets: float
    """Seconds since 1970 when its window ends; of a sliding one, when all would have left. 0: it has none."""
    reached: float
    """The highest of its thresholds that what was settled has reached; 0: none."""


class Granted(Struct, frozen=True, array_like=True, tag=True):
    """All that was wanted is reserved."""

    states: tuple[State, ...]
    """One for each want."""
    alone: bool = False
    """Nobody could be asked: the rules' policies for that case have decided."""
    leases: tuple[bytes, ...] = ()
    """By want, the lease that it was taken from: the request's record has to keep it, for `Charge`. None: all was reserved for itself."""


class Refused(Struct, frozen=True, array_like=True, tag=True):
    """Nothing is reserved."""

    at: int
    """Which want there was no room for; where there are several, the one that has it last."""
    left: int
    resets: float
    """Seconds since 1970 when there is room again, if nothing else comes; for what is under way, when to ask again."""
    alone: bool = False
    """It was refused because nobody could be asked."""


class Charge(Struct, frozen=True, array_like=True):
    """What a request has used of one counter, in the end."""

    counter: str
    terms: Terms
    amount: int
    group: str = ""
    lease: bytes = b""
    """What it had been taken from, as `Granted.leases` says."""
    taken: int = 0
    """How much of it: what was wanted."""


class Settlement(Struct, frozen=True, array_like=True):
    """The truth about one request. What it had reserved comes back, what it used is counted: once.

    `number` is what makes it once: settlements of one source are numbered upwards and told in that order, and one whose number is not above
    the last is one that had been told already. So nothing has to be remembered of each request, and none is counted twice however late it
    is told again. A database's row numbers do; the source's name has to live as long as they do, and no longer.
    """

    number: int
    ticket: bytes
    at: float
    """When it was reserved, as `Limits.reserve` was told: it counts in the window of that moment."""
    charges: tuple[Charge, ...]
    """Of all counters that something was wanted of; of slots (concurrency) nothing, so 0."""


class Crossed(Struct, frozen=True, array_like=True):
    """A threshold was reached: told once in a window."""

    counter: str
    threshold: float
    used: int
    """What is settled by now."""
    most: int


class Held(Struct, frozen=True, array_like=True):
    """What a request has reserved."""

    ticket: bytes
    wants: tuple[Want, ...]
    at: float
    """When: seconds since 1970."""


class Source(Protocol):
    """Those who count for several workers or machines. They may be away."""

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Limits.reserve`. Raises `LimitsDown`; then nothing is reserved, or not for long."""

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Limits.release`. Whether it is heard is not known: if not, time gives back."""

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """Gives back slots (concurrency), and nothing else: the request is over. Whether it is heard is not known, either."""

    def hold(self, held: Iterable[Held]) -> None:
        """Says what is still under way, whether those who count have forgotten it or not: those who know it know how much of it is left."""

    def shrink(self, held: Held) -> None:
        """Gives back so much of what the ticket has reserved. Whether it is heard is not known: if not, time gives back."""

    async def close(self) -> None:
        """Ends, when what it was told is on its way, or nobody takes it."""


class Nowhere:
    """A `Source` that is always away: of a worker that nobody has given another one."""

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Source`."""
        raise LimitsDown("nobody counts here")

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""

    def hold(self, held: Iterable[Held]) -> None:
        """See `Source`."""

    def shrink(self, held: Held) -> None:
        """See `Source`."""

    async def close(self) -> None:
        """See `Source`."""


class Limits(Protocol):
    """Those who count, as whoever has requests sees them. What does not wait needs no task."""

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """Reserves all that is wanted, or nothing. `at`: seconds since 1970; the request's record has to keep it."""

    def release(self, ticket: bytes) -> None:
        """The request has used nothing: what it reserved is free at once."""

    def ended(self, ticket: bytes) -> None:
        """The request is over, and its record is written: its slots are free at once, and the rest when that is settled."""

    def refused(self, label: str, exhausted: Exhausted | None) -> None:
        """Tells that a rule has refused a request. `label`: what metrics call the rule, of which there are few. `exhausted`: None where
        that says nothing of what others may use.
        """


def granted(wants: Sequence[Want], looks: Iterable[Look], spots: Iterable[Spot]) -> Granted:
    """What is told of those who got what they wanted. `looks`: from before."""
    states = (
        State(want.terms.most - look.used - want.amount, spot.ends / 1000, _reached(want.terms, look.settled))
        for want, look, spot in zip(wants, looks, spots, strict=True)
    )
    return Granted(tuple(states))


def full(want: Want, used: int) -> bool:
    """There is no room for it, and that counts. Who wants nothing needs no room."""
    return want.terms.hard and 0 < want.amount > want.terms.most - used


def refused(wants: Sequence[Want], looks: Sequence[Look], spots: Sequence[Spot], now: int) -> Refused:
    """What is told of those who did not. `now`: in milliseconds."""
    # For what a sliding window counts, the looks know when there is room; a calendar's has it when the next one begins.
    room = {
        at: look.room or spot.ends or now + _SOON
        for at, (want, look, spot) in enumerate(zip(wants, looks, spots, strict=True))
        if full(want, look.used)
    }
    at, resets = max(room.items(), key=itemgetter(1))
    return Refused(at, wants[at].terms.most - looks[at].used, resets / 1000)


def _reached(terms: Terms, settled: int) -> float:
    reached = bisect_right(terms.levels(), settled)
    return terms.thresholds[reached - 1] if reached else 0.0
