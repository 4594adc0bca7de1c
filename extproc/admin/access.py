"""What a caller may do, in one transaction: his roles as they are at that moment, put to the rules of `identity.roles`.

Who may not read a thing is told that it is not there (404): nobody learns of what he may not see. Who may read it, and do no more, is told
that (403).
"""

from typing import get_args

from msgspec import Struct
from sqlalchemy import select

from extproc.admin.caller import Caller
from extproc.errors import Reject
from extproc.identity.roles import RULES, Action, Role, Standing, highest, may, may_appoint
from extproc.store.models import Membership, Organization, Team
from extproc.store.store import Tables

_ACTIONS: frozenset[str] = frozenset(get_args(Action))


class Place(Struct, frozen=True, kw_only=True):
    """Where a thing belongs, as far as that says who may do something with it."""

    organization: str | None = None
    """Its organization, or itself."""
    team: str | None = None
    """Its team, or itself."""
    own: bool = False
    """It is the caller himself, his membership or his key."""


class Access:
    """What one caller may do."""

    def __init__(self, tables: Tables, caller: Caller) -> None:
        self.operator = caller.operator
        self.user_id = caller.user_id
        self.organizations: dict[str, Role] = {}
        """Roles by the organization."""
        self.teams: dict[str, Role] = {}
        """Roles by the team."""
        self.around: dict[str, str] = {}
        """By team in which there is a role, its organization."""
        if caller.user_id:
            self._take_memberships(tables, caller)
        elif caller.role is not None:
            found = tables.organizations.named(caller.organization)
            if found is not None and found.disabled_at is None:
                self.organizations[found.id] = caller.role
        if caller.key is not None:
            self._keep_within(caller.key.organization, caller.key.project, caller.key.team)

    def _take_memberships(self, tables: Tables, caller: Caller) -> None:
        joined = select(Membership).join(Organization, Organization.id == Membership.organization_id)
        # What is suspended gives nobody a role.
        query = joined.outerjoin(Team, Team.id == Membership.team_id).where(
            Membership.user_id == caller.user_id, Membership.deleted_at.is_(None), Membership.disabled_at.is_(None),
            Organization.disabled_at.is_(None), Team.disabled_at.is_(None),
        )  # fmt: skip
        for one in tables.work.session.scalars(query):
            if one.team_id is None:
                self.organizations[one.organization_id] = one.role
            else:
                self.teams[one.team_id], self.around[one.team_id] = one.role, one.organization_id

    def _keep_within(self, organization: str, project: str, team: str) -> None:
        """A key reaches no further than what it belongs to: one of a team has its holder's role for that team alone."""
        role = self.organizations.get(organization)
        self.organizations = {organization: role} if role is not None and not project and not team else {}
        if project:
            self.teams = {}
        elif team:
            most = highest((role, self.teams.get(team)))
            self.teams = {team: most} if most is not None else {}
            self.around = {team: organization}
        else:
            self.teams = {id: held for id, held in self.teams.items() if self.around[id] == organization}

    def standing(self, place: Place) -> Standing:
        """Who the caller is to what is at a place."""
        organization = self.organizations.get(place.organization) if place.organization is not None else None
        team = self.teams.get(place.team) if place.team is not None else None
        return Standing(operator=self.operator, organization=organization, team=team, own=place.own)

    def may(self, action: Action, place: Place) -> bool:
        """Whether he may do something with what is at a place."""
        return may(self.standing(place), action)

    def must(self, action: Action, place: Place, there_is_no: str) -> None:
        """Raises `Reject` unless he may. `there_is_no`: what is said to whoever may not even read it, such as "There is no team 'x'."."""
        if self.may(action, place):
            return
        reading = f"{action.partition('.')[0]}.read"
        if reading == action or (reading in _ACTIONS and not self.may(reading, place)):  # type: ignore[arg-type]
            raise Reject(404, "not_found", there_is_no)
        raise self.denied(action)

    @staticmethod
    def denied(action: Action) -> Reject:
        """What is said to who may not do something that he may know of."""
        least = RULES[action].organization
        who = f"Role {least!r} in the organization, or more, is needed for it." if least is not None else "Only the operator may."
        return Reject(403, "permission_denied", f"You may not do this ({action}). {who}")

    def may_appoint(self, place: Place, role: Role, before: Role | None = None) -> bool:
        """Whether he may give or take roles there, see `identity.roles.may_appoint`."""
        return may_appoint(self.standing(place), role, before, team=place.team is not None)

    def in_organization(self, id: str) -> Place:
        """An organization itself: who has a role in one of its teams is one of its people, too."""
        team = next((team for team, around in self.around.items() if around == id and team in self.teams), None)
        return Place(organization=id, team=team)

    @property
    def known(self) -> set[str]:
        """Organizations of which he may know."""
        return {*self.organizations, *(self.around[team] for team in self.teams)}

    @property
    def anywhere(self) -> bool:
        """Whether he has any role."""
        return self.operator or bool(self.organizations or self.teams)
