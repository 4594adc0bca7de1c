"""Callers' keys in the state folder: made and revoked by `headgate keys`, watched by the control process. SQLite, hashes only.

The store remembers its last changes, whoever made them (triggers see to it), so that a change among a million keys is found without
reading a million. Each change has a random mark: a store that was restored from a copy is not taken for the one that it was.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from msgspec import Struct

from extproc.keyfile import Stamp
from extproc.keys import StoredKey, digest, make_key

REMEMBERED = 131_072
"""Changes that are remembered: who knows of none of them has to read all keys."""
TOLD = 16_384
"""Keys that can be told one by one: nobody waits for so many new ones, but for those to be worthless that were revoked with them."""

_FILE = "keys.sqlite"
_VERSION = 1
_NOTICE_MADE = "CREATE TRIGGER key_made AFTER INSERT ON keys BEGIN INSERT INTO changes (digest) VALUES (NEW.digest); END"
# A last change for those to come to be counted from; no key has this digest.
_FRESH_START = "INSERT INTO changes (digest) VALUES (x'')"
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS keys (
         name TEXT PRIMARY KEY,
         digest BLOB NOT NULL UNIQUE,
         tenant TEXT NOT NULL,
         created REAL NOT NULL,
         revoked REAL
       ) STRICT""",
    """CREATE TABLE changes (
         number INTEGER PRIMARY KEY,
         mark BLOB NOT NULL DEFAULT (randomblob(8)),
         digest BLOB NOT NULL
       ) STRICT""",
    _NOTICE_MADE,
    "CREATE TRIGGER key_changed AFTER UPDATE ON keys BEGIN INSERT INTO changes (digest) VALUES (NEW.digest); END",
    "CREATE TRIGGER key_replaced AFTER UPDATE OF digest ON keys BEGIN INSERT INTO changes (digest) VALUES (OLD.digest); END",
    "CREATE TRIGGER key_gone AFTER DELETE ON keys BEGIN INSERT INTO changes (digest) VALUES (OLD.digest); END",
    f"""CREATE TRIGGER change_forgotten AFTER INSERT ON changes BEGIN
          DELETE FROM changes WHERE number < NEW.number - {REMEMBERED};
        END""",  # noqa: S608 - a number of ours
    _FRESH_START,
    f"PRAGMA user_version = {_VERSION}",
)
_MADE = "INSERT INTO keys (name, digest, tenant, created) VALUES (?, ?, ?, ?)"
# Rows that are read at once: between two such helpings somebody else may write.
_HELPING = 20_000
# KiB, negative as SQLite wants it: a million keys are added without writing in between, and nobody who reads is kept waiting.
_CACHE = -256 * 1024


class KeyEntry(Struct, frozen=True):
    """A key as `headgate keys list` shows it."""

    name: str
    tenant: str
    created: float
    revoked: float | None


class Changes(Struct, frozen=True):
    """What has become of the keys that changed since some moment."""

    added: tuple[StoredKey, ...]
    """In force."""
    revoked: tuple[bytes, ...]
    """Digests of those that are not, or that are no more."""

    def __len__(self) -> int:
        return len(self.added) + len(self.revoked)


class Taken(ValueError):
    """A key cannot be added, for another one has its name or its digest: one that there is or was, or one of those before it."""

    def __init__(self, what: str, name: str, index: int) -> None:
        """`index`: its place among those to add, from 0."""
        super().__init__(f"another key has the {what} of {name!r}: one that there is, or was, or one further up")
        self.index = index


class _Rows:
    """Keys on their way into the table, one at a time: it knows the last one, which is the one that could not be added."""

    def __init__(self, connection: sqlite3.Connection, skip_existing: bool) -> None:
        self._connection = connection
        self._skip = skip_existing
        self._now = time.time()
        self.taken = 0
        self.name = ""

    def of(self, keys: Iterable[StoredKey]) -> Iterator[tuple[str, bytes, str, float]]:
        for key in keys:
            self.taken += 1
            self.name = key.name
            if not (self._skip and self._is_there(key)):
                yield key.name, key.digest, key.tenant or key.name, self._now

    def _is_there(self, key: StoredKey) -> bool:
        query = "SELECT 1 FROM keys WHERE name = ? AND digest = ?"
        return bool(self._connection.execute(query, (key.name, key.digest)).fetchall())


