"""Who calls the admin API, before anybody has looked what he may do there."""

from msgspec import Struct

from extproc.identity.record import Owner
from extproc.identity.roles import Role


class Caller(Struct, frozen=True, kw_only=True):
    """One caller, who has shown what he is known by."""

    actor: str
    """What the audit log calls him: an id of a user, a service account or a key, `operator`, or what a token says."""
    operator: bool = False
    """He has the gateway's own admin key."""
    user_id: str = ""
    """The user that he is, where he is one of the store's."""
    key: Owner | None = None
    """Whom the virtual key belongs to that he has shown: he acts within that, and not beyond."""
    key_id: str = ""
    """Of that key."""
    organization: str = ""
    """Name of the organization that a token says he belongs to."""
    role: Role | None = None
    """The role that it says he has there."""


OPERATOR = Caller(actor="operator", operator=True)
"""Who has the gateway's own admin key."""
