"""Keys in a state folder, or in a database by URL, for tests that need some: made, revoked, and looked at, as commands do it."""

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from extproc.keys import StoredKey
from extproc.store.database import url_of
from extproc.store.keys import Holder
from extproc.store.models import Actor
from extproc.store.store import Store, Tables

T = TypeVar("T")


def change(state: Path | str, what: Callable[[Tables, Holder], T]) -> T:
    """Does something with all keys and the default organization."""
    with closing(Store.open(state if isinstance(state, Path) else url_of(state))) as store, store.write(Actor("tests")) as tables:
        return what(tables, Holder(tables.organizations.default().id))


def create(state: Path | str, name: str, tenant: str = "") -> str:
    """Makes a key, and returns it."""
    return change(state, lambda tables, holder: tables.keys.create(holder, name, tenant=tenant or name)[1])


def add(state: Path | str, keys: Iterable[StoredKey]) -> int:
    """Adds keys by their hashes."""
    return change(state, lambda tables, holder: tables.keys.add_many(holder, keys))


def revoke(state: Path | str, name: str) -> None:
    """Makes a key worthless."""

    def end(tables: Tables, holder: Holder) -> None:
        key = tables.keys.named(holder.organization_id, name)
        assert key is not None
        tables.keys.delete(key.id)

    change(state, end)


def each(state: Path) -> list[StoredKey]:
    """The keys in force, as far as they are told without a store."""
    if not (state / "store.sqlite").exists():
        return []
    with closing(Store.open(state)) as store:
        return plain(store.following.each())


def plain(keys: Iterable[StoredKey]) -> list[StoredKey]:
    """Without what only the store can know."""
    return [StoredKey(key.name, key.digest, key.tenant) for key in keys]
