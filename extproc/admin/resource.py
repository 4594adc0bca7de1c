"""What all kinds of things have in common: they are listed, made, looked at, changed and deleted, at paths that say where they are.

A kind is a subclass, which says what is its own; its endpoints are methods, and `Routes` says at which paths.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from fastapi import Query, Response
from msgspec import Struct
from sqlalchemy import ColumnElement

from extproc.admin import API
from extproc.admin.access import Access, Place
from extproc.admin.bodies import changes
from extproc.admin.call import Call, Called, Given
from extproc.admin.pages import Paged
from extproc.admin.views import shown
from extproc.errors import Reject
from extproc.identity.ids import Kind, is_declared, kind_of
from extproc.identity.roles import Action
from extproc.store.models import Entity
from extproc.store.repository import Repository
from extproc.store.store import Tables

E = TypeVar("E", bound=Entity)
BOUNDS = {"settings", "plan_id", "disabled"}
"""What bounds a level, and is set from outside it (`identity.roles`)."""


class Resource(Generic[E]):
    """One kind of thing."""

    kind: ClassVar[Kind]
    title: ClassVar[str]
    """What one of them is called."""
    view: ClassVar[type[Struct]]
    new: ClassVar[type[Struct]]
    patch: ClassVar[type[Struct]]

    @property
    def made_view(self) -> type[Struct]:
        """What is answered to who has made one."""
        return self.view

    # What each kind says.

    def repository(self, tables: Tables) -> Repository[E]:
        """Where they are."""
        raise NotImplementedError

    def place(self, access: Access, entity: E) -> Place:
        """Where one belongs."""
        raise NotImplementedError

    def seen(self, tables: Tables, access: Access, ids: dict[str, str], *, deleted: bool) -> Sequence[ColumnElement[bool]]:
        """Which of them a list at a path shows to a caller. Raises `Reject` where it shows him none at all."""
        raise NotImplementedError

    def make(self, tables: Tables, access: Access, ids: dict[str, str], body: Any) -> E:
        """Makes one. Raises `Reject` for who may not."""
        raise NotImplementedError

    def here(self, entity: E, ids: dict[str, str]) -> bool:
        """Whether it is below what the path names before it."""
        return all(getattr(entity, name, id) == id for name, id in ids.items())

    def actions(self, entity: E, given: dict[str, Any]) -> set[Action]:
        """What somebody must be allowed to who makes these changes."""
        found: set[Action] = set()
        if given.keys() & BOUNDS:
            found.add(f"{self.kind}.bound")  # type: ignore[arg-type]
        if given.keys() - BOUNDS:
            found.add(f"{self.kind}.change")  # type: ignore[arg-type]
        return found

    def judge(self, tables: Tables, access: Access, entity: E, given: dict[str, Any]) -> None:
        """Raises `Reject` for changes that are not this caller's to make, though he may change the thing."""

    def judge_deletion(self, access: Access, entity: E) -> None:
        """Raises `Reject` for who may not delete it, though he may delete others."""

    # What follows from that.

    def find(self, tables: Tables, access: Access, call: Call, action: Action, *, deleted: bool = False) -> E:
        """The one that a path names. Raises `Reject` 404, or 403 for who may see it and no more."""
        ids = dict(call.ids)
        id = ids.pop(f"{self.kind}_id")
        there_is_no = f"There is no {self.title} {id!r}."
        entity = named(self.repository(tables), id, deleted=deleted)
        if not self.here(entity, ids):
            raise Reject(404, "not_found", there_is_no)
        access.must(action, self.place(access, entity), there_is_no)
        return entity

    def action(self, verb: str) -> Action:
        """What is done to a thing of this kind."""
        action: Any = f"{self.kind}.{verb}"
        return action  # type: ignore[no-any-return]

    def given(self, entity: E, **more: Any) -> Given:
        """One of them as an answer."""
        return Given(shown(self.view, entity), version=entity.version, **more)

    # Endpoints.

    def list(self, call: Called, page: Paged) -> Response:
        """Lists them."""

        def look(tables: Tables, access: Access) -> tuple[Sequence[Any], str]:
            conditions = self.seen(tables, access, call.ids, deleted=page.deleted)
            found = self.repository(tables).list(*conditions, after=page.cursor, limit=page.limit, deleted=page.deleted)
            return [shown(self.view, entity) for entity in found.items], found.after

        return call.list(look)

    def get(self, call: Called, *, deleted: Annotated[bool, Query(description="Also if it has been deleted.")] = False) -> Response:
        """Shows one."""
        return call.show(lambda tables, access: self.given(self.find(tables, access, call, self.action("read"), deleted=deleted)))

    def create(self, call: Called) -> Response:
        """Makes one."""
        body = call.body(self.new)

        def make(tables: Tables, access: Access) -> Given:
            return self.made(tables, access, call, body)

        return call.write(make)

    def made(self, tables: Tables, access: Access, call: Call, body: Any) -> Given:
        """What is answered to who has made one."""
        entity = self.make(tables, access, call.ids, body)
        return self.given(entity, status=201, location=self.location(entity))

    def location(self, entity: E) -> str:
        """The path of one, the short one."""
        return f"{API}/{PLURALS[self.kind]}/{entity.id}"

    def change(self, call: Called) -> Response:
        """Changes one."""
        patch = call.body(self.patch)

        def apply(tables: Tables, access: Access) -> Given:
            entity = self.find(tables, access, call, self.action("read"))
            given = changes(patch, entity)
            place = self.place(access, entity)
            for action in sorted(self.actions(entity, given)):
                access.must(action, place, f"There is no {self.title} {entity.id!r}.")
            self.judge(tables, access, entity, given)
            own(entity)
            return self.given(self.repository(tables).change(entity.id, given, version=call.expected(entity)))

        return call.write(apply)

    def delete(self, call: Called) -> Response:
        """Deletes one, and what is nothing without it."""

        def end(tables: Tables, access: Access) -> None:
            entity = self.find(tables, access, call, self.action("delete"))
            self.judge_deletion(access, entity)
            own(entity)
            self.repository(tables).delete(entity.id, version=call.expected(entity))

        return call.write(end)


PLURALS: dict[Kind, str] = {
    "organization": "organizations", "project": "projects", "team": "teams", "user": "users", "service_account": "service-accounts",
    "membership": "members", "key": "keys", "plan": "plans",
}  # fmt: skip
"""By kind: its part of a path."""


def own(entity: Entity) -> None:
    """Raises `Reject` 409 for what `gateway.yaml` declares: it is changed there."""
    if is_declared(entity.id):
        message = f"The {entity.title_of} {entity.id!r} is declared in gateway.yaml: change it there."
        raise Reject(409, "managed_by_configuration", message)


def named(repository: Repository[E], id: str, *, deleted: bool = False) -> E:
    """What a path names. Raises `Reject` 404; what cannot be an id is not looked for."""
    if kind_of(id) != repository.entity.kind:
        raise Reject(404, "not_found", f"There is no {repository.entity.title_of} {id!r}.")
    return repository.find(id, deleted=deleted)


def organization_of(tables: Tables, access: Access, id: str, *, deleted: bool = False) -> None:
    """Raises `Reject` 404 unless there is this organization, and the caller may know of it."""
    named(tables.organizations, id, deleted=deleted)
    access.must("organization.read", access.in_organization(id), f"There is no organization {id!r}.")
