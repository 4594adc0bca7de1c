"""What the API shows of identities: times as text, and never what a key is hashed to."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from extproc.identity.roles import Role
from extproc.identity.settings import Limit, Settings
from extproc.keys import PREFIX


class Shown(Struct, frozen=True, kw_only=True):
    """What has an id, and a history."""

    id: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int
    """Counts changes; the ETag."""


class _Level(Shown, frozen=True, kw_only=True):
    settings: Settings
    plan_id: str | None
    disabled_at: datetime | None
    """Since when it is suspended."""


class Organization(_Level, frozen=True, kw_only=True):
    """A tenant."""

    name: str


class Project(_Level, frozen=True, kw_only=True):
    """A part of an organization that has keys of its own."""

    organization_id: str
    name: str


class Team(_Level, frozen=True, kw_only=True):
    """People of an organization who share keys and limits."""

    organization_id: str
    name: str


class ServiceAccount(_Level, frozen=True, kw_only=True):
    """A program of an organization that calls by keys of its own."""

    organization_id: str
    name: str


class User(_Level, frozen=True, kw_only=True):
    """A person, who may be a member of several organizations."""

    name: str
    email: str | None
    issuer: str | None
    """Who vouches for `subject`: the `iss` of his tokens."""
    subject: str | None


class Membership(_Level, frozen=True, kw_only=True):
    """A user's role in an organization, or in one of its teams."""

    organization_id: str
    team_id: str | None
    user_id: str
    role: Role


class Plan(Shown, frozen=True, kw_only=True):
    """A named bundle of limits."""

    name: str
    limits: tuple[Limit, ...]


class Key(_Level, frozen=True, kw_only=True):
    """A caller's key. The key itself is kept by nobody but the caller."""

    organization_id: str
    project_id: str | None
    team_id: str | None
    user_id: str | None
    service_account_id: str | None
    name: str
    tenant: str | None
    prefix: str | None
    """How it begins; unknown of those that came as hashes."""
    expires_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None
    """Until when the one before the last rotation is good."""


class FreshKey(Key, frozen=True, kw_only=True):
    """A key as it is shown once, when it is made or rotated."""

    key: str | None
    """The key itself. Null in the answer to a request that was sent again (`Idempotency-Key`): rotate it, if it is lost."""


class AuditEntry(Struct, frozen=True, kw_only=True):
    """A change."""

    id: str
    at: datetime
    actor: str
    request_id: str | None
    organization_id: str | None
    kind: str
    entity_id: str
    action: str
    before: dict[str, Any] | None
    """Of what has changed, what it was."""
    after: dict[str, Any] | None


class Identity(Struct, frozen=True, kw_only=True):
    """Who the caller is, and what roles he has."""

    actor: str
    operator: bool
    user_id: str | None
    key_id: str | None
    organizations: dict[str, Role]
    teams: dict[str, Role]


V = TypeVar("V", bound=Struct)


def shown(view: type[V], row: Any, **more: Any) -> V:
    """A row of the store as one of these."""
    given = {field: more[field] if field in more else _value(field, getattr(row, field)) for field in view.__struct_fields__}
    return view(**given)


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "at" or name.endswith(("_at", "_until")):
        return moment(value)
    if name in {"before", "after"}:
        return msgspec.json.decode(value)
    return PREFIX + value if name == "prefix" else value


def moment(milliseconds: int) -> datetime:
    """A time of the store's."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
