"""What the ledger adds up to, by whatever its entries have: exact sums, a row a group."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from extproc.ledger.store import Store
from extproc.ledger.sums import COUNTED, MEASURED, SQLITE

GROUPS = {
    "key": "key",
    "tenant": "tenant",
    "model": "model",
    "route": "route",
    "provider": "provider",
    "provider_key": "provider_key",
    "target": "target",
    "answered": "CASE WHEN answered = '' THEN target ELSE answered END",
    "dialect": "dialect",
    "path": "path",
    "tier": "tier",
    "outcome": "outcome",
    "status": "CAST(status AS TEXT)",
    "witness": "witness",
    "organization": "organization",
    "project": "project",
    "team": "team",
    "user": "user_id",
    "service_account": "service_account",
    "key_id": "key_id",
    "end_user": "end_user",
    "tags": "tags",
    "cost_centre": "cost_centre",
    "day": "strftime('%Y-%m-%d', time, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00Z', time, 'unixepoch')",
    "month": "strftime('%Y-%m', time, 'unixepoch')",
}
"""What can be grouped by. `model` is what the caller asked for, `route` the configured name or pattern that matched. Days are UTC."""


class Row(Struct, kw_only=True):
    """One group's sums."""

    group: dict[str, str]
    requests: int
    errors: int
    """Ended with a provider's error, in mid-answer, or with our worker."""
    partial: int
    """Of the requests, those that broke off, so that their tokens are what was seen until then."""
    estimated: int
    cache_hits: int
    unpriced: int
    """Of the requests, those whose model has no price: `cost` is without them."""
    unmetered: int
    """Of the requests, those whose usage cannot be read (files, unknown paths): `cost` is without them."""
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    input_audio: int
    output_audio: int
    input_image: int
    output_image: int
    images: float
    """Images made."""
    seconds: float
    """Of audio heard."""
    characters: float
    """Of text spoken."""
    searches: float
    """Rankings, as their provider counts them."""
    saved_input: int
    """Tokens that cache hits did not buy again."""
    saved_output: int
    cost: Decimal
    """What providers charge: US dollars, exact."""
    price: Decimal
    """What tenants are charged, with margins and discounts; copies for mirrors are charged to nobody."""


_UNITS = frozenset({"images", "seconds", "characters", "searches"})


def row_of(group: dict[str, str], sums: Mapping[str, Any]) -> Row:
    """A row, of what the database says that the sums are."""
    values: dict[str, Any] = {name: int(sums[name]) for name in COUNTED}
    values |= {name: float(sums[name]) if name in _UNITS else Decimal(sums[name]) for name in MEASURED}
    return Row(group=group, **values)


_OTHERWISE = {
    "mirror_of": "''", "tier": "''", "input_image": "0", "output_image": "0", "price": "NULL",
    **dict.fromkeys(
        ("organization", "project", "team", "user_id", "service_account", "key_id", "end_user", "tags", "cost_centre"), "''"
    ),
}  # fmt: skip
"""Columns that earlier releases did not have, and what they say of all that these have entered."""


def _entries(store: Store) -> str:
    """The entries. A ledger that is only read may be that of an earlier release, which runs."""
    known = {name for (name,) in store.db.execute("SELECT name FROM pragma_table_info('entries')")}
    lacking = [f"{value} AS {name}" for name, value in _OTHERWISE.items() if name not in known]
    return f"(SELECT *, {', '.join(lacking)} FROM entries)" if lacking else "entries"


def _which(*, mirrors: bool) -> str:
    return "mirror_of <> ''" if mirrors else "mirror_of = ''"


def report(
    store: Store, by: Sequence[str] = (), since: datetime | None = None, until: datetime | None = None, *, mirrors: bool = False
) -> list[Row]:
    """Sums by group, ordered by group, of requests that began from `since` on and before `until`. Raises ValueError for an unknown group.

    `by` empty: one row, the total. The datetimes are aware. `mirrors`: of copies that mirrors were asked, in place of what callers asked.
    """
    unknown = [name for name in by if name not in GROUPS]
    if unknown:
        raise ValueError(f"cannot group by {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    groups = [GROUPS[name] for name in by]
    ordinals = ", ".join(str(number + 1) for number in range(len(groups)))
    where = f"time >= ? AND time < ? AND {_which(mirrors=mirrors)}"
    sums = SQLITE.sums()
    query = f"SELECT {', '.join([*groups, *sums.values()])} FROM {_entries(store)} WHERE {where}" + (
        f" GROUP BY {ordinals} ORDER BY {ordinals}" if groups else ""
    )
    bounds = (since.timestamp() if since else float("-inf"), until.timestamp() if until else float("inf"))
    return [
        row_of(dict(zip(by, row, strict=False)), dict(zip(sums, row[len(groups) :], strict=True)))
        for row in store.db.execute(query, bounds)
    ]
