"""Keys in the state folder: hashes only, names used once, and a change that can be noticed."""

import stat
from pathlib import Path

import pytest

from extproc.control.keystore import KeyStore
from extproc.keys import KeyTable, digest


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state")
    assert store.version() is None
    assert store.list() == []
    assert store.load() == ((), False)
    assert not store.revoke("one")
    assert not (tmp_path / "state").exists()


def test_made_listed_and_found(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "state")
    one, two = store.create("one", "acme"), store.create("two", "")
    assert [(entry.name, entry.tenant, entry.revoked) for entry in store.list()] == [("one", "acme", None), ("two", "two", None)]
    keys, exist = KeyStore(tmp_path / "state").load()
    table = KeyTable(keys, required=True)
    found = table.find(one)
    assert exist and found is not None and (found.tenant, found.key) == ("acme", "one")
    assert table.find(two) is not None


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


def test_revoking(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.create("one", "")
    assert store.revoke("one")
    assert not store.revoke("one")
    assert not store.revoke("nobody")
    (entry,) = store.list()
    assert entry.revoked is not None and entry.revoked >= entry.created
    # There were keys: so the gateway stays closed.
    assert store.load() == ((), True)


def test_every_change_is_noticed(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    versions = [store.version()]
    for change in (lambda: store.create("one", ""), lambda: store.create("two", ""), lambda: store.revoke("one")):
        change()
        versions.append(store.version())
    assert len(set(versions)) == 4
    store.list()
    store.load()
    assert not store.revoke("one")
    assert store.version() == versions[-1]
