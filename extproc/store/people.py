"""Users, and their memberships of organizations and teams."""

from typing import get_args

from sqlalchemy import and_, select

from extproc.errors import Reject
from extproc.identity.roles import Role
from extproc.identity.settings import NOTHING, Settings
from extproc.store.models import Key, Membership, Organization, Team, User
from extproc.store.repository import Repository, checked_name


class Users(Repository[User]):
    """People. One who logs in is found by who vouches for him, never by an address that he has given himself."""

    entity = User
    changeable = ("name", "email", "issuer", "subject", "settings", "plan_id", "disabled")

    def create(
        self, name: str, *, email: str | None = None, issuer: str | None = None, subject: str | None = None, settings: Settings = NOTHING,
        plan_id: str | None = None,
    ) -> User:  # fmt: skip
        """Makes one. `issuer` and `subject`: those of his JWTs."""
        return self._add(name=name, email=email, issuer=issuer, subject=subject, settings=settings, plan_id=plan_id)

    def of_subject(self, issuer: str, subject: str) -> User | None:
        """Whom an issuer calls so."""
        query = select(User).where(User.issuer == issuer, User.subject == subject, User.deleted_at.is_(None))
        return self.session.scalars(query).first()

    def of_email(self, email: str) -> User | None:
        """Whose address this is."""
        return self.session.scalars(select(User).where(User.email == email.lower(), User.deleted_at.is_(None))).first()

    def _check(self, entity: User) -> None:
        super()._check(entity)
        checked_name(entity.name)
        if entity.email is not None:
            local, _, domain = entity.email.rpartition("@")
            if not local or not domain or not entity.email.isprintable() or " " in entity.email or len(entity.email) > 254:
                raise Reject(422, "invalid", "This is no e-mail address.", param="email")
            entity.email = entity.email.lower()
            self._free(entity, "email", User.email == entity.email, User.deleted_at.is_(None))
        if (entity.issuer is None) != (entity.subject is None):
            raise Reject(422, "invalid", "`issuer` and `subject` belong together: give both, or none.", param="subject")
        if entity.subject is not None:
            self._free(entity, "subject", User.issuer == entity.issuer, User.subject == entity.subject, User.deleted_at.is_(None))

    def _may_go(self, entity: User) -> None:
        memberships = Memberships(self.work)
        for one in self.session.scalars(select(Membership).where(Membership.user_id == entity.id, Membership.deleted_at.is_(None))).all():
            memberships.must_not_be_last_owner(one)

    def _below(self, entity: User) -> dict[str, int]:
        return self._delete_all({Key: Key.user_id == entity.id, Membership: Membership.user_id == entity.id})


class Memberships(Repository[Membership]):
    """Who has which role in an organization, or in a team of it. An organization that has an owner keeps one."""

    entity = Membership
    changeable = ("role", "settings", "plan_id", "disabled")

    def create(
        self, organization_id: str, user_id: str, role: Role, *, team_id: str | None = None, settings: Settings = NOTHING,
        plan_id: str | None = None,
    ) -> Membership:  # fmt: skip
        """Makes a user a member of an organization, or, with `team_id`, of a team alone."""
        self._alive(Organization, organization_id, "organization_id")
        self._alive(User, user_id, "user_id")
        if team_id is not None:
            self._alive(Team, team_id, "team_id", organization_id=organization_id)
        values = {"organization_id": organization_id, "user_id": user_id, "team_id": team_id, "role": role}
        return self._add(settings=settings, plan_id=plan_id, **values)

    def role(self, user_id: str, organization_id: str, team_id: str | None = None) -> Role | None:
        """A user's role in an organization, or in a team; None: he has none, or it is suspended."""
        found = self._of(user_id, organization_id, team_id)
        return found.role if found is not None and found.disabled_at is None else None

    def _of(self, user_id: str, organization_id: str, team_id: str | None) -> Membership | None:
        query = select(Membership).where(
            Membership.user_id == user_id, Membership.organization_id == organization_id, Membership.team_id.is_not_distinct_from(team_id),
            Membership.deleted_at.is_(None),
        )  # fmt: skip
        return self.session.scalars(query).first()

    def _check(self, entity: Membership) -> None:
        super()._check(entity)
        if entity.role not in get_args(Role):
            raise Reject(422, "invalid", f"There is no role {entity.role!r}: {', '.join(get_args(Role))}.", param="role")
        found = self._of(entity.user_id, entity.organization_id, entity.team_id)
        if found is not None and found.id != entity.id:
            raise Reject(409, "name_taken", "The user is a member already.", param="user_id")
        if entity.role != "owner" or entity.disabled_at is not None:
            self.must_not_be_last_owner(entity, also_now=False)

    def must_not_be_last_owner(self, entity: Membership, *, also_now: bool = True) -> None:
        """Raises `Reject` 409 if the organization would have no owner without this one. `also_now`: judge by what it is at the moment."""
        if entity.team_id is not None or (also_now and (entity.role != "owner" or entity.disabled_at is not None)):
            return
        owners = and_(
            Membership.organization_id == entity.organization_id, Membership.team_id.is_(None), Membership.role == "owner",
            Membership.deleted_at.is_(None), Membership.disabled_at.is_(None),
        )  # fmt: skip
        with self.session.no_autoflush:
            ids = set(self.session.scalars(select(Membership.id).where(owners)))
        if ids == {entity.id}:
            raise Reject(409, "last_owner", "This is the organization's last owner: appoint another one first.")

    def _may_go(self, entity: Membership) -> None:
        self.must_not_be_last_owner(entity)

    def _below(self, entity: Membership) -> dict[str, int]:
        """Who leaves an organization leaves its teams, and his keys of where he was are gone."""
        theirs = Key.user_id == entity.user_id
        if entity.team_id is not None:
            return self._delete_all({Key: and_(theirs, Key.team_id == entity.team_id)})
        here = entity.organization_id
        teams = and_(Membership.user_id == entity.user_id, Membership.organization_id == here)
        return self._delete_all({Key: and_(theirs, Key.organization_id == here), Membership: teams})
