"""Aggregates: whatever is entered, replaced and corrected, they are the sums of the entries; and reports read them."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.identity.record import Owner
from extproc.ledger.prices import PriceBook, Priced
from extproc.ledger.record import Record
from extproc.ledger.report import Row, report
from extproc.ledger.reports import LocalBooks, Wanted, usage
from extproc.ledger.schema import MIGRATIONS
from extproc.ledger.store import Store
from extproc.usage import Usage
from tests.examples import examples
from tests.ledger.told import PRICES

DAY = 86_400.0
START = datetime(2026, 9, 29, tzinfo=UTC).timestamp()
NAMES = ("a", "b", "")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "ledger.sqlite3")) as made:
        yield made


def record(id: str, *, day: float = 0, team: str = "", **more: object) -> Record:
    """A served request."""
    values: dict[str, object] = {
        "provider": "p", "target": "m", "model": "m", "route": "m", "attempts": 1, "status": 200, "usage": Usage(input=10, output=1),
        "owner": Owner("org", team=team) if team else None, **more,
    }  # fmt: skip
    return Record(id=id, time=START + day * DAY, **values)  # type: ignore[arg-type]


def enter(store: Store, *records: Record, prices: PriceBook = PRICES) -> None:
    with store.transaction():
        store.add([(one, prices.price(one)) for one in records], 0)


records = st.builds(
    lambda number, day, team, project, key, model, target, outcome, status, cache, mirror, tokens, unit, amount, tags: Record(
        id=f"r{number}", time=START + day, owner=Owner("org", project, team), key=key, tenant=key, model=model, route="*", provider="p",
        target=target, attempts=1, outcome=outcome, status=status, cache=cache, mirror_of=mirror, usage=tokens, unit=unit, amount=amount,
        tags=tags, partial=outcome == "client_closed",
    ),
    st.integers(0, 12), st.floats(0, 70 * DAY), *[st.sampled_from(NAMES)] * 5,
    st.sampled_from(("complete", "error", "client_closed")), st.sampled_from((0, 200, 500)), st.sampled_from(("", "hit", "miss")),
    st.sampled_from(("", "", "x")), st.builds(Usage, st.integers(0, 2**40), st.integers(0, 99)), st.sampled_from(("", "seconds", "images")),
    st.floats(0, 1e9), st.sampled_from(({}, {"stage": "live"}, {"stage": "test", "a b": "ü"})),
)  # fmt: skip
prices = st.builds(
    lambda cost, price: Priced(cost=cost, price=price),
    st.none() | st.decimals(0, 10, places=9), st.none() | st.decimals(0, 10, places=12),
)  # fmt: skip
changes = st.lists(st.tuples(st.sampled_from(("put", "put", "broke")), records, prices), max_size=30)


def change(store: Store, what: str, one: Record, priced: Priced) -> None:
    with store.transaction():
        if what == "broke":
            store.broke(one.id, "provider_broke", 200, "why")
        elif store.witness(one.id):
            store.put(one, priced, 0)
        else:
            store.add([(one, priced)], 0)


def said(rows: list[Row]) -> list[tuple[object, ...]]:
    """Rows, in whatever order a database sorts its texts."""
    return sorted((sorted(row.group.items()), *[getattr(row, name) for name in Row.__struct_fields__ if name != "group"]) for row in rows)


BY = ((), ("day",), ("month",), ("team", "model"), ("organization", "provider"), ("day", "key", "target"), ("project", "tags"))


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes, st.integers(0, 70), st.integers(0, 70))
def test_they_are_the_sums_of_the_entries(made: list[tuple[str, Record, Priced]], since: int, days: int) -> None:
    first = date(2026, 9, 29) + timedelta(since)
    last = first + timedelta(days)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Store(Path(folder) / "ledger.sqlite3")) as store:
        for one in made:
            change(store, *one)
        # What an entry is counted as: by its route, where no answer came.
        store.db.execute("UPDATE entries SET model = route, target = '' WHERE cache <> 'hit' AND status NOT BETWEEN 200 AND 299")
        whole = ((date(1970, 1, 1), None, None), (first, datetime(first.year, first.month, first.day, tzinfo=UTC), None))
        for start, since_then, _ in whole:
            end = last if start == first else date(9999, 1, 1)
            until = datetime(end.year, end.month, end.day, tzinfo=UTC)
            for by in BY:
                for mirrors in (False, True):
                    expected = [row for row in report(store, by, since_then, until, mirrors=mirrors) if row.requests]
                    wanted = Wanted(by=by, since=start, until=end, mirrors=mirrors)
                    assert said(usage(LocalBooks(store), wanted)) == said(expected)


def test_a_page_at_a_time(store: Store) -> None:
    enter(store, *(record(f"r{number}", day=number % 5, team=f"t{number % 3}", key=f"k{number % 7}") for number in range(100)))
    for by in (("day", "team"), ("team", "key"), ("key",), ("month", "team", "key")):
        whole = usage(LocalBooks(store), Wanted(by=by))
        got: list[Row] = []
        while page := usage(LocalBooks(store), Wanted(by=by, limit=4, after=tuple(got[-1].group.values()) if got else ())):
            assert len(page) <= 4
            got += page
        assert got == whole
        assert sum(row.requests for row in whole) == 100


def test_of_somebody(store: Store) -> None:
    tags = {"stage": "live", "a.b'c": "x"}
    enter(store, record("a", team="red", tags=tags), record("b", team="blue"), record("c", day=1, team="red", tags={"stage": "test"}))
    books = LocalBooks(store)
    assert [row.requests for row in usage(books, Wanted(where={"team": "red"}))] == [2]
    assert [row.requests for row in usage(books, Wanted(where={"team": "red", "tag:stage": "live"}))] == [1]
    assert usage(books, Wanted(where={"team": "green"})) == []
    assert {row.group["tag:stage"]: row.requests for row in usage(books, Wanted(by=("tag:stage",)))} == {"live": 1, "test": 1, "": 1}
    assert {row.group["tag:a.b'c"]: row.requests for row in usage(books, Wanted(by=("tag:a.b'c",)))} == {"x": 1, "": 2}
    (row,) = usage(books, Wanted(by=("user", "service_account", "cost_centre", "outcome"), where={"team": "red"}))
    assert row.group == {"user": "", "service_account": "", "cost_centre": "", "outcome": "complete"}
    assert row.cost == Decimal("0.0000266")


def test_names_that_callers_make_up_make_no_groups(store: Store) -> None:
    enter(store, *(record(f"r{number}", model=f"made-up-{number}", target=f"made-up-{number}", status=404, outcome="error", route="*")
                   for number in range(50)))  # fmt: skip
    (row,) = usage(LocalBooks(store), Wanted(by=("model", "target")))
    assert (row.group, row.requests, row.errors) == ({"model": "*", "target": ""}, 50, 50)
    assert store.db.execute("SELECT count(*) FROM ledger_groups").fetchone() == (1,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": ("colour",)}, {"by": ("day", "day")}, {"by": ("tag:",)}, {"by": ('tag:"',)}, {"by": ("tag:\0",)}, {"where": {"day": "x"}},
        {"where": {"team": "\0"}}, {"after": ("a",)}, {"by": ("day",), "after": ("a",)}, {"by": ("key",), "after": ("\0",)},
    ],
)  # fmt: skip
def test_what_cannot_be_asked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"usage|place|name"):
        Wanted(**wrong)  # type: ignore[arg-type]


def test_a_ledger_of_before_is_added_up_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with contextlib.closing(Store(path)) as store:
        enter(store, record("a", team="red"))
        made = next(number for number, step in enumerate(MIGRATIONS) if "CREATE TABLE ledger_days" in step)
        for table in re.findall(r"CREATE TABLE (\w+)", "".join(MIGRATIONS[made:])):
            store.db.execute(f"DROP TABLE {table}")
        store.db.execute("DELETE FROM tallies")
        store.db.execute(f"PRAGMA user_version = {made}")
    for _ in range(2):
        with contextlib.closing(Store(path)) as store:
            assert [row.requests for row in usage(LocalBooks(store), Wanted(by=("team",)))] == [1]
