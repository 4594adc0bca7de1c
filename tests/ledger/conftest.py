"""A ledger in PostgreSQL, which every test finds empty."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from extproc.ledger.central import VERSIONS, Central
from tests.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def ledger_url(postgres: PostgresServer) -> str:
    url = postgres.url(postgres.create())
    with contextlib.closing(Central(url)) as made:
        VERSIONS.migrate(made.database)
    return url


@pytest.fixture
def central(ledger_url: str) -> Iterator[Central]:
    with contextlib.closing(Central(ledger_url)) as made:
        with made.database.write() as connection:
            connection.execute(text("TRUNCATE ledger_entries, ledger_groups, ledger_days, ledger_months, ledger_totals"))
        yield made
