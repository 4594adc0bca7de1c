"""Rewrites headers by rule: for all models or some of them, what the provider is sent and what the client gets.

That no credential reaches anybody whom it was not meant for needs no rule: the engine sees to it, with or without this filter.
Rules for one provider stand with that provider (`providers.NAME.headers`), since who answers is known only once somebody does.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import ClassVar

from msgspec import Struct

from extproc import Environment, Filter, Handler, HeaderEdits, Request, Response, Tap


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change, and for which models."""

    models: tuple[str, ...] = ()
    """Configured model names or patterns that the rule is for; all of them unless given."""
    request: HeaderEdits = HeaderEdits()
    """Changes to what the provider is sent."""
    response: HeaderEdits = HeaderEdits()
    """Changes to what the client gets."""


class Headers(Filter, frozen=True, kw_only=True):
    """Sets and removes headers of requests and responses."""

    mirrored: ClassVar[bool] = True
    rules: tuple[Rule, ...] = ()
    """Applied in order: a later rule changes what an earlier one set."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Headers(self.rules, ["", *(model.name for model in environment.config.models)]) if self.rules else _Nothing()


Edits = dict[str, str | None]


class _Nothing:
    async def request(self, request: Request) -> None:
        """No rules."""


class _Headers:
    def __init__(self, rules: tuple[Rule, ...], routes: Iterable[str]) -> None:
        """`routes`: the configured models; an empty name for requests that name none."""
        self._rules = rules
        # Models that the same rules are for share what is made of these: rules are few, models may be many.
        self._made: dict[tuple[int, ...], tuple[Edits, Edits]] = {}
        self._edits = {route: self._compile(route) for route in routes}

    async def request(self, request: Request) -> Tap | None:
        route = request.record.route
        # Somebody else's filter may route to names that are not configured.
        to_provider, to_client = self._edits.get(route) or self._compile(route)
        request.set_headers.update(to_provider)
        return _Edits(to_client) if to_client else None

    def _compile(self, route: str) -> tuple[Edits, Edits]:
        applying = tuple(at for at, rule in enumerate(self._rules) if _is_for(rule, route))
        if applying not in self._made:
            rules = [self._rules[at] for at in applying]
            self._made[applying] = _merged(rule.request for rule in rules), _merged(rule.response for rule in rules)
        return self._made[applying]


def _is_for(rule: Rule, route: str) -> bool:
    return not rule.models or any(route == model or fnmatchcase(route, model) for model in rule.models)


def _merged(edits: Iterable[HeaderEdits]) -> Edits:
    merged: Edits = {}
    for one in edits:
        merged.update(dict.fromkeys(map(str.lower, one.remove)))
        merged.update({name.lower(): value for name, value in one.set.items()})
    return merged


class _Edits(Tap):
    passes = True

    def __init__(self, edits: Edits) -> None:
        self._edits = edits

    def start(self, response: Response) -> None:
        response.headers.update(self._edits)
