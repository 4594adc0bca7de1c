"""The gateway sends its ledger to PostgreSQL, and goes on collecting while that is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from extproc.config.ledger import Ledger
from extproc.config.model import Config
from extproc.control import shipping
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.settling import Settling
from extproc.ledger.central import VERSIONS, Central
from extproc.ledger.journal import Journal
from extproc.ledger.metrics import Metrics
from extproc.ledger.places import places
from extproc.limits.service import LimitService
from tests.ledger.test_aggregates import record
from tests.postgres import PostgresServer, postgres
from tests.scene import CONFIG

__all__ = ["postgres"]


@contextlib.asynccontextmanager
async def books(state: Path, url: str) -> AsyncIterator[Metrics]:
    config: Config = CONFIG if not url else msgspec.structs.replace(CONFIG, ledger=Ledger(url=url))
    metrics = Metrics("1")
    made = Bookkeeper(state, config, metrics, state / "access.log", Settling(LimitService()))
    made.start()
    try:
        yield metrics
    finally:
        await made.close()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.02)


def count(central: Central) -> int:
    try:
        with central.database.read() as connection:
            return int(connection.execute(text("SELECT count(*) FROM ledger_entries")).scalar_one())
    except SQLAlchemyError:
        return -1


async def test_outages_lose_nothing(tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_EVERY", 0.02)
    monkeypatch.setattr(shipping, "_LONGEST", 0.05)
    url = postgres.url(postgres.create())
    journal = Journal(places(tmp_path).journal, "w")
    with contextlib.closing(Central(url)) as central:
        async with books(tmp_path, url) as metrics:
            journal.append(record("a"))
            # There are no tables yet.
            await until(lambda: b"ai_proxy_ledger_unshipped 1.0" in metrics.render())
            VERSIONS.migrate(central.database)
            await until(lambda: count(central) == 1)
            postgres.stop()
            try:
                journal.append(record("b"))
                await until(lambda: b"ai_proxy_ledger_unshipped 1.0" in metrics.render())
            finally:
                postgres.resume()
            await until(lambda: count(central) == 2)
            await until(lambda: b"ai_proxy_ledger_unshipped 0.0" in metrics.render())
            journal.append(record("c"))
        assert count(central) == 3, "what is left is sent at the end"
        journal.close()


async def test_without_a_section_nothing_waits_to_be_sent(tmp_path: Path) -> None:
    Journal(places(tmp_path).journal, "w").append(record("a"))
    async with books(tmp_path, "postgresql://nobody@/none?host=/nowhere") as metrics:
        await until(lambda: b"ai_proxy_ledger_unshipped 1.0" in metrics.render())
    async with books(tmp_path, "") as metrics:
        assert b"ai_proxy_ledger_unshipped 0.0" in metrics.render()
