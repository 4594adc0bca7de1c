"""`headgate reconcile`: the ledger beside what a provider says that was used, or charged."""

import argparse
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from extproc.cli.books import warn_of_others
from extproc.cli.common import DEFAULT, fault, state_folder
from extproc.ledger.places import places
from extproc.ledger.store import Store
from extproc.reconcile import ledger
from extproc.reconcile.compare import Compared, compare
from extproc.reconcile.export import FORMATS, Export, read
from extproc.reconcile.printed import as_csv, as_json, as_table
from extproc.reconcile.reasons import explained
from extproc.reconcile.row import Malformed

if TYPE_CHECKING:
    from extproc.config.model import Config

_EQUAL, _DIFFERENT, _UNREADABLE = 0, 1, 2
_HOSTS = {"openai": ("openai.com",), "anthropic": ("anthropic.com", "claude.com"), "bedrock": ("amazonaws.com",)}
"""Whose exports are about whose addresses."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("reconcile", help="compare the ledger with a provider's invoice or usage export")
    parser.description = "Exit code 0: they agree; 1: they do not, and each difference is named; 2: something cannot be read."
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="exports of providers: CSV, or pages of an API as JSON")
    parser.add_argument("--as", dest="format", choices=[one.name for one in FORMATS], help="what the files are, where they do not tell")
    parser.add_argument("--provider", action="append", default=[], metavar="NAME", help="whose entries: as it is configured; several times")
    parser.add_argument("--from", dest="first", metavar="DAY", type=_day, help="2026-11-01, UTC; the files' first day unless given")
    parser.add_argument("--to", dest="after", metavar="DAY", type=_day, help="likewise; exclusive; the day after their last unless given")
    parser.add_argument("--same", action="append", default=[], metavar="THEIRS=OURS", type=_pair, help="a model's name there and here")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", default="table", help="for programs")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="for spreadsheets: a line a difference")
    # Not `config`: that one is taken from what stands alone, and all of that is files here.
    parser.add_argument("--config", dest="configuration", type=Path, metavar="FILE", help=f"configuration file; {DEFAULT} unless given")
    parser.add_argument("--state", type=Path, help="state folder (ledger) instead of the one that the configuration names")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compares, and prints what differs."""
    try:
        exports = read(given.files, given.format)
    except (Malformed, OSError) as error:
        print(fault(error), file=sys.stderr)
        return _UNREADABLE
    given.config = given.configuration
    state, config = state_folder(given, reading=True)
    database = places(state).database
    if not database.exists():
        print(f"there is no ledger in {state}: it is no state folder that a gateway has run with (--state)", file=sys.stderr)
        return _UNREADABLE
    warn_of_others(config)
    try:
        with closing(Store(database, read_only=True)) as store:
            known = ledger.providers(store)
            if unknown := [name for name in given.provider if name not in known]:
                print(f"no entry of the ledger names the provider {unknown[0]!r}; it has: {', '.join(known) or 'none'}", file=sys.stderr)
                return _UNREADABLE
            found = [_beside(export, store, given, config) for export in exports]
    except sqlite3.Error as error:
        print(f"the ledger in {state} cannot be read: {error}", file=sys.stderr)
        return _UNREADABLE
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return _UNREADABLE
    print({"csv": as_csv, "json": as_json, "table": as_table}[given.form](found), end="")
    return _DIFFERENT if any(one.differences for one, _ in found) else _EQUAL


def _beside(export: Export, store: Store, given: argparse.Namespace, config: "Config | None") -> tuple[Compared, list[str]]:
    """What came of it, and whose entries it was compared with. Raises `LookupError` where it cannot be told what to compare."""
    first: date | None = given.first or export.first
    after: date | None = given.after or (export.last + timedelta(days=1) if export.last else None)
    if first is None or after is None or first >= after:
        raise LookupError(f"{export.format.name}: there is no day to be compared: give --from and --to")
    providers = given.provider or _providers(export.format.vendor, ledger.providers(store), config)
    if not providers:
        raise LookupError(f"{export.format.name}: which provider is it of? --provider NAME, as it is configured")
    days = ledger.read(store, providers, first, after)
    return explained(compare(export, days, first, after, dict(given.same))), providers


def _providers(vendor: str, known: Iterable[str], config: "Config | None") -> list[str]:
    """Those of the ledger at the address of whom an export is from; without a configuration that says so, of its name."""
    hosts = _HOSTS[vendor]
    configured = config.providers if config is not None else {}

    def is_theirs(name: str) -> bool:
        if name in configured:
            host = urlsplit(configured[name].base_url).hostname or ""
            return host in hosts or host.endswith(tuple(f".{one}" for one in hosts))
        return name == vendor

    return [name for name in known if is_theirs(name)]


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-11-01") from None


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"{text!r} should be THEIRS=OURS")
    return theirs, ours
