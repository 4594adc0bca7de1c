"""Users, and their memberships of organizations and teams."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select, true

from extproc.admin import bodies, views
from extproc.admin.access import Access, Place
from extproc.admin.organizations import team_of
from extproc.admin.resource import BOUNDS, Resource, organization_of
from extproc.errors import Reject
from extproc.identity.roles import Action, Role
from extproc.store import models
from extproc.store.models import Membership, User
from extproc.store.people import Memberships, Users
from extproc.store.store import Tables


class UserResource(Resource[User]):
    """People. Who shares an organization or a team with somebody may know of him."""

    kind = "user"
    title = "user"
    view, new, patch = views.User, bodies.NewUser, bodies.UserPatch

    def repository(self, tables: Tables) -> Users:
        """See `Resource`."""
        return tables.users

    def place(self, access: Access, entity: User) -> Place:
        """See `Resource`."""
        shared = next(iter(access.organizations), None)
        return Place(organization=shared, team=next(iter(access.teams), None), own=entity.id == access.user_id)

    def find(self, tables: Tables, access: Access, call: Any, action: Action, *, deleted: bool = False) -> User:
        """See `Resource`: a role somewhere says nothing of people elsewhere."""
        id = call.ids["user_id"]
        user = super().find(tables, access, call, "user.read", deleted=deleted)
        known = tables.users.list(User.id == id, *self.seen(tables, access, {}, deleted=deleted), limit=1, deleted=deleted)
        if not known.items:
            raise Reject(404, "not_found", f"There is no user {id!r}.")
        access.must(action, self.place(access, user), f"There is no user {id!r}.")
        return user

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`."""
        if access.operator:
            return [true()]
        shared = or_(Membership.organization_id.in_(list(access.organizations)), Membership.team_id.in_(list(access.teams)))
        people = select(Membership.user_id).where(shared, Membership.deleted_at.is_(None))
        return [or_(User.id.in_(people), User.id == access.user_id)]

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> User:
        """See `Resource`."""
        if not access.may("user.create", Place()):
            raise access.denied("user.create")
        return tables.users.create(
            body.name, email=body.email, issuer=body.issuer, subject=body.subject, settings=body.settings, plan_id=body.plan_id
        )  # fmt: skip

    def actions(self, entity: User, given: dict[str, Any]) -> set[Action]:
        """See `Resource`: whose tokens somebody is known by is not his own to say, and what addresses others have he could try out."""
        found = super().actions(entity, given)
        return found | {"user.bound"} if given.keys() & {"email", "issuer", "subject"} else found


class MemberResource(Resource[Membership]):
    """Memberships, of an organization or of one of its teams."""

    kind = "membership"
    title = "membership"
    view, new, patch = views.Membership, bodies.NewMember, bodies.MemberPatch

    def repository(self, tables: Tables) -> Memberships:
        """See `Resource`."""
        return tables.memberships

    def place(self, access: Access, entity: Membership) -> Place:
        """See `Resource`."""
        return Place(organization=entity.organization_id, team=entity.team_id, own=entity.user_id == access.user_id)

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`: of an organization, its own; of a team, that team's."""
        if "team_id" in ids:
            return [Membership.team_id == team_of(tables, access, ids, deleted=deleted).id]
        here = ids["organization_id"]
        organization_of(tables, access, here, deleted=deleted)
        if not access.may("membership.read", Place(organization=here)):
            raise access.denied("membership.read")
        return [Membership.organization_id == here, Membership.team_id.is_(None)]

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> Membership:
        """See `Resource`."""
        team: models.Team | None = None
        if "team_id" in ids:
            team = team_of(tables, access, ids)
            place = Place(organization=team.organization_id, team=team.id)
        else:
            organization_of(tables, access, ids["organization_id"])
            place = Place(organization=ids["organization_id"])
        if not access.may("membership.create", place):
            raise access.denied("membership.create")
        _check_appointment(access, place, body.role)
        assert place.organization is not None
        return tables.memberships.create(
            place.organization, body.user_id, body.role, team_id=place.team, settings=body.settings, plan_id=body.plan_id
        )  # fmt: skip

    def judge(self, tables: Tables, access: Access, entity: Membership, given: dict[str, Any]) -> None:
        """See `Resource`: nobody touches who stands above him, nor lifts anybody above himself, nor what bounds him."""
        if given:
            _check_appointment(access, self.place(access, entity), given.get("role", entity.role), entity.role)
        if given.keys() & BOUNDS and entity.user_id == access.user_id and not _stands_outside(access, entity):
            raise Reject(403, "permission_denied", "What bounds you is set by somebody else.")

    def judge_deletion(self, access: Access, entity: Membership) -> None:
        """See `Resource`: anybody may leave."""
        if entity.user_id != access.user_id:
            _check_appointment(access, self.place(access, entity), entity.role, entity.role)


def _stands_outside(access: Access, entity: Membership) -> bool:
    """Whether he may bound himself in a team, as one who bounds the team."""
    return entity.team_id is not None and access.may("team.bound", Place(organization=entity.organization_id))


def _check_appointment(access: Access, place: Place, role: Role, before: Role | None = None) -> None:
    if not access.may_appoint(place, role, before):
        raise Reject(403, "permission_denied", "You may give and take the roles only that you have yourself, from admin on.")
