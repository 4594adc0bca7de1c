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


class _Sum:
    """SQLite aggregate `exact_sum(text)`: the exact sum of decimals kept as text, as text; null values do not count."""

    def __init__(self) -> None:
        self.total = Decimal(0)

    def step(self, value: str | None) -> None:
        if value is not None:
            self.total = EXACT.add(self.total, Decimal(value))

    def finalize(self) -> str:
        return plain(self.total)


def add_exact_sum(db: sqlite3.Connection) -> None:
    """Give the connection `exact_sum`."""
    db.create_aggregate("exact_sum", 1, _Sum)  # type: ignore[arg-type]  # typeshed knows aggregates of integers only
