"""What has changed, and what is in force: for those who tell the workers.

Triggers append each change to the table `changes`, whoever makes it, so that one among a million keys is found without reading a million.
Each has a random mark: a database that was restored from a copy is not taken for the one that it was. PostgreSQL notifies `CHANNEL`, too.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, insert, or_, select, text
from sqlalchemy.sql.elements import ColumnElement

from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.levels import Level, LevelKind
from extproc.identity.named import Named
from extproc.identity.record import Changes, ExpiringKey, Owner, StoredKey, membership_level
from extproc.identity.settings import Plan
from extproc.keyfile import Stamp
from extproc.store import lookup, models
from extproc.store.database import Database
from extproc.store.models import Change, Key, Membership, Organization, Project, ServiceAccount, Team, User

REMEMBERED = 131_072
"""Changes that are remembered: who knows of none of them has to read everything."""
TOLD = 16_384
"""Keys that can be told one by one: nobody waits for so many new ones, but for those to be worthless that were revoked with them."""
CHANNEL = "headgate_changes"
"""What PostgreSQL notifies after a change."""

# Rows that are read at once: between two such helpings somebody else may write.
_HELPING = 20_000
# Digests that are asked for at once.
_ASKED = 5_000
_Level = type[Organization | Project | Team | User | Membership | ServiceAccount]
_LEVELS: dict[LevelKind, _Level] = {
    "organization": Organization,
    "project": Project,
    "team": Team,
    "user": User,
    "membership": Membership,
    "service_account": ServiceAccount,
}
_COLUMNS = (
    Key.id, Key.name, Key.tenant, Key.digest, Key.previous_digest, Key.previous_until, Key.expires_at, Key.settings, Key.plan_id,
    Key.organization_id, Key.project_id, Key.team_id, Key.user_id, Key.service_account_id, Organization.name.label("organization"),
)  # fmt: skip


class Following:
    """Reads what is in force, and what has changed since. Safe for threads. Raises `SQLAlchemyError` where the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stamp(self) -> Stamp:
        """The last change. Cheap: it may be asked for several times a second."""
        with self._database.read() as connection:
            return Stamp(*connection.execute(select(Change.number, Change.mark).order_by(Change.number.desc()).limit(1)).one())

    def keys_exist(self) -> bool:
        """Whether there are keys, or ever were any: when the last one is revoked, the gateway must not open."""
        with self._database.read() as connection:
            return connection.execute(select(Key.id).limit(1)).first() is not None

    def each(self) -> Iterator[StoredKey]:
        """All keys in force, by id, in bounded memory. What others change meanwhile is as it was before, or after."""
        last = ""
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_in_force(Key.id > last).order_by(Key.id).limit(_HELPING)).all()
            if not rows:
                return
            yield from _records(rows)
            last = rows[-1].id

    def since(self, stamp: Stamp | None) -> Changes | None:
        """What has changed since `stamp`, or since there was nothing.

        None if that is more than is `REMEMBERED` or can be `TOLD`, or if this database never was what the stamp tells of.
        """
        with self._database.read() as connection:
            if stamp is None:
                rows = connection.execute(_in_force().order_by(Key.id).limit(TOLD + 1)).all()
                found = tuple(_records(rows))
                return Changes(found, (), levels=True) if len(found) <= TOLD else None
            if connection.execute(select(Change.mark).where(Change.number == stamp.number)).scalar() != stamp.mark:
                return None
            later = connection.execute(
                select(Change.digest, Change.kind).where(Change.number > stamp.number, Change.digest.is_not(None)).distinct()
            ).all()
            others = connection.execute(select(Change.kind).where(Change.number > stamp.number, Change.kind != "key").limit(1)).first()
            return _told(connection, {row.digest for row in later}, others=others is not None)

    def expiring(self, expires: int, after: str, until: int, most: int) -> list[ExpiringKey]:
        """Keys in force, or just expired, by when they expire: from `expires` on (of that moment, those with an id above `after`), no later
        than `until`, at most so many. Milliseconds since 1970.
        """
        behind = and_(Key.expires_at >= expires, Key.expires_at <= until, or_(Key.expires_at > expires, Key.id > after))
        order = _in_force(behind, Organization.deleted_at.is_(None)).add_columns(Key.prefix).order_by(Key.expires_at, Key.id).limit(most)
        with self._database.read() as connection:
            return [_expiring(row) for row in connection.execute(order)]

    def resolve(self, said: Claimed) -> Resolved:
        """Who is meant by what a token or a certificate says."""
        with self._database.read() as connection:
            return lookup.resolve(connection, said)

    def teams(self, owner: Owner) -> list[TeamName]:
        """The teams of a caller."""
        with self._database.read() as connection:
            return lookup.teams(connection, owner)

    def named(self, ids: Collection[str]) -> dict[str, Named]:
        """What these are called, as far as they are in force."""
        with self._database.read() as connection:
            return lookup.named(connection, ids)

    def levels(self) -> tuple[list[Level], dict[str, Plan]]:
        """All levels that say something, and all plans by id, which keys may name as well."""
        with self._database.read() as connection:
            plans = _plans(connection)
            return [level for kind, table in _LEVELS.items() for level in _levels(connection, kind, table, plans)], plans


