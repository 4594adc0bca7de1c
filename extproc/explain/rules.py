"""Rules of limits and budgets that look at a request: what it would reserve of each, or why that one is not about it."""

from collections.abc import Iterator
from typing import Any

from extproc.explain.explanation import Rule
from extproc.explain.passage import Passage
from extproc.limits.asking import Asking
from extproc.limits.money import plain_dollars
from extproc.limits.rule import Unit, rule_of
from extproc.limits.ruling import InForce, Ruling

_UNITS: dict[Unit, str] = {"cost": "USD", "concurrency": "at once"}


def rules(passage: Passage, settings: Any) -> list[Rule]:
    """All of them. `settings`: the filter's own."""
    wanted = {rule_of(want.counter): want for want in passage.notebook.wants}
    found: list[Rule] = []
    asking = Asking(passage.request)
    for ruling in InForce(settings.rules, settings.plans).find(passage.request.identity).all:
        unit, want = ruling.rule.unit, wanted.get(ruling.rule.id)
        if want is None:
            found.append(Rule(ruling.rule.id, why="; ".join(_lacks(ruling, asking)) or "the request did not come so far"))
        else:
            wants = f"{_count(want.amount, unit)} of {_count(want.terms.most, unit)} {_UNITS.get(unit, unit.replace('_', ' '))}"
            found.append(Rule(ruling.rule.id, want.counter, wants if want.terms.hard else f"{wants}, which refuses nobody"))
    return found


def _lacks(ruling: Ruling, asking: Asking) -> Iterator[str]:
    for name, pattern in ruling.only:
        value = _value(asking, name)
        if value is None or pattern.fullmatch(value) is None:
            yield f"`only`: {f'{name} is {value}' if value else f'the request has no {name}'}"
    for name in ruling.rule.per:
        if _value(asking, name) is None:
            yield f"`per`: the request has no {name}"


def _value(asking: Asking, name: str) -> str | None:
    try:
        return asking[name]
    except KeyError:
        return None


def _count(amount: int, unit: Unit) -> str:
    return plain_dollars(amount) if unit == "cost" else str(amount)
