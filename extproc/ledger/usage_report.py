"""`headgate usage`: who used what, and what it cost, as a table for people and as JSON or CSV for programs."""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from extproc.identity.named import ids_in, in_words
from extproc.ledger.collector import Busy, Collector
from extproc.ledger.money import plain
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook
from extproc.ledger.report import Row, report
from extproc.ledger.reports import Books, Wanted
from extproc.ledger.reports import usage as summed
from extproc.ledger.spreadsheet import as_csv, cell
from extproc.ledger.store import Store

Form = Literal["table", "json", "csv"]
Names = Callable[[set[str]], Mapping[str, str]]
"""What people call whatever these ids are of, as far as that is known."""
_NUMBERS = (
    "requests",
    "errors",
    "partial",
    "cache_hits",
    "unpriced",
    "unmetered",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "images",
    "seconds",
    "characters",
    "searches",
)
_ALWAYS = frozenset({"requests", "errors", "input", "output"})
_MIRRORED = "    {} that mirrors were asked beside that: --mirrors\n"
_AGO = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def usage(
    state: Path,
    by: Sequence[str] = ("key", "model"),
    since: datetime | None = None,
    until: datetime | None = None,
    form: Form = "table",
    *,
    mirrors: bool = False,
    prices: PriceBook | None = None,
    access_log: Path | None = None,
    clusters: Mapping[str, str] | None = None,
    names: Names | None = None,
) -> str:
    """The report, ready to print. While the gateway runs it only reads; otherwise it collects first what workers left, if given `prices`.

    `mirrors`: of copies that mirrors were asked, which are in no other report.
    `access_log` and `clusters` are those of the collector that runs with the gateway. `names`: for the table, which people read.
    Raises ValueError for an unknown group; sqlite3.Error and OSError when the ledger cannot be read.
    """
    where = places(state)
    if prices is not None and state.is_dir():
        collect_leftovers(state, prices, access_log, clusters)
    if not where.database.exists():
        rows, total, copies = [], None, 0
    else:
        store = Store(where.database, read_only=True)
        try:
            # Both in one transaction: rows and total are of the same moment.
            store.db.execute("BEGIN")
            rows = report(store, by, since, until, mirrors=mirrors)
            total = report(store, (), since, until, mirrors=mirrors)[0]
            copies = 0 if mirrors else report(store, (), since, until, mirrors=True)[0].requests
        finally:
            store.close()
    shown = _shown(form, by, since, until, rows, total, names)
    return shown + (_MIRRORED.format(_requests(copies)) if copies and form == "table" else "")


def summed_usage(books: Books, wanted: Wanted, form: Form = "table", names: Names | None = None) -> str:
    """The same of sums, by whole days. Raises what the books raise."""
    rows, total = summed(books, wanted), summed(books, msgspec.structs.replace(wanted, by=()))
    return _shown(form, wanted.by, wanted.since, wanted.until, rows, total[0] if total else None, names)


def _shown(
    form: Form, by: Sequence[str], since: date | None, until: date | None, rows: list[Row], total: Row | None, names: Names | None
) -> str:
    if form == "json":
        return _json(by, since, until, rows, total)
    if form == "csv":
        return _csv(by, rows)
    ids = {id for row in rows for text in row.group.values() for id in ids_in(text)}
    return _table(by, rows, total, names(ids) if names is not None and ids else {})


def has_ledger(state: Path) -> bool:
    """Whether a gateway has had this state folder: there is a ledger, or what is to be collected into one."""
    where = places(state)
    return where.database.exists() or where.access_log.exists() or any(where.journal.glob("*.jsonl"))


