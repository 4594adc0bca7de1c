"""Organizations, and what they are made of: projects, teams, service accounts. And plans, which the operator makes."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement, true

from extproc.admin import bodies, views
from extproc.admin.access import Access, Place
from extproc.admin.resource import Resource, named, organization_of
from extproc.errors import Reject
from extproc.identity.ids import Kind
from extproc.store import models
from extproc.store.groups import Organizations, Plans, Projects, ServiceAccounts, Teams
from extproc.store.store import Tables

P = TypeVar("P", models.Project, models.Team, models.ServiceAccount)


class OrganizationResource(Resource[models.Organization]):
    """Tenants."""

    kind = "organization"
    title = "organization"
    view, new, patch = views.Organization, bodies.NewOrganization, bodies.LevelPatch

    def repository(self, tables: Tables) -> Organizations:
        """See `Resource`."""
        return tables.organizations

    def place(self, access: Access, entity: models.Organization) -> Place:
        """See `Resource`."""
        return access.in_organization(entity.id)

    def here(self, entity: models.Organization, ids: dict[str, str]) -> bool:
        """See `Resource`."""
        return True

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`: those of which the caller may know."""
        return [true() if access.operator else models.Organization.id.in_(access.known)]

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> models.Organization:
        """See `Resource`."""
        if not access.may("organization.create", Place()):
            raise access.denied("organization.create")
        return tables.organizations.create(body.name, settings=body.settings, plan_id=body.plan_id)


class _Part(Resource[P]):
    table: ClassVar[Any]

    def place(self, access: Access, entity: P) -> Place:
        """See `Resource`."""
        return Place(organization=entity.organization_id)

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`."""
        here = ids["organization_id"]
        organization_of(tables, access, here, deleted=deleted)
        if not access.may(self.action("read"), Place(organization=here)):
            raise access.denied(self.action("read"))
        return [self.table.organization_id == here]

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> P:
        """See `Resource`."""
        here = ids["organization_id"]
        organization_of(tables, access, here)
        if not access.may(self.action("create"), Place(organization=here)):
            raise access.denied(self.action("create"))
        repository: Any = self.repository(tables)
        made: P = repository.create(here, body.name, settings=body.settings, plan_id=body.plan_id)
        return made


class ProjectResource(_Part[models.Project]):
    """Projects."""

    kind: ClassVar[Kind] = "project"
    title = "project"
    view, new, patch = views.Project, bodies.NewPart, bodies.PartPatch
    table = models.Project

    def repository(self, tables: Tables) -> Projects:
        """See `Resource`."""
        return tables.projects


class ServiceAccountResource(_Part[models.ServiceAccount]):
    """Service accounts."""

    kind: ClassVar[Kind] = "service_account"
    title = "service account"
    view, new, patch = views.ServiceAccount, bodies.NewPart, bodies.PartPatch
    table = models.ServiceAccount

    def repository(self, tables: Tables) -> ServiceAccounts:
        """See `Resource`."""
        return tables.service_accounts


class TeamResource(_Part[models.Team]):
    """Teams."""

    kind: ClassVar[Kind] = "team"
    title = "team"
    view, new, patch = views.Team, bodies.NewPart, bodies.PartPatch
    table = models.Team

    def repository(self, tables: Tables) -> Teams:
        """See `Resource`."""
        return tables.teams

    def place(self, access: Access, entity: models.Team) -> Place:
        """See `Resource`."""
        return Place(organization=entity.organization_id, team=entity.id)

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`: who has a role in some teams alone sees those."""
        here = ids["organization_id"]
        organization_of(tables, access, here, deleted=deleted)
        found: list[ColumnElement[bool]] = [models.Team.organization_id == here]
        if not access.may("team.read", Place(organization=here)):
            found.append(models.Team.id.in_(list(access.teams)))
        return found


class PlanResource(Resource[models.Plan]):
    """Plans, which are no organization's."""

    kind = "plan"
    title = "plan"
    view, new, patch = views.Plan, bodies.NewPlan, bodies.PlanPatch

    def repository(self, tables: Tables) -> Plans:
        """See `Resource`."""
        return tables.plans

    def place(self, access: Access, entity: models.Plan) -> Place:
        """See `Resource`: whoever has a role may read them."""
        return Place(organization=next(iter(access.organizations), None))

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`."""
        if not (access.operator or access.organizations):
            raise access.denied("plan.read")
        return []

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> models.Plan:
        """See `Resource`."""
        if not access.may("plan.create", Place()):
            raise access.denied("plan.create")
        return tables.plans.create(body.name, body.limits)

    def actions(self, entity: models.Plan, given: dict[str, Any]) -> set[Any]:
        """See `Resource`: all of a plan bounds somebody."""
        return {"plan.change"} if given else set()


def team_of(tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool = False) -> models.Team:
    """The team that a path names. Raises `Reject` 404 unless it is there, and the caller may know of it."""
    id = ids["team_id"]
    there_is_no = f"There is no team {id!r}."
    team = named(tables.teams, id, deleted=deleted)
    if ids.get("organization_id", team.organization_id) != team.organization_id:
        raise Reject(404, "not_found", there_is_no)
    access.must("team.read", Place(organization=team.organization_id, team=team.id), there_is_no)
    return team
