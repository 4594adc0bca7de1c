"""`headgate keys`: makes, rotates, suspends, lists and revokes callers' keys. A running gateway notices at once."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from extproc.cli import imports, whose
from extproc.cli.bounds import add_bounds, lasting, settings
from extproc.cli.common import add_source
from extproc.cli.place import Place, place
from extproc.cli.table import bounds, moment, prefixed, print_json, print_table, public
from extproc.config.nearest import hint
from extproc.errors import Reject
from extproc.globs import may_meet
from extproc.identity.ids import kind_of
from extproc.store import DEFAULT

if TYPE_CHECKING:
    from extproc.store.models import Key
    from extproc.store.store import Tables

_HEADINGS = ("NAME", "TENANT", "CREATED", "STATE", "PREFIX", "ID", "OF", "SET")


class _Shown(NamedTuple):
    """A line of a list."""

    key: "Key"
    tenant: str
    note: str = ""
    """What else there is to say of it."""

    def noted(self) -> dict[str, str]:
        """The same for programs."""
        return {"note": self.note} if self.note else {}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("keys", help="make, list and revoke callers' keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_create(actions)
    listing = actions.add_parser("list", help="list all keys, or those of somebody")
    listing.add_argument("--in-force", action="store_true", help="only those that let somebody in")
    whose.add_holder(listing)
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_list)
    finding = actions.add_parser("find", help="whose key begins so; a whole key that somebody has found may be given, best by `-`")
    finding.add_argument("prefix", help="how it begins; `-` reads it from standard input")
    finding.add_argument("--json", action="store_true", help="for programs")
    finding.set_defaults(run=_find)
    add_source(listing)
    add_source(finding)
    for name, run, about in (
        ("rotate", _rotate, "give a key another secret; it stays the same key, with the same limits"),
        ("disable", _disable, "suspend a key; a running gateway follows within a second"),
        ("enable", _enable, "let a suspended key in again"),
        ("revoke", _revoke, "make a key worthless for good; a running gateway follows within a second"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", help="the key, by name or id")
        action.add_argument("--organization", metavar="NAME", help="whose key it is; `default` unless given")
        if run is _rotate:
            action.add_argument("--overlap", type=lasting, default=0, metavar="24h", help="how long the secret before goes on to be good")
        action.set_defaults(run=run)
        add_source(action)
    imports.add(actions)


def _add_create(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    create = actions.add_parser("create", help="make a key; it is shown once and stored hashed")
    create.add_argument("name", help="what reports and logs call it")
    tenant = "whose cache and lines in reports it has; its organization's unless given, or, where none is given, the key's own name"
    create.add_argument("--tenant", help=tenant)
    whose.add_holder(create)
    create.add_argument("--expires", type=lasting, metavar="30d", help="it is worth nothing after so long")
    add_bounds(create)
    create.set_defaults(run=_create)
    add_source(create)


def _create(given: argparse.Namespace) -> int:
    if not imports.is_name(given.name):
        print(imports.NAME_RULE, file=sys.stderr)
        return 2
    where = place(given)
    expires = int(time.time() * 1000) + given.expires if given.expires is not None else None
    # Keys of nobody in particular are tenants of their own.
    tenant = given.tenant or (given.name if given.organization is None else None)

    def make(tables: "Tables") -> str:
        held, plan = whose.holder(tables, given, making=True), whose.plan(tables, given.plan).id if given.plan is not None else None
        return tables.keys.create(held, given.name, tenant=tenant, expires_at=expires, settings=settings(given), plan_id=plan)[1]

    try:
        key = where.change(make)
    except Reject as error:
        taken = f"there is, or was, a key named {given.name!r}; names are not used twice, so that reports stay true"
        print(taken if error.fault.code == "name_taken" else error, file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(key)
    print(
        f"This is the only time that it is shown. It is for the gateway {where.of_gateway}, whose callers need a key from now on.",
        file=sys.stderr,
    )
    _warn(where, given.models or ())
    print(f"To revoke this one: headgate keys revoke {_again(given)}", file=sys.stderr)
    return 0


def _warn(where: Place, models: Sequence[str]) -> None:
    for name in models if where.models else ():
        if not any(may_meet(name, known) for known in where.models):
            print(f"warning: no configured model fits {name!r}{hint(name, where.models, 'there are')}", file=sys.stderr)


def _again(given: argparse.Namespace) -> str:
    """The arguments by which the same key is meant."""
    options = (("--organization", given.organization), ("--state", given.state), ("", given.config))
    return shlex.join([given.name, *(part for name, value in options if value for part in (name, str(value)) if part)])


def _list(given: argparse.Namespace) -> int:
    where = place(given, reading=True)
    if not where.exists():
        return _print([], as_json=given.json)
    try:
        return _print(where.look(lambda tables: list(_listed(tables, given))), as_json=given.json)
    except Reject as error:
        print(error, file=sys.stderr)
        return 1


def _listed(tables: "Tables", given: argparse.Namespace) -> Iterator[_Shown]:
    """Each key; those that are gone, too, oldest first."""
    table: Any = tables.keys.entity
    asked = any(getattr(given, name) is not None for name in ("organization", "user", *whose.PARTS))
    held = whose.holder(tables, given) if asked else None
    said = {name: value for name in held.__struct_fields__ if (value := getattr(held, name)) is not None} if held is not None else {}
    conditions = [getattr(table, name) == value for name, value in said.items()]
    after = None
    while after != "":
        page = tables.keys.list(*conditions, after=after or "", limit=1000, deleted=not given.in_force)
        for key in page.items:
            if not given.in_force or _state(key).startswith(("in force", "until")):
                yield _Shown(key, _tenant(tables, key))
        after = page.after


def _tenant(tables: "Tables", key: "Key") -> str:
    return key.tenant or tables.organizations.find(key.organization_id, deleted=True).name


def _find(given: argparse.Namespace) -> int:
    where = place(given, reading=True)
    text = sys.stdin.readline().strip() if given.prefix == "-" else given.prefix
    found = where.look(lambda tables: list(_meant(tables, text))) if where.exists() else []
    if not found:
        print(
            "no key that is in force begins so; those that were imported by their hashes, and secrets from before a rotation, are found "
            "by the whole key alone",
            file=sys.stderr,
        )
        return 1
    return _print(found, as_json=given.json)


def _meant(tables: "Tables", text: str) -> Iterator[_Shown]:
    """Each key, with what has to be said of the secret that was looked for."""
    from extproc.store.keys import was_before  # noqa: PLC0415 - slow to import, and needed by few commands

    for key in tables.keys.of_prefix(text):
        before = was_before(key, text) and key.previous_until is not None
        yield _Shown(key, _tenant(tables, key), f"previous secret, good until {_time(key.previous_until or 0)}" if before else "")


def _print(found: Sequence[_Shown], *, as_json: bool) -> int:
    if as_json:
        print_json([{**public(one.key), "tenant": one.tenant, "state": _state(one.key), **one.noted()} for one in found])
        return 0
    rows = [
        (key.name, tenant, _time(key.created_at), _noted(key, note), prefixed(key.prefix), key.id, _of(key), _set(key))
        for key, tenant, note in found
    ]
    print_table([_HEADINGS, *rows])
    return 0


def _noted(key: "Key", note: str) -> str:
    return f"{_state(key)}; {note}" if note else _state(key)


def _of(key: "Key") -> str:
    return ",".join(id for id in (key.project_id, key.team_id, key.user_id, key.service_account_id) if id)


def _set(key: "Key") -> str:
    return "; ".join(filter(None, (bounds(key.settings), f"plan {key.plan_id}" if key.plan_id else "")))


def _rotate(given: argparse.Namespace) -> int:
    def rotate(tables: "Tables", key: "Key") -> str:
        return tables.keys.rotate(key.id, overlap=given.overlap)[1]

    # The store's own moment comes a little later.
    until = _time(int(time.time() * 1000) + given.overlap)
    return _one(given, rotate, f"the secret before is good until {until}" if given.overlap else "this is its only secret from now on")


def _disable(given: argparse.Namespace) -> int:
    return _one(given, lambda tables, key: tables.keys.change(key.id, {"disabled": True}), "suspended; `headgate keys enable` ends that")


def _enable(given: argparse.Namespace) -> int:
    return _one(given, lambda tables, key: tables.keys.change(key.id, {"disabled": False}), "lets in again")


def _revoke(given: argparse.Namespace) -> int:
    return _one(given, lambda tables, key: tables.keys.delete(key.id), "revoked; a running gateway refuses it within a second")


def _one(given: argparse.Namespace, what: "Callable[[Tables, Key], object]", told: str) -> int:
    """Does something with one key that is there. A new secret is printed, the only time."""
    where = place(given, reading=True)
    try:
        done = _changed(where, given, what) if where.exists() else None
    except Reject as error:
        print(error, file=sys.stderr)
        return 1
    if done is None:
        print(f"no key named {given.name!r} is in force {_where(where, given)}; `headgate keys list` shows all of them", file=sys.stderr)
        return 1
    if isinstance(done[0], str):
        print(done[0])
        print(f"{given.name}: {told}", file=sys.stderr)
    else:
        print(f"{given.name}: {told}")
    return 0


def _where(where: Place, given: argparse.Namespace) -> str:
    """Where a key was looked for, and who else has one of its name."""
    if not where.exists() or kind_of(given.name) == "key":
        return f"in {where.called}"
    elsewhere = where.look(lambda tables: whose.other_organizations(tables, tables.keys.list(tables.keys.entity.name == given.name).items))
    return f"in the organization {given.organization or DEFAULT!r} of {where.called}{elsewhere}"


def _changed(where: Place, given: argparse.Namespace, what: "Callable[[Tables, Key], object]") -> tuple[object] | None:
    def change(tables: "Tables") -> tuple[object] | None:
        if kind_of(given.name) == "key":
            key: Key | None = tables.keys.find(given.name)
        else:
            key = tables.keys.named(_within(tables, given), given.name)
        return (what(tables, key),) if key is not None and key.deleted_at is None else None

    return where.change(change)


def _within(tables: "Tables", given: argparse.Namespace) -> str:
    if given.organization is None and tables.organizations.named(DEFAULT) is None:
        # Nobody has made a key without an organization yet: so there is none.
        return ""
    return whose.organization(tables, given.organization).id


def _state(key: "Key") -> str:
    if key.deleted_at is not None:
        return f"revoked {_time(key.deleted_at)}"
    if key.disabled_at is not None:
        return f"suspended {_time(key.disabled_at)}"
    if key.expires_at is None:
        return "in force"
    return f"until {_time(key.expires_at)}" if key.expires_at > time.time() * 1000 else f"expired {_time(key.expires_at)}"


def _time(milliseconds: int) -> str:
    return moment(milliseconds).replace("T", " ")
