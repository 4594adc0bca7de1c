"""`headgate invoices`: what each organization owes for a month."""

import argparse
import sqlite3
import sys

import msgspec

from extproc.cli.common import add_source, state_folder
from extproc.control.pricing import book
from extproc.ledger.books import books_of
from extproc.ledger.invoice import csv, invoices, month_of, text
from extproc.ledger.usage_report import collect_leftovers, has_ledger


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("invoices", help="print a month's invoices, one for each organization, with all lines")
    add_source(parser)
    parser.add_argument("--month", required=True, metavar="YEAR-MONTH", help="such as 2026-11; a calendar month in UTC")
    parser.add_argument("--organization", metavar="ID", help="of this one alone")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints them."""
    state, config = state_folder(given, reading=True)
    try:
        month = month_of(given.month)
    except ValueError as error:
        print(f"--month: {error}", file=sys.stderr)
        return 2
    if not has_ledger(state):
        print(f"there is no ledger in {state}: it is no state folder that a gateway has run with (--state)", file=sys.stderr)
        return 2
    try:
        if config is not None:
            collect_leftovers(state, book(config, state))
        with books_of(state) as books:
            made = invoices(books, month, given.organization)
    except (OSError, sqlite3.Error) as error:
        print(f"the ledger in {state} cannot be read: {error}", file=sys.stderr)
        return 1
    if given.format == "json":
        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())
    elif given.format == "csv":
        print(csv(made), end="")
    else:
        print("\n".join(map(text, made)) or f"nothing was used in {given.month}\n", end="")
    return 0
