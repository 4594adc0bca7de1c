"""Sums of the ledger are exact, and say what they leave out."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.ledger.money import add, plain
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.ledger.report import GROUPS, report
from extproc.ledger.schema import MIGRATIONS
from extproc.ledger.store import Store, is_entry
from extproc.usage import Usage

MONEY = st.decimals(min_value=0, max_value=10**9, places=15) | st.decimals(min_value=0, max_value=1, places=30)


def at(day: int, id: str, **more: object) -> Record:
    """A request on a day of November."""
    record = Record(id=id, time=datetime(2026, 11, day, 12, tzinfo=UTC).timestamp(), key="k", provider="p", attempts=1)
    for name, value in more.items():
        setattr(record, name, value)
    return record


@given(st.lists(st.tuples(st.sampled_from("ab"), MONEY | st.none()), max_size=20))
@settings(max_examples=40, deadline=None)
def test_sums_are_exact(amounts: list[tuple[str, Decimal | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_sums(Store(Path(folder) / "ledger.sqlite3"), amounts)


def check_sums(store: Store, amounts: list[tuple[str, Decimal | None]]) -> None:
    """Enter the amounts, and compare the sums with those of whole numbers."""
    for number, (key, amount) in enumerate(amounts):
        store.put(at(1, str(number), key=key), Priced(amount), 0)
    rows = report(store, ["key"])
    for row in rows:
        mine = [amount for key, amount in amounts if key == row.group["key"]]
        assert scaled(row.cost) == sum(scaled(amount) for amount in mine if amount is not None)
        assert row.unpriced == mine.count(None)
    assert add(row.cost for row in rows) == report(store)[0].cost
    store.close()


def scaled(amount: Decimal) -> int:
    """The amount as a whole number of 10^-30 dollars."""
    sign, digits, exponent = amount.as_tuple()
    assert not sign and isinstance(exponent, int)
    return int("".join(map(str, digits)) + "0" * (30 + exponent))


@given(MONEY)
@settings(deadline=None)
def test_plain_digits(amount: Decimal) -> None:
    assert Decimal(plain(amount)) == amount
    assert "E" not in plain(amount)
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("0.10")) == "0.1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def test_columns(store: Store) -> None:
    full = Usage(input=100, output=50, cache_read=10, cache_write=5, reasoning=20, input_audio=1, output_audio=2)
    store.put(at(1, "a", usage=full), Priced(Decimal("0.5")), 0)
    store.put(at(1, "b", usage=full, cache="hit", attempts=0), Priced(Decimal(0)), 0)
    store.put(at(2, "c", usage=Usage(input=7), outcome="client_closed", partial=True, estimated=True), Priced(), 0)
    store.put(at(2, "d", outcome="error", status=503), Priced(Decimal(0)), 0)
    store.put(at(3, "e", metered=False), Priced(), 0)
    store.put(at(3, "f", outcome="rejected", provider="", attempts=0), Priced(), 0)
    (total,) = report(store)
    assert (total.requests, total.errors, total.partial, total.estimated) == (5, 1, 1, 1)
    assert (total.cache_hits, total.unpriced, total.unmetered) == (1, 1, 1)
    assert (total.input, total.output, total.saved_input, total.saved_output) == (107, 50, 100, 50)
    assert (total.cache_read, total.cache_write, total.reasoning, total.input_audio, total.output_audio) == (10, 5, 20, 1, 2)
    assert total.cost == Decimal("0.5")
    assert [(row.group, row.requests) for row in report(store, ["day", "key"])] == [
        ({"day": "2026-11-01", "key": "k"}, 2),
        ({"day": "2026-11-02", "key": "k"}, 2),
        ({"day": "2026-11-03", "key": "k"}, 1),
    ]
    store.put(at(9, "g", provider_key="OPENAI_KEY_2"), Priced(), 0)
    keyed = {(row.group["provider"], row.group["provider_key"]): row.requests for row in report(store, ["provider", "provider_key"])}
    assert keyed["p", "OPENAI_KEY_2"] == 1 and keyed["p", ""] == 5
    within = report(store, (), datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    assert within[0].requests == 2
    assert len(report(store, list(GROUPS))) == 5
    with pytest.raises(ValueError, match="cannot group by id; there are key, tenant, model"):
        report(store, ["key", "id"])


def test_copies_for_mirrors_are_in_a_report_of_their_own(store: Store) -> None:
    store.put(at(1, "a", tenant="red"), Priced(Decimal(1)), 0)
    store.put(at(1, "b", tenant="red", mirror_of="a"), Priced(Decimal(5)), 0)
    assert [(row.requests, row.cost) for row in report(store, ["tenant"])] == [(1, Decimal(1))]
    assert [(row.requests, row.cost) for row in report(store, ["tenant"], mirrors=True)] == [(1, Decimal(5))]
    assert store.db.execute("SELECT id FROM entries WHERE mirror_of = 'a'").fetchall() == [("b",)]
    # An earlier release's ledger.
    store.db.execute("ALTER TABLE entries DROP COLUMN mirror_of")
    assert (report(store)[0].requests, report(store, mirrors=True)[0].requests) == (2, 0)


def test_the_better_witness_replaces_the_other(store: Store) -> None:
    store.put(at(1, "a", witness="envoy", outcome="killed"), Priced(Decimal(1)), 0)
    store.put(at(1, "a"), Priced(Decimal(2)), 0)
    assert store.witness("a") == "worker"
    assert report(store)[0].cost == 2
    store.put(at(1, "a", outcome="rejected"), Priced(), 0)
    assert report(store)[0].requests == 0
    assert store.witness("a") == "worker"
    store.forget_settled(1)
    assert store.witness("a") == ""


def test_what_is_an_entry() -> None:
    assert is_entry(at(1, "a"))
    assert is_entry(Record(id="a", time=1, cache="hit"))
    assert is_entry(Record(id="a", time=1, provider="p", outcome="client_closed"))
    assert not is_entry(Record(id="a", time=1, outcome="rejected", provider="p"))
    assert not is_entry(Record(id="a", time=1, path="/v1/models"))


def test_a_newer_release_s_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    store = Store(path)
    assert store.db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store.close()
    with pytest.raises(RuntimeError, match="a newer release has written it"):
        Store(path)


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "state" / "ledger.sqlite3")
    store.put(at(1, "a"), Priced(), 0)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {0o600}
    store.close()
