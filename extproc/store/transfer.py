"""One store into another: everything that a store knows, ids and digests as they are, so that callers, reports and counters go on.

And which keys of a store another one does not know.

What is left behind is what only the store itself needs: its own versions, what has changed lately, and answers that may be asked for again.
"""

from sqlalchemy import Connection, func, insert, select

from extproc.store.changes import untold
from extproc.store.database import Database
from extproc.store.models import ENTITIES, AuditEntry, Base, Change, Idempotency, Key, SchemaVersion

LOOKED = 1000
"""Keys that are looked for elsewhere, at most."""
_HELPING = 5000
_OWN = (Change.__tablename__, Idempotency.__tablename__, SchemaVersion.__tablename__)


class Occupied(Exception):
    """There are identities already where others were to go; says which."""


def copy(source: Database, target: Database) -> dict[str, int]:
    """Takes everything over, or nothing: how many rows of each table. Both have this program's version. Raises `Occupied`."""
    counts = {}
    with source.read() as there, target.write() as here:
        for entity in ENTITIES:
            if found := here.execute(select(func.count()).select_from(entity)).scalar_one():
                raise Occupied(f"there are {found} {entity.__tablename__.replace('_', ' ')} already")
        with untold(here, sqlite=target.is_sqlite):
            for table in Base.metadata.sorted_tables:
                if table.name not in _OWN:
                    counts[table.name] = 0
                    for rows in there.execution_options(yield_per=_HELPING).execute(select(table)).mappings().partitions():
                        here.execute(insert(table), [dict(row) for row in rows])
                        counts[table.name] += len(rows)
    return {name: count for name, count in counts.items() if count or name != AuditEntry.__tablename__}


def left_behind(source: Database, target: Database) -> int:
    """How many keys in force, of the newest `LOOKED`, the other store has never had. Changes nothing, and makes nothing."""
    if not source.there():
        return 0
    with source.read() as there:
        digests = set(_newest(there))
    if not digests:
        return 0
    with target.read() as here:
        known = here.execute(select(Key.digest, Key.previous_digest).where(Key.digest.in_(digests) | Key.previous_digest.in_(digests)))
        return len(digests.difference(*known.all()))


def _newest(connection: Connection) -> list[bytes]:
    newest = select(Key.digest).where(Key.deleted_at.is_(None), Key.disabled_at.is_(None)).order_by(Key.id.desc()).limit(LOOKED)
    return list(connection.execute(newest).scalars())
