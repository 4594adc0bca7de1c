"""The ledger in PostgreSQL, which several machines share: entries, and the sums of them, in one transaction.

Whoever brings entries is alone in it (an advisory lock), and brings each as often as he likes: what is known of a request by then is taken
out of the sums and put in again. So an entry that was sent twice, because nobody knew whether the first time it had arrived, counts once.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from extproc.ledger.aggregates import fold
from extproc.ledger.store import COLUMNS
from extproc.ledger.sums import POSTGRESQL
from extproc.store.database import Database, url_of
from extproc.store.versions import Versions

WRITERS = 0x6867_0002
"""Number of the advisory lock of those who bring entries."""
VERSIONS = Versions("ledger", 1, Path(__file__).parent / "migrations", "ledger_versions")
"""Of the tables."""

_KNOWN = "(SELECT * FROM ledger_entries WHERE id = ANY(:ids))"
_TAKE_OUT = [text(one) for one in fold(POSTGRESQL, _KNOWN, out=True)]
_ADD = [text(one) for one in fold(POSTGRESQL, "staged")]
_ANY = text("SELECT EXISTS (SELECT FROM ledger_entries WHERE id = ANY(:ids))")
_DELETE = text("DELETE FROM ledger_entries WHERE id = ANY(:ids)")
_DURABLY = text("SET LOCAL synchronous_commit = on")
_STAGE = text("CREATE TEMPORARY TABLE staged (LIKE ledger_entries) ON COMMIT DROP")
_COPY = f"COPY staged ({', '.join(COLUMNS)}) FROM STDIN"
_INSERT = text(f"INSERT INTO ledger_entries ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM staged")
_TIME = COLUMNS.index("time")
_NOTHING = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""Character 0 in JSON."""


class Central:
    """That ledger. Safe for threads; it is opened when it is needed."""

    dialect = POSTGRESQL

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for what is no URL of PostgreSQL."""
        self.database = Database(url_of(url), writers=WRITERS)
        if self.database.is_sqlite:
            raise ValueError("the ledger of several machines is in PostgreSQL: postgresql://user:password@host/name")

    def take(self, rows: Sequence[Sequence[Any]], gone: Sequence[str] = ()) -> None:
        """Enters what a machine has entered, columns as in `COLUMNS`, in place of what is known of these requests. `gone`: ids of those
        that are entries no more. All of it, or nothing. Raises `SQLAlchemyError`.
        """
        ids = {"ids": [*(str(row[0]) for row in rows), *gone]}
        with self.database.write() as connection:
            # Whatever the server does otherwise: who has brought it forgets it.
            connection.execute(_DURABLY)
            if connection.execute(_ANY, ids).scalar_one():
                for statement in (*_TAKE_OUT, _DELETE):
                    connection.execute(statement, ids)
            if rows:
                connection.execute(_STAGE)
                _copy(connection, rows)
                connection.execute(_INSERT)
                for statement in _ADD:
                    connection.execute(statement)

    def rows(self, query: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See `reports.Books`."""
        with self.database.read() as connection:
            # Reports take milliseconds to hundreds of them: to compile one takes longer.
            connection.execute(text("SET LOCAL jit = off"))
            return connection.execute(text(query), values).all()

    def close(self) -> None:
        """Ends all connections that nobody uses at the moment."""
        self.database.close()


def _copy(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row([_told(value) if at != _TIME else datetime.fromtimestamp(value, UTC) for at, value in enumerate(row)])


def _told(value: Any) -> Any:
    # Callers choose their models' names, and PostgreSQL knows no character 0 (https://www.postgresql.org/docs/current/datatype-character.html).
    # Nor does its JSON, which tags are.
    if not isinstance(value, str):
        return value
    return _NOTHING.sub(r"\1\\ufffd", value.replace("\0", "\ufffd")) if "\0" in value or "\\u0000" in value else value
