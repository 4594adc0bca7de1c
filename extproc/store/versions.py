"""Which tables a database has, which it should have, and how it gets from the one to the other: Alembic, run by the program itself.

Versions of a schema are numbered from 1. A migration only expands what is there - new tables, new columns that may be NULL or have a
default - so that the program of before goes on working with what the next one has made of the database, and an upgrade needs no pause. Each
says which version a program must know at least to go on (`oldest`); only a later release takes away what none of these needs any more.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from extproc.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config


class Unusable(Exception):
    """The database is not one that this program can work with; says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a database is."""

    number: int
    """Version of its schema; 0: it has none yet."""
    oldest: int
    """What a program must know at least to work with it."""
    known: int
    """What this program knows."""

    @property
    def usable(self) -> bool:
        """Whether this program can work with it as it is."""
        return self.oldest <= self.known <= self.number


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one schema. Several may share a database."""

    what: str
    """What people call it, and the command that migrates it: `headgate {what} migrate`."""
    number: int
    """What this program makes, and wants to find."""
    folder: Path
    """The migrations."""
    table: str
    """Where the database has them written down."""

    def found(self, database: Database) -> Found:
        """What a database is. Changes nothing. Raises `SQLAlchemyError` where it cannot be asked."""
        if not database.there():
            return Found(0, 0, self.number)
        with database.read() as connection:
            return self._found(connection)

    def _found(self, connection: Connection) -> Found:
        if not inspect(connection).has_table(self.table):
            return Found(0, 0, self.number)
        row = connection.execute(text(f"SELECT number, oldest FROM {self.table} ORDER BY number DESC LIMIT 1")).one()  # noqa: S608 - ours
        return Found(row.number, row.oldest, self.number)

    def ensure(self, database: Database) -> None:
        """Sees to it that the program can work with a database. SQLite's is migrated; who runs PostgreSQL decides when that is done.

        Raises `Unusable`, and `SQLAlchemyError` where the database cannot be asked.
        """
        now = self.found(database)
        if now.usable:
            return
        if now.oldest > self.number:
            raise Unusable(
                f"the {self.what} is of version {now.number}, which a Headgate must know {now.oldest} for, and this one knows "
                f"{self.number}: use the newer program again, or a copy of the {self.what} from before"
            )
        if not database.is_sqlite:
            state = f"is of version {now.number}" if now.number else "has no tables yet"
            raise Unusable(f"the {self.what} {state}, and this Headgate needs {self.number}: run `headgate {self.what} migrate`")
        self.migrate(database)

    def migrate(self, database: Database, number: int | None = None) -> tuple[int, int]:
        """Brings a database to a version, in one transaction; from which to which it came. What is newer already stays as it is."""
        # What it says of its own doings, from its import on, belongs into nobody's log.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed

        wanted = self.number if number is None else number
        with database.write() as connection:
            before = self._found(connection).number
            if before < wanted:
                config = self._config()
                config.attributes["connection"] = connection
                command.upgrade(config, f"{wanted:04}")
            return before, self._found(connection).number

    def _config(self) -> "Config":
        from alembic.config import Config  # noqa: PLC0415 - see above

        config = Config()
        # Alembic reads this with `%` for references; a folder may have one in its name.
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        return config