def moment(text: str, now: datetime | None = None) -> datetime:
    """Read a point in time: `2026-11-01`, an RFC 3339 time, `now`, or how long ago: `30m`, `24h`, `7d`, `2w`. UTC unless it says otherwise.

    Raises ValueError.
    """
    now = now or datetime.now(UTC)
    if text == "now":
        return now
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is no time; write `2026-11-01`, `2026-11-01T12:00:00Z` or `24h`, `7d` (ago)") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def collect_leftovers(state: Path, prices: PriceBook, access_log: Path | None = None, clusters: Mapping[str, str] | None = None) -> None:
    """Collects what workers have left, unless the gateway runs, which does it itself."""
    try:
        collector = Collector(state, prices, access_log=access_log, clusters=clusters)
    except (Busy, PermissionError, sqlite3.OperationalError):
        # The gateway runs, or the ledger is not ours to write: what it holds is reported.
        return
    try:
        while collector.collect().more:
            pass
    finally:
        collector.close()


def _values(row: Row) -> dict[str, object]:
    """The row without its group, money as plain text."""
    values = msgspec.structs.asdict(row)
    del values["group"]
    return {**values, "cost": plain(row.cost), "price": plain(row.price)}


def _json(by: Sequence[str], since: date | None, until: date | None, rows: list[Row], total: Row | None) -> str:
    document = {
        "by": list(by),
        "since": since,
        "until": until,
        "currency": "USD",
        "rows": [row.group | _values(row) for row in rows],
        "total": {} if total is None else _values(total),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _csv(by: Sequence[str], rows: list[Row]) -> str:
    columns = [*by, *(name for name in Row.__struct_fields__ if name != "group")]
    return as_csv(columns, ({name: cell(text) for name, text in row.group.items()} | _values(row) for row in rows))


def _table(by: Sequence[str], rows: list[Row], total: Row | None, names: Mapping[str, str]) -> str:
    if total is None or not total.requests:
        return "no usage recorded\n"
    numbers = [name for name in _NUMBERS if name in _ALWAYS or getattr(total, name)]
    # All amounts with as many decimals as the finest needs, so that points align and nothing is rounded.
    charged = any(row.price != row.cost for row in [*rows, total])
    money = ("cost", "price") if charged else ("cost",)
    places_needed = max(2, *(len(plain(getattr(row, name)).partition(".")[2]) for row in [*rows, total] for name in money))
    lines = [[*by, *(name.replace("_", " ") for name in numbers), *["charged $"] * charged, "cost $"]]
    for row in [*rows, total]:
        group = (
            [_printable(in_words(row.group.get(name, ""), names)) or "-" for name in by]
            if row is not total
            else ["total", *[""] * (len(by) - 1)][: len(by)]
        )
        mark = "+?" if row.unpriced or row.unmetered else ""
        amounts = [f"{getattr(row, name):,.{places_needed}f}" for name in reversed(money)]
        lines.append([*group, *(_number(getattr(row, name)) for name in numbers), *amounts[:-1], amounts[-1] + mark])
    if not by:
        lines.pop()
    return _align(lines, len(by)) + _notes(total)


def _align(lines: list[list[str]], left: int) -> str:
    marked = any(line[-1].endswith("+?") for line in lines[1:])
    for line in lines:
        line[-1] += "" if line[-1].endswith("+?") or not marked else "  "
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    printed = [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    rule = "-" * max(len(line.rstrip()) for line in printed)
    body = [printed[0], rule, *printed[1:-1], rule, printed[-1]] if left and len(printed) > 2 else [printed[0], rule, *printed[1:]]
    return "\n".join(line.rstrip() for line in body) + "\n"


def _notes(total: Row) -> str:
    notes = [
        (total.unpriced, "+?  {} without a price are not in the cost: give their models one under `prices`"),
        (total.unmetered, "+?  {} carried no usage that can be read (files, audio, unknown paths) and are not in the cost"),
        (total.partial, "    {} broke off: counted with what was seen until then"),
        (total.estimated, "    {} with usage that is in part our estimate"),
        (total.cache_hits, f"    {{}} came from the cache and cost nothing; saved {total.saved_input + total.saved_output:,} tokens"),
    ]
    return "".join(f"{note.format(_requests(count))}\n" for count, note in notes if count)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,.2f}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _printable(text: str) -> str:
    """Callers choose their model names: no control characters reach a terminal, and no name pushes the numbers off the screen."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
