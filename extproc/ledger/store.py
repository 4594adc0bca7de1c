"""The ledger: SQLite, one row a request that reached a provider or the cache.

Money is exact decimal text, US dollars: `cost` is the provider's, `price` what is charged, where that is not the same. A cache hit cost
nothing, and its tokens are in `saved_input` and `saved_output`, because nobody sold them again. A request that was refused before any
provider is no entry; its id is remembered for a while, so that Envoy's access log does not make one of it.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from hashlib import sha256
from operator import attrgetter
from pathlib import Path

import msgspec
from msgspec.structs import astuple

from extproc.identity.record import Owner
from extproc.ledger.aggregates import fold
from extproc.ledger.money import add_exact_sum, plain
from extproc.ledger.prices import Priced
from extproc.ledger.record import Outcome, Record
from extproc.ledger.schema import migrate
from extproc.ledger.sums import SQLITE
from extproc.usage import Usage

_USAGE = Usage.__struct_fields__
_HEAD = (
    "id", "time", "tenant", "key", "dialect", "path", "model", "route", "provider", "target", "answered", "attempts", "stream", "cache",
    "status", "outcome", "error",
)  # fmt: skip
_TAIL = ("unit", "amount", "partial", "estimated", "metered", "duration", "first_byte", "bytes_in", "bytes_out", "witness")
_WHO = ("key_id", "end_user", "cost_centre", "queue", "ours", "first_token")
_NOBODY = Owner("")
COLUMNS = (
    *_HEAD, *_USAGE, "saved_input", "saved_output", *_TAIL, "tried", "provider_key", "mirror_of",
    "priced", "cost", "cost_parts", "price_source", "price_version", "price", "price_parts", "price_rule",
    "organization", "project", "team", "user_id", "service_account", "tags", *_WHO,
)  # fmt: skip
"""Of an entry, in the order in which they are written and sent."""
_PUT = f"INSERT OR REPLACE INTO entries ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SETTLE = "INSERT OR REPLACE INTO settled (id, seen, witness) VALUES (?, ?, ?)"
_STOP = "DELETE FROM pending WHERE id = ?"
_WITNESSES = """
    SELECT id, witness FROM entries WHERE id IN (SELECT value FROM json_each(?1))
    UNION ALL SELECT id, witness FROM settled WHERE id IN (SELECT value FROM json_each(?1))"""
_ADD_NEWER = tuple(fold(SQLITE, "(SELECT * FROM entries WHERE rowid > ?1)"))
_TAKE_OUT = tuple(fold(SQLITE, "(SELECT * FROM entries WHERE id = ?1)", out=True))
_PUT_BACK = tuple(fold(SQLITE, "(SELECT * FROM entries WHERE id = ?1)"))
_KEPT_CORRUPT = 1000
# KiB, negative as SQLite wants it.
_CACHE = -16 * 1024
_LOG_PAGES = 4000
_head, _tail, _usage, _who = attrgetter(*_HEAD), attrgetter(*_TAIL), attrgetter(*_USAGE), attrgetter(*_WHO)
_BOUGHT_NOTHING = _usage(Usage())


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
            self.db.create_function("sha256_of", 1, _digest, deterministic=True)
            if not read_only:
                self.db.execute("PRAGMA journal_mode = WAL")
                # Request ids are random, so each entry of a long ledger touches a page of its own: it pays to keep many at hand, and
                # to copy them from the log to the ledger seldom.
                self.db.execute(f"PRAGMA cache_size = {_CACHE}")
                self.db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
                migrate(self.db)
                self._fill()
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
        return self.witnesses([id]).get(id, "")

    def witnesses(self, ids: Sequence[str]) -> dict[str, str]:
        """The same of those of many requests that somebody has told of."""
        return dict(self.db.execute(_WITNESSES, (msgspec.json.encode(ids).decode(),)).fetchall())

    def add(self, fresh: Sequence[tuple[Record, Priced]], now: float) -> None:
        """Enter requests that nobody has told of before."""
        entries = [_row(record, priced) for record, priced in fresh if is_entry(record)]
        if entries:
            (last,) = self.db.execute("SELECT coalesce(max(rowid), 0) FROM entries").fetchone()
            self.db.executemany(_PUT, entries)
            self._fold(_ADD_NEWER, last)
        if len(entries) < len(fresh):
            self.db.executemany(_SETTLE, ((record.id, now, record.witness) for record, _ in fresh if not is_entry(record)))

    def put(self, record: Record, priced: Priced, now: float) -> None:
        """Enter the request in place of what is known of it."""
        self.db.execute("DELETE FROM settled WHERE id = ?", (record.id,))
        self._fold(_TAKE_OUT, record.id)
        self.db.execute("DELETE FROM entries WHERE id = ?", (record.id,))
        self.add([(record, priced)], now)

    def broke(self, id: str, outcome: Outcome, status: int, error: str = "") -> None:
        """It was not the client that broke off, though the worker could tell no more than that nobody listened any longer."""
        if self.db.execute("SELECT 1 FROM entries WHERE id = ? AND outcome = 'client_closed'", (id,)).fetchone() is None:
            return
        self._fold(_TAKE_OUT, id)
        self.db.execute(
            "UPDATE entries SET outcome = ?, status = ?, error = CASE error WHEN '' THEN ? ELSE error END WHERE id = ?",
            (outcome, status, error, id),
        )
        self._fold(_PUT_BACK, id)

    def _fold(self, statements: tuple[str, ...], which: object) -> None:
        for statement in statements:
            self.db.execute(statement, (which,))

    def _fill(self) -> None:
        """Adds up what earlier releases have entered, once."""
        filled = "SELECT 1 FROM tallies WHERE name = 'aggregated'"
        if self.db.execute(filled).fetchone() is None:
            with self.transaction():
                if self.db.execute(filled).fetchone() is None:
                    self._fold(_ADD_NEWER, 0)
                    self.db.execute("INSERT INTO tallies VALUES ('aggregated', 1)")

    def measured(self, seen: Record) -> None:
        """How long an upgraded connection lasted, and what it carried, as Envoy has seen it."""
        self.db.execute(
            "UPDATE entries SET bytes_in = ?, bytes_out = max(bytes_out, ?), duration = max(duration, ?) WHERE id = ? AND status = 101",
            (seen.bytes_in, seen.bytes_out, seen.duration, seen.id),
        )

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

    def stop_waiting(self, ids: Iterable[str]) -> None:
        """Their lines need no waiting any more."""
        self.db.executemany(_STOP, ((id,) for id in ids))

    def waiting(self) -> bool:
        """Whether access log lines wait for their worker."""
        return self.db.execute("SELECT 1 FROM pending LIMIT 1").fetchone() is not None

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


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _parts(parts: dict[str, Decimal]) -> str:
    return msgspec.json.encode({kind: plain(amount) for kind, amount in parts.items()}).decode()


def _row(record: Record, priced: Priced) -> tuple[object, ...]:
    usage, cost = record.usage, priced.cost
    hit = record.cache == "hit"
    counts = (*_BOUGHT_NOTHING, usage.input, usage.output) if hit else (*_usage(usage), 0, 0)
    charged: tuple[str | None, str, str] = (None, "", "")
    if priced.price is not None:
        charged = (plain(priced.price), _parts(priced.price_parts), priced.rule)
    money = (cost is not None, None if cost is None else plain(cost), _parts(priced.parts), priced.source, priced.version, *charged)
    tried = msgspec.json.encode(record.tried).decode() if record.tried else ""
    tags = msgspec.json.encode(record.tags, order="sorted").decode() if record.tags else ""
    whose = (*astuple(record.owner or _NOBODY), tags, *_who(record))
    return (*_head(record), *counts, *_tail(record), tried, record.provider_key, record.mirror_of, *money, *whose)
