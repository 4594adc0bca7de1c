"""What has changed since some moment: everything, whoever has changed it, and nothing that has not."""

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from extproc.identity.levels import Grants
from extproc.identity.record import Changes, Owner, StoredKey
from extproc.identity.settings import Limit, Settings
from extproc.keyfile import Stamp
from extproc.keys import digest
from extproc.store import FILE, bulk, changes
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store, Tables
from tests.examples import examples
from tests.store.conftest import empty

OPERATOR = Actor("operator")
ONE = Settings(models=("gpt-*",))


def imported(*numbers: int) -> list[StoredKey]:
    return [StoredKey(f"key-{number}", digest(f"hg-{number}"), "acme") for number in numbers]


def by_hand(store: Store, *statements: str) -> None:
    """By somebody who knows nothing of us."""
    with store.database.engine.connect().execution_options(headgate_writes=True) as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def acme(store: Store) -> Holder:
    with store.write(OPERATOR) as tables:
        return Holder(tables.organizations.create("acme").id)


def add(store: Store, holder: Holder, *numbers: int) -> None:
    with store.write(OPERATOR) as tables:
        tables.keys.add_many(holder, imported(*numbers))


def names(told: Changes | None) -> tuple[list[str], set[bytes]]:
    assert told is not None
    return sorted(record.name for record in told.keys), set(told.gone)


def test_keys_of_all_kinds_of_changes(store: Store, acme: Holder) -> None:
    add(store, acme, 1, 2, 3, 4)
    one, two, three = (digest(f"hg-{number}") for number in (1, 2, 3))
    stamp = store.following.stamp()
    assert store.following.since(stamp) == Changes()
    by_hand(store, "UPDATE keys SET disabled_at = 1 WHERE name = 'key-1'")
    assert names(store.following.since(stamp)) == ([], {one})
    by_hand(store, "UPDATE keys SET disabled_at = NULL WHERE name = 'key-1'", "DELETE FROM keys WHERE name = 'key-2'")
    assert names(store.following.since(stamp)) == (["key-1"], {two})
    stamp = store.following.stamp()
    with store.write(OPERATOR) as tables:
        key = tables.keys.named(acme.organization_id, "key-3")
        assert key is not None
        _, clear = tables.keys.rotate(key.id, overlap=1000)
    told = store.following.since(stamp)
    assert told is not None and {record.digest for record in told.keys} == {three, digest(clear)} and not told.gone
    with store.write(OPERATOR) as tables:
        _, last = tables.keys.rotate(key.id)
    told = store.following.since(stamp)
    assert told is not None and {record.digest for record in told.keys} == {digest(last)}
    assert set(told.gone) == {three, digest(clear)}
    assert not told.levels
    by_hand(store, "DELETE FROM keys WHERE name = 'key-3'")
    assert names(store.following.since(stamp)) == ([], {three, digest(clear), digest(last)})


def test_what_a_worker_is_told_of_a_key(store: Store) -> None:
    with store.write(OPERATOR) as tables:
        limit = Limit(unit="requests", amount=Decimal(10), window="day")
        plan = tables.plans.create("free", ())
        acme = tables.organizations.create("acme", settings=ONE)
        team = tables.teams.create(acme.id, "team", plan_id=plan.id)
        alice = tables.users.create("alice", settings=Settings(limits=(limit,)))
        tables.memberships.create(acme.id, alice.id, "member")
        member = tables.memberships.create(acme.id, alice.id, "member", team_id=team.id, settings=Settings(endpoints=("chat",)))
        holder = Holder(acme.id, team_id=team.id, user_id=alice.id)
        key, clear = tables.keys.create(holder, "one", expires_at=9, settings=ONE, plan_id=plan.id)
    owner = Owner(acme.id, "", team.id, alice.id)
    (record,) = store.following.each()
    assert record == StoredKey("one", digest(clear), "acme", key.id, owner, 9, ONE, plan.id)
    levels, plans = store.following.levels()
    assert {level.id: level.kind for level in levels} == {
        acme.id: "organization", team.id: "team", alice.id: "user", f"{alice.id}@{team.id}": "membership",
    }  # fmt: skip
    grants = Grants(levels)
    grant = grants.find(owner.levels, record.level(plans))
    assert (grant.allows_endpoint("chat"), grant.allows_endpoint("embeddings"), grant.allows_model("o1")) == (True, False, False)
    assert [applied.id for applied in grant.limits] == [alice.id]
    # Each change of a level is told as such, and keys are left alone.
    some: tuple[Callable[[Tables], object], ...] = (
        lambda tables: tables.organizations.change(acme.id, {"disabled": True}),
        lambda tables: tables.memberships.change(member.id, {"role": "viewer"}),
        lambda tables: tables.plans.change(plan.id, {"name": "paid"}),
        lambda tables: tables.users.create("bob"),
        lambda tables: tables.service_accounts.create(acme.id, "robot"),
    )
    for change in some:
        stamp = store.following.stamp()
        with store.write(OPERATOR) as tables:
            change(tables)
        assert store.following.since(stamp) == Changes(levels=True)
    levels, _ = store.following.levels()
    closed = Grants(levels).find(owner.levels).closed
    assert closed is not None and closed.id == acme.id


