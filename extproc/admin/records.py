"""What the API tells beside the things themselves: the audit log, and who the caller is."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Response
from sqlalchemy import ColumnElement

from extproc.admin import views
from extproc.admin.access import Access, Place
from extproc.admin.call import Call, Called, Given
from extproc.admin.pages import MOST, Page
from extproc.admin.resource import organization_of
from extproc.admin.routes import Routes
from extproc.admin.views import shown
from extproc.store.models import AuditEntry
from extproc.store.store import Tables

_Limit = Annotated[int, Query(ge=1, le=MOST, description="Things in a page.")]
_Cursor = Annotated[str, Query(max_length=64, pattern=r"^[a-z0-9_-]*$", description="`next_cursor` of the page before.")]
_Entity = Annotated[str, Query(max_length=80, pattern=r"^[a-z0-9_-]*$", description="Changes of the thing with this id alone.")]


def me(call: Called) -> Response:
    """Who the caller is."""

    def look(_: Tables, access: Access) -> Given:
        caller = call.caller
        return Given(
            views.Identity(
                actor=caller.actor, operator=caller.operator, user_id=caller.user_id or None, key_id=caller.key_id or None,
                organizations=access.organizations, teams=access.teams,
            )
        )  # fmt: skip

    return call.show(look)


def audit(call: Called, limit: _Limit = 50, cursor: _Cursor = "", entity_id: _Entity = "") -> Response:
    """All changes, the newest first: the operator's to read."""
    return _audit(call, limit, cursor, entity_id)


def audit_of_organization(call: Called, limit: _Limit = 50, cursor: _Cursor = "", entity_id: _Entity = "") -> Response:
    """The changes of one organization."""
    return _audit(call, limit, cursor, entity_id)


def _audit(call: Call, limit: int, cursor: str, entity_id: str) -> Response:
    def look(tables: Tables, access: Access) -> tuple[Sequence[Any], str]:
        here = call.ids.get("organization_id")
        conditions: list[ColumnElement[bool]] = [AuditEntry.entity_id == entity_id] if entity_id else []
        if here is not None:
            organization_of(tables, access, here, deleted=True)
            conditions.append(AuditEntry.organization_id == here)
        if not access.may("audit.read", Place(organization=here)):
            raise access.denied("audit.read")
        found = tables.audit.list(*conditions, before=cursor, limit=limit + 1)
        return [shown(views.AuditEntry, entry) for entry in found[:limit]], found[limit - 1].id if len(found) > limit else ""

    return call.list(look)


def add_routes(routes: Routes) -> None:
    """Their paths."""
    routes.add("GET", "/me", me, name="get_me", summary="Show who the caller is", tag="me", gives=views.Identity)
    for path, endpoint, name in (
        ("/audit", audit, "list_audit"),
        ("/organizations/{organization_id}/audit", audit_of_organization, "list_organization_audit"),
    ):
        routes.add("GET", path, endpoint, name=name, summary="List changes", tag="audit", gives=Page[views.AuditEntry])
