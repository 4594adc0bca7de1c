"""Callers' keys in the state folder: made and revoked by `headgate keys`, watched by the control process. SQLite, hashes only."""

import sqlite3
import time
from pathlib import Path

from msgspec import Struct

from extproc.keys import StoredKey, digest, make_key

_FILE = "keys.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
  name TEXT PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  created REAL NOT NULL,
  revoked REAL
) STRICT
"""


class KeyEntry(Struct, frozen=True):
    """A key as `headgate keys list` shows it."""

    name: str
    tenant: str
    created: float
    revoked: float | None


class KeyStore:
    """The keys of one state folder. Raises `OSError` or `sqlite3.Error` where the folder cannot be used."""

    def __init__(self, state: Path) -> None:
        self._path = state / _FILE

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        # A rollback journal, not a write-ahead log: every change then touches the file itself, which is how it is noticed.
        connection.execute(_SCHEMA)
        return connection

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
        connection = self._open()
        try:
            row = (name, digest(key), tenant or name, time.time())
            connection.execute("INSERT INTO keys (name, digest, tenant, created) VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ValueError(f"there is, or was, a key named {name!r}; names are not used twice, so that reports stay true") from None
        finally:
            connection.close()
        return key

    def revoke(self, name: str) -> bool:
        """Revokes a key at once; False if there is no such key in force."""
        if not self._path.exists():
            return False
        connection = self._open()
        try:
            cursor = connection.execute("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (time.time(), name))
            return cursor.rowcount > 0
        finally:
            connection.close()

    def list(self) -> list[KeyEntry]:
        """All keys, revoked ones too, oldest first."""
        if not self._path.exists():
            return []
        connection = self._open()
        try:
            rows = connection.execute("SELECT name, tenant, created, revoked FROM keys ORDER BY created")
            return [KeyEntry(*row) for row in rows]
        finally:
            connection.close()

    def load(self) -> tuple[tuple[StoredKey, ...], bool]:
        """The keys in force, and whether there ever were any."""
        if not self._path.exists():
            return (), False
        connection = self._open()
        try:
            rows = list(connection.execute("SELECT name, digest, tenant, revoked FROM keys ORDER BY created"))
        finally:
            connection.close()
        return tuple(StoredKey(name, hashed, tenant) for name, hashed, tenant, revoked in rows if revoked is None), bool(rows)
