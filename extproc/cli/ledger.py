"""`headgate ledger`: the ledger that several machines share: which version it has, and how it gets to the one that this program needs."""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from extproc.cli.books import ledger_url, told
from extproc.cli.common import add_source, resolved

if TYPE_CHECKING:
    from extproc.ledger.central import Central

_WHERE = "PostgreSQL, instead of what the configuration says: `env:NAME` or `file:PATH` of postgresql://user:password@host/name"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("ledger", help="look at the ledger in PostgreSQL that several machines share, and migrate it")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = actions.add_parser("status", help="say which version it has, how much is in it, and whether this Headgate can work with it")
    status.set_defaults(run=_status)
    migrate = actions.add_parser("migrate", help="bring it to the version of this Headgate; gateways go on meanwhile")
    migrate.set_defaults(run=_migrate)
    for action in (status, migrate):
        add_source(action)
        action.add_argument("--url", help=_WHERE)


def _status(given: argparse.Namespace) -> int:
    from extproc.ledger.central import VERSIONS  # noqa: PLC0415 - see _run

    def tell(central: "Central") -> int:
        found = VERSIONS.found(central.database)
        if not found.number:
            print("there are no tables yet: headgate ledger migrate")
            return 1
        print(f"version {found.number}, for Headgates that know version {found.oldest} or later; this one knows {found.known}")
        first, last, days = central.rows("SELECT min(day), max(day), count(DISTINCT day) FROM ledger_totals WHERE requests > 0", {})[0]
        print(f"entries of {days} days, from {first} to {last}" if days else "no entries yet")
        return 0 if found.usable else 1

    return _run(given, tell)


def _migrate(given: argparse.Namespace) -> int:
    from extproc.ledger.central import VERSIONS  # noqa: PLC0415 - see _run

    def bring(central: "Central") -> int:
        before, after = VERSIONS.migrate(central.database)
        print(f"the ledger is of version {after}" + (f", and was of version {before}" if before not in {0, after} else ""))
        return 0

    return _run(given, bring)


def _run(given: argparse.Namespace, what: "Callable[[Central], int]") -> int:
    """Does something with the ledger that is meant."""
    from extproc.ledger.central import Central  # noqa: PLC0415 - slow to import, for a command that few need

    said, url = ("--url", given.url) if given.url is not None else ("$.ledger.url", ledger_url(given))
    if not url:
        print("no ledger is shared: name it with --url, or as `ledger.url` in the configuration", file=sys.stderr)
        return 2

    def use() -> int:
        with closing(Central(resolved(url))) as central:
            return what(central)

    return told(said, use)
