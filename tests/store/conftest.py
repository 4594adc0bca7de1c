"""Stores for tests: each on SQLite and on PostgreSQL, copies of one that was migrated once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from extproc.store import schema
from extproc.store.database import FILE, Database, in_folder, url_of
from extproc.store.store import Store
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    with closing(Database(in_folder(folder))) as database:
        schema.migrate(database)
    return folder / FILE


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    name = postgres.create()
    with closing(Database(url_of(postgres.url(name)))) as database:
        schema.migrate(database)
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Store]]:
    """Makes an empty store with each call."""
    opened: list[Store] = []

    def make() -> Store:
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("store")
            shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / FILE)
            store = Store.open(folder)
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            store = Store.open(url_of(server.url(server.create(request.getfixturevalue("postgres_template")))))
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(fresh: Callable[[], Store]) -> Store:
    return fresh()
