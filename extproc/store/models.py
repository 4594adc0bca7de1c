"""The tables of identities, as this version of the program sees them. `migrations/` makes them; a test compares the two.

Times are milliseconds since 1970, UTC. Nothing is taken out of the tables of identities: what is deleted has `deleted_at`, so that audit,
ledger and reports go on to know what they speak of.
"""

from typing import Any, ClassVar

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from extproc.identity.ids import Kind
from extproc.identity.roles import Role
from extproc.identity.settings import NOTHING, Limit, Settings

_LIVE = text("deleted_at IS NULL")
_GIVEN = "{} IS NOT NULL"


class _Encoded(TypeDecorator[Any]):
    """A value of msgspec's as JSON; what equals the `empty` one is NULL."""

    impl = Text
    cache_ok = True
    type_of_value: ClassVar[Any]
    empty: ClassVar[Any]

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None or value == self.empty else msgspec.json.encode(value, order="sorted").decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From the database."""
        return self.empty if value is None else msgspec.json.decode(value, type=self.type_of_value)


class _Settings(_Encoded):
    cache_ok = True
    type_of_value = Settings
    empty = NOTHING


class _Limits(_Encoded):
    cache_ok = True
    type_of_value = tuple[Limit, ...]
    empty = ()


class Base(DeclarativeBase):
    """Of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, int: BigInteger, bytes: LargeBinary}


class Entity(Base):
    """What has an id, and a history."""

    __abstract__ = True
    kind: ClassVar[Kind]
    title_of: ClassVar[str]
    """What it is called when people are told of it."""

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[int]
    updated_at: Mapped[int]
    deleted_at: Mapped[int | None]
    version: Mapped[int]
    """Counts changes, from 1: who changes something says which version he has seen."""


class _Level:
    """What says something to those below it."""

    settings: Mapped[Settings] = mapped_column(_Settings, nullable=True)
    disabled_at: Mapped[int | None]
    """Suspended: nobody below it is let in."""


def _plan() -> Mapped[str | None]:
    return mapped_column(ForeignKey("plans.id"))


class Plan(Entity):
    """A named bundle of limits."""

    __tablename__ = "plans"
    __table_args__ = (Index("plans_name", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),)
    kind = "plan"
    title_of = "plan"

    name: Mapped[str]
    limits: Mapped[tuple[Limit, ...]] = mapped_column(_Limits, nullable=True)


class Organization(_Level, Entity):
    """A tenant: the boundary that cache and ledger keep. So its name is never given to another one, also when it is gone."""

    __tablename__ = "organizations"
    kind = "organization"
    title_of = "organization"

    name: Mapped[str] = mapped_column(unique=True)
    plan_id: Mapped[str | None] = _plan()