def test_what_is_too_much_to_tell(store: Store, acme: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (changes, bulk):
        monkeypatch.setattr(module, "TOLD", 20)
    monkeypatch.setattr(changes, "_ASKED", 7)
    monkeypatch.setattr(changes, "_HELPING", 6)
    stamp = store.following.stamp()
    add(store, acme, *range(19))
    assert len(store.following.since(stamp) or ()) == len(store.following.since(None) or ()) == 19
    add(store, acme, 19, 20)
    assert store.following.since(stamp) is None
    assert store.following.since(None) is None
    assert len(list(store.following.each())) == 21
    # Those that are worth nothing any more are told however many they are.
    stamp = store.following.stamp()
    by_hand(store, "UPDATE keys SET disabled_at = 1")
    assert names(store.following.since(stamp)) == ([], {digest(f"hg-{number}") for number in range(21)})
    # Many at once are not told one by one.
    add(store, acme, *range(100, 130))
    assert store.following.since(stamp) is None
    stamp = store.following.stamp()
    assert store.following.since(stamp) == Changes()
    add(store, acme, 200)
    assert names(store.following.since(stamp)) == (["key-200"], set())


def test_only_so_many_changes_are_remembered(store: Store, acme: Holder) -> None:
    stamp = store.following.stamp()
    add(store, acme, 1)
    many = "INSERT INTO changes (kind, entity_id) WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers "
    many += "WHERE number < 2000) SELECT 'team', 'team_x' FROM numbers"
    # As if all had been used up but those: a number that is far ahead.
    ahead = stamp.number + changes.REMEMBERED - 1000
    overriding = "" if store.database.is_sqlite else "OVERRIDING SYSTEM VALUE"
    by_hand(store, f"INSERT INTO changes (number, kind, entity_id) {overriding} VALUES ({ahead}, 'team', 'team_x')")
    assert names(store.following.since(stamp)) == (["key-1"], set())
    if not store.database.is_sqlite:
        by_hand(store, f"SELECT setval(pg_get_serial_sequence('changes', 'number'), {ahead})")
    by_hand(store, many)
    assert store.following.since(stamp) is None
    with store.database.read() as connection:
        first, last = connection.execute(text("SELECT min(number), max(number) FROM changes")).one()
    assert last - first <= changes.REMEMBERED


def test_another_store_is_noticed(store: Store, acme: Holder) -> None:
    stamp = store.following.stamp()
    assert store.following.since(Stamp(stamp.number, bytes(8))) is None
    assert store.following.since(Stamp(stamp.number + 1, stamp.mark)) is None


def test_a_store_that_was_put_back_is_another(tmp_path: Path) -> None:
    """It has had as many changes, but not these."""
    store = Store.open(tmp_path)
    store.close()
    before = (tmp_path / FILE).read_bytes()
    stamps = []
    for _ in range(2):
        with store.write(OPERATOR) as tables:
            tables.organizations.create("one")
        stamps.append(store.following.stamp())
        store.close()
        (tmp_path / FILE).write_bytes(before)
    assert stamps[0].number == stamps[1].number
    assert stamps[0].mark != stamps[1].mark
    with store.write(OPERATOR) as tables:
        tables.organizations.create("one")
    assert store.following.since(stamps[1]) is None
    store.close()


def test_nothing_is_missed_of_those_who_write_at_once(store: Store, acme: Holder) -> None:
    """Whoever reads up to the last change that there is has seen all that come before it, however long their transactions took."""
    began, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with store.write(OPERATOR) as tables:
            tables.keys.add_many(acme, imported(1))
            began.set()
            assert go_on.wait(10)

    def after() -> None:
        add(store, acme, 2)

    threads = [threading.Thread(target=slowly), threading.Thread(target=after)]
    threads[0].start()
    assert began.wait(10)
    threads[1].start()
    stamp = store.following.stamp()
    # Reading waits for nobody.
    assert names(store.following.since(stamp)) == ([], set())
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert names(store.following.since(stamp)) == (["key-1", "key-2"], set())


def test_postgresql_notifies(store: Store, acme: Holder) -> None:
    if store.database.is_sqlite:
        assert not hasattr(store.database.engine.dialect, "_psycopg_adapters_map")
        return
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(f"LISTEN {changes.CHANNEL}")
        add(store, acme, 1, 2)
        assert [note.channel for note in raw.notifies(timeout=5, stop_after=1)] == [changes.CHANNEL]
        connection.invalidate()


STEPS = st.lists(st.tuples(st.sampled_from(["add", "suspend", "delete", "back", "rotate", "destroy"]), st.integers(0, 4)), max_size=10)


@given(STEPS, st.integers(0, 10))
@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_and_what_has_changed_make_what_is(store: Store, steps: list[tuple[str, int]], at: int) -> None:
    empty(store)
    with store.write(OPERATOR) as tables:
        holder = Holder(tables.organizations.create("acme").id)
    following = store.following
    stamp, known = following.stamp(), {record.digest: record for record in following.each()}
    for step, (what, number) in enumerate(steps):
        if step == at:
            stamp, known = following.stamp(), {record.digest: record for record in following.each()}
        _take(store, holder, what, number)
    told = following.since(stamp)
    assert told is not None
    known |= {record.digest: record for record in told.keys}
    assert {hashed: record for hashed, record in known.items() if hashed not in told.gone} == {one.digest: one for one in following.each()}


def _take(store: Store, holder: Holder, what: str, number: int) -> None:
    name = f"key-{number}"
    with store.write(OPERATOR) as tables:
        key = tables.keys.named(holder.organization_id, name)
        if key is None:
            tables.keys.add_many(holder, imported(number))
        elif what == "destroy":
            tables.work.session.delete(key)
        elif key.deleted_at is None:
            if what == "rotate":
                tables.keys.rotate(key.id, overlap=1000 * (number % 2))
            elif what == "delete":
                tables.keys.delete(key.id)
            else:
                tables.keys.change(key.id, {"disabled": what == "suspend"})


def test_keys_by_when_they_expire(store: Store, acme: Holder) -> None:
    moments = {"a": 50, "b": 10, "c": 50, "d": None, "gone": 20, "off": 20}
    with store.write(OPERATOR) as tables:
        keys = {name: tables.keys.create(acme, name, expires_at=at)[0] for name, at in moments.items()}
        tables.keys.delete(keys["gone"].id)
        tables.keys.change(keys["off"].id, {"disabled": True})

    def names(*where: Any) -> list[str]:
        return [key.name for key in store.following.expiring(*where)]

    assert names(0, "", 100, 9) == ["b", "a", "c"]
    assert names(0, "", 100, 2) == ["b", "a"]
    assert names(50, keys["a"].id, 100, 9) == ["c"]
    assert names(51, "", 100, 9) == names(0, "", 9, 9) == []
    (found,) = store.following.expiring(10, "", 10, 9)
    assert (found.id, found.prefix, found.organization) == (keys["b"].id, keys["b"].prefix, (acme.organization_id, "acme"))
    with store.write(OPERATOR) as tables:
        tables.organizations.delete(acme.organization_id)
    assert names(0, "", 100, 9) == []
