"""The database of identities: SQLite in the state folder, or PostgreSQL by URL. Connections, transactions, and nothing of what is in it.

Whoever writes waits until nobody else does, in both databases: changes are few, and each gets its number in the order in which they are
committed, which is what those who follow them rely on (`changes.py`). Readers wait for nobody.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from extproc.store import FILE

WRITERS = 0x6867_0001
"""Number of the advisory lock that writers on PostgreSQL hold to their end. Triggers take it, so it is part of the schema."""

# Seconds for which somebody who writes waits for others.
_PATIENCE = 10
# KiB, negative as SQLite wants it: many keys are added without writing in between.
_CACHE = -64 * 1024
_WRITING = {"headgate_writes": True}
# Who waits for a machine that is gone without a word waits no longer than that, either.
_CONNECTION = {
    "connect_timeout": _PATIENCE, "tcp_user_timeout": 1000 * _PATIENCE, "keepalives_idle": 5, "keepalives_interval": 2,
    "keepalives_count": 3,
}  # fmt: skip


def in_folder(state: Path) -> URL:
    """The SQLite database of a state folder."""
    return URL.create("sqlite", database=str(state / FILE))


def url_of(text: str) -> URL:
    """A URL as people write it. Raises `ValueError`, without what may be a password, for what is none of a database that can be used."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("this is no URL of a database, such as postgresql://user:password@host/name") from None
    if url.get_backend_name() in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
        return url
    raise ValueError(f"{url.get_backend_name()} is no database that can be used: postgresql://user:password@host/name, or sqlite:///FILE")


def libpq_of(text: str) -> str:
    """The same for PostgreSQL's own clients. Raises `ValueError`."""
    return url_of(text).set(drivername="postgresql").render_as_string(hide_password=False)


class Database:
    """Connections to one database. Safe for threads; not for what `fork` makes of a process."""

    def __init__(self, url: URL, *, pooled: bool = True, writers: int = WRITERS) -> None:
        """Nothing is opened before it is needed. `pooled`: connections stay open, for whoever needs them often. `writers`: number of the
        advisory lock on PostgreSQL, see `WRITERS`: others than those of the store need not wait for them.
        """
        self.url = url
        self._writers = writers
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine = _sqlite(url, pooled) if self.is_sqlite else _postgresql(url, pooled)

    def there(self) -> bool:
        """Whether there is a database to ask: SQLite's file may be still to come."""
        return not self.is_sqlite or (self._file.exists() and self._file.stat().st_size > 0)

    @property
    def _file(self) -> Path:
        assert self.url.database is not None
        return Path(self.url.database)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the database, whatever others write meanwhile, and ends without a trace."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that nobody else writes beside: committed at the end, undone by any exception."""
        if self.is_sqlite:
            self._make_file()
        with self.engine.connect().execution_options(**_WRITING) as connection, connection.begin():
            if not self.is_sqlite:
                # Before anything else is locked: so two who write never wait for each other.
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": self._writers})
            yield connection

    def _make_file(self) -> None:
        if not self._file.exists():
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # For its owner's eyes alone; SQLite gives its other files the same mode.
            os.close(os.open(self._file, os.O_CREAT | os.O_WRONLY, 0o600))

    def close(self) -> None:
        """Ends all connections that nobody uses at the moment."""
        self.engine.dispose()


def _sqlite(url: URL, pooled: bool) -> Engine:
    pool = {} if pooled else {"poolclass": NullPool}
    engine = create_engine(url, connect_args={"timeout": _PATIENCE, "check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        # Transactions begin where we say so, below: sqlite3 would begin them before the first change, and read outside of any.
        connection.isolation_level = None
        # FULL: a key that was revoked stays so when the power fails (https://www.sqlite.org/pragma.html#pragma_synchronous).
        for pragma in (
            "journal_mode = WAL",
            "journal_size_limit = 16777216",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"cache_size = {_CACHE}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A reader that begins to write would fail at once where another one writes, whatever the patience: writers say so beforehand.
        writes = connection.get_execution_options().get("headgate_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL, pooled: bool) -> Engine:
    pool: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 4} if pooled else {"poolclass": NullPool}
    try:
        # One moment for all that is read in a transaction. Writers are one at a time, so none of them fails for having begun too early
        # as long as the lock is taken first: and that needs the usual level, where each statement sees what was committed before it.
        engine = create_engine(url, connect_args=_CONNECTION, **pool)
    except ImportError:
        raise ValueError("PostgreSQL needs a package that is not installed: pip install 'headgate[postgres]'") from None

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        if not connection.get_execution_options().get("headgate_writes", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine
