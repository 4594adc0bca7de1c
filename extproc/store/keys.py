"""Callers' keys: made and shown once, rotated with an overlap, suspended, deleted; and many at once, by their hashes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, or_, select

from extproc.errors import Reject
from extproc.identity.settings import NOTHING, Settings
from extproc.keys import PREFIX, StoredKey, digest, make_key
from extproc.store.changes import TOLD, untold
from extproc.store.models import Key, Membership, Organization, Project, ServiceAccount, Team, User
from extproc.store.repository import Repository, checked_name

SHOWN = 8
"""Characters of a key, behind `hg-`, that are kept to find it by: 48 of its 256 bits."""
# Keys that are looked for, and added, at once.
_PART = 5_000


class Holder(Struct, frozen=True):
    """Whom a key belongs to."""

    organization_id: str
    project_id: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    service_account_id: str | None = None


class Taken(ValueError):
    """A key cannot be added, for another one has its name or its digest: one that there is or was, or one of those before it."""

    def __init__(self, what: str, name: str, index: int) -> None:
        """`index`: its place among those to add, from 0."""
        super().__init__(f"another key has the {what} of {name!r}: one that there is, or was, or one further up")
        self.index = index


class Keys(Repository[Key]):
    """Keys. Their names stay, and are not used twice in an organization: reports know them by these."""

    entity = Key
    changeable = ("expires_at", "tenant", "settings", "plan_id", "disabled")

    def create(
        self, holder: Holder, name: str, *, tenant: str | None = None, expires_at: int | None = None, settings: Settings = NOTHING,
        plan_id: str | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Makes a key, and returns it in clear for the only time. `expires_at`: milliseconds since 1970."""
        self._check_holder(holder)
        clear = make_key()
        key = self._add(
            **msgspec.structs.asdict(holder), name=name, tenant=tenant, prefix=_prefix(clear), digest=digest(clear), expires_at=expires_at,
            settings=settings, plan_id=plan_id,
        )  # fmt: skip
        return key, clear

    def rotate(self, id: str, *, overlap: int = 0, version: int | None = None) -> tuple[Key, str]:
        """Gives a key another secret, and returns it in clear for the only time.

        It stays the same key: its limits go on to count what was used before. The secret before is good for `overlap` milliseconds more;
        the one before that, if it still was, is not any more.
        """
        if overlap < 0:
            raise Reject(422, "invalid", "An overlap cannot be negative.", param="overlap")
        key = self._expected(id, version)
        clear = make_key()
        before = (key.digest, self.work.now + overlap) if overlap else (None, None)
        values = {
            "prefix": _prefix(clear), "digest": digest(clear), "rotated_at": self.work.now, "previous_digest": before[0],
            "previous_until": before[1],
        }  # fmt: skip
        return self._set(key, "rotate", values), clear

    def of_prefix(self, text: str) -> list[Key]:
        """Keys that begin so; `text` may be a whole key, which somebody has found somewhere. With or without `hg-`."""
        prefix = text.removeprefix(PREFIX)[:SHOWN]
        return list(self.session.scalars(select(Key).where(Key.prefix == prefix, Key.deleted_at.is_(None)).order_by(Key.id).limit(100)))

    def named(self, organization_id: str, name: str) -> Key | None:
        """The key of an organization that has, or had, this name."""
        return self.session.scalars(select(Key).where(Key.organization_id == organization_id, Key.name == name)).first()

    def add_many(self, holder: Holder, keys: Iterable[StoredKey], *, skip_existing: bool = False) -> int:
        """Adds keys that were made elsewhere, by their hashes: all of them, or none if it raises. How many were added.

        `skip_existing`: those that are there already, name and digest, are passed over. Raises `Taken` for one that cannot be added.
        """
        self._check_holder(holder)
        adding = _Adding(self, holder, skip_existing)
        each = iter(keys)
        adding.add(islice(each, TOLD))
        if adding.taken == TOLD:
            connection = self.session.connection()
            with untold(connection, sqlite=connection.dialect.name == "sqlite"):
                adding.add(each)
        if adding.added:
            ids = {"keys": adding.added, "first": adding.first, "last": adding.last}
            self.work.audit("key", adding.first, "import", holder.organization_id, None, ids)
        return adding.added

    def _check(self, entity: Key) -> None:
        super()._check(entity)
        checked_name(entity.name)
        if entity.tenant is not None:
            checked_name(entity.tenant)
        self._free(entity, "name", Key.organization_id == entity.organization_id, Key.name == entity.name)

    def _check_holder(self, holder: Holder) -> None:
        here = holder.organization_id
        self._alive(Organization, here, "organization_id")
        if holder.project_id is not None and holder.team_id is not None:
            raise Reject(422, "invalid", "A key belongs to a project or to a team, not to both.", param="team_id")
        if holder.user_id is not None and holder.service_account_id is not None:
            raise Reject(422, "invalid", "A key belongs to a user or to a service account, not to both.", param="service_account_id")
        for table, name in ((Project, "project_id"), (Team, "team_id"), (ServiceAccount, "service_account_id")):
            if (id := getattr(holder, name)) is not None:
                self._alive(table, id, name, organization_id=here)
        if holder.user_id is not None:
            self._alive(User, holder.user_id, "user_id")
            self._check_member(holder)

    def _check_member(self, holder: Holder) -> None:
        group = or_(Membership.team_id.is_(None), Membership.team_id == holder.team_id)
        query = select(Membership.id).where(
            Membership.user_id == holder.user_id, Membership.organization_id == holder.organization_id, group,
            Membership.deleted_at.is_(None),
        )  # fmt: skip
        if self.session.scalars(query.limit(1)).first() is None:
            where = "the organization or the team" if holder.team_id is not None else "the organization"
            raise Reject(422, "invalid", f"The user is no member of {where} that the key is to belong to.", param="user_id")


class _Adding:
    """Many keys on their way into the table."""

    def __init__(self, keys: Keys, holder: Holder, skip_existing: bool) -> None:
        self._keys = keys
        self._session = keys.session
        self._holder = msgspec.structs.asdict(holder)
        self._organization = holder.organization_id
        self._skip = skip_existing
        self.taken = 0
        self.added = 0
        self.first = self.last = ""

    def add(self, keys: Iterable[StoredKey]) -> None:
        """In parts, each of which is looked for first: nobody else writes meanwhile."""
        each = iter(keys)
        while part := list(islice(each, _PART)):
            rows = list(self._rows(part))
            self.taken += len(part)
            if rows:
                self._session.execute(insert(Key.__table__), rows)  # type: ignore[arg-type]
                self.first = self.first or rows[0]["id"]
                self.last = rows[-1]["id"]
                self.added += len(rows)

    def _rows(self, part: list[StoredKey]) -> Iterator[dict[str, Any]]:
        names, digests, both = self._known(part)
        work = self._keys.work
        history = {"created_at": work.now, "updated_at": work.now, "version": 1}
        for index, key in enumerate(part, self.taken):
            if self._skip and (key.name, key.digest) in both:
                continue
            if key.digest in digests or key.name in names:
                raise Taken("hash" if key.digest in digests else "name", key.name, index)
            digests.add(key.digest)
            names.add(key.name)
            values = {"name": key.name, "digest": key.digest, "tenant": key.tenant or None, "settings": NOTHING}
            yield {"id": work.id("key"), **history, **self._holder, **values}

    def _known(self, part: list[StoredKey]) -> tuple[set[str], set[bytes], set[tuple[str, bytes]]]:
        """Names and digests of a part that are taken; and both together."""
        columns = select(Key.name, Key.digest, Key.previous_digest, Key.organization_id)
        named = columns.where(Key.organization_id == self._organization, Key.name.in_([key.name for key in part]))
        digests = [key.digest for key in part]
        hashed = (columns.where(column.in_(digests)) for column in (Key.digest, Key.previous_digest))
        # One after the other: each by its own index.
        rows = [row for query in (named, *hashed) for row in self._session.execute(query)]
        here = [row for row in rows if row.organization_id == self._organization]
        taken = {row.digest for row in rows} | {row.previous_digest for row in rows if row.previous_digest is not None}
        return {row.name for row in here}, taken, {(row.name, row.digest) for row in here}


def _prefix(clear: str) -> str:
    return clear.removeprefix(PREFIX)[:SHOWN]
