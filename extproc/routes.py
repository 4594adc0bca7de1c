"""From the name of a model to its targets, in time that does not grow with the number of models."""

import difflib
import re
from bisect import bisect
from collections.abc import Iterable

from msgspec import Struct

from extproc.config.model import Model
from extproc.values import Target

_GLOBS_REMEMBERED = 4096
_NEAR_AMONG = 256


class Route(Struct, frozen=True):
    """A configured model."""

    name: str
    """Its configured name; a pattern, perhaps."""
    targets: tuple[Target, ...]
    """A target without a model keeps the name that was asked for."""

    def resolve(self, asked: str) -> tuple[Target, ...]:
        """The targets for the name that a caller used."""
        return tuple(target if target.model else Target(target.provider, asked) for target in self.targets)


def _target(text: str) -> Target:
    provider, _, model = text.partition("/")
    return Target(provider, model)


class Routes:
    """All configured models. Exact names and aliases win over patterns, longer patterns over shorter ones."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._exact: dict[str, Route] = {}
        self._prefixes: dict[str, Route] = {}
        globs: list[tuple[str, Route]] = []
        for model in models:
            route = Route(model.name, tuple(map(_target, model.targets)))
            if "*" not in model.name:
                self._exact[model.name] = route
            elif model.name.index("*") == len(model.name) - 1:
                self._prefixes[model.name[:-1]] = route
            else:
                globs.append((model.name, route))
            for alias in model.aliases:
                # The alias asks for the model's own name, so a target that keeps the name gets that.
                self._exact[alias] = Route(model.name, route.resolve(model.name)) if "*" not in model.name else route
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        globs.sort(key=lambda pair: -len(pair[0]))
        self._globs = [(re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL), route) for name, route in globs]
        self._known = sorted([*self._exact, *(f"{prefix}*" for prefix in self._prefixes)])
        self._remembered: dict[str, Route | None] = {}

    def find(self, name: str) -> Route | None:
        """The model that `name` means, or None."""
        if (route := self._exact.get(name)) is not None:
            return route
        glob = self._glob(name) if self._globs else None
        for length in self._lengths:
            if (route := self._prefixes.get(name[:length])) is not None and len(name) >= length:
                return route if glob is None or len(glob.name) <= length + 1 else glob
        return glob

    def _glob(self, name: str) -> Route | None:
        # Patterns with a star inside are few; what they gave is remembered, up to a bound that a hostile caller cannot exceed.
        if name in self._remembered:
            return self._remembered[name]
        found = next((route for pattern, route in self._globs if pattern.fullmatch(name)), None)
        if len(self._remembered) >= _GLOBS_REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = found
        return found

    def names(self) -> list[str]:
        """What can be listed: exact names and aliases, in the order of the configuration."""
        return list(self._exact)

    def near(self, name: str) -> list[str]:
        """Configured names and patterns that look like `name`, nearest first."""
        known = self._known
        if len(known) > _NEAR_AMONG:
            # Comparing with all of ten thousand takes a third of a second, and a misspelt name mostly begins as it should.
            at = bisect(known, name)
            known = known[max(0, at - _NEAR_AMONG // 2) : at + _NEAR_AMONG // 2]
        return difflib.get_close_matches(name, known, n=3, cutoff=0.5)
