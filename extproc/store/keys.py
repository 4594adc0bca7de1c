"""Callers' keys: made and shown once, rotated with an overlap, suspended, deleted; and many at once, by their hashes."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, or_, select

from extproc.errors import Reject
from extproc.identity.settings import NOTHING, Settings
from extproc.keys import PREFIX, StoredKey, digest, make_key
from extproc.store.bulk import Bulk
from extproc.store.models import Key, Membership, Organization, Project, ServiceAccount, Team, User
from extproc.store.repository import IDS, Repository, checked_name

SHOWN = 8
"""Characters of a key, behind `hg-`, that are kept to find it by: 48 of its 256 bits."""


class Holder(Struct, frozen=True):
    """Whom a key belongs to."""

    organization_id: str
    project_id: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    service_account_id: str | None = None


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
            **msgspec.structs.asdict(holder), name=name, tenant=tenant, prefix=prefix_of(clear), digest=digest(clear),
            expires_at=expires_at, settings=settings, plan_id=plan_id,
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
            "prefix": prefix_of(clear), "digest": digest(clear), "rotated_at": self.work.now, "previous_digest": before[0],
            "previous_until": before[1],
        }  # fmt: skip
        return self._set(key, "rotate", values), clear

    def of_prefix(self, text: str) -> list[Key]:
        """Keys that are meant by `text`: see `begins`."""
        return list(self.session.scalars(select(Key).where(begins(text), Key.deleted_at.is_(None)).order_by(Key.id).limit(100)))

    def named(self, organization_id: str, name: str) -> Key | None:
        """The key of an organization that has, or had, this name."""
        return self.session.scalars(select(Key).where(Key.organization_id == organization_id, Key.name == name)).first()

    def add_many(self, holder: Holder, keys: Iterable[StoredKey], *, skip_existing: bool = False) -> int:
        """Adds keys that were made elsewhere, by their hashes: all of them, or none if it raises. How many were added.

        `skip_existing`: those that are there already, name and digest, are passed over. Raises `Taken` for one that cannot be added.
        """
        self._check_holder(holder)
        added = Bulk(self.session.connection(), IDS).add(keys, msgspec.structs.asdict(holder), self.work.now, skip_existing=skip_existing)
        if added.count:
            told = {"keys": added.count, "first": added.first, "last": added.last}
            self.work.audit("key", added.first, "import", holder.organization_id, None, told)
        return added.count

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


def begins(text: str) -> ColumnElement[bool]:
    """What is true of keys that begin so, with or without `hg-`; for a whole key, which somebody has found somewhere, also of those that
    were imported by their hashes, and of the one whose secret it was before the last rotation.
    """
    secret = text.removeprefix(PREFIX)
    known = Key.prefix == secret[:SHOWN]
    if len(secret) <= SHOWN:
        return known
    digests = [digest(text), digest(PREFIX + secret)]
    return or_(known, Key.digest.in_(digests), Key.previous_digest.in_(digests))


def was_before(key: Key, text: str) -> bool:
    """Whether `text`, which is a whole key, is what `key` was before its last rotation."""
    return key.previous_digest in {digest(text), digest(PREFIX + text.removeprefix(PREFIX))}


def prefix_of(clear: str) -> str:
    """How a key begins, as far as that is kept."""
    return clear.removeprefix(PREFIX)[:SHOWN]
