"""Organizations and what they are made of - projects, teams, service accounts - and plans."""

from typing import Any

from sqlalchemy import select

from extproc.errors import Reject
from extproc.identity.settings import NOTHING, Limit, Settings
from extproc.store import DEFAULT
from extproc.store.models import Key, Membership, Organization, Plan, Project, ServiceAccount, Team, User
from extproc.store.repository import E, Repository, checked_name

_BOUNDS = ("settings", "plan_id", "disabled")
"""What bounds a level, and is set from outside it (`identity.roles`)."""


class Organizations(Repository[Organization]):
    """Tenants. Their names stay: they are what cache, ledger and reports know them by."""

    entity = Organization
    changeable = _BOUNDS

    def create(self, name: str, *, settings: Settings = NOTHING, plan_id: str | None = None) -> Organization:
        """Makes one."""
        return self._add(name=name, settings=settings, plan_id=plan_id)

    def named(self, name: str) -> Organization | None:
        """The one with this name."""
        return self.session.scalars(select(Organization).where(Organization.name == name, Organization.deleted_at.is_(None))).first()

    def ids(self) -> dict[str, str]:
        """Of all of them by their names, those that are gone among them."""
        return {row.name: row.id for row in self.session.execute(select(Organization.name, Organization.id))}

    def default(self) -> Organization:
        """The one of keys that are made without a word of whom they belong to."""
        return self.named(DEFAULT) or self.create(DEFAULT)

    def _check(self, entity: Organization) -> None:
        super()._check(entity)
        # Also of those that are gone: their names still stand in the ledger.
        self._free(entity, "name", Organization.name == checked_name(entity.name))

    def _below(self, entity: Organization) -> dict[str, int]:
        tables = (Key, Membership, ServiceAccount, Team, Project)
        return self._delete_all({table: table.organization_id == entity.id for table in tables})

    def _organization(self, entity: Organization) -> str:
        return entity.id


class _Part(Repository[E]):
    """What belongs to an organization and has a name there."""

    changeable = ("name", *_BOUNDS)

    def create(self, organization_id: str, name: str, *, settings: Settings = NOTHING, plan_id: str | None = None) -> E:
        """Makes one."""
        self._alive(Organization, organization_id, "organization_id")
        return self._add(organization_id=organization_id, name=name, settings=settings, plan_id=plan_id)

    def _check(self, entity: E) -> None:
        super()._check(entity)
        table: Any = self.entity
        given: Any = entity
        checked_name(given.name)
        self._free(entity, "name", table.organization_id == given.organization_id, table.name == given.name, table.deleted_at.is_(None))


class Projects(_Part[Project]):
    """Projects of organizations."""

    entity = Project

    def _below(self, entity: Project) -> dict[str, int]:
        return self._delete_all({Key: Key.project_id == entity.id})


class Teams(_Part[Team]):
    """Teams of organizations."""

    entity = Team

    def _below(self, entity: Team) -> dict[str, int]:
        return self._delete_all({Key: Key.team_id == entity.id, Membership: Membership.team_id == entity.id})


class ServiceAccounts(_Part[ServiceAccount]):
    """Programs of organizations."""

    entity = ServiceAccount

    def _below(self, entity: ServiceAccount) -> dict[str, int]:
        return self._delete_all({Key: Key.service_account_id == entity.id})


class Plans(Repository[Plan]):
    """Named bundles of limits, which the operator makes."""

    entity = Plan
    changeable = ("name", "limits")

    def create(self, name: str, limits: tuple[Limit, ...] = ()) -> Plan:
        """Makes one."""
        return self._add(name=name, limits=limits)

    def _check(self, entity: Plan) -> None:
        self._free(entity, "name", Plan.name == checked_name(entity.name), Plan.deleted_at.is_(None))

    def _may_go(self, entity: Plan) -> None:
        # Whoever has it would be without bounds.
        for table in (Organization, Project, Team, User, Membership, ServiceAccount, Key):
            used = select(table.id).where(table.plan_id == entity.id, table.deleted_at.is_(None)).limit(1)
            if (found := self.session.scalars(used).first()) is not None:
                raise Reject(409, "in_use", f"The plan is that of {found}: give that another one first.")
