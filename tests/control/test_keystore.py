"""Keys in the state folder: hashes only, names used once, and a change that can be noticed, and told apart from a million keys."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.control import keystore
from extproc.control.keystore import REMEMBERED, TOLD, Changes, KeyStore
from extproc.keys import StoredKey, digest
from tests.examples import examples


def imported(*numbers: int) -> list[StoredKey]:
    return [StoredKey(f"key-{number}", digest(f"hg-{number}"), "acme") for number in numbers]


def changed(path: Path, *statements: str) -> None:
    """By somebody with SQLite in his hands."""
    with sqlite3.connect(path / "keys.sqlite") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state")
    assert store.version() is None
    assert store.list() == []
    assert not store.exist()
    assert store.since(None) == Changes((), ())
    assert not store.revoke("one")
    assert not (tmp_path / "state").exists()


def test_made_listed_and_found(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state")
    one, two = store.create("one", "acme"), store.create("two", "")
    assert [(entry.name, entry.tenant, entry.revoked) for entry in store.list()] == [("one", "acme", None), ("two", "two", None)]
    expected = [StoredKey("one", digest(one), "acme"), StoredKey("two", digest(two), "two")]
    again = KeyStore(tmp_path / "state")
    assert list(again.each()) == expected
    assert again.since(None) == Changes(tuple(expected), ())
    assert again.exist()


def test_the_key_itself_is_nowhere(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state")
    key = store.create("one", "acme")
    (file,) = (tmp_path / "state").iterdir()
    data = file.read_bytes()
    assert digest(key) in data
    assert key.encode() not in data and key.removeprefix("hg-").encode() not in data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_names_are_not_used_twice(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.create("one", "")
    with pytest.raises(ValueError, match="one"):
        store.create("one", "")
    assert store.revoke("one")
    with pytest.raises(ValueError, match="was"):
        store.create("one", "")


def test_what_undid_a_transaction_by_itself_is_told() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER UNIQUE)")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), keystore._transaction(connection, "IMMEDIATE"):
            # The second one undoes the first one, too, as a full disk does.
            connection.executemany("INSERT OR ROLLBACK INTO numbers VALUES (?)", [(1,), (1,)])
        with keystore._transaction(connection, "IMMEDIATE"):
            connection.execute("INSERT INTO numbers VALUES (2)")
        assert connection.execute("SELECT number FROM numbers").fetchall() == [(2,)]


def test_revoking(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.create("one", "")
    assert store.revoke("one")
    assert not store.revoke("one")
    assert not store.revoke("nobody")
    (entry,) = store.list()
    assert entry.revoked is not None and entry.revoked >= entry.created
    # There were keys: so the gateway stays closed.
    assert (list(store.each()), store.exist()) == ([], True)


def test_every_change_is_noticed(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    versions = [store.version()]
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.create("one", ""),
        lambda: store.create("two", ""),
        lambda: store.revoke("one"),
        lambda: store.add_many(imported(1, 2)),
    )
    for change in changes:
        change()
        versions.append(store.version())
    assert len(set(versions)) == 5
    store.list()
    store.stamp()
    list(store.each())
    store.since(None)
    assert not store.revoke("one")
    assert store.version() == versions[-1]


def test_adding_many(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    keys = [*imported(*range(100)), StoredKey("alone", digest("hg-alone"))]
    assert store.add_many(iter(keys)) == 101
    assert list(store.each()) == [*keys[:-1], StoredKey("alone", digest("hg-alone"), "alone")]
    assert store.add_many([]) == 0


@pytest.mark.parametrize(
    ("bad", "message"), [(StoredKey("key-1", digest("new")), "the name of"), (StoredKey("new", digest("hg-1")), "the hash of")]
)
@pytest.mark.parametrize("before", [10, 40])
def test_all_of_many_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, bad: StoredKey, message: str) -> None:
    monkeypatch.setattr(keystore, "TOLD", 20)
    store = KeyStore(tmp_path)
    store.add_many(imported(1, 2, 3))
    stamp = store.stamp()
    with pytest.raises(ValueError, match=message):
        store.add_many([*imported(*range(10, 10 + before)), bad])
    assert list(store.each()) == imported(1, 2, 3)
    assert store.since(stamp) == Changes((), ())
    # What notices changes is in its place again.
    store.create("later", "")
    changes = store.since(stamp)
    assert changes is not None and [key.name for key in changes.added] == ["later"]


def test_what_has_changed_since(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add_many(imported(1, 2, 3))
    stamp = store.stamp()
    assert store.since(stamp) == Changes((), ())
    store.revoke("key-2")
    store.add_many(imported(4, 5))
    store.revoke("key-5")
    one, two, four, five = (digest(f"hg-{number}") for number in (1, 2, 4, 5))
    changes = store.since(stamp)
    assert changes is not None
    assert (changes.added, set(changes.revoked), len(changes)) == (tuple(imported(4)), {two, five}, 3)
    # Whoever it was that changed them.
    stamp = store.stamp()
    changed(tmp_path, "UPDATE keys SET revoked = NULL WHERE name = 'key-2'", "DELETE FROM keys WHERE name = 'key-1'")
    assert store.since(stamp) == Changes(tuple(imported(2)), (one,))
    stamp = store.stamp()
    changed(tmp_path, f"UPDATE keys SET digest = x'{bytes(32).hex()}' WHERE name = 'key-4'")
    assert store.since(stamp) == Changes((StoredKey("key-4", bytes(32), "acme"),), (four,))


def test_what_is_too_much_to_tell(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.create("one", "")
    stamp = store.stamp()
    store.add_many(imported(*range(TOLD - 1)))
    changes, everything = store.since(stamp), store.since(None)
    assert changes is not None and len(changes) == TOLD - 1
    assert everything is not None and len(everything) == TOLD
    store.create("two", "")
    changes = store.since(stamp)
    assert changes is not None and len(changes) == TOLD
    assert store.since(None) is None
    store.create("three", "")
    assert store.since(stamp) is None
    assert store.since(store.stamp()) == Changes((), ())
    # Many at once are not noticed one by one.
    stamp = store.stamp()
    many = range(TOLD, 2 * TOLD + 1)
    assert store.add_many(imported(*many)) == len(many)
    assert store.since(stamp) is None
    assert store.since(store.stamp()) == Changes((), ())


def test_many_that_are_revoked_can_be_told(tmp_path: Path) -> None:
    """They cost little, and are waited for; up to what is remembered."""
    store = KeyStore(tmp_path)
    store.add_many(imported(*range(REMEMBERED + 1)))
    stamp = store.stamp()
    changed(tmp_path, "UPDATE keys SET revoked = 1.0 WHERE name != 'key-0'")
    changes = store.since(stamp)
    assert changes is not None and (len(changes.added), len(changes.revoked)) == (0, REMEMBERED)
    store.revoke("key-0")
    assert store.since(stamp) is None
    with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchone() == (REMEMBERED + 1,)


def test_a_store_that_was_put_back_is_another(tmp_path: Path) -> None:
    """It has had as many changes, but not these: nothing may be taken for known."""
    store = KeyStore(tmp_path)
    store.add_many(imported(1, 2))
    copy = (tmp_path / "keys.sqlite").read_bytes()
    store.revoke("key-1")
    stamp = store.stamp()
    (tmp_path / "keys.sqlite").write_bytes(copy)
    assert store.since(stamp) is None
    store.revoke("key-2")
    assert store.stamp().number == stamp.number
    assert store.since(stamp) is None


def test_a_store_of_before_changes_were_remembered(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "keys.sqlite") as connection:
        connection.execute(
            "CREATE TABLE keys (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, tenant TEXT NOT NULL, created REAL NOT NULL, "
            "revoked REAL) STRICT"
        )
        connection.execute("INSERT INTO keys VALUES ('old', ?, 'acme', 1.0, NULL)", (digest("hg-old"),))
    connection.close()
    store = KeyStore(tmp_path)
    assert list(store.each()) == [StoredKey("old", digest("hg-old"), "acme")]
    stamp = store.stamp()
    store.revoke("old")
    assert store.since(stamp) == Changes((), (digest("hg-old"),))


STEPS = st.lists(st.tuples(st.sampled_from(["add", "revoke", "delete", "back"]), st.integers(0, 5)), max_size=12)


@given(STEPS, st.integers(0, 12))
@settings(max_examples=examples(60), deadline=None)
def test_what_was_and_what_has_changed_make_what_is(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], at: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = KeyStore(folder)
    store.add_many(imported(100))
    known: dict[bytes, StoredKey] | None = None
    stamp = store.stamp()
    for step, (what, number) in enumerate(steps):
        if step == at:
            stamp, known = store.stamp(), {key.digest: key for key in store.each()}
        if what == "add" and f"key-{number}" not in {entry.name for entry in store.list()}:
            store.add_many(imported(number))
        elif what == "revoke":
            store.revoke(f"key-{number}")
        elif what == "delete":
            changed(folder, f"DELETE FROM keys WHERE name = 'key-{number}'")
        elif what == "back":
            changed(folder, f"UPDATE keys SET revoked = NULL WHERE name = 'key-{number}'")
    if known is None:
        stamp, known = store.stamp(), {key.digest: key for key in store.each()}
    changes = store.since(stamp)
    assert changes is not None
    known |= {key.digest: key for key in changes.added}
    assert {hashed: key for hashed, key in known.items() if hashed not in changes.revoked} == {key.digest: key for key in store.each()}
