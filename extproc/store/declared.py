"""What the configuration declares, in the store: made, changed and taken out until the store has it as it is declared, in one transaction.

Its ids are those that the configuration gives (`ids.declared`), so every machine and every start mean the same rows, and everybody can tell
by an id what is not theirs to change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from extproc.errors import Reject
from extproc.identity.declared import Row
from extproc.identity.ids import PREFIXES, Kind, is_declared
from extproc.keys import digest
from extproc.store.keys import prefix_of
from extproc.store.repository import CONFIGURATION, Repository
from extproc.store.store import Tables

__all__ = ["CONFIGURATION", "apply"]

# What is around others goes first, and takes these along.
_TAKEN_OUT: tuple[Kind, ...] = ("organization", "project", "team", "user", "service_account", "membership", "key", "plan")


def apply(tables: Tables, rows: list[Row]) -> None:
    """Raises `Reject` that names what cannot be so: then nothing is."""
    wanted = {row.id for row in rows}
    for kind in _TAKEN_OUT:
        repository = _of(tables, kind)
        for id in _there(repository, kind) - wanted:
            # It may have gone with what was around it.
            if repository.find(id, deleted=True).deleted_at is None:
                with _naming(id):
                    repository.delete(id)
    for row in rows:
        with _naming(row.id):
            _of(tables, row.kind).declare(row.id, _columns(row.values))


def _of(tables: Tables, kind: Kind) -> Repository[Any]:
    found: Repository[Any] = getattr(tables, f"{kind}s")
    return found


def _there(repository: Repository[Any], kind: Kind) -> set[str]:
    """Ids of what is declared and in force. A name begins with a letter, what the store makes with a digit: the index knows where."""
    table = repository.entity
    query = select(table.id).where(table.id >= f"{PREFIXES[kind]}_a", table.deleted_at.is_(None))
    return {id for id in repository.session.scalars(query) if is_declared(id)}


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    secret = values.get("secret")
    if secret is None:
        # Of a hash nobody knows how its key begins.
        return {**values, "prefix": None} if "digest" in values else values
    kept = {name: value for name, value in values.items() if name != "secret"}
    return kept | {"digest": digest(secret), "prefix": prefix_of(secret)}


@contextmanager
def _naming(id: str) -> Iterator[None]:
    try:
        yield
    except Reject as reject:
        raise Reject(reject.fault.status, reject.fault.code, f"{id}: {reject}") from None
