"""The ledger: SQLite, one row a request that reached a provider or the cache.

Money is exact decimal text, US dollars. A cache hit cost nothing, and its tokens are in `saved_input` and `saved_output`, because nobody
sold them again. A request that was refused before any provider is no entry; its id is remembered for a while, so that Envoy's access
log does not make one of it.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from extproc.ledger.money import add_exact_sum, plain
from extproc.ledger.prices import Priced
from extproc.ledger.record import Outcome, Record
from extproc.ledger.schema import migrate
from extproc.usage import Usage

_USAGE = Usage.__struct_fields__
_COLUMNS = (
    "id", "time", "tenant", "key", "dialect", "path", "model", "route", "provider", "target", "answered", "attempts", "stream", "cache",
    "status", "outcome", "error", *_USAGE, "saved_input", "saved_output", "partial", "estimated", "metered", "duration", "first_byte",
    "bytes_in", "bytes_out", "witness", "priced", "cost", "cost_parts", "price_source", "price_version",
)  # fmt: skip
_PUT = f"INSERT OR REPLACE INTO entries ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_KEPT_CORRUPT = 1000
_MADE_UP = frozenset((*_USAGE, "saved_input", "saved_output", "priced", "cost", "cost_parts", "price_source", "price_version"))
_OF_RECORD = tuple(name for name in _COLUMNS if name not in _MADE_UP)


def is_entry(record: Record) -> bool:
    """Does it belong in the ledger? Not when it was refused, or ended, before a provider or the cache was reached."""
    if record.outcome == "rejected":
        return False
    return bool(record.provider or record.attempts or record.cache == "hit" or record.usage.total)


class Store:
    """One connection to the ledger. For one thread at a time; readers and the one collector may have theirs at once."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open, and unless `read_only` create or migrate it. Raises sqlite3.Error, OSError; RuntimeError for a newer release's schema."""
        if read_only:
            self.db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm files the mode of the database.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self.db.execute("PRAGMA busy_timeout = 5000")
            add_exact_sum(self.db)
            if not read_only:
                self.db.execute("PRAGMA journal_mode = WAL")
                migrate(self.db)
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All of it or nothing. `durable`: on disk, with all that was committed before, even if the power fails right after."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.db.execute("COMMIT")
        except BaseException:
            # An error such as a full disk may have rolled back by itself.
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def witness(self, id: str) -> str:
        """Who has told of this request so far: `worker`, `envoy`, or empty."""
        row = self.db.execute(
            "SELECT witness FROM entries WHERE id = ? UNION ALL SELECT witness FROM settled WHERE id = ?", (id, id)
        ).fetchone()
        return "" if row is None else str(row[0])

    def put(self, record: Record, priced: Priced, now: float) -> None:
        """Enter the request, in place of what is known of it. Raises ValueError or OverflowError for what SQLite cannot hold."""
        if is_entry(record):
            self.db.execute(_PUT, _row(record, priced))
            self.db.execute("DELETE FROM settled WHERE id = ?", (record.id,))
        else:
            self.db.execute("INSERT OR REPLACE INTO settled (id, seen, witness) VALUES (?, ?, ?)", (record.id, now, record.witness))
            self.db.execute("DELETE FROM entries WHERE id = ?", (record.id,))
        self.db.execute("DELETE FROM pending WHERE id = ?", (record.id,))

    def broke(self, id: str, outcome: Outcome, status: int) -> None:
        """It was not the client that broke off, though the worker could tell no more than that nobody listened any longer."""
        self.db.execute("UPDATE entries SET outcome = ?, status = ? WHERE id = ? AND outcome = 'client_closed'", (outcome, status, id))

    def forget_settled(self, before: float) -> None:
        """Forget ids that needed no entry and were seen before then."""
        self.db.execute("DELETE FROM settled WHERE seen < ?", (before,))

    def sources(self) -> dict[str, int]:
        """How far each file has been read."""
        return dict(self.db.execute("SELECT name, offset FROM sources").fetchall())

    def advance(self, name: str, offset: int) -> None:
        """The file has been read up to `offset`."""
        self.db.execute(
            "INSERT INTO sources (name, offset) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET offset = excluded.offset", (name, offset)
        )

    def finish(self, names: Iterable[str]) -> None:
        """These files are wholly read. Written for the sake of a durable transaction: it carries all that came before to the disk."""
        self.db.executemany("UPDATE sources SET done = 1 WHERE name = ?", ((name,) for name in names))

    def drop_sources(self, names: Iterable[str]) -> None:
        """These files are gone."""
        self.db.executemany("DELETE FROM sources WHERE name = ?", ((name,) for name in names))

    def wait(self, id: str, due: float, line: bytes) -> bool:
        """Keep an access log line until `due`. False: a line of that id waits already."""
        return self.db.execute("INSERT OR IGNORE INTO pending (id, due, line) VALUES (?, ?, ?)", (id, due, line)).rowcount == 1

    def due(self, now: float, latest: float, limit: int) -> list[tuple[str, bytes]]:
        """Lines whose time has come, oldest first. Due after `latest` means that the clock was set back: those too."""
        return self.db.execute(
            "SELECT id, line FROM pending WHERE due <= ? OR due > ? ORDER BY due, id LIMIT ?", (now, latest, limit)
        ).fetchall()

    def line(self, id: str) -> bytes:
        """The access log line that waits for its worker; empty if there is none."""
        row = self.db.execute("SELECT line FROM pending WHERE id = ?", (id,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def stop_waiting(self, id: str) -> None:
        """The line needs no waiting any more."""
        self.db.execute("DELETE FROM pending WHERE id = ?", (id,))

    def waiting(self) -> int:
        """Number of access log lines that wait for their worker."""
        return int(self.db.execute("SELECT count(*) FROM pending").fetchone()[0])

    def quarantine(self, source: str, offset: int, line: bytes, now: float) -> None:
        """Count a line that nobody can read, and keep it if few are kept yet."""
        self.db.execute("INSERT INTO tallies VALUES ('corrupt', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")
        self.db.execute(
            "INSERT INTO corrupt SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM corrupt) < ?",
            (source, offset, now, line[:4096], _KEPT_CORRUPT),
        )

    def corrupt(self) -> int:
        """Number of lines so far that nobody could read."""
        row = self.db.execute("SELECT value FROM tallies WHERE name = 'corrupt'").fetchone()
        return 0 if row is None else int(row[0])


def _row(record: Record, priced: Priced) -> list[object]:
    hit = record.cache == "hit"
    usage = Usage() if hit else record.usage
    values: dict[str, object] = {name: getattr(record, name) for name in _OF_RECORD}
    values |= {name: getattr(usage, name) for name in _USAGE}
    values |= {
        "saved_input": record.usage.input if hit else 0,
        "saved_output": record.usage.output if hit else 0,
        "priced": priced.cost is not None,
        "cost": None if priced.cost is None else plain(priced.cost),
        "cost_parts": msgspec.json.encode({kind: plain(amount) for kind, amount in priced.parts.items()}).decode(),
        "price_source": priced.source,
        "price_version": priced.version,
    }
    return [values[name] for name in _COLUMNS]
