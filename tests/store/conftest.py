"""Stores for tests, on SQLite and on PostgreSQL: one of each, which every test finds empty."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, insert

from extproc.store import schema
from extproc.store.database import Database, url_of
from extproc.store.models import Base, Change, SchemaVersion
from extproc.store.store import Store
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with contextlib.closing(Store.open(tmp_path_factory.mktemp("store"))) as store:
        yield store


@pytest.fixture(scope="session")
def postgres_store(postgres: PostgresServer) -> Iterator[Store]:
    with contextlib.closing(Database(url_of(postgres.url(postgres.create())))) as database:
        schema.migrate(database)
        yield Store(database)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    store: Store = request.getfixturevalue(f"{request.param}_store")
    empty(store)
    return store


def empty(store: Store) -> None:
    """Takes everything out."""
    with store.database.write() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if table is not SchemaVersion.__table__:
                connection.execute(delete(table))
        connection.execute(delete(Change))
        connection.execute(insert(Change).values(kind="start", entity_id=""))
