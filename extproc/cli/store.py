"""`headgate store`: which version the store of identities has, and how it gets to the one that this program needs."""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from extproc.cli.common import add_source, resolved
from extproc.cli.place import place
from extproc.errors import headline

if TYPE_CHECKING:
    from extproc.store.database import Database


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("store", help="look at the store of organizations, teams, users and keys, and migrate it")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = actions.add_parser("status", help="say which version the store has, and whether this Headgate can work with it")
    status.set_defaults(run=_status)
    migrate = actions.add_parser("migrate", help="bring the store to the version of this Headgate; one that is running goes on meanwhile")
    migrate.set_defaults(run=_migrate)
    copy = actions.add_parser(
        "copy", help="take everything in the state folder's store over into an empty one elsewhere, ids and keys as they are"
    )
    copy.set_defaults(run=_copy)
    for action in (status, migrate, copy):
        add_source(action)
        where = "PostgreSQL, instead of what the configuration says: `env:NAME` or `file:PATH` of a URL such as postgresql://user:password@host/name"
        action.add_argument("--url", help=where)


def _status(given: argparse.Namespace) -> int:
    from extproc.store import schema  # noqa: PLC0415 - see _run

    def tell(database: "Database") -> int:
        found = schema.found(database)
        if not found.number:
            print(f"there is no store yet; this Headgate makes one of version {schema.VERSION}")
        else:
            print(f"version {found.number}, for Headgates that know version {found.oldest} or later; this one knows {schema.VERSION}")
        return 0 if found.usable else 1

    return _run(given, tell)


def _migrate(given: argparse.Namespace) -> int:
    from extproc.store import schema  # noqa: PLC0415 - see _run

    def bring(database: "Database") -> int:
        before, after = schema.migrate(database)
        print(f"the store is of version {after}" + (f", and was of version {before}" if before not in {0, after} else ""))
        return 0

    return _run(given, bring)


def _copy(given: argparse.Namespace) -> int:
    state = place(given, reading=True).state

    def take_over(target: "Database") -> int:
        from extproc.store import schema  # noqa: PLC0415 - see _run
        from extproc.store.database import Database, in_folder  # noqa: PLC0415 - see _run
        from extproc.store.transfer import Occupied, copy  # noqa: PLC0415 - see _run

        with closing(Database(in_folder(state))) as source:
            if not source.there():
                print(f"there is no store in {state} (--state)", file=sys.stderr)
                return 2
            if target.url == source.url:
                print("where to? set `store: {url: ...}` in the configuration, or say --url", file=sys.stderr)
                return 2
            try:
                schema.ensure(target)
                schema.ensure(source)
                counts = copy(source, target)
            except (schema.Unusable, Occupied) as error:
                print(f"nothing is copied: {error}", file=sys.stderr)
                return 1
        print("copied: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count))
        return 0

    return _run(given, take_over)


def _run(given: argparse.Namespace, what: "Callable[[Database], int]") -> int:
    """Does something with the database that is meant; what goes wrong is told without a trace."""
    # Slow to import, for a command that few need.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from extproc.store.database import Database, in_folder, url_of  # noqa: PLC0415

    try:
        where = place(given)
        url = resolved(given.url) if given.url is not None else where.url
        database = Database(url_of(url) if url else in_folder(where.state))
        with closing(database):
            return what(database)
    except ValueError as error:
        print(f"--url: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, OSError) as error:
        print(f"the store cannot be used: {headline(error)}", file=sys.stderr)
        return 1
