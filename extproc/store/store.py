"""The store of identities: transactions in which they are read and changed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from extproc.store import schema
from extproc.store.audit import Answers, Audit
from extproc.store.changes import Following
from extproc.store.database import Database, in_folder
from extproc.store.groups import Organizations, Plans, Projects, ServiceAccounts, Teams
from extproc.store.keys import Keys
from extproc.store.models import Actor
from extproc.store.people import Memberships, Users
from extproc.store.repository import Work

_READER = Actor("reader")


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Tables:
    """All that there is, in one transaction."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.organizations = Organizations(work)
        self.projects = Projects(work)
        self.teams = Teams(work)
        self.users = Users(work)
        self.memberships = Memberships(work)
        self.service_accounts = ServiceAccounts(work)
        self.plans = Plans(work)
        self.keys = Keys(work)
        self.audit = Audit(work)
        self.answers = Answers(work)


class Store:
    """Identities in a database. Safe for threads. Whatever it does raises `SQLAlchemyError` where the database does not answer."""

    def __init__(self, database: Database, clock: Callable[[], int] = now) -> None:
        """`clock`: milliseconds since 1970."""
        self.database = database
        self._clock = clock
        self.following = Following(database)

    @classmethod
    def open(cls, where: Path | URL) -> "Store":
        """The store of a state folder, or of a database. Makes what is missing. Raises `schema.Unusable`."""
        database = Database(where if isinstance(where, URL) else in_folder(where))
        try:
            schema.ensure(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """One moment of all that there is. What is got from it may be used afterwards."""
        with self.database.read() as connection, Session(connection, expire_on_commit=False) as session:
            yield Tables(Work(session, _READER, self._clock()))

    @contextmanager
    def write(self, actor: Actor) -> Iterator[Tables]:
        """All that is changed in it is changed together, or nothing if an exception leaves it. Nobody else writes meanwhile."""
        with self.database.write() as connection, Session(connection, expire_on_commit=False) as session:
            yield Tables(Work(session, actor, self._clock()))
            session.commit()

    def close(self) -> None:
        """Ends all connections."""
        self.database.close()
