"""Roles, and who may do what: one table.

A role is held in an organization, and counts for all that is in it, or in one of its teams, and counts there alone. The operator, who has
the gateway's own admin key, may do everything. **What bounds a level is set from outside it**: an organization's limits by the operator,
a team's by the organization's admins, a key's by those who may make keys. Else whoever is bounded could lift his own bounds.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Role = Literal["viewer", "member", "admin", "owner"]
RANKS: dict[Role, int] = {"viewer": 1, "member": 2, "admin": 3, "owner": 4}
"""Each may do what those below it may."""

Action = Literal[
    "organization.create", "organization.read", "organization.change", "organization.bound", "organization.delete",
    "project.create", "project.read", "project.change", "project.bound", "project.delete",
    "team.create", "team.read", "team.change", "team.bound", "team.delete",
    "membership.create", "membership.read", "membership.change", "membership.bound", "membership.delete",
    "user.create", "user.read", "user.change", "user.bound", "user.delete",
    "service_account.create", "service_account.read", "service_account.change", "service_account.bound", "service_account.delete",
    "key.create", "key.read", "key.change", "key.bound", "key.rotate", "key.delete",
    "plan.create", "plan.read", "plan.change", "plan.delete",
    "usage.read", "audit.read",
]  # fmt: skip
"""`bound`: to change settings, plan or suspension. The rest of a thing, such as its name, is `change`."""


class Rule(Struct, frozen=True):
    """Who may do something."""

    organization: Role | None
    """The least role in the organization; None: the operator alone."""
    team: Role | None = None
    """The least role in the team that it is about or that it belongs to; None: a role in a team is not enough."""
    own: Role | None = None
    """The least role, in the organization or the team, where it is about oneself or one's own key."""


_OPERATOR = Rule(None)
_SEEN = Rule("viewer", "viewer", "viewer")
_ADMIN = Rule("admin")
_TEAM_ADMIN = Rule("admin", "admin")
_OWN_KEY = Rule("admin", "admin", "member")

RULES: dict[Action, Rule] = {
    "organization.create": _OPERATOR,
    # Who is in a team has to know the name of the organization around it.
    "organization.read": _SEEN,
    "organization.change": _ADMIN,
    "organization.bound": _OPERATOR,
    "organization.delete": _OPERATOR,
    "project.create": _ADMIN,
    "project.read": Rule("viewer"),
    "project.change": _ADMIN,
    "project.bound": _ADMIN,
    "project.delete": _ADMIN,
    "team.create": _ADMIN,
    "team.read": _SEEN,
    "team.change": _TEAM_ADMIN,
    "team.bound": _ADMIN,
    "team.delete": _ADMIN,
    # Whom one appoints to what is `may_appoint`'s to say.
    "membership.create": _TEAM_ADMIN,
    "membership.read": _SEEN,
    "membership.change": _TEAM_ADMIN,
    "membership.bound": _TEAM_ADMIN,
    # Anybody may leave.
    "membership.delete": Rule("admin", "admin", "viewer"),
    # Users are people, who may be in several organizations: none of these has power over the person.
    "user.create": _OPERATOR,
    "user.read": Rule("viewer", "viewer", "viewer"),
    "user.change": Rule(None, None, "viewer"),
    "user.bound": _OPERATOR,
    "user.delete": _OPERATOR,
    "service_account.create": _ADMIN,
    "service_account.read": Rule("viewer"),
    "service_account.change": _ADMIN,
    "service_account.bound": _ADMIN,
    "service_account.delete": _ADMIN,
    "key.create": _OWN_KEY,
    "key.read": Rule("admin", "admin", "viewer"),
    "key.change": _OWN_KEY,
    "key.bound": _TEAM_ADMIN,
    "key.rotate": _OWN_KEY,
    "key.delete": _OWN_KEY,
    "plan.create": _OPERATOR,
    "plan.read": Rule("viewer"),
    "plan.change": _OPERATOR,
    "plan.delete": _OPERATOR,
    "usage.read": Rule("viewer", "viewer", "viewer"),
    "audit.read": _ADMIN,
}


class Standing(Struct, frozen=True):
    """Who somebody is to the thing that he wants to act upon."""

    operator: bool = False
    organization: Role | None = None
    """Role in the organization that it belongs to."""
    team: Role | None = None
    """Role in the team that it is, or belongs to."""
    own: bool = False
    """It is oneself, one's own membership or one's own key."""


def may(standing: Standing, action: Action) -> bool:
    """Whether somebody may do something."""
    rule = RULES[action]
    if standing.operator or _reaches(standing.organization, rule.organization) or _reaches(standing.team, rule.team):
        return True
    return standing.own and (_reaches(standing.organization, rule.own) or _reaches(standing.team, rule.own))


def may_appoint(standing: Standing, role: Role, before: Role | None = None, *, team: bool) -> bool:
    """Whether somebody may give another one, who had the role `before`, a role in an organization or (`team`) a team, or may take it away.

    Nobody gives or takes what he has not himself: an admin makes admins, an owner alone makes and unmakes owners.
    """
    if standing.operator:
        return True
    mine = max(_rank(standing.organization), _rank(standing.team) if team else 0)
    return mine >= RANKS["admin"] and mine >= max(RANKS[role], _rank(before))


def highest(roles: Iterable[Role | None]) -> Role | None:
    """The one of them that may do most; None if there is none."""
    return max((role for role in roles if role is not None), key=RANKS.__getitem__, default=None)


def _rank(role: Role | None) -> int:
    return RANKS[role] if role is not None else 0


def _reaches(role: Role | None, least: Role | None) -> bool:
    return role is not None and least is not None and RANKS[role] >= RANKS[least]
