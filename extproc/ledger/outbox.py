"""Which entries of the local ledger are still to be sent to the one that machines share: each change has a number, and the last one counts.

Triggers keep it in the transaction that changes the entry, whoever does that. What has been sent is taken off by its number: an
entry that has changed meanwhile has another one, and is sent again.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from extproc.ledger.store import COLUMNS, Store

_PUT = "BEGIN INSERT OR REPLACE INTO outbox (id) VALUES ({}.id); END"
_TRIGGERS = {
    "outbox_insert": f"CREATE TRIGGER outbox_insert AFTER INSERT ON entries {_PUT.format('new')}",
    "outbox_update": f"CREATE TRIGGER outbox_update AFTER UPDATE ON entries {_PUT.format('new')}",
    "outbox_delete": f"CREATE TRIGGER outbox_delete AFTER DELETE ON entries {_PUT.format('old')}",
}
_NEXT = f"""
    SELECT o.number, o.id, {", ".join(f"e.{name}" for name in COLUMNS)}
    FROM (SELECT number, id FROM outbox ORDER BY number LIMIT ?) o LEFT JOIN entries e ON e.id = o.id ORDER BY o.number"""
_OLD = "SELECT id FROM entries WHERE time < ? AND id NOT IN (SELECT id FROM outbox) LIMIT ?"


class Batch(Struct, frozen=True):
    """What is to be sent together."""

    numbers: list[int]
    rows: list[Sequence[Any]]
    """Entries, columns as in `COLUMNS`."""
    gone: list[str]
    """Ids of what is no entry any more."""


class Outbox:
    """Over a connection to the ledger that nobody else uses."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db

    def open(self) -> None:
        """From now on all changes are to be sent; the first time, all that there is."""
        with self._store.transaction():
            if not self._is_open():
                for statement in _TRIGGERS.values():
                    self._db.execute(statement)
                self._db.execute("INSERT OR IGNORE INTO outbox (id) SELECT id FROM entries ORDER BY rowid")

    def shut(self) -> None:
        """Nothing is to be sent any more. Should that change, it begins with everything."""
        with self._store.transaction():
            if self._is_open():
                for name in _TRIGGERS:
                    self._db.execute(f"DROP TRIGGER {name}")
                self._db.execute("DELETE FROM outbox")

    def _is_open(self) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'outbox_insert'").fetchone() is not None

    def next(self, limit: int) -> Batch:
        """What has waited longest."""
        found = self._db.execute(_NEXT, (limit,)).fetchall()
        rows = [row[2:] for row in found if row[2] is not None]
        return Batch([row[0] for row in found], rows, [row[1] for row in found if row[2] is None])

    def sent(self, batch: Batch) -> None:
        """It has arrived."""
        with self._store.transaction():
            self._db.executemany("DELETE FROM outbox WHERE number = ?", ((number,) for number in batch.numbers))

    def waiting(self) -> int:
        """How many there are to be sent."""
        (count,) = self._db.execute("SELECT count(*) FROM outbox").fetchone()
        return int(count)

    def clear(self, before: float, limit: int) -> int:
        """Takes entries of before then, which have been sent, off this machine; how many. The sums here go on to hold them."""
        with self._store.transaction():
            old = self._db.execute(_OLD, (before, limit)).fetchall()
            self._db.executemany("DELETE FROM entries WHERE id = ?", old)
            self._db.executemany("DELETE FROM outbox WHERE id = ?", old)
        return len(old)


FAULTS = (sqlite3.Error, OSError)
"""What goes wrong with a local ledger."""
