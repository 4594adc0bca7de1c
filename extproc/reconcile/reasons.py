"""What may be the reason of a difference, the likeliest first. None of it changes what is compared."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

from msgspec.structs import replace

from extproc.reconcile.compare import Compared, Difference, Side

_DOUBTS = (
    ("killed", "of {} a worker that died has left no more than Envoy's log"),
    ("partial", "{} broke off: the ledger has what was seen until then"),
    ("estimated", "{} are estimated in part: the provider had not told all of their usage"),
    ("unpriced", "{} have no price in the ledger: its cost is without them"),
    ("retried", "{} took several attempts: those that failed may be charged, and the ledger has the last one"),
    ("mirrored", "{} are copies for mirrors, which the provider may bill elsewhere"),
)
_OPPOSITE = {"not in the ledger": "not in the export", "not in the export": "not in the ledger"}
_DAY = timedelta(days=1)
_THOUSANDS = (1_000, 1_000_000)


class _Others:
    """The other differences, by what one of them may have to do with another."""

    def __init__(self, found: Sequence[Difference]) -> None:
        self.of_day: defaultdict[tuple[date, str], list[Difference]] = defaultdict(list)
        self.of_model = {(one.day, one.model, one.kind): one for one in found}
        for one in found:
            if one.name in _OPPOSITE:
                self.of_day[one.day, one.kind].append(one)


def explained(found: Compared) -> Compared:
    """The same, with what may be the reasons."""
    others = _Others(found.differences)
    return replace(found, differences=tuple(replace(one, reasons=tuple(_reasons(one, others))) for one in found.differences))


def _reasons(one: Difference, others: _Others) -> Iterator[str]:
    yield from _other_name(one, others)
    yield from _edge_of_day(one, others)
    yield from _other_price(one)
    if one.name == "not in the ledger":
        yield from _not_ours(one)
        return
    doubts = one.ours.doubts
    for name, words in _DOUBTS:
        if (count := getattr(doubts, name)) and (name != "unpriced" or _money(one)):
            yield words.format(f"{count} of {doubts.entries} requests")
    if one.name == "not in the export":
        yield "the export may be of another account, project or region, or have further pages"


def _other_name(one: Difference, others: _Others) -> Iterator[str]:
    """The same amounts of the same day, under a name that only the other side has."""
    for other in others.of_day[one.day, one.kind] if one.name in _OPPOSITE else ():
        if other.name == _OPPOSITE[one.name] and _opposite(one, other):
            theirs, ours = (one.model, other.model) if one.name == "not in the ledger" else (other.model, one.model)
            yield f"the ledger may call it {ours!r}: --same {theirs}={ours}"


def _edge_of_day(one: Difference, others: _Others) -> Iterator[str]:
    """What a day lacks, the one before or after it has too much of."""
    for day in (one.day - _DAY, one.day + _DAY):
        other = others.of_model.get((day, one.model, one.kind))
        if other is not None and _opposite(one, other):
            yield f"{day} differs by the same, the other way: requests around midnight, or days of another time zone"


def _other_price(one: Difference) -> Iterator[str]:
    theirs, ours = one.theirs, one.ours
    if one.name == "other money" and ours.quantity and theirs.quantity == ours.quantity:
        yield f"another price: {_rate(theirs)} a million, and {_rate(ours)} in the ledger's list"
    elif one.name == "other money" and ours.money and not ours.doubts.unpriced:
        yield f"another price, or other quantities: it is {theirs.money / ours.money:.4f} times what the ledger has"
    if one.name == "other money" and ours.doubts.tiered:
        yield f"{ours.doubts.tiered} of {ours.doubts.entries} requests were of another service (batch, flex, priority)"
    for size in _THOUSANDS:
        if theirs.quantity and theirs.quantity * size == ours.quantity:
            yield f"the export seems to count in units of {size:,}, and does not say so"


def _not_ours(one: Difference) -> Iterator[str]:
    if one.kind or one.theirs.quantity:
        yield "requests that did not pass the gateway, or under a provider that is not compared: --provider"
    else:
        yield "requests that did not pass the gateway, or something that the ledger does not count, such as a provider's tools"


def _opposite(one: Difference, other: Difference) -> bool:
    return _quantity(one) == -_quantity(other) and _close(_money(one), -_money(other))


def _quantity(one: Difference) -> Decimal:
    return one.theirs.quantity - one.ours.quantity


def _money(one: Difference) -> Decimal:
    return one.theirs.money - one.ours.money


def _close(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= max(abs(one), abs(other)) / 1000


def _rate(side: Side) -> str:
    return f"{side.money / side.quantity * 1_000_000:.4f} USD"
