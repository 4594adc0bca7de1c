"""Callers' keys: made and shown once, found by how they begin, rotated with an overlap, suspended."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Response
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, false, or_, true

from extproc.admin import bodies, views
from extproc.admin.access import Access, Place
from extproc.admin.bodies import NewKey, Rotation, milliseconds
from extproc.admin.call import Call, Called, Given
from extproc.admin.organizations import team_of
from extproc.admin.pages import Paged
from extproc.admin.resource import Resource, named, organization_of, own
from extproc.admin.views import shown
from extproc.errors import Reject
from extproc.identity.roles import Action, Role, highest
from extproc.store.keys import Holder, Keys, begins
from extproc.store.models import Key
from extproc.store.store import Tables

_BEGINS = "How the key begins; all of it finds those that were imported as hashes, and a rotated key by its secret before, too."
_HOLDERS = ("project_id", "team_id", "user_id", "service_account_id")


class KeyResource(Resource[Key]):
    """Keys."""

    kind = "key"
    title = "key"
    view, new, patch = views.Key, bodies.NewKey, bodies.KeyPatch

    @property
    def made_view(self) -> type[Struct]:
        """See `Resource`."""
        return views.FreshKey

    def repository(self, tables: Tables) -> Keys:
        """See `Resource`."""
        return tables.keys

    def place(self, access: Access, entity: Key) -> Place:
        """See `Resource`."""
        return _place(access, entity.organization_id, entity.team_id, entity.user_id)

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """See `Resource`: who may not read all of them sees his own."""
        return [_where(tables, access, ids, deleted=deleted), _visible(access)]

    def search(
        self, call: Called, page: Paged,
        prefix: Annotated[str, Query(max_length=128, pattern=r"^[A-Za-z0-9_-]*$", description=_BEGINS)] = "",
    ) -> Response:  # fmt: skip
        """Lists keys, wherever they belong."""

        def look(tables: Tables, access: Access) -> tuple[Sequence[Any], str]:
            found = tables.keys.list(
                begins(prefix) if prefix else true(), _visible(access), after=page.cursor, limit=page.limit, deleted=page.deleted
            )
            return [shown(self.view, key) for key in found.items], found.after

        return call.list(look)

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: NewKey) -> Key:
        """See `made`: it is more than the key that is answered."""
        raise NotImplementedError

    def made(self, tables: Tables, access: Access, call: Call, body: Any) -> Given:
        """Makes a key, and shows it for the only time."""
        holder = _holder(tables, access, call.ids, body)
        place = _place(access, holder.organization_id, holder.team_id, holder.user_id)
        if not access.may("key.create", place):
            raise access.denied("key.create")
        _check_lending(tables, access, place, holder.user_id)
        if body.tenant is not None:
            _check_operator(access)
        until = milliseconds(body.expires_at) if body.expires_at is not None else None
        key, clear = tables.keys.create(
            holder, body.name, tenant=body.tenant, expires_at=until, settings=body.settings, plan_id=body.plan_id
        )  # fmt: skip
        return self._fresh(key, clear, status=201, location=self.location(key))

    def rotate(self, call: Called) -> Response:
        """Gives a key another secret, and shows it for the only time."""
        body = call.body(Rotation) if call.has_body else Rotation()

        def turn(tables: Tables, access: Access) -> Given:
            key = self.find(tables, access, call, "key.rotate")
            _check_lending(tables, access, self.place(access, key), key.user_id)
            own(key)
            return self._fresh(*tables.keys.rotate(key.id, overlap=body.overlap * 1000, version=call.expected(key)))

        return call.write(turn)

    def disable(self, call: Called) -> Response:
        """Suspends a key."""
        return self._switch(call, "key.change", off=True)

    def enable(self, call: Called) -> Response:
        """Takes a suspension back."""
        return self._switch(call, "key.bound", off=False)

    def actions(self, entity: Key, given: dict[str, Any]) -> set[Action]:
        """See `Resource`: anybody may suspend his own key; to take that back is for who could have done it to him."""
        found = super().actions(entity, given)
        return {"key.change"} if given.keys() == {"disabled"} and given["disabled"] else found

    def judge(self, tables: Tables, access: Access, entity: Key, given: dict[str, Any]) -> None:
        """See `Resource`: another tenant's cache is nobody's to ask for."""
        if "tenant" in given:
            _check_operator(access)

    def _switch(self, call: Call, action: Action, *, off: bool) -> Response:
        def turn(tables: Tables, access: Access) -> Given:
            key = self.find(tables, access, call, action)
            own(key)
            return self.given(tables.keys.change(key.id, {"disabled": off}, version=call.expected(key)))

        return call.write(turn)

    def _fresh(self, key: Key, clear: str, **more: Any) -> Given:
        return Given(
            shown(views.FreshKey, key, key=clear), version=key.version, kept=shown(views.FreshKey, key, key=None), **more
        )  # fmt: skip


def _place(access: Access, organization: str, team: str | None, user: str | None) -> Place:
    # A key of a team spends what the team may: it is one's own only for who is in the team.
    mine = bool(access.user_id) and user == access.user_id and (team is None or team in access.teams)
    return Place(organization=organization, team=team, own=mine)


def _visible(access: Access) -> ColumnElement[bool]:
    if access.operator:
        return true()
    places = [(Key.organization_id, Place(organization=id), id) for id in access.organizations]
    groups = [(Key.team_id, Place(team=id), id) for id in access.teams]
    all_of = [column == id for column, place, id in (*places, *groups) if access.may("key.read", place)]
    mine = and_(Key.user_id == access.user_id, or_(Key.organization_id.in_(access.organizations), Key.team_id.in_(access.teams)))
    return or_(*all_of, mine if access.user_id else false())


def _where(tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> ColumnElement[bool]:
    """The keys below what a path names. Raises `Reject` 404 where the caller may not know of that."""
    if "team_id" in ids:
        return Key.team_id == team_of(tables, access, ids, deleted=deleted).id
    if "project_id" in ids:
        project = named(tables.projects, ids["project_id"], deleted=deleted)
        return _part(access, "project.read", project, ids, Key.project_id == project.id)
    if "service_account_id" in ids:
        account = named(tables.service_accounts, ids["service_account_id"], deleted=deleted)
        return _part(access, "service_account.read", account, ids, Key.service_account_id == account.id)
    organization_of(tables, access, ids["organization_id"], deleted=deleted)
    return Key.organization_id == ids["organization_id"]


def _part(access: Access, action: Action, part: Any, ids: dict[str, str], found: ColumnElement[bool]) -> ColumnElement[bool]:
    there_is_no = f"There is no {part.title_of} {part.id!r}."
    if ids.get("organization_id", part.organization_id) != part.organization_id:
        raise Reject(404, "not_found", there_is_no)
    access.must(action, Place(organization=part.organization_id), there_is_no)
    return found


def _holder(tables: Tables, access: Access, ids: dict[str, str], body: NewKey) -> Holder:
    """Whom a key is to belong to: what the path says, and the body as far as the path does not. Raises `Reject`."""
    _where(tables, access, ids, deleted=False)
    said = {name: getattr(body, name) for name in _HOLDERS}
    for name in _HOLDERS:
        if name in ids and said[name] not in {None, ids[name]}:
            raise Reject(422, "invalid", f"The path says another `{name}` than the body.", param=name)
        said[name] = ids.get(name, said[name])
    return Holder(organization_id=_organization(tables, ids), **said)


def _organization(tables: Tables, ids: dict[str, str]) -> str:
    if "organization_id" in ids:
        return ids["organization_id"]
    found: str
    if "team_id" in ids:
        found = tables.teams.find(ids["team_id"]).organization_id
    elif "project_id" in ids:
        found = tables.projects.find(ids["project_id"]).organization_id
    else:
        found = tables.service_accounts.find(ids["service_account_id"]).organization_id
    return found


def _check_operator(access: Access) -> None:
    if not access.operator:
        raise Reject(403, "permission_denied", "Only the operator says whose cache a key shares (`tenant`).", param="tenant")


def _check_lending(tables: Tables, access: Access, place: Place, user: str | None) -> None:
    """Raises `Reject` 403 for who would get, with a key of somebody else's, roles that he has not himself."""
    if user is None or user == access.user_id or access.operator:
        return
    assert place.organization is not None
    held: list[Role | None] = [tables.memberships.role(user, place.organization)]
    if place.team is not None:
        held.append(tables.memberships.role(user, place.organization, place.team))
    most = highest(held)
    if most is not None and not access.may_appoint(place, most):
        raise Reject(403, "permission_denied", f"The user has the role {most!r}, and a key of his would give it to you.", param="user_id")
