"""Which tables a database has, which it should have, and how it gets from the one to the other: Alembic, run by the program itself.

Versions of the schema are numbered from 1. A migration only expands what is there - new tables, new columns that may be NULL or have a
default - so that the program of before goes on working with what the next one has made of the database, and an upgrade needs no pause. Each
says which version a program must know at least to go on (`schema_versions.oldest`); only a later release takes away what none of these
needs any more.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from extproc.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

VERSION = 2
"""What this program makes, and wants to find."""


class Unusable(Exception):
    """The database is not one that this program can work with; says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a database is."""

    number: int
    """Version of its schema; 0: it has none yet."""
    oldest: int
    """What a program must know at least to work with it."""

    @property
    def usable(self) -> bool:
        """Whether this program can work with it as it is."""
        return self.oldest <= VERSION <= self.number


def found(database: Database) -> Found:
    """What a database is. Changes nothing. Raises `SQLAlchemyError` where it cannot be asked."""
    if not database.there():
        return Found(0, 0)
    with database.read() as connection:
        return _found(connection)


def _found(connection: Connection) -> Found:
    if not inspect(connection).has_table("schema_versions"):
        return Found(0, 0)
    row = connection.execute(text("SELECT number, oldest FROM schema_versions ORDER BY number DESC LIMIT 1")).one()
    return Found(row.number, row.oldest)


def ensure(database: Database) -> None:
    """Sees to it that the program can work with a database. SQLite's is migrated; who runs PostgreSQL decides when that is done.

    Raises `Unusable`, and `SQLAlchemyError` where the database cannot be asked.
    """
    now = found(database)
    if now.usable:
        return
    if now.oldest > VERSION:
        raise Unusable(
            f"the store is of version {now.number}, which a Headgate must know {now.oldest} for, and this one knows {VERSION}: "
            "use the newer program again, or a copy of the store from before"
        )
    if not database.is_sqlite:
        state = f"is of version {now.number}" if now.number else "has no tables yet"
        raise Unusable(f"the store {state}, and this Headgate needs {VERSION}: run `headgate store migrate`")
    migrate(database)


def migrate(database: Database, number: int = VERSION) -> tuple[int, int]:
    """Brings a database to a version, in one transaction; from which to which it came. What is newer already stays as it is."""
    # What it says of its own doings, from its import on, belongs into nobody's log.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed

    with database.write() as connection:
        before = _found(connection).number
        if before < number:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, f"{number:04}")
        return before, _found(connection).number


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    # Alembic reads this with `%` for references; a folder may have one in its name.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