class Project(_Level, Entity):
    """Part of an organization that has keys of its own."""

    __tablename__ = "projects"
    __table_args__ = (Index("projects_name", "organization_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),)
    kind = "project"
    title_of = "project"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    plan_id: Mapped[str | None] = _plan()


class Team(_Level, Entity):
    """People of an organization who share keys and limits."""

    __tablename__ = "teams"
    __table_args__ = (Index("teams_name", "organization_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),)
    kind = "team"
    title_of = "team"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    plan_id: Mapped[str | None] = _plan()


class User(_Level, Entity):
    """A person, who may be a member of several organizations."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_email", "email", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("users_subject", "issuer", "subject", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="users_subject_whole"),
    )
    kind = "user"
    title_of = "user"

    email: Mapped[str | None]
    """In lower case."""
    name: Mapped[str]
    issuer: Mapped[str | None]
    """Who vouches for `subject`: the `iss` of a JWT."""
    subject: Mapped[str | None]
    plan_id: Mapped[str | None] = _plan()


class Membership(_Level, Entity):
    """A user's role in an organization, or in one of its teams; and what bounds him there."""

    __tablename__ = "memberships"
    __table_args__ = (
        Index(
            "memberships_of_organization", "organization_id", "user_id", unique=True,
            sqlite_where=text("deleted_at IS NULL AND team_id IS NULL"), postgresql_where=text("deleted_at IS NULL AND team_id IS NULL"),
        ),
        Index("memberships_of_team", "team_id", "user_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("memberships_of_user", "user_id"),
        CheckConstraint("role IN ('owner', 'admin', 'member', 'viewer')", name="memberships_role"),
    )  # fmt: skip
    kind = "membership"
    title_of = "membership"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    role: Mapped[Role] = mapped_column(Text)
    plan_id: Mapped[str | None] = _plan()


class ServiceAccount(_Level, Entity):
    """A program of an organization that calls by keys of its own."""

    __tablename__ = "service_accounts"
    __table_args__ = (Index("service_accounts_name", "organization_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),)
    kind = "service_account"
    title_of = "service account"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    plan_id: Mapped[str | None] = _plan()


class Key(_Level, Entity):
    """A caller's key. The key itself is kept by nobody but the caller."""

    __tablename__ = "keys"
    __table_args__ = (
        # Also of those that are gone: reports name keys, and should not mean two by one name.
        UniqueConstraint("organization_id", "name", name="keys_name"),
        Index("keys_of_organization", "organization_id", "id"),
        Index(
            "keys_expires", "expires_at", "id",
            sqlite_where=text("expires_at IS NOT NULL"), postgresql_where=text("expires_at IS NOT NULL"),
        ),
        Index("keys_prefix", "prefix", sqlite_where=text("prefix IS NOT NULL"), postgresql_where=text("prefix IS NOT NULL")),
        *(
            Index(
                f"keys_of_{name}", f"{name}_id", "id",
                sqlite_where=text(_GIVEN.format(f"{name}_id")), postgresql_where=text(_GIVEN.format(f"{name}_id")),
            )
            for name in ("project", "team", "user", "service_account", "plan")
        ),
        Index(
            "keys_previous", "previous_digest", unique=True,
            sqlite_where=text("previous_digest IS NOT NULL"), postgresql_where=text("previous_digest IS NOT NULL"),
        ),
        CheckConstraint("project_id IS NULL OR team_id IS NULL", name="keys_of_one_group"),
        CheckConstraint("user_id IS NULL OR service_account_id IS NULL", name="keys_of_one_holder"),
        CheckConstraint("(previous_digest IS NULL) = (previous_until IS NULL)", name="keys_previous_whole"),
    )  # fmt: skip
    kind = "key"
    title_of = "key"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    service_account_id: Mapped[str | None] = mapped_column(ForeignKey("service_accounts.id"))
    name: Mapped[str]
    tenant: Mapped[str | None]
    """Whose cache and whose lines in the ledger, if not the organization's."""
    prefix: Mapped[str | None]
    """How the key begins; unknown of those that came as hashes."""
    digest: Mapped[bytes] = mapped_column(unique=True)
    """SHA-256 of the key."""
    expires_at: Mapped[int | None]
    rotated_at: Mapped[int | None]
    previous_digest: Mapped[bytes | None]
    """Of the key before the last rotation, which is good until `previous_until`."""
    previous_until: Mapped[int | None]
    plan_id: Mapped[str | None] = _plan()


class AuditEntry(Base):
    """A change: who made it, and what was before and after. Written in the transaction of the change itself."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_of_organization", "organization_id", "id"), Index("audit_of_entity", "entity_id", "id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int]
    actor: Mapped[str]
    """Who: an id of a user or a service account, `operator`, `command line`."""
    request_id: Mapped[str | None]
    organization_id: Mapped[str | None]
    kind: Mapped[str]
    entity_id: Mapped[str]
    action: Mapped[str]
    """`create`, `change`, `rotate`, `delete`, `import`."""
    before: Mapped[str | None]
    """JSON: of what has changed, what it was. Never a key, nor what is stored of one."""
    after: Mapped[str | None]


class Idempotency(Base):
    """An answer that was given to a request with an `Idempotency-Key`: who asks again gets it again."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_expires", "expires_at"),)

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[bytes]
    """SHA-256 of the request, by which another one under the same key is noticed."""
    status: Mapped[int]
    body: Mapped[bytes]
    expires_at: Mapped[int]


class Change(Base):
    """That something has changed; written by triggers. See `changes.py`."""

    __tablename__ = "changes"

    # SQLite numbers rows by itself where the type is its own.
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    mark: Mapped[bytes]
    kind: Mapped[str]
    entity_id: Mapped[str]
    digest: Mapped[bytes | None]
    """Of a key: what it had, or has."""


class SchemaVersion(Base):
    """A version that the schema has had, and the oldest program that may still work with it."""

    __tablename__ = "schema_versions"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    oldest: Mapped[int]
    applied_at: Mapped[int]


ENTITIES: tuple[type[Entity], ...] = (Organization, Project, Team, User, Membership, ServiceAccount, Key, Plan)


class Actor(Struct, frozen=True):
    """Who makes a change."""

    name: str
    request_id: str | None = None