def _told(connection: Connection, digests: Collection[bytes], *, others: bool) -> Changes | None:
    keys: list[StoredKey] = []
    gone = set(digests)
    for some in _parts(digests):
        # One after the other: each by its own index.
        for column in (Key.digest, Key.previous_digest):
            for record in _records(connection.execute(_in_force(column.in_(some))).all()):
                # Both digests of a key are told when it changes, and both are found with either of them: each is told once.
                if record.digest in gone:
                    gone.remove(record.digest)
                    keys.append(record)
        if len(keys) > TOLD:
            return None
    return Changes(tuple(keys), tuple(gone), levels=others)


def _parts(digests: Collection[bytes]) -> Iterator[list[bytes]]:
    each = sorted(digests)
    return (each[at : at + _ASKED] for at in range(0, len(each), _ASKED))


def _in_force(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    joined = select(*_COLUMNS).join(Organization, Organization.id == Key.organization_id)
    return joined.where(Key.deleted_at.is_(None), Key.disabled_at.is_(None), *conditions)


def _records(rows: Iterable[Row[*tuple[Any, ...]]]) -> Iterator[StoredKey]:
    """One for each digest that is good. Called for a million rows: so they are taken apart at once, and not name by name."""
    for id, name, tenant, digest, previous, until, expires, settings, plan, organization, project, team, user, account, tenant_of in rows:
        owner = Owner(organization, project or "", team or "", user or "", account or "")
        yield StoredKey(name, digest, tenant or tenant_of, id, owner, expires, settings, plan or "")
        if previous is not None:
            ends = until if expires is None else min(until, expires)
            yield StoredKey(name, previous, tenant or tenant_of, id, owner, ends, settings, plan or "")


def _expiring(row: Row[*tuple[Any, ...]]) -> ExpiringKey:
    organization = (row.organization_id, row.organization)
    return ExpiringKey(row.id, row.name, row.prefix or "", row.expires_at, organization, row.team_id or "", row.user_id or "")


def _plans(connection: Connection) -> dict[str, Plan]:
    rows = connection.execute(select(models.Plan.id, models.Plan.name, models.Plan.limits).where(models.Plan.deleted_at.is_(None)))
    return {row.id: Plan(id=row.id, name=row.name, limits=row.limits) for row in rows}


def _levels(connection: Connection, kind: LevelKind, table: _Level, plans: dict[str, Plan]) -> Iterator[Level]:
    telling = or_(table.settings.is_not(None), table.plan_id.is_not(None), table.disabled_at.is_not(None))
    for row in connection.execute(select(table.__table__).where(table.deleted_at.is_(None), telling)):
        id = membership_level(row.user_id, row.team_id or row.organization_id) if table is Membership else row.id
        closed = row.disabled_at is not None
        yield Level(kind=kind, id=id, settings=row.settings, plan=plans.get(row.plan_id), closed=closed)


@contextmanager
def untold(connection: Connection, *, sqlite: bool) -> Iterator[None]:
    """While this lasts, keys are added without each of them being told, which would take longer than adding them.

    Afterwards nobody knows what has changed, and whoever follows has to read everything.
    """
    if sqlite:
        trigger = connection.execute(text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'keys_insert'")).scalar_one()
        connection.execute(text("DROP TRIGGER keys_insert"))
    else:
        connection.execute(text("SET LOCAL headgate.bulk = 'on'"))
    yield
    if sqlite:
        connection.exec_driver_sql(trigger)
    else:
        connection.execute(text("SET LOCAL headgate.bulk = 'off'"))
    connection.execute(delete(Change))
    connection.execute(insert(Change).values(kind="start", entity_id=""))
