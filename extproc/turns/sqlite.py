"""Turns in SQLite: `conversations.sqlite` in the state folder, for its owner's eyes alone.

A row is a turn, and knows the row of the turn before it, which is older than itself; so conversations may fork, and have no circles. A row
without an id is found by nobody and is there only for those that build on it.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from extproc.sqlite import open_file
from extproc.turns.turn import Chain, Keep, Turn

_FILE = "conversations.sqlite"
_VERSION = 2
# What is forgotten is to be gone from the disk, too, and the file to shrink.
_PRAGMAS = ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON")
# Of version 1 all but the last index is there.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS turns (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         owner TEXT NOT NULL,
         id TEXT,
         previous INTEGER,
         expires REAL NOT NULL,
         size INTEGER NOT NULL,
         input BLOB NOT NULL,
         output BLOB NOT NULL,
         response BLOB NOT NULL,
         UNIQUE (owner, id)
       ) STRICT""",
    "CREATE INDEX IF NOT EXISTS turns_previous ON turns (previous) WHERE previous IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS turns_expires ON turns (expires)",
    "CREATE INDEX IF NOT EXISTS turns_owner ON turns (owner)",  # and by number, as every index
    f"PRAGMA user_version = {_VERSION}",
)
_CHAIN = """WITH RECURSIVE chain (number, previous) AS (
      SELECT number, previous FROM turns WHERE owner = ? AND id = ? AND expires > ?
      UNION ALL SELECT turns.number, turns.previous FROM turns JOIN chain ON turns.number = chain.previous)
    """
_SIZE = _CHAIN + "SELECT count(*), sum(size) FROM chain JOIN turns USING (number)"
_READ = _CHAIN + "SELECT id, input, output, response FROM chain JOIN turns USING (number) ORDER BY number"
_LEAF = "NOT EXISTS (SELECT 1 FROM turns AS later WHERE later.previous = turns.number)"

GRACE = 3600.0
"""Seconds for which an expired turn stays where it is: a request that builds on it may still be under way."""
_HELPING = 500
"""Rows that are forgotten at once."""
_ROOM = 0.9
"""What is left of all bytes when there were too many: so that not each turn has to make room for itself."""
_PIECE = 0.01
"""Of all bytes, what an owner gives way with at once, at least: many may hold nearly as much as the one that holds most."""


