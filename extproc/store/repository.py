"""What all kinds of identities have in common: they are made, found, listed, changed and deleted, and each change leaves an audit entry.

What a caller asks for and cannot have is a `Reject`: 404 `not_found`, 409 `name_taken` and others, 412 `version_mismatch`, 422 `invalid`.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from extproc.errors import Reject
from extproc.identity.ids import Ids, Kind, is_declared, kind_of
from extproc.identity.settings import Settings
from extproc.store.models import Actor, AuditEntry, Entity, Plan

E = TypeVar("E", bound=Entity)

MOST = 1000
"""Things in one page of a list."""

MOST_LIMITS, MOST_TAGS = 100, 64
"""In the settings of one level."""

# What is nobody's business, and what an audit entry says otherwise.
_SECRET = {"digest", "previous_digest", "version", "created_at", "updated_at"}
CONFIGURATION = "configuration"
"""The actor who alone changes what the configuration declares."""
IDS = Ids()
"""Of this process."""


class Work:
    """One transaction, and who is at it."""

    def __init__(self, session: Session, actor: Actor, now: int) -> None:
        """`now`: milliseconds since 1970."""
        self.session = session
        self.actor = actor
        self.now = now

    def id(self, kind: Kind) -> str:
        """A new one."""
        return IDS.make(kind)

    def audit(
        self, kind: Kind, id: str, action: str, organization: str | None, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        """Enters a change, in the very transaction that makes it."""
        entry = AuditEntry(
            id=self.id("audit"), at=self.now, actor=self.actor.name, request_id=self.actor.request_id, organization_id=organization,
            kind=kind, entity_id=id, action=action, before=_json(before), after=_json(after),
        )  # fmt: skip
        self.session.add(entry)


class Page(msgspec.Struct, Generic[E], frozen=True):
    """Part of a list."""

    items: list[E]
    after: str = ""
    """What to ask for to get the next part; empty: this was the last one."""


class Repository(Generic[E]):
    """Things of one kind. Belongs to one transaction."""

    entity: ClassVar[type[Any]]
    changeable: ClassVar[Collection[str]] = ()
    """Columns that `change` may set; `disabled` stands for `disabled_at`."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.session = work.session

    def find(self, id: str, *, deleted: bool = False) -> E:
        """What has this id; `deleted`: also if it is gone. Raises `Reject` 404."""
        found: E | None = self.session.get(self.entity, id)
        if found is None or (found.deleted_at is not None and not deleted):
            raise Reject(404, "not_found", f"There is no {self.entity.title_of} {id!r}.")
        return found

    def list(self, *conditions: ColumnElement[bool], after: str = "", limit: int = 50, deleted: bool = False) -> Page[E]:
        """In the order in which they were made, at most `limit` of them, from the one behind `after` on."""
        if after and kind_of(after) != self.entity.kind:
            raise Reject(422, "invalid", f"{after!r} is no cursor of this list.", param="after")
        limit = max(1, min(limit, MOST))
        query = select(self.entity).where(self.entity.id > after, *conditions).order_by(self.entity.id).limit(limit + 1)
        if not deleted:
            query = query.where(self.entity.deleted_at.is_(None))
        found = list(self.session.scalars(query))
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else "")

    def change(self, id: str, changes: Mapping[str, Any], *, version: int | None = None) -> E:
        """Sets columns. `version`: the one that whoever changes it has seen; another one is a `Reject` 412."""
        entity = self._expected(id, version)
        if unknown := set(changes) - set(self.changeable):
            raise Reject(422, "invalid", f"This cannot be changed: {', '.join(sorted(unknown))}.", param=min(unknown))
        values = {name: value for name, value in changes.items() if name != "disabled"}
        if "disabled" in changes:
            before: int | None = getattr(entity, "disabled_at", None)
            # Since when: who suspends it once more changes nothing.
            values["disabled_at"] = (before or self.work.now) if changes["disabled"] else None
        return self._set(entity, "change", values)

    def delete(self, id: str, *, version: int | None = None) -> None:
        """Takes it out of everything, with all that is below it. It goes on to be known to those who ask for what is gone."""
        entity = self._expected(id, version)
        self._may_go(entity)
        entity.deleted_at = entity.updated_at = self.work.now
        entity.version += 1
        self.session.flush()
        self.work.audit(self.entity.kind, id, "delete", self._organization(entity), _public(entity), {"with": self._below(entity)})

    def declare(self, id: str, values: Mapping[str, Any]) -> E:
        """Sees to it that there is one with this id, as `values` have it: it is made, changed, or is back. `disabled`: as of `change`."""
        entity: E | None = self.session.get(self.entity, id)
        columns = {name: value for name, value in values.items() if name != "disabled"}
        if "disabled" in values:
            before: int | None = getattr(entity, "disabled_at", None)
            columns["disabled_at"] = (before or self.work.now) if values["disabled"] else None
        if entity is None:
            return self._add(id=id, **columns)
        return self._set(entity, "change", {**columns, "deleted_at": None})

    def _expected(self, id: str, version: int | None) -> E:
        entity = self.find(id)
        if is_declared(id) and self.work.actor.name != CONFIGURATION:
            message = f"The {self.entity.title_of} {id!r} stands in the gateway's configuration, and is changed there alone."
            raise Reject(409, "managed_by_configuration", message)
        if version is not None and entity.version != version:
            message = f"The {self.entity.title_of} {id!r} has been changed by somebody else: it is at version {entity.version}."
            raise Reject(412, "version_mismatch", message)
        return entity

    def _set(self, entity: E, action: str, values: Mapping[str, Any]) -> E:
        """Nothing happens, and no new version comes about, where nothing is changed."""
        before = {name: getattr(entity, name) for name, value in values.items() if getattr(entity, name) != value}
        if not before:
            return entity
        for name in before:
            setattr(entity, name, values[name])
        try:
            with self.session.no_autoflush:
                self._check(entity)
        except Reject:
            # Who goes on with the transaction has not changed it.
            self.session.refresh(entity)
            raise
        entity.updated_at = self.work.now
        entity.version += 1
        self.session.flush()
        public = before.keys() - _SECRET
        was, now = ({name: source(name) for name in sorted(public)} for source in (before.__getitem__, lambda name: getattr(entity, name)))
        self.work.audit(self.entity.kind, entity.id, action, self._organization(entity), was, now)
        return entity

    def _add(self, *, id: str | None = None, **values: Any) -> E:
        now = self.work.now
        entity: E = self.entity(id=id or self.work.id(self.entity.kind), created_at=now, updated_at=now, version=1, **values)
        with self.session.no_autoflush:
            self._check(entity)
        self.session.add(entity)
        self.session.flush()
        self.work.audit(self.entity.kind, entity.id, "create", self._organization(entity), None, _public(entity))
        return entity

    def _check(self, entity: E) -> None:
        """Raises `Reject` for what may not be; `entity` is as it is to become."""
        if (plan := getattr(entity, "plan_id", None)) is not None:
            self._alive(Plan, plan, "plan_id")
        if (settings := getattr(entity, "settings", None)) is not None:
            _bounded(settings)

    def _may_go(self, entity: E) -> None:
        """Raises `Reject` for what others need."""

    def _below(self, entity: E) -> dict[str, int]:
        """Deletes what is nothing without this one; how many of each kind."""
        return {}

    def _organization(self, entity: E) -> str | None:
        """Whose audit log a change of it belongs to."""
        found: str | None = getattr(entity, "organization_id", None)
        return found

    def _alive(self, table: type[Any], id: str, param: str, **belonging: str) -> Any:
        """What is referred to. Raises `Reject` 422 unless it is there, and belongs where it has to."""
        found = self.session.get(table, id)
        if found is None or found.deleted_at is not None or any(getattr(found, name) != value for name, value in belonging.items()):
            raise Reject(422, "invalid", f"There is no {table.title_of} {id!r} here.", param=param)
        return found

    def _free(self, entity: E, what: str, *conditions: ColumnElement[bool]) -> None:
        """Raises `Reject` 409 if another one fulfils all conditions."""
        if self.session.scalars(select(self.entity.id).where(self.entity.id != entity.id, *conditions).limit(1)).first() is not None:
            raise Reject(409, "name_taken", f"There is another {self.entity.title_of} with this {what}.", param=what)

    def _delete_all(self, tables: Mapping[type[Any], ColumnElement[bool]]) -> dict[str, int]:
        """Deletes rows of other tables, at once."""
        gone = {}
        for table, condition in tables.items():
            values = {"deleted_at": self.work.now, "updated_at": self.work.now, "version": table.version + 1}
            query = update(table).where(condition, table.deleted_at.is_(None)).values(values)
            count: int = self.session.execute(query, execution_options={"synchronize_session": "evaluate"}).rowcount  # type: ignore[attr-defined]
            if count:
                gone[table.kind] = count
        return gone

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """How many there are."""
        query = select(func.count()).select_from(self.entity).where(self.entity.deleted_at.is_(None), *conditions)
        return self.session.scalars(query).one()


def _bounded(settings: Settings) -> None:
    """Raises `Reject` 422 for more than a request can bear: all of it is looked at for each, and callers set some for their own keys."""
    for name, most in (("limits", MOST_LIMITS), ("tags", MOST_TAGS)):
        if len(getattr(settings, name)) > most:
            raise Reject(422, "invalid", f"There are more than {most} {name}.", param=f"settings.{name}")


def checked_name(name: str) -> str:
    """A name that people can read. Raises `Reject` 422."""
    if not name.strip() or len(name) > 128 or not name.isprintable() or name != name.strip():
        message = "A name has 1 to 128 printable characters, and no blank at its beginning or its end."
        raise Reject(422, "invalid", message, param="name")
    return name


def _public(entity: Entity) -> dict[str, Any]:
    columns = (column.key for column in entity.__table__.columns)
    return {name: value for name in columns if name not in _SECRET and (value := getattr(entity, name)) is not None}


def _json(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values).decode()
