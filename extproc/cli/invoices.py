"""`headgate invoices`: what each organization owes for a month."""

import argparse
import sys

import msgspec

from extproc.cli.books import add_books, with_books
from extproc.cli.place import place
from extproc.config.nearest import nearest
from extproc.ledger.invoice import Invoice, csv, invoices, month_of, text
from extproc.ledger.reports import Books, Wanted, usage


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describes the command."""
    parser = commands.add_parser("invoices", help="print a month's invoices, one for each organization, with all lines")
    add_books(parser)
    parser.add_argument("--month", required=True, metavar="YEAR-MONTH", help="such as 2026-11; a calendar month in UTC")
    parser.add_argument("--organization", metavar="NAME", help="of this one alone, by name or id")
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
        _print(invoices(books, month, _organization(books, given)), given)

    return with_books(given, tell, together=True)


def _organization(books: Books, given: argparse.Namespace) -> str | None:
    """The id that entries have of the one that is meant. Raises `SystemExit` where there is none: to owe nothing is something else."""
    said: str | None = given.organization
    if said is None:
        return None
    used = [row.group["organization"] for row in usage(books, Wanted(by=("organization",)))]
    if said in used:
        return said
    ids = _by_name(given)
    if said in ids or said in ids.values():
        return ids.get(said, said)
    near = nearest(said, [*ids, *filter(None, used)])
    hint = f"; did you mean {near!r}?" if near is not None else ""
    print(f"--organization: there is no organization {said!r}, and none has used anything under this id{hint}", file=sys.stderr)
    raise SystemExit(2)


def _by_name(given: argparse.Namespace) -> dict[str, str]:
    """The ids of organizations, those that are gone among them: these have their last invoice to come."""
    where = place(given, reading=True)
    return where.look(lambda tables: tables.organizations.ids()) if where.exists() else {}


def _print(made: list[Invoice], given: argparse.Namespace) -> None:
    if given.format == "json":
        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())
    elif given.format == "csv":
        print(csv(made), end="")
    else:
        whose = f" by {given.organization}" if given.organization is not None else ""
        print("\n".join(map(text, made)) or f"nothing was used{whose} in {given.month}\n", end="")
