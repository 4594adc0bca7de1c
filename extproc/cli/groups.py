"""`headgate organizations|projects|teams|users|service-accounts|plans`: who there is, and what is set for them, straight in the store."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from extproc.cli import whose
from extproc.cli.bounds import add_bounds, add_limits, settings
from extproc.cli.common import add_source
from extproc.cli.place import place
from extproc.cli.table import bounds, moment, print_fields, print_json, print_table, public
from extproc.errors import Reject
from extproc.identity.roles import Role
from extproc.identity.written import shown

if TYPE_CHECKING:
    from extproc.store.store import Tables

_PEOPLE = ("name", "email", "issuer", "subject")


class Group(NamedTuple):
    """A kind of thing."""

    kind: str
    command: str
    title: str
    within: bool = False
    """It belongs to an organization."""
    fields: tuple[str, ...] = ("name",)
    """What can be changed of it beside what bounds it."""

    @property
    def table(self) -> str:
        """Its name among the store's tables."""
        return f"{self.kind}s"


GROUPS = (
    Group("organization", "organizations", "organizations: tenants, the boundary that cache and ledger keep", fields=()),
    Group("project", "projects", "projects of an organization", within=True),
    Group("team", "teams", "teams of an organization", within=True),
    Group("user", "users", "people, and what they are members of", fields=_PEOPLE),
    Group("service_account", "service-accounts", "programs of an organization", within=True),
    Group("plan", "plans", "named bundles of limits"),
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the commands."""
    for group in GROUPS:
        parser = commands.add_parser(group.command, help=f"make, list and change {group.title}")
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
        create, show, update, delete = (
            _action(actions, group, name, run, about)
            for name, run, about in (
                ("create", _create, "make one"),
                ("show", _show, "all that is known of one"),
                ("update", _update, "change one; a running gateway follows within a second"),
                ("delete", _delete, "take one out, with all that is below it"),
            )
        )
        _add_fields(create, group, updating=False)
        _add_fields(update, group, updating=True)
        listing = actions.add_parser("list", help="list all of them")
        for action in (listing, show):
            action.add_argument("--json", action="store_true", help="for programs")
        if group.within:
            listing.add_argument("--organization", metavar="NAME", help="only those of this one")
        listing.set_defaults(run=partial(_list, group))
        for action in (create, listing, show, update, delete):
            add_source(action)
        if group.kind == "user":
            _add_memberships(actions)


def _action(actions: Any, group: Group, name: str, run: Callable[..., int], about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=about)
    parser.add_argument("name", help="its name" if name == "create" else "its name, or id")
    if group.within:
        parser.add_argument("--organization", metavar="NAME", help="the organization, by name or id; `default` unless given")
    parser.set_defaults(run=partial(run, group))
    return parser


def _add_fields(parser: argparse.ArgumentParser, group: Group, *, updating: bool) -> None:
    for field in group.fields:
        if field != "name" or updating:
            option = "--rename" if field == "name" else f"--{field}"
            parser.add_argument(option, dest=f"new_{field}", metavar=field.upper(), help=f"its {field}")
    if group.kind == "plan":
        add_limits(parser)
        return
    add_bounds(parser, updating=updating)
    if updating:
        state = parser.add_mutually_exclusive_group()
        state.add_argument("--suspend", dest="disabled", action="store_const", const=True, help="let nobody below it in")
        state.add_argument("--resume", dest="disabled", action="store_const", const=False, help="end that")


def _add_memberships(actions: Any) -> None:
    for name, run, about in (
        ("join", _join, "make somebody a member, or change the role"),
        ("leave", _leave, "end a membership; keys there end with it"),
    ):
        parser = actions.add_parser(name, help=about)
        parser.add_argument("name", help="the user, by name, e-mail address or id")
        parser.add_argument("--organization", metavar="NAME", help="the organization; `default` unless given")
        parser.add_argument("--team", metavar="NAME", help="its team, and no more than that")
        if run is _join:
            parser.add_argument("--role", choices=get_args(Role), default="member", help="(default: %(default)s)")
        parser.set_defaults(run=run)
        add_source(parser)


def _create(group: Group, given: argparse.Namespace) -> int:
    def make(tables: "Tables") -> Any:
        repository = getattr(tables, group.table)
        said = _fields(group, given)
        if group.kind == "plan":
            return repository.create(given.name, tuple(given.limits or ()))
        said |= {"settings": settings(given), "plan_id": whose.plan(tables, given.plan).id if given.plan is not None else None}
        if group.within:
            return repository.create(whose.organization(tables, given.organization, making=True).id, given.name, **said)
        return repository.create(given.name, **said)

    return _changing(given, lambda tables: make(tables).id)


def _update(group: Group, given: argparse.Namespace) -> int:
    def change(tables: "Tables") -> str:
        repository, entity = getattr(tables, group.table), _found(tables, group, given)
        said = _fields(group, given)
        if group.kind == "plan":
            said |= {"limits": tuple(given.limits)} if given.limits else {}
        else:
            said["settings"] = settings(given, entity.settings)
            said |= {"plan_id": whose.plan(tables, given.plan).id} if given.plan is not None else {}
            said |= {"plan_id": None} if "plan" in given.clear else {}
            said |= {"disabled": given.disabled} if given.disabled is not None else {}
        return str(repository.change(entity.id, said).id)

    return _changing(given, change)


def _delete(group: Group, given: argparse.Namespace) -> int:
    def end(tables: "Tables") -> str:
        entity = _found(tables, group, given)
        getattr(tables, group.table).delete(entity.id)
        return f"deleted {entity.id}"

    return _changing(given, end)


def _join(given: argparse.Namespace) -> int:
    def join(tables: "Tables") -> str:
        user, within, team = _membership(tables, given)
        if tables.memberships.role(user, within, team) is None:
            return tables.memberships.create(within, user, given.role, team_id=team).id
        return tables.memberships.change(_of(tables, user, within, team).id, {"role": given.role}).id

    return _changing(given, join)


def _leave(given: argparse.Namespace) -> int:
    def leave(tables: "Tables") -> str:
        found = _of(tables, *_membership(tables, given))
        tables.memberships.delete(found.id)
        return f"deleted {found.id}"

    return _changing(given, leave)


def _membership(tables: "Tables", given: argparse.Namespace) -> tuple[str, str, str | None]:
    within = whose.organization(tables, given.organization).id
    team = whose.part(tables, "team", given.team, within).id if given.team is not None else None
    return whose.user(tables, given.name).id, within, team


def _of(tables: "Tables", user: str, within: str, team: str | None) -> Any:
    table: Any = tables.memberships.entity
    conditions = (table.user_id == user, table.organization_id == within, table.team_id.is_not_distinct_from(team))
    found = tables.memberships.list(*conditions).items
    if not found:
        raise Reject(404, "not_found", "The user is no member there.")
    return found[0]


def _changing(given: argparse.Namespace, what: "Callable[[Tables], str]") -> int:
    where = place(given)
    try:
        print(where.change(what))
    except Reject as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _fields(group: Group, given: argparse.Namespace) -> dict[str, Any]:
    found = {field: getattr(given, f"new_{field}", None) for field in group.fields}
    return {field: value for field, value in found.items() if value is not None}


def _found(tables: "Tables", group: Group, given: argparse.Namespace) -> Any:
    match group.kind:
        case "organization":
            return whose.organization(tables, given.name)
        case "user":
            return whose.user(tables, given.name)
        case "plan":
            return whose.plan(tables, given.name)
        case kind:
            return whose.part(tables, kind, given.name, whose.organization(tables, given.organization).id)


def _show(group: Group, given: argparse.Namespace) -> int:
    where = place(given, reading=True)
    if not where.exists():
        print(f"there is no store in {where.called} yet", file=sys.stderr)
        return 1
    try:
        document = where.look(lambda tables: _document(tables, group, given))
    except Reject as error:
        print(error, file=sys.stderr)
        return 1
    if given.json:
        print_json(document)
    else:
        print_fields(document)
    return 0


def _document(tables: "Tables", group: Group, given: argparse.Namespace) -> dict[str, Any]:
    entity = _found(tables, group, given)
    found = public(entity)
    if group.kind == "user":
        held = tables.memberships.list(tables.memberships.entity.user_id == entity.id, limit=1000).items
        found["memberships"] = [public(one) for one in held]
    return found


def _list(group: Group, given: argparse.Namespace) -> int:
    where = place(given, reading=True)
    try:
        found = where.look(lambda tables: _listed(tables, group, given)) if where.exists() else []
    except Reject as error:
        print(error, file=sys.stderr)
        return 1
    if given.json:
        print_json([public(one) for one in found])
        return 0
    rows = [
        (one.name, one.id, getattr(one, "organization_id", "") or "", getattr(one, "email", "") or "", _state(one), _set(one))
        for one in found
    ]
    print_table([("NAME", "ID", "ORGANIZATION", "EMAIL", "STATE", "SET"), *rows])
    return 0


def _listed(tables: "Tables", group: Group, given: argparse.Namespace) -> list[Any]:
    repository = getattr(tables, group.table)
    only = getattr(given, "organization", None)
    conditions = [repository.entity.organization_id == whose.organization(tables, only).id] if only is not None else []
    found: list[Any] = []
    after = None
    while after != "":
        page = repository.list(*conditions, after=after or "", limit=1000)
        found += page.items
        after = page.after
    return found


def _state(entity: Any) -> str:
    since = getattr(entity, "disabled_at", None)
    return f"suspended {moment(since)}" if since is not None else ""


def _set(entity: Any) -> str:
    if (limits := getattr(entity, "limits", None)) is not None:
        return "; ".join(map(shown, limits))
    plan = f"plan {entity.plan_id}" if entity.plan_id else ""
    return "; ".join(filter(None, (bounds(entity.settings), plan)))
