"""`headgate usage`: what was used, by whom, and what it cost."""

import argparse
import sqlite3
import sys
from datetime import UTC

from extproc.cli.books import add_books, warn_of_others, with_books
from extproc.cli.common import state_folder
from extproc.cli.place import place
from extproc.control.identities import Identities
from extproc.control.pricing import book
from extproc.envoy.names import cluster_name
from extproc.ledger import focus
from extproc.ledger.reports import FIRST, LAST, Books, Wanted
from extproc.ledger.reports import usage as rows
from extproc.ledger.usage_report import has_ledger, moment, summed_usage, usage


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("usage", help="print usage and cost by key, model, provider, day, ...")
    add_books(parser)
    groups = "columns to group by, separated by commas: key, tenant, model, provider, day, month, ... (default: %(default)s)"
    parser.add_argument("--by", default="key,model,provider,day", help=groups)
    parser.add_argument("--since", metavar="TIME", help="2026-11-01, an RFC 3339 time, or how long ago: 24h, 7d")
    parser.add_argument("--until", metavar="TIME", help="likewise; exclusive")
    parser.add_argument("--mirrors", action="store_true", help="what mirrors were asked, in place of what callers asked for")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", default="table", help="for programs")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="for spreadsheets")
    form.add_argument(
        "--format", dest="form", choices=("table", "json", "csv", "focus"), help="focus: FOCUS 1.2, for FinOps tools, by whole days"
    )
    parser.add_argument("--issuer", default="Headgate", help="who runs the gateway, as FOCUS names him (default: %(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints the report."""
    if given.form == "focus" or given.url is not None:
        return _summed(given)
    state, config = state_folder(given, reading=True)
    if not has_ledger(state):
        # A report makes nothing: the folder may be anybody's.
        print(f"there is no ledger in {state}: it is no state folder that a gateway has run with (--state)", file=sys.stderr)
        return 2
    warn_of_others(config)
    by = _groups(given)
    prices = book(config, state) if config is not None else None
    clusters = {cluster_name(name): name for name in config.providers} if config is not None else None
    try:
        since, until = (moment(text) if text else None for text in (given.since, given.until))
        told = usage(
            state, by, since, until, given.form,
            mirrors=given.mirrors, prices=prices, clusters=clusters, names=lambda ids: _names(given, ids),
        )  # fmt: skip
        print(told)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except (OSError, sqlite3.Error) as error:
        print(f"the ledger in {state} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


def _groups(given: argparse.Namespace) -> list[str]:
    return [name.strip() for name in given.by.split(",") if name.strip()]


def _names(given: argparse.Namespace, ids: set[str]) -> dict[str, str]:
    """What people call whatever has these ids, as far as the store can be asked."""
    where = place(given, reading=True)
    try:
        return {id: one.name for id, one in Identities(where.state, where.url).named(ids).items()}
    except OSError as error:
        print(f"names are left out: {error}", file=sys.stderr)
        return {}


def _summed(given: argparse.Namespace) -> int:
    """By whole days: what is told of sums."""
    try:
        since, until = (moment(text).astimezone(UTC).date() if text else None for text in (given.since, given.until))
        wanted = Wanted(
            by=focus.BY if given.form == "focus" else tuple(_groups(given)), since=since or FIRST, until=until or LAST,
            mirrors=given.mirrors,
        )  # fmt: skip
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2

    def tell(books: Books) -> None:
        if given.form == "focus":
            found = list(rows(books, wanted))
            ids = {row.group[name] for row in found for name in ("organization", "project", "team")} - {""}
            print(focus.csv(found, given.issuer, _names(given, ids)), end="")
        else:
            print(summed_usage(books, wanted, given.form, lambda ids: _names(given, ids)))

    return with_books(given, tell)
