"""A PostgreSQL with a store in it, for what the control process follows."""

import contextlib

import pytest

from extproc.store import schema
from extproc.store.database import Database, url_of
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> str:
    """A database with an empty store."""
    name = postgres.create()
    with contextlib.closing(Database(url_of(postgres.url(name)))) as database:
        schema.migrate(database)
    return name


@pytest.fixture
def store_url(postgres: PostgresServer, template: str) -> str:
    """A store of the test's own."""
    return postgres.url(postgres.create(template))
