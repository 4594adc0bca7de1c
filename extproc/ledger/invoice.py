"""Month-end invoices: one for each organization, with a line for each key and model, which add up to the total.

A month is a calendar month in UTC, by when requests began. Lines are exact. The total is their exact sum, rounded once, half to even, to
the cent: so it differs from what is added up by no more than half a cent, and lines are never rounded one by one. What is charged is the
price, or the provider's cost where no adjustment says otherwise; requests without a price are counted and flagged.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby

from msgspec import Struct

from extproc.exact import EXACT
from extproc.ledger.money import add, plain
from extproc.ledger.report import Row
from extproc.ledger.reports import FIRST, LAST, Books, Wanted, usage
from extproc.ledger.spreadsheet import as_csv, cell

_CENT = Decimal("0.01")
_ROUNDING = EXACT.copy()
_ROUNDING.clear_traps()
"""As wide as sums are; here, and nowhere else, it may round."""
_BY = ("organization", "cost_centre", "project", "team", "key_id", "key", "provider", "model")


class Line(Struct, frozen=True, kw_only=True):
    """What one key used of one model."""

    cost_centre: str
    project: str
    team: str
    key_id: str
    key: str
    provider: str
    model: str
    requests: int
    unpriced: int
    """Of the requests, those that have no price, or whose usage cannot be read: they are not in the amount."""
    input: int
    output: int
    amount: str
    """US dollars, exact."""


class Invoice(Struct, frozen=True, kw_only=True):
    """What an organization owes for a month."""

    organization: str
    """Its id; empty for requests whose key belongs to nobody."""
    month: str
    """As `2026-11`, UTC."""
    currency: str
    lines: list[Line]
    exact: str
    """The sum of the lines."""
    total: str
    """The same, to the cent."""
    unpriced: int
    """Requests that are on it without a price."""


def month_of(text: str) -> date:
    """The first day of a month. Raises `ValueError`."""
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        found = LAST
    if not FIRST <= found < LAST:
        raise ValueError(f"{text!r} is no month, such as 2026-11")
    return found


def invoices(books: Books, month: date, organization: str | None = None) -> list[Invoice]:
    """Of all organizations that have used anything, or of one."""
    until = date(month.year + (month.month == 12), month.month % 12 + 1, 1)
    where = {} if organization is None else {"organization": organization}
    rows = usage(books, Wanted(by=_BY, since=month, until=until, where=where))
    return [_invoice(id, f"{month:%Y-%m}", list(own)) for id, own in groupby(rows, lambda row: row.group["organization"])]


def _invoice(organization: str, month: str, rows: Sequence[Row]) -> Invoice:
    exact = add(row.price for row in rows)
    return Invoice(
        organization=organization, month=month, currency="USD", lines=[_line(row) for row in rows], exact=plain(exact),
        total=str(exact.quantize(_CENT, ROUND_HALF_EVEN, _ROUNDING)), unpriced=sum(row.unpriced + row.unmetered for row in rows),
    )  # fmt: skip


def _line(row: Row) -> Line:
    group = {name: value for name, value in row.group.items() if name != "organization"}
    return Line(
        **group, requests=row.requests, unpriced=row.unpriced + row.unmetered, input=row.input, output=row.output, amount=plain(row.price)
    )


def csv(made: Iterable[Invoice]) -> str:
    """Their lines."""
    columns = ("month", "organization", *Line.__struct_fields__)
    return as_csv(columns, (_cells(invoice, line) for invoice in made for line in invoice.lines))


def _cells(invoice: Invoice, line: Line) -> Mapping[str, object]:
    values = {name: getattr(line, name) for name in Line.__struct_fields__}
    said = {name: cell(value) if isinstance(value, str) else value for name, value in values.items()}
    return {"month": invoice.month, "organization": invoice.organization, **said}


def text(invoice: Invoice) -> str:
    """One, for people."""
    heads = ("cost centre", "project", "team", "key", "provider", "model", "requests", "input", "output", "amount $")
    table = [heads, *(_shown(line) for line in invoice.lines)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    printed = [_aligned(row, widths) for row in table]
    rule = "-" * max(map(len, printed))
    notes = [f"sum of the lines: ${invoice.exact}", f"to be paid, rounded once to the cent: ${invoice.total}"]
    if invoice.unpriced:
        notes.append(f"{invoice.unpriced} requests have no price, or no usage that can be read, and are not in it (marked +?)")
    head = f"Invoice of {invoice.organization or 'requests of nobody'}, {invoice.month} (UTC), US dollars"
    return "\n".join([head, "", printed[0], rule, *printed[1:], rule, *notes]) + "\n"


def _shown(line: Line) -> tuple[str, ...]:
    names = (line.cost_centre, line.project, line.team, line.key or line.key_id, line.provider, line.model)
    amount = line.amount + ("+?" if line.unpriced else "")
    return (*(_printable(name) for name in names), f"{line.requests:,}", f"{line.input:,}", f"{line.output:,}", amount)


def _printable(name: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in name)[:60] or "-"


_TEXTS = 6


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (one.ljust(width) if at < _TEXTS else one.rjust(width) for at, (one, width) in enumerate(zip(row, widths, strict=True)))
    return "  ".join(cells).rstrip()
