"""Rewrites headers by rule: for all models or some of them, what the provider is sent and what the client gets.

That no credential reaches anybody whom it was not meant for needs no rule: the engine sees to it, with or without this filter.
Rules for one provider stand with that provider (`providers.NAME.headers`), since who answers is known only once somebody does.
"""

from fnmatch import fnmatchcase

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

    rules: tuple[Rule, ...] = ()
    """Applied in order: a later rule changes what an earlier one set."""

    def open(self, environment: Environment) -> Handler:
        """See `Filter.open`."""
        return _Headers(self.rules)


class _Headers:
    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        # By configured model, of which there are only so many.
        self._compiled: dict[str, tuple[dict[str, str | None], dict[str, str | None]]] = {}

    async def request(self, request: Request) -> Tap | None:
        if not self._rules:
            return None
        route = request.record.route
        edits = self._compiled.get(route)
        if edits is None:
            edits = self._compiled[route] = self._compile(route)
        request.set_headers.update(edits[0])
        return _Edits(edits[1]) if edits[1] else None

    def _compile(self, route: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
        to_provider: dict[str, str | None] = {}
        to_client: dict[str, str | None] = {}
        for rule in self._rules:
            if rule.models and not any(route == model or fnmatchcase(route, model) for model in rule.models):
                continue
            for edits, into in ((rule.request, to_provider), (rule.response, to_client)):
                into.update(dict.fromkeys(map(str.lower, edits.remove)))
                into.update({name.lower(): value for name, value in edits.set.items()})
        return to_provider, to_client


class _Edits(Tap):
    passes = True

    def __init__(self, edits: dict[str, str | None]) -> None:
        self._edits = edits

    def start(self, response: Response) -> None:
        response.headers.update(self._edits)
