"""What commands share that report from sums: whose books they are, and what can go wrong with them."""

import argparse
import sqlite3
import sys
from collections.abc import Callable

from extproc.cli.common import add_source, resolved, state_folder
from extproc.config.model import Config
from extproc.control.pricing import book
from extproc.envoy.names import cluster_name
from extproc.errors import headline
from extproc.ledger.books import books_of, central_books
from extproc.ledger.reports import Books
from extproc.ledger.usage_report import collect_leftovers, has_ledger


def add_books(parser: argparse.ArgumentParser) -> None:
    """The arguments that name the books."""
    add_source(parser)
    where = "PostgreSQL, where several machines share a ledger: `env:NAME` or `file:PATH` of postgresql://user:password@host/name"
    parser.add_argument("--url", help=where)


def with_books(given: argparse.Namespace, what: Callable[[Books], None], *, together: bool = False) -> int:
    """Does something with the books that are meant; the exit code. `together`: where machines share a ledger, it is what is asked, also
    where only the configuration names it.
    """
    if given.url is not None:
        return _shared(given.url, what)
    if together and (url := ledger_url(given)):
        return _shared(url, what, "$.ledger.url")
    return _local(given, what)


def ledger_url(given: argparse.Namespace) -> str:
    """Of the ledger that the configuration names; empty where it names none. Raises `SystemExit` as `state_folder` does."""
    _, config = state_folder(given, reading=True)
    return config.ledger.url if config is not None and config.ledger is not None else ""


def warn_of_others(config: Config | None) -> None:
    """Says so where a ledger of several machines is configured and this machine's alone is read."""
    if config is not None and config.ledger is not None:
        print("this is of this machine alone, and of what stays here (`ledger.keep`); others have `ledger.url`, too", file=sys.stderr)


def _local(given: argparse.Namespace, what: Callable[[Books], None]) -> int:
    state, config = state_folder(given, reading=True)
    if not has_ledger(state):
        print(f"there is no ledger in {state}: it is no state folder that a gateway has run with (--state)", file=sys.stderr)
        return 2
    warn_of_others(config)
    try:
        if config is not None:
            collect_leftovers(state, book(config, state), clusters={cluster_name(name): name for name in config.providers})
        with books_of(state) as books:
            what(books)
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.Error) as error:
        print(f"the ledger in {state} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


def _shared(url: str, what: Callable[[Books], None], said: str = "--url") -> int:
    def read() -> int:
        with central_books(resolved(url)) as books:
            what(books)
        return 0

    return told(said, read)


def told(said: str, what: Callable[[], int]) -> int:
    """Does something with a shared ledger, whose URL stands at `said`; what goes wrong with it is told without a trace."""
    # Slow to import, for what few need.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        return what()
    except ValueError as error:
        print(f"{said}: {error}", file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"the ledger cannot be used: {headline(error)}", file=sys.stderr)
        return 1
