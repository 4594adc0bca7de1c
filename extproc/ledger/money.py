"""Exact sums of money: decimals without rounding, within SQLite too."""

import sqlite3
from collections.abc import Iterable
from decimal import Decimal

from extproc.exact import EXACT


def add(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def plain(amount: Decimal) -> str:
    """The amount as plain digits, no exponent, no needless zeros: `0.0012`, never `1.2E-3`."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


EXACT_SUM = "exact_sum"


class _Sum:
    """SQLite aggregate `exact_sum(text)`: the exact sum of decimals kept as text, as text; null values do not count, and of none the
    sum is null.
    """

    def __init__(self) -> None:
        self.total: Decimal | None = None

    def step(self, value: str | float | None) -> None:
        if value is not None:
            self.total = EXACT.add(self.total or _ZERO, _decimal(value))

    def finalize(self) -> str | None:
        return None if self.total is None else plain(self.total)


_ZERO = Decimal(0)


def _decimal(value: str | float) -> Decimal:
    # A float is the shortest decimal that means it.
    return Decimal(value if isinstance(value, str) else repr(value))


def _add(one: str, other: str) -> str:
    return one if other == "0" else plain(EXACT.add(Decimal(one), Decimal(other)))


def _subtract(one: str, other: str) -> str:
    return one if other == "0" else plain(EXACT.subtract(Decimal(one), Decimal(other)))


def add_exact_sum(db: sqlite3.Connection) -> None:
    """Give the connection `exact_sum`, and `exact_add` and `exact_subtract` of two such texts."""
    db.create_aggregate(EXACT_SUM, 1, _Sum)  # type: ignore[arg-type]  # typeshed knows aggregates of integers only
    db.create_function("exact_add", 2, _add, deterministic=True)
    db.create_function("exact_subtract", 2, _subtract, deterministic=True)
