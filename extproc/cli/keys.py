"""`headgate keys`: makes, imports, lists and revokes callers' keys. A running gateway notices at once."""

import argparse
import csv
import getpass
import re
import shlex
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from extproc.cli.common import add_source, state_folder
from extproc.errors import Reject
from extproc.keys import StoredKey, digest
from extproc.store import FILE

if TYPE_CHECKING:
    from extproc.store.models import Key
    from extproc.store.store import Store, Tables

_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_HEADER = ["name", "hash"]
"""How a file may begin that a program wrote."""
_READ = 10_000
"""Keys that are read before the store is opened for them."""
T = TypeVar("T")
_NAME_RULE = "a key's name has 1 to 128 printable characters"


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
    hashing = actions.add_parser("hash", help="read keys from standard input, one a line, print what `filters: - auth: keys:` wants")
    hashing.description = (
        "Prints `sha256:` and the key's SHA-256 in hexadecimal: what `printf %%s KEY | sha256sum` says, with nothing added."
    )
    hashing.set_defaults(run=_hash)
    importing = actions.add_parser("import", help="add keys that callers have already, by their hashes: all of them or none")
    importing.description = (
        "Reads lines `name,hash` or `name,hash,tenant` (CSV) from standard input; a hash is what `headgate keys hash` prints."
    )
    importing.add_argument("--skip-existing", action="store_true", help="pass over those that are there already, by name and hash")
    importing.set_defaults(run=_import)
    for action in (create, importing, listing, revoke):
        add_source(action)


def _create(given: argparse.Namespace) -> int:
    if not _is_name(given.name):
        print(_NAME_RULE, file=sys.stderr)
        return 2
    state, _ = state_folder(given)

    def make(tables: "Tables") -> str:
        from extproc.store.keys import Holder  # noqa: PLC0415 - see _change

        holder = Holder(tables.organizations.default().id)
        return tables.keys.create(holder, given.name, tenant=given.tenant or given.name)[1]

    try:
        key = _change(state, make)
    except Reject as error:
        if error.fault.code == "name_taken":
            print(f"there is, or was, a key named {given.name!r}; names are not used twice, so that reports stay true", file=sys.stderr)
        else:
            print(error, file=sys.stderr)
        return 1
    print(key)
    print(
        f"This is the only time that it is shown. It is for the gateway on {state}, whose callers need a key from now on.", file=sys.stderr
    )
    where = [*(["--state", str(given.state)] if given.state else []), *([str(given.config)] if given.config else [])]
    print(f"To revoke this one: headgate keys revoke {shlex.join([given.name, *where])}", file=sys.stderr)
    return 0


def _import(given: argparse.Namespace) -> int:
    state, _ = state_folder(given)
    # By a key's place, the line that it stands in: a million of them in 8 MB.
    places = array("Q")
    try:
        count = _add(state, _read(sys.stdin, places), skip_existing=given.skip_existing)
    except ValueError as error:
        index = getattr(error, "index", None)
        where = f"line {places[index]}: " if index is not None else ""
        print(f"nothing was imported: {where}{error}", file=sys.stderr)
        return 1
    if not places:
        print("nothing was imported: there were no keys on standard input", file=sys.stderr)
        return 1
    skipped = f" ({len(places) - count} were there already)" if count < len(places) else ""
    print(f"imported {count} key{'' if count == 1 else 's'} into {state}{skipped}, whose callers need a key from now on")
    return 0


def _add(state: Path, keys: Iterator[StoredKey], *, skip_existing: bool) -> int:
    # Who types them, or makes them slowly, keeps nobody else from writing meanwhile.
    first = list(islice(keys, _READ))
    if not first:
        return 0

    def add_all(tables: "Tables") -> int:
        from extproc.store.keys import Holder  # noqa: PLC0415 - see _change

        holder = Holder(tables.organizations.default().id)
        return tables.keys.add_many(holder, chain(first, keys), skip_existing=skip_existing)

    return _change(state, add_all)


def _read(lines: Iterable[str], places: "array[int]") -> Iterator[StoredKey]:
    """Raises `ValueError` that tells the line. `places` gets the line of each key."""
    reader = csv.reader(_unmarked(lines))
    try:
        for row in reader:
            if row and not (reader.line_num == 1 and [cell.strip().lower() for cell in row[:2]] == _HEADER):
                places.append(reader.line_num)
                yield _key(row, reader.line_num)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _unmarked(lines: Iterable[str]) -> Iterator[str]:
    """Without the byte order mark that spreadsheets begin a file with."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def _key(row: list[str], line: int) -> StoredKey:
    name, hashed, tenant = [*map(str.strip, row), "", ""][:3]
    found = _HASH.fullmatch(hashed)
    if len(row) > 3 or found is None:
        raise ValueError(f"line {line}: this is not `name,sha256:HASH` or `name,sha256:HASH,tenant`")
    if not _is_name(name):
        raise ValueError(f"line {line}: {_NAME_RULE}")
    return StoredKey(name, bytes.fromhex(found[1]), tenant or name)


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= 128 and text.isprintable()


def _list(given: argparse.Namespace) -> int:
    state, _ = state_folder(given, reading=True)
    rows = [("NAME", "TENANT", "CREATED", "STATE"), *_rows(state)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _rows(state: Path) -> Iterator[tuple[str, str, str, str]]:
    """All keys, those that are gone, too, oldest first."""
    if not (state / FILE).exists():
        return
    with closing(_open(state)) as store, store.read() as tables:
        after = None
        while after != "":
            page = tables.keys.list(after=after or "", limit=1000, deleted=True)
            for key in page.items:
                tenant = key.tenant or tables.organizations.find(key.organization_id, deleted=True).name
                yield key.name, tenant, _time(key.created_at), _state(key)
            after = page.after


def _revoke(given: argparse.Namespace) -> int:
    state, _ = state_folder(given, reading=True)

    def end(tables: "Tables") -> bool:
        key = tables.keys.named(tables.organizations.default().id, given.name)
        if key is None or key.deleted_at is not None:
            return False
        tables.keys.delete(key.id)
        return True

    if not (state / FILE).exists() or not _change(state, end):
        print(f"no key named {given.name!r} is in force in {state}; `headgate keys list` shows all of them", file=sys.stderr)
        return 1
    print(f"revoked {given.name}; a running gateway refuses it within a second")
    return 0


def _open(state: Path) -> "Store":
    # Slow to import: other commands do without.
    from extproc.store.store import Store  # noqa: PLC0415

    return Store.open(state)


def _change(state: Path, what: "Callable[[Tables], T]") -> T:
    from extproc.store.models import Actor  # noqa: PLC0415 - see _open

    with closing(_open(state)) as store, store.write(Actor("command line")) as tables:
        return what(tables)


def _hash(_: argparse.Namespace) -> int:
    keys = [getpass.getpass("Key: ")] if sys.stdin.isatty() else _unmarked(sys.stdin)
    given = 0
    for key in filter(None, map(str.strip, keys)):
        given += 1
        print(f"sha256:{digest(key).hex()}")
    if not given:
        print("no key was given", file=sys.stderr)
        return 2
    return 0


def _state(key: "Key") -> str:
    if key.deleted_at is not None:
        return f"revoked {_time(key.deleted_at)}"
    if key.disabled_at is not None:
        return f"suspended {_time(key.disabled_at)}"
    return "in force" if key.expires_at is None else f"until {_time(key.expires_at)}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
