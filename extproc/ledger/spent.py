"""What requests have used of limits and budgets, as the ledger has it: told to whoever counts, exactly once, and known after a restart.

    enter ──► `spent`, numbered ──► pending ──► told to whoever counts ──► fold ──► `spent_sums`, and out of `spent`

A row of `spent` is written with the entry that it is about, in one transaction. It is told until that has been heard, always under its
own number, and then added to the sums, in one transaction again. So the sums and what is still to be told are together what has been
used, whatever dies in between; and the sums are few: one for each counter in each window that still counts.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from extproc.exact import EXACT
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.limits.limit import Charge, Settlement
from extproc.limits.money import settled
from extproc.limits.reserved import Counted, Used, corrected, unused, used
from extproc.limits.window import spot

_WITNESSED = 32 * 86_400
"""Seconds for which it is known what Envoy's word for a request has settled, in case its worker tells of it after all."""
_ZERO = Decimal(0)

_encode = msgspec.msgpack.encode
_used = msgspec.msgpack.Decoder(tuple[Used, ...]).decode
_counted = msgspec.msgpack.Decoder(Counted).decode


class Row(NamedTuple):
    """What one request has used: to be told, and then folded."""

    number: int
    ticket: str
    at: float
    used: tuple[Used, ...]


class Sum(NamedTuple):
    """What a counter has in one window, or in one part of a sliding one."""

    counted: Counted
    at: float
    """A moment in it."""
    amount: int
    """In the counter's units."""


class _Key(NamedTuple):
    counter: str
    spot: str
    part: int


class Spent:
    """In the ledger's database. For the ledger's thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        (self.source,) = db.execute("SELECT name FROM spent_source").fetchone()
        """Names this ledger to whoever counts, for good."""

    def enter(self, record: Record, priced: Priced, now: float, *, in_ledger: bool, replaces: bool) -> None:
        """Within the transaction that enters the record. `replaces`: Envoy's word for it had been entered before."""
        reserved = record.reserved
        if reserved is None:
            return
        # What the cache answered has cost nothing, whatever its tokens are.
        bought = in_ledger and record.cache != "hit"
        amounts = used(reserved, record.usage, priced.cost) if bought else unused(reserved)
        told = corrected(amounts, self._before(record.id)) if replaces else amounts
        self._db.execute("INSERT INTO spent (ticket, at, used) VALUES (?, ?, ?)", (reserved.ticket, reserved.at, _encode(told)))
        if record.witness == "envoy":
            self._db.execute("INSERT OR REPLACE INTO spent_by_envoy VALUES (?, ?, ?)", (record.id, now, _encode(amounts)))

    def pending(self, limit: int) -> list[Row]:
        """What is to be told, in the order of its numbers."""
        rows = self._db.execute("SELECT number, ticket, at, used FROM spent ORDER BY number LIMIT ?", (limit,))
        return [Row(number, ticket, at, _used(told)) for number, ticket, at, told in rows]

    def waiting(self) -> int:
        """How many are to be told."""
        (rows,) = self._db.execute("SELECT count(*) FROM spent").fetchone()
        return int(rows)

    def settlements(self, rows: Iterable[Row]) -> list[Settlement]:
        """The same as whoever counts takes it: in whole units, of which the exact sums are made that are rounded down."""
        exact: dict[_Key, Decimal] = {}
        return [Settlement(row.number, bytes.fromhex(row.ticket), row.at, tuple(self._charges(row, exact))) for row in rows]

    def fold(self, rows: Iterable[Row], now: float) -> None:
        """They have been told. Within a transaction; what counts no more at `now` is forgotten."""
        for row in rows:
            for each in row.used:
                self._add(each, row.at)
            self._db.execute("DELETE FROM spent WHERE number = ?", (row.number,))
        self._db.execute("DELETE FROM spent_sums WHERE ends <= ?", (int(now * 1000),))
        self._db.execute("DELETE FROM spent_by_envoy WHERE seen < ?", (now - _WITNESSED,))

    def sums(self, now: float) -> Iterator[Sum]:
        """What had been told and still counts at `now`."""
        rows = self._db.execute("SELECT counted, at, amount FROM spent_sums WHERE ends > ?", (int(now * 1000),))
        for told, at, amount in rows:
            yield Sum(_counted(told), at, _whole(told, amount))

    def _before(self, id: str) -> tuple[Used, ...]:
        row = self._db.execute("SELECT used FROM spent_by_envoy WHERE id = ?", (id,)).fetchone()
        self._db.execute("DELETE FROM spent_by_envoy WHERE id = ?", (id,))
        return () if row is None else _used(row[0])

    def _charges(self, row: Row, exact: dict[_Key, Decimal]) -> Iterator[Charge]:
        for counted, amount, leased in ((each.counted, each.amount, each.leased) for each in row.used):
            units = int(amount)
            if counted.unit == "cost":
                key = _key(counted, row.at)
                before = exact[key] if key in exact else self._sum(key)
                exact[key] = EXACT.add(before, amount)
                units = settled(before, amount)
            charge = Charge(counted.counter, counted.terms, units, counted.group)
            yield charge if leased is None else replace(charge, lease=bytes.fromhex(leased.lease), taken=leased.amount)

    def _sum(self, key: _Key) -> Decimal:
        row = self._db.execute("SELECT amount FROM spent_sums WHERE counter = ? AND spot = ? AND part = ?", key).fetchone()
        return _ZERO if row is None else Decimal(row[0])

    def _add(self, each: Used, at: float) -> None:
        where = spot(each.counted.terms.window, int(at * 1000))
        if not where.ends:
            return  # under way no more
        key = _Key(each.counted.counter, where.name, where.part)
        amount = EXACT.add(self._sum(key), each.amount)
        self._db.execute(
            "INSERT OR REPLACE INTO spent_sums VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, _encode(each.counted), at, where.ends + where.grace, format(amount, "f")),
        )


def _key(counted: Counted, at: float) -> _Key:
    where = spot(counted.terms.window, int(at * 1000))
    return _Key(counted.counter, where.name, where.part)


def _whole(told: bytes, amount: str) -> int:
    return settled(_ZERO, Decimal(amount)) if _counted(told).unit == "cost" else int(amount)
