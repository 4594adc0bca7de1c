"""`headgate keys import` and `headgate keys hash`: keys that callers have already, by their hashes."""

import argparse
import csv
import getpass
import re
import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from extproc.cli.common import add_source
from extproc.cli.place import Place, place
from extproc.keys import StoredKey, digest

if TYPE_CHECKING:
    from extproc.store.store import Tables

NAME_RULE = "a key's name has 1 to 128 printable characters"
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_HEADER = ["name", "hash"]
"""How a file may begin that a program wrote."""
_READ = 10_000
"""Keys that are read before the store is opened for them."""


def add(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the two actions."""
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
    add_source(importing)


def is_name(text: str) -> bool:
    """Whether a key may have this name."""
    return bool(text.strip()) and len(text) <= 128 and text.isprintable()


def _import(given: argparse.Namespace) -> int:
    where = place(given)
    # By a key's place, the line that it stands in: a million of them in 8 MB.
    places = array("Q")
    try:
        count = _add(where, _read(sys.stdin, places), skip_existing=given.skip_existing)
    except ValueError as error:
        index = getattr(error, "index", None)
        line = f"line {places[index]}: " if index is not None else ""
        print(f"nothing was imported: {line}{error}", file=sys.stderr)
        return 1
    if not places:
        print("nothing was imported: there were no keys on standard input", file=sys.stderr)
        return 1
    skipped = f" ({len(places) - count} were there already)" if count < len(places) else ""
    print(f"imported {count} key{'' if count == 1 else 's'} into {where.called}{skipped}, whose callers need a key from now on")
    return 0


def _add(where: Place, keys: Iterator[StoredKey], *, skip_existing: bool) -> int:
    # Who types them, or makes them slowly, keeps nobody else from writing meanwhile.
    first = list(islice(keys, _READ))
    if not first:
        return 0

    def add_all(tables: "Tables") -> int:
        from extproc.store.keys import Holder  # noqa: PLC0415 - slow to import, and needed by few commands

        holder = Holder(tables.organizations.default().id)
        return tables.keys.add_many(holder, chain(first, keys), skip_existing=skip_existing)

    return where.change(add_all)


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
    if not is_name(name):
        raise ValueError(f"line {line}: {NAME_RULE}")
    return StoredKey(name, bytes.fromhex(found[1]), tenant or name)


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
