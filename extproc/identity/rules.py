"""The limits that somebody has by his organization, team, key, ..., as rules that are counted."""

from collections import Counter
from collections.abc import Iterable

from extproc.identity.levels import Applied
from extproc.identity.settings import Limit
from extproc.limits.money import NANOS
from extproc.limits.rule import MOST, THRESHOLDS, Rule, name_of
from extproc.limits.window import UNDER_WAY, Window

_NOBODYS = ("gateway", "user")
"""Levels that are of no one organization: of a user who has several, each request has to find the same counter."""


def rules_of(applied: Iterable[Applied], organization: str) -> tuple[Rule, ...]:
    """A rule for each of these limits, in their order. `organization`: its id; its counters live together.

    A rule goes by the level at which it is counted and by what it counts, not by how much that may be: whoever is allowed more counts on.
    Of several limits of one level that count the same, each has counters of its own, by its place among them.
    """
    seen: Counter[str] = Counter()
    rules = []
    for one in applied:
        id = _id(one)
        seen[id] += 1
        rules.append(_rule(one.limit, f"{id} #{seen[id]}" if seen[id] > 1 else id, "" if one.kind in _NOBODYS else organization))
    return tuple(rules)


def _rule(limit: Limit, id: str, group: str) -> Rule:
    return Rule(
        id=id,
        unit=limit.unit,
        amount=min(MOST, int(limit.amount * NANOS) if limit.unit == "cost" else int(limit.amount)),
        window=_window(limit),
        per=limit.per,
        group=group,
        hard=limit.hard,
        thresholds=tuple(sorted(set(limit.thresholds))) or THRESHOLDS,
        on_outage=limit.on_outage,
    )


def _id(one: Applied) -> str:
    plan = f", plan {one.plan}" if one.plan else ""
    return f"{one.kind} {one.id}".rstrip() + f"{plan}: {name_of(one.limit.unit, _window(one.limit), one.limit.per)}"


def _window(limit: Limit) -> Window:
    if limit.unit == "concurrency":
        return UNDER_WAY
    if limit.seconds is not None:
        return Window("sliding", limit.seconds)
    assert limit.window is not None
    return Window(limit.window, zone=limit.zone if limit.window in ("day", "week", "month") else "UTC")
