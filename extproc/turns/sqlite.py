"""Turns in SQLite: `conversations.sqlite` in the state folder, for its owner's eyes alone.

A row is a turn, and knows the row of the turn before it, which is older than itself; so conversations may fork, and have no circles. A row
without an id is found by nobody and is there only for those that build on it.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from extproc.dialects.responses.kept import Turn
from extproc.turns.turn import Chain, Keep

_FILE = "conversations.sqlite"
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE turns (
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
    "CREATE INDEX turns_previous ON turns (previous) WHERE previous IS NOT NULL",
    "CREATE INDEX turns_expires ON turns (expires)",
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

    def _open(self) -> sqlite3.Connection:
        if self._opened is None:
            if not self._path.exists():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            connection = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
            # What is forgotten is to be gone from the disk, too, and the file to shrink.
            for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
            if connection.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
                for statement in ("BEGIN IMMEDIATE", *_SCHEMA, "COMMIT"):
                    connection.execute(statement)
            self.count, self.size = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM turns").fetchone()
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
        self._count(1, size)
        self._count(*forgotten)
        return True

    def full(self, most: int) -> bool:
        """Whether there are more than `most` bytes."""
        return self.size > most

    def _count(self, turns: int, size: int) -> None:
        self.count, self.size = self.count + turns, self.size + size

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
        self._count(*forgotten)
        self._count(*swept)
        return True

    def _sweep_nameless(self) -> tuple[int, int]:
        count = size = 0
        while rows := self._drop(f"id IS NULL AND {_LEAF}"):
            count, size = count - len(rows), size - sum(rows)
        return count, size

    def _drop(self, condition: str, *given: float) -> list[int]:
        """Sizes of the rows that were dropped."""
        query = f"""DELETE FROM turns WHERE number IN
            (SELECT number FROM turns WHERE {condition} ORDER BY number LIMIT {_HELPING}) RETURNING size"""
        return [row[0] for row in self._open().execute(query, given)]

    def _evict(self, least: int) -> list[int]:
        """Drops turns that rested longest and that nothing builds on, until they had `least` bytes. Their sizes."""
        query = f"SELECT number, size FROM turns WHERE {_LEAF} ORDER BY number LIMIT {_HELPING}"
        sizes: list[int] = []
        for number, size in self._open().execute(query).fetchall():
            if sum(sizes) >= least:
                break
            self._open().execute("DELETE FROM turns WHERE number = ?", (number,))
            sizes.append(size)
        return sizes

    def sweep(self, most: int) -> tuple[int, int]:
        """Drops expired turns, and, of more than `most` bytes, the conversations that rested longest. How many turns of each."""
        if self._opened is None and not self._path.exists():
            return 0, 0
        connection = self._open()
        due = self._clock() - GRACE
        expired = evicted = 0
        while rows := self._drop(f"expires < ? AND {_LEAF}", due):
            self._count(-len(rows), -sum(rows))
            expired += len(rows)
        if self.full(most):
            while (least := self.size - int(most * _ROOM)) > 0 and (rows := self._evict(least)):
                self._count(-len(rows), -sum(rows))
                evicted += len(rows)
        if expired or evicted:
            connection.execute("PRAGMA incremental_vacuum").fetchall()
        return expired, evicted