class SqliteTurns:
    """The turns of one state folder. Blocks, and belongs to one thread. Raises `sqlite3.Error` and `OSError` where the disk refuses."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = state / _FILE
        self._clock = clock
        self._opened: sqlite3.Connection | None = None
        self.count = 0
        """Turns that there are."""
        self.size = 0
        """Their bytes."""
        self._held: Counter[str] = Counter()
        """Their bytes by owner."""

    def _open(self) -> sqlite3.Connection:
        if self._opened is None:
            connection = open_file(self._path, pragmas=_PRAGMAS, schema=_SCHEMA, version=_VERSION)
            self.count, self.size, self._held = 0, 0, Counter()
            for owner, count, size in connection.execute("SELECT owner, count(*), sum(size) FROM turns GROUP BY owner"):
                self._count(owner, count, size)
            self._opened = connection
        return self._opened

    def close(self) -> None:
        """Lets go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def chain(self, owner: str, identifier: str, most: int) -> Chain:
        """See `Turns.chain`."""
        given = (owner, identifier, self._clock())
        connection = self._open()
        count, size = connection.execute(_SIZE, given).fetchone()
        if not count or size > most:
            return Chain(size=size or 0)
        rows = connection.execute(_READ, given).fetchall()
        turns: list[Turn] = []
        for name, given_, output, response in rows:
            previous = turns[-1].id if turns else ""
            turns.append(Turn(id=name or "", previous=previous, input=given_, output=output, response=response))
        return Chain(tuple(turns), size)

    def put(self, owner: str, turn: Turn, keep: Keep) -> bool:
        """Keeps a turn. False: the one before it is there no more, so nobody could go on from this one."""
        connection = self._open()
        size = len(turn.input) + len(turn.output) + len(turn.response)
        with connection:  # one transaction, undone by whatever is raised
            connection.execute("BEGIN IMMEDIATE")
            previous = self._number(owner, turn.previous) if turn.previous else None
            if turn.previous and previous is None:
                return False
            # Two answers with one id: from the cache, or of a provider that numbers them as it likes. The later one counts.
            older = self._number(owner, turn.id)
            connection.execute("UPDATE turns SET id = NULL WHERE number = ?", (older,))
            row = (owner, turn.id, previous, self._clock() + keep.ttl, size, turn.input, turn.output, turn.response)
            insert = "INSERT INTO turns (owner, id, previous, expires, size, input, output, response) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            connection.execute(insert, row)
            forgotten = self._forget(older) if older is not None else (0, 0)
        self._count(owner, 1, size)
        self._count(owner, *forgotten)
        return True

    def full(self, most: int) -> bool:
        """Whether there are more than `most` bytes."""
        return self.size > most

    def _count(self, owner: str, turns: int, size: int) -> None:
        self.count, self.size = self.count + turns, self.size + size
        self._held[owner] += size
        if not self._held[owner]:
            del self._held[owner]

    def _number(self, owner: str, identifier: str) -> int | None:
        row = self._open().execute("SELECT number FROM turns WHERE owner = ? AND id = ?", (owner, identifier)).fetchone()
        return int(row[0]) if row else None

    def _forget(self, number: int) -> tuple[int, int]:
        """Takes a turn's id away, and the turn itself where nothing builds on it. What that changes of `count` and `size`."""
        connection = self._open()
        gone = connection.execute(f"DELETE FROM turns WHERE number = ? AND {_LEAF} RETURNING size", (number,)).fetchall()
        if gone:
            return -1, -int(gone[0][0])
        (told,) = connection.execute("SELECT length(response) FROM turns WHERE number = ?", (number,)).fetchone()
        connection.execute("UPDATE turns SET id = NULL, response = x'', size = size - ? WHERE number = ?", (told, number))
        return 0, -told

    def delete(self, owner: str, identifier: str) -> bool:
        """See `Turns.delete`."""
        connection = self._open()
        found = "SELECT number FROM turns WHERE owner = ? AND id = ? AND expires > ?"
        row = connection.execute(found, (owner, identifier, self._clock())).fetchone()
        if row is None:
            return False
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            forgotten = self._forget(row[0])
            # Those before it may have waited for this one alone.
            swept = self._sweep_nameless()
        self._count(owner, *forgotten)
        self._uncount(swept)
        return True

    def _uncount(self, rows: list[tuple[str, int]]) -> None:
        for owner, size in rows:
            self._count(owner, -1, -size)

    def _sweep_nameless(self) -> list[tuple[str, int]]:
        swept: list[tuple[str, int]] = []
        while rows := self._drop(f"id IS NULL AND {_LEAF}"):
            swept += rows
        return swept

    def _drop(self, condition: str, *given: float) -> list[tuple[str, int]]:
        """Owners and sizes of the rows that were dropped."""
        query = f"""DELETE FROM turns WHERE number IN
            (SELECT number FROM turns WHERE {condition} ORDER BY number LIMIT {_HELPING}) RETURNING owner, size"""
        return self._open().execute(query, given).fetchall()

    def _evict(self, owner: str, least: int) -> list[tuple[str, int]]:
        """Drops turns of an owner that rested longest and that nothing builds on, until they had `least` bytes. Owners and sizes."""
        query = f"SELECT number, size FROM turns INDEXED BY turns_owner WHERE owner = ? AND {_LEAF} ORDER BY number LIMIT {_HELPING}"
        rows: list[tuple[str, int]] = []
        for number, size in self._open().execute(query, (owner,)).fetchall():
            if least <= 0:
                break
            self._open().execute("DELETE FROM turns WHERE number = ?", (number,))
            rows.append((owner, size))
            least -= size
        return rows

    def _make_room(self, most: int) -> int:
        """Drops turns of whoever holds most, until somebody else does, or there is room. How many."""
        evicted = 0
        while (excess := self.size - int(most * _ROOM)) > 0:
            (owner, held), *others = self._held.most_common(2)
            beyond = held - (others[0][1] if others else 0)
            rows = self._evict(owner, min(excess, max(beyond, int(most * _PIECE))))
            if not rows:
                break
            self._uncount(rows)
            evicted += len(rows)
        return evicted

    def sweep(self, most: int) -> tuple[int, int]:
        """Drops expired turns, and, of more than `most` bytes, the conversations that rested longest of those owners that hold most. How
        many turns of each.
        """
        if self._opened is None and not self._path.exists():
            return 0, 0
        connection = self._open()
        due = self._clock() - GRACE
        expired = 0
        while rows := self._drop(f"expires < ? AND {_LEAF}", due):
            self._uncount(rows)
            expired += len(rows)
        evicted = self._make_room(most) if self.full(most) else 0
        if expired or evicted:
            connection.execute("PRAGMA incremental_vacuum").fetchall()
        return expired, evicted
