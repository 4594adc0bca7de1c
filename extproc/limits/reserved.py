"""What a request has reserved, as its record keeps it; and what it used of that, when its record is in the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from extproc.limits.rule import Rule, Terms, Unit, Want
from extproc.usage import Usage


class Counted(Struct, frozen=True, array_like=True):
    """A counter that a request was let in by."""

    counter: str
    unit: Unit
    terms: Terms
    group: str = ""
    per: tuple[str, ...] = ()
    """What the values in the counter's name are of."""


class Leased(Struct, frozen=True, array_like=True):
    """What a request took of a lease."""

    lease: str
    """Its ticket, in hexadecimal."""
    amount: int


class Reserved(Struct, frozen=True, array_like=True):
    """All of them: enough to settle, whatever the configuration says by then."""

    ticket: str
    """In hexadecimal; see `limit.Held`."""
    at: float
    """When: seconds since 1970. It counts in the windows of that moment."""
    counted: tuple[Counted, ...]
    leases: tuple[Leased, ...] = ()
    """Of each of them, where it was taken from; empty where all was reserved for the request itself."""


class Used(Struct, frozen=True, array_like=True):
    """What a request used of one counter."""

    counted: Counted
    amount: Decimal
    """US dollars, tokens, requests. Below 0: so much less than was told before."""
    leased: Leased | None = None
    """The part of a lease that comes back."""


def counted(want: Want, rule: Rule) -> Counted:
    """The counter of what is wanted of a rule."""
    return Counted(want.counter, rule.unit, want.terms, want.group, rule.per)


def leased(leases: Sequence[bytes], wants: Iterable[Want]) -> tuple[Leased, ...]:
    """What was granted from leases, see `Granted.leases`; of that which was not, nothing."""
    return tuple(Leased(lease.hex(), want.amount) for lease, want in zip(leases, wants, strict=True)) if leases else ()


def used(reserved: Reserved, usage: Usage, cost: Decimal | None) -> tuple[Used, ...]:
    """What an entry of the ledger has used. `cost`: None where nobody knows a price; that counts nothing."""
    amounts: dict[Unit, Decimal] = {
        "requests": Decimal(1),
        "input_tokens": Decimal(usage.input),
        "output_tokens": Decimal(usage.output),
        "tokens": Decimal(usage.total),
        "cost": cost or _NOTHING,
        "concurrency": _NOTHING,
    }
    return tuple(Used(each, amounts[each.unit], part) for each, part in _parts(reserved))


def unused(reserved: Reserved) -> tuple[Used, ...]:
    """The same of a request that became no entry: it comes back whole."""
    return tuple(Used(each, _NOTHING, part) for each, part in _parts(reserved))


def corrected(now: tuple[Used, ...], before: tuple[Used, ...]) -> tuple[Used, ...]:
    """What is to be added where `before` has been told of the same request. What it took of leases has come back by that."""
    told = {each.counted.counter: each.amount for each in before}
    return tuple(Used(each.counted, each.amount - told.get(each.counted.counter, _NOTHING)) for each in now)


def _parts(reserved: Reserved) -> Iterator[tuple[Counted, Leased | None]]:
    return zip(reserved.counted, reserved.leases or (None,) * len(reserved.counted), strict=True)


_NOTHING = Decimal(0)
