"""A key as it is told to workers: what of it and of whom it belongs to matters to a request, and never the key itself."""

from collections.abc import Mapping

from msgspec import Struct

from extproc.identity.levels import Level
from extproc.identity.settings import NOTHING, Plan, Settings


class Owner(Struct, frozen=True, array_like=True):
    """Whom a key belongs to: ids, empty where there is none. Many keys have the same one."""

    organization: str
    project: str = ""
    team: str = ""
    user: str = ""
    service_account: str = ""

    @property
    def levels(self) -> tuple[str, ...]:
        """The ids of the levels that apply, see `Grants.find`. A user has one for each membership."""
        memberships = (membership_level(self.user, group) for group in (self.organization, self.team) if self.user and group)
        held = (self.organization, self.project, self.team, self.user)
        return tuple(id for id in (*held, *memberships, self.service_account) if id)


def membership_level(user: str, group: str) -> str:
    """The id of what bounds a user in an organization or a team: found without knowing whether there is such a membership."""
    return f"{user}@{group}"


class StoredKey(Struct, frozen=True):
    """What one digest stands for: never the key itself. A key that was rotated has two of them for a time."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes."""
    tenant: str = ""
    """Whose cache and whose lines in the ledger; empty: the key's own name."""
    id: str = ""
    """Empty for a key that stands in the configuration."""
    owner: Owner | None = None
    """Whom it belongs to; None: to nobody but the gateway."""
    expires_at: int | None = None
    """Milliseconds since 1970: from then on it is worth nothing. Workers go by their own clock."""
    settings: Settings = NOTHING
    plan: str = ""
    """Id of the plan that this key has for itself alone."""

    def level(self, plans: Mapping[str, Plan]) -> Level:
        """What is set for this key alone. `plans`: all there are, by id."""
        return Level(kind="key", id=self.id, settings=self.settings, plan=plans.get(self.plan))


class Changes(Struct, frozen=True):
    """What has become of what changed since some moment."""

    keys: tuple[StoredKey, ...] = ()
    """In force: new ones, and those that are otherwise than before."""
    gone: tuple[bytes, ...] = ()
    """Digests that are worth nothing any more."""
    levels: bool = False
    """Something else has changed, too: organizations, teams, users, plans, ..."""

    def __len__(self) -> int:
        return len(self.keys) + len(self.gone)


class ExpiringKey(Struct, frozen=True):
    """A key that is about to expire, or has just done so."""

    id: str
    name: str
    prefix: str
    expires_at: int
    """Milliseconds since 1970."""
    organization: tuple[str, str]
    """Id and name."""
    team: str = ""
    user: str = ""
