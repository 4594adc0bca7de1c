"""`headgate keys`: makes, lists and revokes callers' keys. A running gateway notices at once."""

import argparse
import getpass
import shlex
import sys
from datetime import UTC, datetime

from extproc.cli.common import add_source, state_folder
from extproc.control.keystore import KeyEntry, KeyStore
from extproc.keys import digest


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("keys", help="make, list and revoke callers' keys")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key; it is shown once and stored hashed")
    create.add_argument("name", help="what reports and logs call it")
    create.add_argument("--tenant", default="", help="whom it belongs to: its cache and its lines in reports; the name unless given")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="list all keys")
    listing.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="make a key worthless; a running gateway follows within a second")
    revoke.add_argument("name")
    revoke.set_defaults(run=_revoke)
    hashing = actions.add_parser("hash", help="read a key from standard input, print what `filters: - auth: keys:` wants")
    hashing.set_defaults(run=_hash)
    for action in (create, listing, revoke):
        add_source(action)


def _create(given: argparse.Namespace) -> int:
    if not given.name.strip() or len(given.name) > 128 or not given.name.isprintable():
        print("a key's name has 1 to 128 printable characters", file=sys.stderr)
        return 2
    state, _ = state_folder(given)
    try:
        key = KeyStore(state).create(given.name, given.tenant)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(key)
    print(
        f"This is the only time that it is shown. It is for the gateway on {state}, whose callers need a key from now on.", file=sys.stderr
    )
    print(f"To revoke this one: headgate keys revoke {shlex.quote(given.name)}", file=sys.stderr)
    return 0


def _list(given: argparse.Namespace) -> int:
    state, _ = state_folder(given)
    rows = [("NAME", "TENANT", "CREATED", "STATE")]
    rows += [(entry.name, entry.tenant, _time(entry.created), _state(entry)) for entry in KeyStore(state).list()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _revoke(given: argparse.Namespace) -> int:
    state, _ = state_folder(given)
    if not KeyStore(state).revoke(given.name):
        print(f"no key named {given.name!r} is in force in {state}; `headgate keys list` shows all of them", file=sys.stderr)
        return 1
    print(f"revoked {given.name}; a running gateway refuses it within a second")
    return 0


def _hash(_: argparse.Namespace) -> int:
    key = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        print("no key was given", file=sys.stderr)
        return 2
    print(f"sha256:{digest(key.strip()).hex()}")
    return 0


def _state(entry: KeyEntry) -> str:
    return "in force" if entry.revoked is None else f"revoked {_time(entry.revoked)}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
