"""What a limit or a budget is, and what is asked of its counters."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, Protocol

from msgspec import Struct

from extproc.limits.money import plain_dollars
from extproc.limits.window import UNDER_WAY, Window

Unit = Literal["requests", "input_tokens", "output_tokens", "tokens", "cost", "concurrency"]
Outage = Literal["open", "closed", "share"]
Lease = Literal["off", "auto"]

THRESHOLDS = (0.5, 0.8, 0.9, 1.0)
MOST = 2**53
"""What a counter may count up to: beyond it, Lua's numbers lose units. In nano-dollars, nine million dollars."""
DIGEST = "sha256:"
"""Begins what is told by its digest."""
_LONGEST = 200
"""Bytes of a counter's name; longer ones are told by their digest."""


class Terms(Struct, frozen=True, array_like=True):
    """What a counter is held to. What the last caller says counts, so that a new configuration takes effect at once."""

    most: int
    window: Window
    hard: bool = True
    """False: nobody is refused."""
    thresholds: tuple[float, ...] = THRESHOLDS
    """Shares of `most`, ascending, that are told of when what was settled reaches them."""

    def levels(self) -> tuple[int, ...]:
        """What thresholds are in units: at least one."""
        return _levels(self.most, self.thresholds)


class Want(Struct, frozen=True, array_like=True):
    """So much is wanted of one counter. No counter is named twice in one wish."""

    counter: str
    terms: Terms
    amount: int
    """What nobody knows beforehand is wanted as 1: 0 is to be had also where nothing is left."""
    group: str = ""
    """Whose counter it is: those of one group live together, in one slot of a Redis Cluster, and are judged in one step."""
    outage: Outage = "share"
    lease: bool = False
    """Whether it may be taken from a lease."""


class Values(Protocol):
    """What a request has of the names that rules are `per`."""

    def __getitem__(self, name: str) -> str:
        """Raises `KeyError` where it has none."""


class Rule(Struct, frozen=True, kw_only=True):
    """A limit or a budget. Raises `ValueError` where it contradicts itself."""

    id: str
    """For people, and stable: its counters go by it. As `organization acme: cost a month`, see `name_of`."""
    unit: Unit
    amount: int
    """Requests, tokens, slots; money in nano-dollars."""
    window: Window
    per: tuple[str, ...] = ()
    """Each value of these has a counter of its own: `organization`, `project`, `team`, `user`, `service_account`, `key`, `model`,
    `provider`, `end_user`, `tag:NAME`. Several together: each combination has. None: all that the rule is for share one."""
    group: str = ""
    """The organization that it belongs to; empty: to none, so it is a group of its own."""
    hard: bool = True
    thresholds: tuple[float, ...] = THRESHOLDS
    on_outage: Outage = "share"
    """While nobody can be asked: `open` lets pass, `closed` refuses, `share` lets each worker have its share of what was left."""
    lease: Lease = "off"
    """`auto`: workers take leases of much that is left, and then ask nobody for each request; only of windows of a calendar."""

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= MOST:
            raise ValueError(f"an amount is between 0 and {MOST}")
        if (self.unit == "concurrency") != (self.window == UNDER_WAY):
            raise ValueError("concurrency is what is under way, and has no window; all else has one")
        if list(self.thresholds) != sorted(set(self.thresholds)) or any(share <= 0 for share in self.thresholds):
            raise ValueError("thresholds are above 0, and ascend")

    @property
    def terms(self) -> Terms:
        """What its counters are held to."""
        return Terms(self.amount, self.window, self.hard, self.thresholds)

    @property
    def leases(self) -> bool:
        """Whether workers take leases of it. What slides moves on by itself, and slots are for a moment: they are asked for."""
        return self.lease == "auto" and self.window.length not in ("sliding", "under way")

    def want(self, amount: int, values: "Values") -> Want | None:
        """What a request with these values (by the names in `per`) wants. None: it lacks one, so the rule is not about it."""
        try:
            parts = [self.id, *(values[name] for name in self.per)]
        except KeyError:
            return None
        return Want(_name(parts), self.terms, amount, self.group or self.id, self.on_outage, self.leases)


@lru_cache(4096)
def _levels(most: int, thresholds: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(max(1, -int(-share * most // 1)) for share in thresholds)


def rule_of(counter: str) -> str:
    """Id of the rule that a counter is of; of one that is very long, its digest."""
    return counter.partition("|")[0].replace("%7C", "|").replace("%25", "%")


def _name(parts: list[str]) -> str:
    """Each list has a name of its own, whatever callers put into it. It begins with the rule's id, where that is not too long."""
    name = "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)
    data = name.encode("utf-8", "surrogatepass")
    if len(data) <= _LONGEST and name.isprintable():
        return name
    # A lone surrogate is no UTF-8, and these names travel. What the counter's name begins with is the same for all counters of the rule.
    id = name.partition("|")[0]
    short = len(id.encode("utf-8", "surrogatepass")) <= _LONGEST - len(f"|{_digest(b'')}") and id.isprintable()
    return f"{id if short else _digest(id.encode('utf-8', 'surrogatepass'))}|{_digest(data)}"


def _digest(data: bytes) -> str:
    return f"{DIGEST}{hashlib.sha256(data).hexdigest()}"


_UNITS = {"input_tokens": "input tokens", "output_tokens": "output tokens", "concurrency": "at once", "cost": "USD"}


def title(who: str, amount: int, unit: Unit, window: Window) -> str:
    """A rule's words for people: `organization acme: 50 USD a month`."""
    count = plain_dollars(amount) if unit == "cost" else str(amount)
    return " ".join((f"{who}: {count} {_UNITS.get(unit, unit)}", *_times(window)))


def name_of(unit: Unit, window: Window, per: tuple[str, ...] = ()) -> str:
    """What a rule counts, in words, to make its id of: without its amount, so that it counts on when that is changed."""
    return " ".join((unit.replace("_", " "), *_times(window), *(("per", ", ".join(per)) if per else ())))


def _times(window: Window) -> Iterator[str]:
    if window.length == "sliding":
        yield f"in {window.seconds} s"
    elif window.length != "under way":
        yield f"{'an' if window.length == 'hour' else 'a'} {window.length}"
        if window.zone != "UTC":
            yield f"({window.zone})"
