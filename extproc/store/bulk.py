"""Many keys at once: they are laid beside the table first, compared with it as a whole, and taken over as a whole.

100,000 rows through the ORM are minutes on PostgreSQL. So these go in as each database likes it best: `COPY`, and sqlite3's `executemany`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, text

from extproc.identity.ids import Ids
from extproc.keys import StoredKey
from extproc.store.changes import TOLD, untold

_COLUMNS = "number, id, name, digest, tenant"
_KNOWN = """DELETE FROM incoming WHERE EXISTS (
    SELECT 1 FROM keys WHERE organization_id = :here AND name = incoming.name AND digest = incoming.digest)"""
_HASHES = "SELECT number FROM incoming JOIN keys ON keys.{} = incoming.digest"
_NAMES = "SELECT number FROM incoming JOIN keys ON keys.organization_id = :here AND keys.name = incoming.name"
_TWICE = "SELECT number FROM (SELECT number, row_number() OVER (PARTITION BY {} ORDER BY number) AS n FROM incoming) AS each WHERE n > 1"
_ADD = """INSERT INTO keys (id, name, digest, tenant, created_at, updated_at, version,
        organization_id, project_id, team_id, user_id, service_account_id)
    SELECT id, name, digest, tenant, :now, :now, 1, :here, :project_id, :team_id, :user_id, :service_account_id
    FROM incoming ORDER BY number"""


class Taken(ValueError):
    """A key cannot be added, for another one has its name or its digest: one that there is or was, or one of those before it."""

    def __init__(self, what: str, name: str, index: int) -> None:
        """`index`: its place among those to add, from 0."""
        super().__init__(f"another key has the {what} of {name!r}: one that there is, or was, or one further up")
        self.index = index


class Added(Struct, frozen=True):
    """What has been added."""

    count: int = 0
    first: str = ""
    """Id of the first one, by which it is the first of a list."""
    last: str = ""


class Bulk:
    """Adds keys in the transaction of a connection on which nobody else writes."""

    def __init__(self, connection: Connection, ids: Ids) -> None:
        self._connection = connection
        self._ids = ids
        self._sqlite = connection.dialect.name == "sqlite"

    def add(self, keys: Iterable[StoredKey], holder: dict[str, str | None], now: int, *, skip_existing: bool) -> Added:
        """Adds all keys, or raises `Taken`. `holder`: ids by column, `organization_id` among them; `now`: milliseconds since 1970."""
        here = {"here": holder["organization_id"]}
        self._lay_down(keys)
        if skip_existing:
            self._connection.execute(text(_KNOWN), here)
        self._compare(here)
        found = self._connection.execute(text("SELECT count(*), min(id), max(id) FROM incoming")).one()
        added = Added(found[0], found[1] or "", found[2] or "")
        take_over = text(_ADD)
        values = {**holder, **here, "now": now}
        del values["organization_id"]
        if added.count >= TOLD:
            with untold(self._connection, sqlite=self._sqlite):
                self._connection.execute(take_over, values)
        elif added.count:
            self._connection.execute(take_over, values)
        self._connection.execute(text("DROP TABLE incoming"))
        return added

    def _lay_down(self, keys: Iterable[StoredKey]) -> None:
        blob = "BLOB" if self._sqlite else "bytea"
        self._connection.execute(
            text(f"CREATE TEMPORARY TABLE incoming (number BIGINT PRIMARY KEY, id TEXT, name TEXT, digest {blob}, tenant TEXT)")
        )
        # What SQLAlchemy knows as `Connection.connection` is the driver's own.
        driver: Any = self._connection.connection.driver_connection
        if self._sqlite:
            driver.executemany(f"INSERT INTO incoming ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", self._rows(keys))  # noqa: S608 - names of ours
            return
        with driver.cursor() as cursor, cursor.copy(f"COPY incoming ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "text", "text", "bytea", "text"])
            for row in self._rows(keys):
                copy.write_row(row)
        self._connection.execute(text("ANALYZE incoming"))

    def _rows(self, keys: Iterable[StoredKey]) -> Iterator[tuple[int, str, str, bytes, str | None]]:
        make = self._ids.make
        for number, key in enumerate(keys):
            yield number, make("key"), key.name, key.digest, key.tenant or None

    def _compare(self, here: dict[str, str | None]) -> None:
        """Raises `Taken` for the first one that cannot be added."""
        questions = {
            "hash": (_HASHES.format("digest"), _HASHES.format("previous_digest"), _TWICE.format("digest")),
            "name": (_NAMES, _TWICE.format("name")),
        }
        found: list[tuple[int, str]] = []
        for what, queries in questions.items():
            for query in queries:
                number = self._connection.execute(text(f"{query} ORDER BY number LIMIT 1"), here if ":here" in query else {}).scalar()
                if number is not None:
                    found.append((number, what))
        if found:
            number, what = min(found)
            name = self._connection.execute(text("SELECT name FROM incoming WHERE number = :number"), {"number": number}).scalar_one()
            raise Taken(what, name, number)
