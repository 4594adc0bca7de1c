"""What a command does: asks the API, and prints what it says. Things may be named where their lists say which one is meant."""

import argparse
import sys
from typing import Any

from extproc.cli.admin import said
from extproc.cli.admin.client import Client, Refused
from extproc.cli.admin.shown import as_json, as_list, as_table
from extproc.cli.admin.table import SINGULAR, TABLE, Row
from extproc.identity.ids import kind_of

_AUDIT = ("at", "actor", "action", "kind", "entity_id", "request_id")


def do(client: Client, given: argparse.Namespace, plural: str, verb: str) -> None:
    """One action on things of one kind."""
    row = TABLE[plural]
    if verb == "list":
        found = list(client.each(_list_path(client, given, plural), deleted="true" if given.deleted else None))
        print(as_json(found) if given.json else as_table(found, row.columns))
        return
    if verb == "find":
        found = list(client.each("/keys", prefix=given.prefix))
        print(as_json(found) if given.json else as_table(found, row.columns))
        return
    if verb == "create":
        made = client.ask("POST", _list_path(client, given, plural), {**_others(client, given, row), **_body(given, row)})
    else:
        path = f"/{plural}/{_id(client, given, plural, given.id)}"
        bodies = {"change": lambda: _body(given, row), "rotate": lambda: {"overlap": given.overlap}}
        method = {"show": "GET", "change": "PATCH", "delete": "DELETE"}.get(verb, "POST")
        suffix = "" if verb in {"show", "change", "delete"} else f"/{verb}"
        made = client.ask(method, path + suffix, bodies[verb]() if verb in bodies else None)
    _tell(made, given)


def _body(given: argparse.Namespace, row: Row) -> dict[str, Any]:
    return said.body(given, row.fields, level=row.level)


def _named(given: argparse.Namespace, row: Row) -> list[tuple[str, str]]:
    """What is named of that which a kind of thing is in."""
    found = ((around, getattr(given, SINGULAR[around].replace("-", "_"))) for around in row.around)
    return [(around, text) for around, text in found if text is not None]


def _others(client: Client, given: argparse.Namespace, row: Row) -> dict[str, str]:
    """A key of a team may be a service account's as well: the path says the one, the body the other."""
    return {
        f"{TABLE[around].kind}_id": _id(client, given, around, text)
        for around, text in _named(given, row)[1:]
        if around != "organizations"
    }  # fmt: skip


def _tell(made: Any, given: argparse.Namespace) -> None:
    if made is None:
        print(f"deleted {given.id}", file=sys.stderr)
    elif given.json:
        print(as_json(made))
    elif made.get("key"):
        print(made["key"])
        print(f"This is the only time that it is shown. Its id is {made['id']}.", file=sys.stderr)
    else:
        print(as_list(made))


def _list_path(client: Client, given: argparse.Namespace, plural: str) -> str:
    row = TABLE[plural]
    if not row.around:
        return f"/{plural}"
    for around, text in _named(given, row)[:1]:
        return f"/{around}/{_id(client, given, around, text)}/{plural}"
    if plural == "keys" and not hasattr(given, "name"):
        return "/keys"
    raise Refused(f"say where: {', '.join(f'--{SINGULAR[around]}' for around in row.around)}")


def _id(client: Client, given: argparse.Namespace, plural: str, text: str) -> str:
    """The id of what is named: its own, or found by its name where that is listed."""
    row = TABLE[plural]
    if kind_of(text) == row.kind:
        return text
    if "name" not in row.fields:
        raise Refused(f"{text!r} is no id of {row.title}")
    inside = f"/organizations/{_id(client, given, 'organizations', given.organization)}" if row.around and given.organization else ""
    if row.around and not inside:
        raise Refused(f"{text!r} is no id of {row.title}; to name it, say in which --organization it is")
    found = [one["id"] for one in client.each(f"{inside}/{plural}") if one["name"] == text]
    if not found:
        raise Refused(f"there is no {row.kind.replace('_', ' ')} {text!r}")
    if len(found) > 1:
        raise Refused(f"there are several of that name: {', '.join(found)}")
    return str(found[0])


def audit(client: Client, given: argparse.Namespace) -> None:
    """Prints changes."""
    inside = f"/organizations/{_id(client, given, 'organizations', given.organization)}" if given.organization else ""
    found = client.ask("GET", f"{inside}/audit", limit=given.limit)["data"]
    print(as_json(found) if given.json else as_table(found, _AUDIT))


def me(client: Client, given: argparse.Namespace) -> None:
    """Prints who the key belongs to."""
    found = client.ask("GET", "/me")
    print(as_json(found) if given.json else as_list(found))
