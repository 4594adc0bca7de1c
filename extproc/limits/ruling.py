"""Rules that are in force: those of the configuration, and those of whoever calls; and what a request wants of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from extproc.config.limits import LimitPlan, LimitRule
from extproc.globs import regex
from extproc.identity.levels import EVERYTHING, Grant
from extproc.identity.rules import rules_of
from extproc.limits.rule import Rule, Unit, Values, Want
from extproc.values import Identity

_REMEMBERED = 4096
"""Grants whose rules are."""
_PLAIN: frozenset[Unit] = frozenset(("requests", "concurrency"))

Patterns = tuple[tuple[str, re.Pattern[str]], ...]


class Ruling(NamedTuple):
    """A rule, and which requests it is for."""

    rule: Rule
    label: str
    """What metrics call it: of these there are few, however many organizations and keys there are."""
    only: Patterns = ()

    def want(self, amounts: Mapping[Unit, int], values: Values) -> Want | None:
        """What a request wants of it; None: it is not about that one."""
        for name, pattern in self.only:
            try:
                if pattern.fullmatch(values[name]) is None:
                    return None
            except KeyError:
                return None
        return self.rule.want(amounts[self.rule.unit], values)


class Wish(NamedTuple):
    """What a request wants of one rule."""

    ruling: Ruling
    want: Want


class Rulings:
    """All that may be about a request."""

    def __init__(self, rulings: Iterable[Ruling]) -> None:
        self.all = tuple(rulings)
        self.measures = any(ruling.rule.unit not in _PLAIN for ruling in self.all)
        """What the request can use has to be estimated."""
        self.prices = any(ruling.rule.unit == "cost" for ruling in self.all)
        """And what that costs."""
        self.users = any("end_user" in (*ruling.rule.per, *(name for name, _ in ruling.only)) for ruling in self.all)
        """It has to be known for whom it is made."""

    def wishes(self, amounts: Mapping[Unit, int], values: Values) -> list[Wish]:
        """What a request wants."""
        found = ((ruling, ruling.want(amounts, values)) for ruling in self.all)
        return [Wish(ruling, want) for ruling, want in found if want is not None]


class InForce:
    """Those of a snapshot. What somebody's levels say is compiled once for all who have the same."""

    def __init__(self, rules: Iterable[LimitRule], plans: Mapping[str, LimitPlan]) -> None:
        self._own = tuple(compiled(rules, plans))
        self._usual = Rulings(self._own)
        self._known: dict[Grant, Rulings] = {}

    @property
    def leases(self) -> bool:
        """Some of the configuration's may be taken from leases."""
        return any(ruling.rule.leases for ruling in self._own)

    def find(self, identity: Identity) -> Rulings:
        """The rules for whoever calls."""
        grant = identity.grant
        if grant is EVERYTHING or not grant.limits:
            return self._usual
        found = self._known.get(grant)
        if found is None:
            organization = identity.owner.organization if identity.owner is not None else ""
            theirs = zip(grant.limits, rules_of(grant.limits, organization), strict=True)
            found = Rulings((*self._own, *(Ruling(rule, applied.kind) for applied, rule in theirs)))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[grant] = found
        return found


def compiled(rules: Iterable[LimitRule], plans: Mapping[str, LimitPlan]) -> Iterator[Ruling]:
    """The rules of the configuration."""
    for written in rules:
        rule = written.rule()
        yield Ruling(rule, rule.id, _patterns(written.only))
    for name, plan in plans.items():
        for written in plan.rules:
            rule = written.rule(name)
            yield Ruling(rule, rule.id, (*_patterns(plan.only), *_patterns(written.only)))


def _patterns(only: Mapping[str, tuple[str, ...]]) -> Patterns:
    return tuple((name, re.compile("|".join(map(regex, globs)) or "(?!)", re.DOTALL)) for name, globs in only.items())
