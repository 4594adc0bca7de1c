"""Compares an export with the ledger, and names each difference.

Both are added up by day, model and kind, as far as the export tells them apart. Quantities have to be equal; money may differ by what the
export's own rounding makes possible, and by no more.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from extproc.exact import EXACT
from extproc.reconcile.export import Export, Key, Sum
from extproc.reconcile.ledger import Day, Days, Doubts, folded
from extproc.reconcile.names import matched

Name = Literal["not in the ledger", "not in the export", "other quantity", "other money"]
_NONE = Decimal(0)


class Side(Struct, frozen=True):
    """What one side says of a key."""

    quantity: Decimal = _NONE
    money: Decimal = _NONE
    doubts: Doubts = Doubts()
    """The ledger's."""

    def plus(self, other: "Side") -> "Side":
        """Both together."""
        return Side(EXACT.add(self.quantity, other.quantity), EXACT.add(self.money, other.money), self.doubts.plus(other.doubts))


class Difference(Struct, frozen=True):
    """One key on which they do not agree."""

    format: str
    day: date
    model: str
    """Empty: all models together, as the export tells them."""
    kind: str
    """Empty: all kinds together."""
    name: Name
    theirs: Side
    ours: Side
    reasons: tuple[str, ...] = ()
    """What may be the reason, the likeliest first."""


class Compared(Struct, frozen=True):
    """What came of one export."""

    format: str
    first: date
    after: date
    """The days that were compared: from the one on, and before the other."""
    keys: int
    """So many days, models and kinds were compared."""
    theirs: Side
    ours: Side
    """All together, at the finest level that the export tells."""
    differences: tuple[Difference, ...]


def compare(export: Export, days: Days, first: date, after: date, same: Mapping[str, str]) -> Compared:
    """What differs, ordered by day, model and kind, within the days from `first` on and before `after`."""
    sums = {key: total for key, total in export.sums.items() if first <= key[0] < after}
    called = matched({model for _, model, _ in sums if model}, {model for _, model in days}, same)
    levels = {(bool(model), bool(kind)) for _, model, kind in sums} or {(True, True)}
    found: list[Difference] = []
    compared, theirs, ours = 0, Side(), Side()
    for models, kinds in sorted(levels):
        their = _theirs({key: total for key, total in sums.items() if (bool(key[1]), bool(key[2])) == (models, kinds)}, called)
        our = _ours(export, days, called, models=models, kinds=kinds)
        # What else a provider sells has a name and no kind, beside models that have kinds: the ledger's models are told at theirs.
        if (models, kinds) == (True, False) and (True, True) in levels:
            our = {key: side for key, side in our.items() if key in their}
        keys = their.keys() | our.keys()
        sides = [(key, their.get(key, Sum()), our.get(key, Side())) for key in sorted(keys)]
        found += [one for key, total, side in sides if (one := _difference(export, key, total, side))]
        compared += len(keys)
        if models == any(named for named, _ in levels):
            theirs, ours = _all(theirs, (_side(total) for _, total, _ in sides)), _all(ours, (side for _, _, side in sides))
    return Compared(
        export.format.name, first, after, compared, theirs, ours, tuple(sorted(found, key=lambda one: (one.day, one.model, one.kind)))
    )


def _theirs(sums: Mapping[Key, Sum], called: Mapping[str, str]) -> dict[Key, Sum]:
    found: dict[Key, Sum] = {}
    for (day, model, kind), total in sums.items():
        key = day, called.get(model, model), kind
        before = found.get(key, Sum())
        found[key] = Sum(
            EXACT.add(before.quantity, total.quantity),
            EXACT.add(before.money, total.money),
            before.rows + total.rows,
            before.noise + total.noise,
        )
    return found


def _ours(export: Export, days: Days, called: Mapping[str, str], *, models: bool, kinds: bool) -> dict[Key, Side]:
    told = set(export.format.kinds) - ({"cache_write"} if export.without_cache_writes else set())
    found: dict[Key, Side] = {}
    doubts: defaultdict[tuple[date, str], Doubts] = defaultdict(Doubts)
    for (day, model), one in days.items():
        name = called[model] if models else ""
        doubts[day, name] = doubts[day, name].plus(one.doubts)
        for kind, side in _sides(export, one, told).items():
            key = day, name, kind if kinds else ""
            found[key] = found.get(key, Side()).plus(side)
    return {key: replace(side, doubts=doubts[key[0], key[1]]) for key, side in found.items()}


def _sides(export: Export, day: Day, told: Collection[str]) -> dict[str, Side]:
    """By kind, those whose price is not known as well."""
    quantities = {kind: amount for kind, amount in folded(day.quantities, told).items() if kind in told}
    money = folded(day.money, told) if export.format.charges else {}
    counted = quantities if export.format.counts else {}
    return {kind: Side(counted.get(kind, _NONE), money.get(kind, _NONE)) for kind in quantities.keys() | money.keys()}


def _difference(export: Export, key: Key, total: Sum, ours: Side) -> Difference | None:
    theirs = _side(total)
    quantity = abs(theirs.quantity - ours.quantity) > export.blur(total) if export.format.counts and key[2] else False
    money = abs(theirs.money - ours.money) > export.tolerance(total) if export.format.charges else False
    if not quantity and not money:
        return None
    name: Name = "other quantity" if quantity else "other money"
    if not ours.quantity and not ours.money and not ours.doubts.unpriced:
        name = "not in the ledger"
    elif not theirs.quantity and not theirs.money:
        name = "not in the export"
    return Difference(export.format.name, *key, name, theirs, ours)


def _side(total: Sum) -> Side:
    return Side(total.quantity, total.money)


def _all(found: Side, sides: Iterable[Side]) -> Side:
    for side in sides:
        found = found.plus(side)
    return found
