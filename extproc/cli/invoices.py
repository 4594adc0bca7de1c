"""`headgate invoices`: what each organization owes for a month."""

import argparse
import sys

import msgspec

from extproc.cli.books import add_books, with_books
from extproc.ledger.invoice import Invoice, csv, invoices, month_of, text
from extproc.ledger.reports import Books


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("invoices", help="print a month's invoices, one for each organization, with all lines")
    add_books(parser)
    parser.add_argument("--month", required=True, metavar="YEAR-MONTH", help="such as 2026-11; a calendar month in UTC")
    parser.add_argument("--organization", metavar="ID", help="of this one alone")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="(default: %(default)s)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints them."""
    try:
        month = month_of(given.month)
    except ValueError as error:
        print(f"--month: {error}", file=sys.stderr)
        return 2

    def tell(books: Books) -> None:
        _print(invoices(books, month, given.organization), given)

    return with_books(given, tell)


def _print(made: list[Invoice], given: argparse.Namespace) -> None:
    if given.format == "json":
        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())
    elif given.format == "csv":
        print(csv(made), end="")
    else:
        print("\n".join(map(text, made)) or f"nothing was used in {given.month}\n", end="")
