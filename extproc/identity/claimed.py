"""What a token or a certificate says of whom its caller belongs to, and who that is in the store."""

from msgspec import Struct

from extproc.identity.record import Owner


class Claimed(Struct, frozen=True, array_like=True):
    """Ids or names, as they are said; empty where nothing is."""

    issuer: str = ""
    """Who says it: by that, and what it calls him, a user is known."""
    organization: str = ""
    team: str = ""
    user: str = ""
    service_account: str = ""


class Resolved(Struct, frozen=True, array_like=True):
    """Who that is."""

    owner: Owner | None = None
    tenant: str = ""
    """The organization's name."""
    missing: str = ""
    """What the store does not know, for people: `organization 'acme'`."""


class TeamName(Struct, frozen=True, array_like=True):
    """A team, for people."""

    id: str
    name: str
    organization: str
    """Its id."""
