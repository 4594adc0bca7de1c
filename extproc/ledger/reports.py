"""What the aggregates say: sums by day, month, team, key, model, ... of anybody, a page at a time. Days and months are UTC.

Of several tables of sums (`aggregates.GRAINS`) the smallest is read that can tell: whole months from one, the days before and after them
from another. So a year costs what twelve months cost, however many requests were in it.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from msgspec import Struct

from extproc.ledger.aggregates import DAYS, MONTHS, TOTALS, Grain
from extproc.ledger.report import Row, row_of
from extproc.ledger.store import Store
from extproc.ledger.sums import COUNTED, MEASURED, SQLITE, Dialect

GROUPS = {
    "organization": "organization",
    "project": "project",
    "team": "team",
    "user": "user_id",
    "service_account": "service_account",
    "tenant": "tenant",
    "key": "key",
    "key_id": "key_id",
    "cost_centre": "cost_centre",
    "tags": "tags",
    "provider": "provider",
    "model": "model",
    "target": "target",
    "outcome": "outcome",
}
"""What can be grouped by, and filtered, beside `day`, `month` and `tag:NAME`; and its column. Ids, but for the key and the tenant."""
TAG = "tag:"
_TIMES = ("day", "month")
FIRST, LAST = date(1970, 1, 1), date(9999, 12, 1)


class Books(Protocol):
    """Aggregates that can be asked."""

    @property
    def dialect(self) -> Dialect:
        """What they are asked in."""

    def rows(self, query: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Of a query with named parameters, in one moment of the books. Dates may be given and got."""


class LocalBooks:
    """Those of a state folder."""

    dialect = SQLITE

    def __init__(self, store: Store) -> None:
        self._store = store

    def rows(self, query: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """See `Books`."""
        plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}
        return self._store.db.execute(query, plain).fetchall()


class Wanted(Struct, frozen=True, kw_only=True):
    """What is asked of the books."""

    by: tuple[str, ...] = ()
    """What rows are told apart by; they come in its order. None: there is one row, the total, or none."""
    since: date = FIRST
    until: date = LAST
    """Exclusive."""
    where: Mapping[str, str] = {}
    """Values of groups, all of which have to be so."""
    mirrors: bool = False
    """Of copies that mirrors were asked, in place of what callers asked."""
    after: tuple[str, ...] = ()
    """The group of the last row that is known."""
    limit: int = 0
    """Most rows; 0: all."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for what cannot be asked."""
        for name in (*self.by, *self.where):
            if not (name in GROUPS or (name in _TIMES and name in self.by) or _is_tag(name)):
                known = ", ".join((*_TIMES, *GROUPS, f"{TAG}NAME"))
                raise ValueError(f"{name!r} is nothing that usage is told apart by; there are {known}")
        if not all(map(_is_text, self.where.values())):
            raise ValueError("no entry has this in its name")
        if len(set(self.by)) < len(self.by):
            raise ValueError("usage is told apart by one thing twice")
        if self.after and (len(self.after) != len(self.by) or not all(map(_is_place, self.by, self.after))):
            raise ValueError("this is no place in these rows")


def _is_place(name: str, value: str) -> bool:
    if name == "day":
        try:
            date.fromisoformat(value)
        except ValueError:
            return False
    return _is_text(value)


def _is_text(value: str) -> bool:
    # No entry has it, and PostgreSQL takes no text with it.
    return "\0" not in value


def _is_tag(name: str) -> bool:
    # SQLite's paths into JSON know no way to write a quotation mark (https://www.sqlite.org/json1.html#path_arguments).
    return name.startswith(TAG) and len(name) > len(TAG) and not set(name) & {'"', "\\", "\0"}


def usage(books: Books, wanted: Wanted) -> list[Row]:
    """The rows that are wanted, ordered by their groups."""
    query, values = query_of(books.dialect, wanted)
    named = [*COUNTED, *MEASURED]
    many = len(wanted.by)
    return [
        row_of(dict(zip(wanted.by, map(str, row), strict=False)), dict(zip(named, row[many:], strict=True)))
        for row in books.rows(query, values)
    ]


def query_of(dialect: Dialect, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """What a database is asked, and the values of its parameters."""
    values: dict[str, Any] = {"mirror": "yes" if wanted.mirrors else ""}
    groups = [_column(dialect, name, values) for name in wanted.by]
    filters = ["g.mirror = :mirror"]
    for number, (name, value) in enumerate(wanted.where.items()):
        filters.append(f"{_column(dialect, name, values)} = :where{number}")
        values[f"where{number}"] = value
    if wanted.after:
        after = []
        for number, (name, value) in enumerate(zip(wanted.by, wanted.after, strict=True)):
            values[f"after{number}"] = date.fromisoformat(value) if name == "day" else value
            after.append(f":after{number}")
        filters.append(f"({', '.join(groups)}) > ({', '.join(after)})")
    sums = [f"sum(u.{name})" for name in COUNTED] + [f"{dialect.total}(u.{name})" for name in MEASURED]
    query = (
        f"SELECT {', '.join([*groups, *sums])} FROM ({_source(wanted, values)}) u JOIN ledger_groups g ON g.id = u.group_id "
        f"WHERE {' AND '.join(filters)}"
    )
    if groups:
        ordinals = ", ".join(str(number + 1) for number in range(len(groups)))
        query += f" GROUP BY {ordinals} HAVING sum(u.requests) > 0 ORDER BY {ordinals}"
    else:
        query += " HAVING sum(u.requests) > 0"
    return (query + (f" LIMIT {wanted.limit}" if wanted.limit else "")), values


def _column(dialect: Dialect, name: str, values: dict[str, Any]) -> str:
    if name == "day":
        return "u.day"
    if name == "month":
        return dialect.day_of_month.format("u.day")
    if name in GROUPS:
        return f"g.{GROUPS[name]}"
    parameter = f"tag{sum(one.startswith('tag') for one in values)}"
    values[parameter] = name.removeprefix(TAG)
    return dialect.tag.format(parameter)


def _source(wanted: Wanted, values: dict[str, Any]) -> str:
    parts = []
    for number, (grain, since, until) in enumerate(_spans(wanted)):
        values[f"since{number}"], values[f"until{number}"] = since, until
        parts.append(f"SELECT * FROM {grain.table} WHERE day >= :since{number} AND day < :until{number}")
    return " UNION ALL ".join(parts)


def _spans(wanted: Wanted) -> list[tuple[Grain, date, date]]:
    """Which table tells of which days."""
    since, until = wanted.since, wanted.until
    if wanted.after and wanted.by[0] == "day":
        # A page costs what its own days cost, and not all those before it.
        since = max(since, date.fromisoformat(wanted.after[0]))
    # Nothing was used before or after; and beyond are days of which there is no next month.
    since, until = (min(max(day, FIRST), LAST) for day in (since, until))
    asked = {GROUPS.get(name, name) for name in (*wanted.by, *wanted.where)}
    fine = TOTALS if asked - set(_TIMES) <= TOTALS.dimensions else DAYS
    begin, end = _month_at_or_after(since), until.replace(day=1)
    if "day" in wanted.by or begin >= end:
        return [(fine, since, until)]
    spans = [(fine, since, begin), (MONTHS, begin, end), (fine, end, until)]
    return [span for span in spans if span[1] < span[2]]


def _month_at_or_after(day: date) -> date:
    if day.day == 1:
        return day
    return date(day.year + (day.month == 12), day.month % 12 + 1, 1)
