"""What is settled from the ledger: once for each request, whatever dies in between, and to the last nano-dollar."""

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.ledger.spent import Spent
from extproc.ledger.store import Store
from extproc.limits.limit import Charge, Settlement
from extproc.limits.money import NANOS
from extproc.limits.reserved import Counted, Leased, Reserved
from extproc.limits.rule import Terms
from extproc.limits.table import Table
from extproc.limits.window import UNDER_WAY, Window
from extproc.usage import Usage

NOW = 1_790_000_000.0
MONTH, SLIDING = Terms(100 * NANOS, Window("month")), Terms(1000, Window("sliding", 60))
COUNTED = (
    Counted("money", "cost", MONTH, "org"), Counted("tokens", "tokens", SLIDING, "org"), Counted("in", "input_tokens", SLIDING),
    Counted("out", "output_tokens", SLIDING), Counted("often", "requests", SLIDING), Counted("slots", "concurrency", Terms(2, UNDER_WAY)),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "ledger.sqlite3")
    yield store
    store.close()


def record(id: str, at: float = NOW, *, usage: Usage | None = None, witness: str = "worker", **more: object) -> Record:
    reserved = Reserved(id.encode().hex(), at, COUNTED)
    return Record(id=id, time=at, usage=usage or Usage(3, 4), reserved=reserved, witness=witness, **more)  # type: ignore[arg-type]


def enter(store: Store, spent: Spent, told: Record, cost: str | None = "0", *, in_ledger: bool = True, replaces: bool = False) -> None:
    with store.transaction():
        spent.enter(told, Priced(None if cost is None else Decimal(cost)), NOW, in_ledger=in_ledger, replaces=replaces)


def amounts(settlement: Settlement) -> dict[str, int]:
    return {charge.counter: charge.amount for charge in settlement.charges}


def test_what_a_request_has_used(store: Store) -> None:
    spent = Spent(store.db)
    enter(store, spent, record("a"), "0.0000000015")
    enter(store, spent, Record(id="b", time=NOW))
    enter(store, spent, record("c"), None)
    enter(store, spent, record("d"), in_ledger=False)
    enter(store, spent, record("e", cache="hit"), "0")
    told = spent.settlements(spent.pending(10))
    assert [each.number for each in told] == [1, 2, 3, 4] and [each.ticket for each in told] == [b"a", b"c", b"d", b"e"]
    full = {"money": 1, "tokens": 7, "in": 3, "out": 4, "often": 1, "slots": 0}
    nothing = dict.fromkeys(full, 0)
    assert [amounts(each) for each in told] == [full, {**full, "money": 0}, nothing, nothing]
    assert told[0].charges[0] == Charge("money", MONTH, 1, "org")


def test_the_workers_word_corrects_envoys(store: Store) -> None:
    spent = Spent(store.db)
    enter(store, spent, record("a", usage=Usage(10, 0), witness="envoy"), "1.5")
    enter(store, spent, record("a", usage=Usage(3, 4)), "1.25", replaces=True)
    first, second = (amounts(each) for each in spent.settlements(spent.pending(10)))
    assert first == {"money": 3 * NANOS // 2, "tokens": 10, "in": 10, "out": 0, "often": 1, "slots": 0}
    assert second == {"money": -NANOS // 4, "tokens": -3, "in": -7, "out": 4, "often": 0, "slots": 0}


def test_what_was_taken_of_leases_comes_back_once(store: Store) -> None:
    spent = Spent(store.db)
    reserved = Reserved(b"a".hex(), NOW, COUNTED[:2], (Leased(b"one".hex(), 5), Leased(b"two".hex(), 9)))
    told = Record(id="a", time=NOW, usage=Usage(3, 4), reserved=reserved, witness="envoy")
    enter(store, spent, told, "0.000000001")
    enter(store, spent, replace(told, witness="worker"), "0.000000002", replaces=True)
    enter(store, spent, replace(told, id="b", witness="worker"), in_ledger=False)
    first, second, unused = (
        [(each.amount, each.lease, each.taken) for each in one.charges] for one in spent.settlements(spent.pending(10))
    )
    assert first == [(1, b"one", 5), (7, b"two", 9)] and unused == [(0, b"one", 5), (0, b"two", 9)]
    assert second == [(1, b"", 0), (0, b"", 0)], "it was Envoy's word for it that gave back"


def test_names_and_numbers_are_never_used_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    numbers: list[int] = []
    sources: set[str] = set()
    for id in "abc":
        store = Store(path)
        spent = Spent(store.db)
        enter(store, spent, record(id))
        rows = spent.pending(10)
        numbers += [row.number for row in rows]
        sources.add(spent.source)
        with store.transaction():
            spent.fold(rows, NOW)
        assert spent.waiting() == 0
        store.close()
    assert numbers == [1, 2, 3] and len(sources) == 1
    other = Store(tmp_path / "other.sqlite3")
    assert Spent(other.db).source not in sources
    other.close()


def test_what_is_over_is_forgotten(store: Store) -> None:
    spent = Spent(store.db)
    enter(store, spent, record("a"), "1")
    with store.transaction():
        spent.fold(spent.pending(10), NOW)
    assert {each.counted.counter for each in spent.sums(NOW + 30)} == {"money", "tokens", "in", "out", "often"}
    assert {each.counted.counter for each in spent.sums(NOW + 100)} == {"money"}
    with store.transaction():
        spent.fold([], NOW + 62 * 86_400)
    assert store.db.execute("SELECT count(*) FROM spent_sums").fetchone() == (0,)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.decimals(0, 1, places=12), st.integers(0, 50)),
        st.tuples(st.just("tell"), st.booleans(), st.booleans()),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@given(steps)
def test_each_is_settled_once_whatever_dies(script: list[tuple[str, object, object]]) -> None:
    with tempfile.TemporaryDirectory(prefix="hg-spent-") as folder:
        store = Store(Path(folder) / "ledger.sqlite3")
        try:
            _play(store, script)
        finally:
            store.close()


def _play(store: Store, script: list[tuple[str, object, object]]) -> None:
    spent, table, at = Spent(store.db), Table(), NOW
    used: list[tuple[Decimal, int]] = []
    for number, (step, first, second) in enumerate(script):
        if step == "use":
            assert isinstance(first, Decimal) and isinstance(second, int)
            enter(store, spent, record(f"r{number}", at, usage=Usage(second, 0)), str(first))
            used.append((first, second))
        elif step == "tell":
            rows = spent.pending(3)
            table.settle(spent.source, spent.settlements(rows), at)
            if first:  # else whoever tells dies before it is written down that it has
                with store.transaction():
                    spent.fold(rows, at)
            if second:
                table.settle(spent.source, spent.settlements(spent.pending(2)), at)
        else:
            table = _resumed(spent, at)
    while rows := spent.pending(4):
        table.settle(spent.source, spent.settlements(rows), at)
        with store.transaction():
            spent.fold(rows, at)
    for counts in (table, _resumed(spent, at)):
        assert counts.look("money", MONTH.window, at).settled == int(sum((cost for cost, _ in used), Decimal(0)) * NANOS)
        assert counts.look("tokens", SLIDING.window, at).settled == sum(tokens for _, tokens in used)
        assert counts.look("often", SLIDING.window, at).used == len(used)


def _resumed(spent: Spent, at: float) -> Table:
    table = Table()
    for each in spent.sums(at):
        counted = each.counted
        table.resume([Charge(counted.counter, counted.terms, each.amount, counted.group)], each.at, at)
    return table
