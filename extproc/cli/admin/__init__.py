"""`headgate admin`: organizations, teams, users, keys and plans of a gateway that runs, over its admin API."""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extproc.admin import operator_keys
from extproc.cli.admin import deeds, said
from extproc.cli.admin.client import Client, Refused
from extproc.cli.admin.table import SINGULAR, TABLE, Row
from extproc.cli.common import state_folder
from extproc.config.references import References, Unresolved

KEY = "HEADGATE_ADMIN_KEY"
_URL = "http://127.0.0.1:9181"
_TYPES = {"expires_at": said.expiry}
"""Of fields that are not sent as they are written."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("admin", help="administer organizations, teams, users, keys and plans of a running gateway")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    for plural, row in TABLE.items():
        _add_kind(kinds.add_parser(plural, help=f"list, show, create, change and delete {plural.replace('-', ' ')}"), plural, row)
    audit = kinds.add_parser("audit", help="list changes, the newest first")
    audit.add_argument("--organization", metavar="NAME|ID", help="those of one organization")
    audit.add_argument("--limit", type=int, default=50, help="how many (default: %(default)s)")
    me = kinds.add_parser("me", help="say who the key belongs to, and what roles that has")
    for one, run in ((audit, deeds.audit), (me, deeds.me)):
        _add_common(one)
        one.set_defaults(run=lambda given, run=run: _run(given, run))
    key = kinds.add_parser("key", help="make another admin key, on the gateway's own machine")
    key.add_argument("--new", action="store_true", required=True, help="make one, show it once, and put it in the state folder's file")
    key.add_argument("--only", action="store_true", help="those before it are worthless from now on")
    _add_place(key)
    key.set_defaults(run=_key)


def _add_kind(parser: argparse.ArgumentParser, plural: str, row: Row) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_action(actions.add_parser("list", help="list them"), plural, "list")
    create = actions.add_parser("create", help=f"make {row.title}")
    for name in row.fields:
        create.add_argument(_option(name), dest=name, required=name in row.needed, type=_TYPES.get(name, str))
    _add_action(create, plural, "create")
    change = actions.add_parser("change", aliases=["update"], help=f"change {row.title}")
    for name in row.fields:
        change.add_argument(_option(name), dest=name, type=_TYPES.get(name, str))
    _add_action(change, plural, "change")
    verbs = {"show": "show", "delete": "delete"}
    verbs |= {"rotate": "give another secret to", "disable": "suspend", "enable": "take back the suspension of"} if plural == "keys" else {}
    for verb, what in verbs.items():
        one = actions.add_parser(verb, help=f"{what} {row.title}")
        if verb == "rotate":
            one.add_argument("--overlap", type=said.seconds, default=0, help="how long the one before stays good, such as 1h")
        _add_action(one, plural, verb)
    if plural == "keys":
        find = actions.add_parser("find", help="find a key by how it begins")
        find.add_argument("prefix")
        _add_action(find, plural, "find")


def _add_action(parser: argparse.ArgumentParser, plural: str, verb: str) -> None:
    row = TABLE[plural]
    if verb in {"show", "change", "delete", "rotate", "disable", "enable"}:
        parser.add_argument("id", metavar="ID|NAME" if "name" in row.fields else "ID")
    if verb == "list":
        parser.add_argument("--deleted", action="store_true", help="with those that have been deleted")
    if verb in {"create", "change"}:
        said.add_body(parser, level=row.level)
    for around in dict.fromkeys((*row.around, "organizations") if row.around else ()):
        parser.add_argument(f"--{SINGULAR[around]}", metavar="NAME|ID", help="where it is" if around in row.around else "where that is")
    _add_common(parser)
    parser.set_defaults(run=lambda given: _run(given, lambda client, given: deeds.do(client, given, plural, verb)))


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for scripts")
    parser.add_argument("--url", help=f"where the API is; what the configuration says unless given, or {_URL}")
    parser.add_argument("--key", help=f"`env:NAME` or `file:PATH` of a key; {KEY}, or else the state folder's file unless given")
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="configuration of the gateway")
    parser.add_argument("--state", type=Path, help="state folder, instead of the one that the configuration names")


def _option(name: str) -> str:
    return f"--{name.removesuffix('_id').removesuffix('_at').replace('_', '-')}"


def _run(given: argparse.Namespace, what: Any) -> int:
    try:
        client = _client(given, os.environ)
        try:
            what(client, given)
        finally:
            client.close()
    except Refused as error:
        print(f"headgate admin: {error}", file=sys.stderr)
        return 1
    return 0


def _client(given: argparse.Namespace, environ: Mapping[str, str]) -> Client:
    url, key = given.url, environ.get(KEY, "")
    if given.key is not None:
        found = References(environ, Path.cwd()).resolve(given.key, secret=True)
        if isinstance(found, Unresolved):
            raise Refused(f"--key: {found.message}")
        key = found.text
    if url is None or not key:
        state, config = state_folder(given, reading=True)
        if url is None:
            place = config.api.place if config is not None else None
            url = f"http://{f'[{place[0]}]' if ':' in place[0] else place[0]}:{place[1]}" if place is not None else _URL
        if not key:
            try:
                key = (state / operator_keys.KEY_FILE).read_text()
            except OSError:
                raise Refused(f"there is no key: set {KEY}, or name one with --key; {state} has none") from None
    return Client(url, key.strip())


def _key(given: argparse.Namespace) -> int:
    state, _ = state_folder(given, reading=True)
    try:
        key = operator_keys.make(state, time.time_ns() // 1_000_000, only=given.only)
    except OSError as error:
        print(f"headgate admin: no key can be made in {state}: {error.strerror}", file=sys.stderr)
        return 1
    print(key)
    print(f"It is in {state / operator_keys.KEY_FILE} as well, for this user alone. A running gateway takes it at once.", file=sys.stderr)
    return 0
