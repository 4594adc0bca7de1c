"""Entries get to PostgreSQL, each once, whatever is sent twice, replaced or interrupted; and reports there say the same as here."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from extproc.ledger.central import VERSIONS, Central
from extproc.ledger.outbox import Outbox
from extproc.ledger.places import places
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.ledger.reports import LocalBooks, Wanted, usage
from extproc.ledger.shipper import Shipper
from extproc.ledger.store import Store
from extproc.store.versions import Unusable
from tests.examples import examples
from tests.ledger.test_aggregates import BY, START, change, changes, enter, record, said
from tests.postgres import PostgresServer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(places(tmp_path).database)) as made:
        yield made


@contextlib.contextmanager
def shipper(state: Path, url: str, *, keep: float = 1e6, batch: int = 1000) -> Iterator[Shipper]:
    made = Shipper(state, url, keep=keep, batch=batch)
    try:
        yield made
    finally:
        made.close()


def ids(central: Central) -> list[str]:
    with central.database.read() as connection:
        return list(connection.execute(text("SELECT id FROM ledger_entries ORDER BY id")).scalars())


def same(store: Store, central: Central) -> None:
    """All reports say the same, wherever they are asked for."""
    first = date(2026, 10, 12)
    for by in BY:
        for since, until in ((date(1970, 1, 1), date(9999, 1, 1)), (first, first + timedelta(30))):
            for mirrors in (False, True):
                wanted = Wanted(by=by, since=since, until=until, mirrors=mirrors)
                assert said(usage(central, wanted)) == said(usage(LocalBooks(store), wanted))


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes, changes)
def test_what_is_there_is_what_is_here(
    ledger_url: str, central: Central, before: list[tuple[str, Record, Priced]], after: list[tuple[str, Record, Priced]]
) -> None:
    with central.database.write() as connection:
        connection.execute(text("TRUNCATE ledger_entries, ledger_groups, ledger_days, ledger_months, ledger_totals"))
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with contextlib.closing(Store(places(state).database)) as store, shipper(state, ledger_url, batch=4) as ships:
            for number, (what, one, priced) in enumerate([*before, *after]):
                change(store, what, one, priced)
                if number % 7 == 0:
                    ships.ship()
            while ships.ship():
                pass
            assert ids(central) == sorted(id for (id,) in store.db.execute("SELECT id FROM entries"))
            same(store, central)


def test_what_is_sent_twice_counts_once(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, record("a", team="red"), record("b", team="blue", model="m\0"))
    with shipper(tmp_path, ledger_url):
        batch = Outbox(store).next(10)
        for _ in range(3):
            central.take(batch.rows, batch.gone)
    assert [row.requests for row in usage(central, Wanted(by=("team",)))] == [1, 1]
    assert [row.group["model"] for row in usage(central, Wanted(by=("model",)))] == ["m", "m\ufffd"]
    with central.database.read() as connection:
        (entry, *_) = connection.execute(text("SELECT * FROM ledger_entries ORDER BY id")).all()
    assert (entry.id, entry.time, entry.team, entry.cost) == ("a", datetime.fromtimestamp(START, UTC), "red", entry.cost)


def test_texts_that_postgresql_does_not_take(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, record("a", model="m\0", tags={"app": "x\0y", "path": "\\u0000", "z\0": ""}), record("b", tags={"app": "other"}))
    with shipper(tmp_path, ledger_url) as ships:
        assert ships.ship() == 2
    for name, values in (("app", {"x\ufffdy", "other"}), ("path", {"\\u0000", ""})):
        by = f"tag:{name}"
        assert {row.group[by] for row in usage(central, Wanted(by=(by,)))} == values


def test_what_is_no_entry_any_more_is_none_there(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, record("a", team="red"), record("b", team="red"))
    with shipper(tmp_path, ledger_url) as ships:
        assert ships.ship() == 2
        with store.transaction():
            store.put(Record(id="a", time=START, outcome="rejected"), Priced(), 0)
        assert ships.ship() == 1
        assert ships.ship() == 0
    assert ids(central) == ["b"]
    same(store, central)


def test_what_has_changed_while_it_was_sent_is_sent_again(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, record("a", outcome="client_closed"))
    with shipper(tmp_path, ledger_url) as ships:
        outbox = Outbox(store)
        batch = outbox.next(10)
        central.take(batch.rows)
        with store.transaction():
            store.broke("a", "provider_broke", 200)
        outbox.sent(batch)
        assert ships.waiting() == 1
        ships.ship()
        assert ships.waiting() == 0
    assert [row.group for row in usage(central, Wanted(by=("outcome",)))] == [{"outcome": "provider_broke"}]


def test_what_there_was_before_is_sent_too(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, record("a"))
    assert Outbox(store).waiting() == 0
    for _ in range(2):
        with shipper(tmp_path, ledger_url) as ships:
            assert ships.waiting() == 1
    Outbox(store).shut()
    enter(store, record("b"))
    assert Outbox(store).waiting() == 0
    with shipper(tmp_path, ledger_url) as ships:
        assert ships.ship() == 2
    assert ids(central) == ["a", "b"]


def test_old_entries_are_cleared_away_when_they_were_sent(tmp_path: Path, store: Store, ledger_url: str, central: Central) -> None:
    enter(store, *(record(f"r{number}", day=number) for number in range(10)))
    with shipper(tmp_path, ledger_url, keep=5, batch=3) as ships:
        now = START + 10 * 86_400.0
        for _ in range(30):
            ships.ship(now)
        assert store.db.execute("SELECT count(*), min(id) FROM entries").fetchone() == (5, "r5")
        assert ships.waiting() == 0
    assert len(ids(central)) == 10
    same(store, central)


def test_machines_share_it(tmp_path: Path, ledger_url: str, central: Central) -> None:
    for name in ("one", "other"):
        with contextlib.closing(Store(places(tmp_path / name).database)) as store:
            enter(store, record(f"{name}-a", team="red"), record(f"{name}-b", team=name))
        with shipper(tmp_path / name, ledger_url) as ships:
            assert ships.ship() == 2
    assert {row.group["team"]: row.requests for row in usage(central, Wanted(by=("team",)))} == {"red": 2, "one": 1, "other": 1}


def test_without_tables_nothing_is_sent_and_nothing_lost(tmp_path: Path, store: Store, postgres: PostgresServer) -> None:
    enter(store, record("a"))
    url = postgres.url(postgres.create())
    with shipper(tmp_path, url) as ships:
        with pytest.raises(Unusable, match="headgate ledger migrate"):
            ships.ship()
        with contextlib.closing(Central(url)) as central:
            VERSIONS.migrate(central.database)
            assert ships.ship() == 1
            assert ids(central) == ["a"]


def test_while_it_is_away_all_is_kept(tmp_path: Path, store: Store) -> None:
    with shipper(tmp_path, "postgresql://nobody@/none?host=/nowhere") as ships:
        for number in range(3):
            enter(store, record(f"r{number}"))
            with pytest.raises(SQLAlchemyError):
                ships.ship()
        assert ships.waiting() == 3


def test_no_url() -> None:
    for url in ("sqlite:///x", "nonsense", "mysql://h/d"):
        with pytest.raises(ValueError, match="postgresql://"):
            Central(url)


def test_an_outbox_that_cannot_be_written_leaves_entries_alone(tmp_path: Path, store: Store, ledger_url: str) -> None:
    with shipper(tmp_path, ledger_url):
        store.db.execute("PRAGMA query_only = 1")
        with pytest.raises(sqlite3.OperationalError):
            enter(store, record("a"))
        store.db.execute("PRAGMA query_only = 0")
        assert store.db.execute("SELECT count(*) FROM entries").fetchone() == (0,)