class KeyStore:
    """The keys of one state folder. Raises `OSError` or `sqlite3.Error` where the folder cannot be used."""

    def __init__(self, state: Path) -> None:
        self._path = state / _FILE

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            # A rollback journal, not a write-ahead log: every change then touches the file itself, which is how it is noticed.
            if _version(connection) < _VERSION:
                with _transaction(connection, "IMMEDIATE"):
                    if _version(connection) < _VERSION:
                        for statement in _SCHEMA:
                            connection.execute(statement)
            yield connection
        finally:
            connection.close()

    def version(self) -> tuple[int, int] | None:
        """Changes whenever the keys do; None while there is no store."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_size

    def create(self, name: str, tenant: str) -> str:
        """Makes a key and returns it, for the only time. Raises `ValueError` if the name is taken."""
        key = make_key()
        try:
            with self._open() as connection:
                connection.execute(_MADE, (name, digest(key), tenant or name, time.time()))
        except sqlite3.IntegrityError:
            raise ValueError(f"there is, or was, a key named {name!r}; names are not used twice, so that reports stay true") from None
        return key

    def add_many(self, keys: Iterable[StoredKey], *, skip_existing: bool = False) -> int:
        """Adds keys that were made elsewhere: all of them, or none if it raises `ValueError`. How many were added.

        `skip_existing`: those that are there already, name and digest, are passed over. Raises `Taken` for one that cannot be added.
        """
        each = iter(keys)
        first = list(islice(each, TOLD))
        if not first:
            return 0
        with self._open() as connection:
            connection.execute(f"PRAGMA cache_size = {_CACHE}")
            rows = _Rows(connection, skip_existing)
            with _transaction(connection, "IMMEDIATE"):
                try:
                    added = connection.executemany(_MADE, rows.of(first)).rowcount
                    # More than can be told need not be noticed one by one, which takes longer than adding them.
                    if len(first) == TOLD:
                        connection.execute("DROP TRIGGER key_made")
                        added += connection.executemany(_MADE, rows.of(each)).rowcount
                        for statement in ("DELETE FROM changes", _FRESH_START, _NOTICE_MADE):
                            connection.execute(statement)
                except sqlite3.IntegrityError as error:
                    raise Taken("hash" if "keys.digest" in str(error) else "name", rows.name, rows.taken - 1) from None
                return max(0, added)

    def revoke(self, name: str) -> bool:
        """Revokes a key at once; False if there is no such key in force."""
        if not self._path.exists():
            return False
        with self._open() as connection:
            cursor = connection.execute("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (time.time(), name))
            return cursor.rowcount > 0

    def list(self) -> list[KeyEntry]:
        """All keys, revoked ones too, oldest first."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT name, tenant, created, revoked FROM keys ORDER BY created")
            return [KeyEntry(*row) for row in rows]

    def exist(self) -> bool:
        """Whether there are keys, or ever were any."""
        if not self._path.exists():
            return False
        with self._open() as connection:
            return connection.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None

    def stamp(self) -> Stamp:
        """The last change."""
        with self._open() as connection:
            return Stamp(*connection.execute("SELECT number, mark FROM changes ORDER BY number DESC LIMIT 1").fetchone())

    def since(self, stamp: Stamp | None) -> Changes | None:
        """What has changed since `stamp`, or since there were no keys.

        None if that is more than is `REMEMBERED` or can be `TOLD`, or if this store never was what the stamp tells of.
        """
        if not self._path.exists():
            return Changes((), ()) if stamp is None else None
        with self._open() as connection, _transaction(connection, "DEFERRED"):
            if stamp is None:
                query = "SELECT name, digest, tenant FROM keys WHERE revoked IS NULL ORDER BY rowid LIMIT ?"
                added = tuple(StoredKey(*row) for row in connection.execute(query, (TOLD + 1,)))
                return Changes(added, ()) if len(added) <= TOLD else None
            if connection.execute("SELECT 1 FROM changes WHERE number = ? AND mark = ?", (stamp.number, stamp.mark)).fetchone() is None:
                return None
            query = """SELECT keys.name, changes.digest, keys.tenant FROM changes
                LEFT JOIN keys ON keys.digest = changes.digest AND keys.revoked IS NULL
                WHERE changes.number > ? GROUP BY changes.digest"""
            rows = connection.execute(query, (stamp.number,)).fetchall()
        added = tuple(StoredKey(*row) for row in rows if row[0] is not None)
        return Changes(added, tuple(row[1] for row in rows if row[0] is None)) if len(added) <= TOLD else None

    def each(self) -> Iterator[StoredKey]:
        """The keys in force. Others may write meanwhile: what is then read of a key is what it was before, or after."""
        last = -1
        with self._open() as connection:
            while True:
                query = "SELECT rowid, name, digest, tenant, revoked FROM keys WHERE rowid > ? ORDER BY rowid LIMIT ?"
                rows = connection.execute(query, (last, _HELPING)).fetchall()
                if not rows:
                    return
                yield from (StoredKey(name, hashed, tenant) for _, name, hashed, tenant, revoked in rows if revoked is None)
                last = rows[-1][0]


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # An error such as a full disk may have rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
