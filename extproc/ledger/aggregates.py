"""Aggregates: the sums of entries that are alike in everything that reports ask for, by day and by month, kept as entries come and go.

A group is a combination of `DIMENSIONS` that has occurred. What is added to the ledger is folded into its group's row in the transaction
that enters it; what is replaced is taken out first. So at any moment the aggregates are the sums of all entries that there have ever been,
also of those that have been cleared away since.

Callers make up names of models. Where no answer came, the model is therefore the route that matched, and there are as many groups as
somebody has configured or bought, not as many as somebody can think of.
"""

from collections.abc import Iterator

from msgspec import Struct

from extproc.ledger.sums import COUNTED, MEASURED, Dialect

_ANSWERED = "CASE WHEN cache = 'hit' OR status BETWEEN 200 AND 299 THEN {} ELSE {} END"
DIMENSIONS = {
    "organization": "organization",
    "project": "project",
    "team": "team",
    "user_id": "user_id",
    "service_account": "service_account",
    "tenant": "tenant",
    "key_id": "key_id",
    "key": "key",
    "cost_centre": "cost_centre",
    "tags": "tags",
    "provider": "provider",
    "model": _ANSWERED.format("model", "route"),
    "target": _ANSWERED.format("target", "''"),
    "outcome": "outcome",
    "mirror": "CASE mirror_of WHEN '' THEN '' ELSE 'yes' END",
}
"""What is kept apart, and what of an entry says it."""


class Grain(Struct, frozen=True):
    """A table of sums."""

    table: str
    monthly: bool
    dimensions: frozenset[str]
    """What it keeps apart; in its groups the others are empty."""

    def start(self, dialect: Dialect) -> str:
        """The first day of what an entry is added to."""
        return dialect.month if self.monthly else dialect.day


DAYS = Grain("ledger_days", False, frozenset(DIMENSIONS))
MONTHS = Grain("ledger_months", True, frozenset(DIMENSIONS))
TOTALS = Grain("ledger_totals", False, frozenset({"organization", "provider", "model", "outcome", "mirror"}))
"""For what is asked of everybody together, day by day: without keys there is little of it."""
GRAINS = (DAYS, MONTHS, TOTALS)


def fold(dialect: Dialect, source: str, *, out: bool = False) -> Iterator[str]:
    """What adds the entries of `source`, a table or a query, to the aggregates; `out`: what takes them out again. To be run in order."""
    for grain in GRAINS:
        yield _name_groups(grain, dialect, source)
        yield _add_up(grain, dialect, source, out=out)


def _told(grain: Grain, dialect: Dialect) -> list[str]:
    return [f"{how if name in grain.dimensions else _NOTHING} AS {name}" for name, how in DIMENSIONS.items()]


_NOTHING = "''"


def _digest(dialect: Dialect) -> str:
    return dialect.digest.format(f" || {dialect.between} || ".join(DIMENSIONS))


def _name_groups(grain: Grain, dialect: Dialect, source: str) -> str:
    names = ", ".join(DIMENSIONS)
    return (
        f"WITH told AS (SELECT DISTINCT {', '.join(_told(grain, dialect))} FROM {source} AS entry) "
        f"INSERT INTO ledger_groups (digest, {names}) SELECT {_digest(dialect)}, {names} FROM told WHERE true ON CONFLICT DO NOTHING"
    )


def _add_up(grain: Grain, dialect: Dialect, source: str, *, out: bool) -> str:
    sums = dialect.sums()
    parts = [f"{grain.start(dialect)} AS day", *_told(grain, dialect), *(f"{how} AS sum_{name}" for name, how in sums.items())]
    ordinals = ", ".join(str(number + 1) for number in range(1 + len(DIMENSIONS)))
    table, sign, change = grain.table, "-" if out else "+", dialect.minus if out else dialect.plus
    changes = [f"{name} = {table}.{name} {sign} excluded.{name}" for name in COUNTED]
    changes += [f"{name} = {change.format(f'{table}.{name}', f'excluded.{name}')}" for name in MEASURED]
    return (
        f"WITH told AS (SELECT {', '.join(parts)} FROM {source} AS entry GROUP BY {ordinals}) "
        f"INSERT INTO {table} (group_id, day, {', '.join(sums)}) "
        f"SELECT g.id, told.day, {', '.join(f'told.sum_{name}' for name in sums)} "
        f"FROM (SELECT told.*, {_digest(dialect)} AS named FROM told) told JOIN ledger_groups g ON g.digest = told.named WHERE true "
        f"ORDER BY 1, 2 ON CONFLICT (group_id, day) DO UPDATE SET {', '.join(changes)}"
    )
