"""From the name of a model to its targets, in time that does not grow with the number of models."""

import difflib
import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from operator import attrgetter, itemgetter

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extproc.conditions import Conditions, Facts, conditions
from extproc.config.lookup import STRATEGIES
from extproc.config.model import Model, aim, priced_as
from extproc.config.retries import Retries
from extproc.config.timeouts import NONE_SAID, Patience, joined
from extproc.errors import Reject
from extproc.globs import regex
from extproc.price import Price
from extproc.pulse import Pulses
from extproc.retrying import USUAL, Retrying, retrying_of
from extproc.strategies.sticky import Sticky
from extproc.strategy import Candidate, Order
from extproc.values import Request, Target

_GLOBS_REMEMBERED = 4096
_NEAR_AMONG = 256
_BY_CALLER = Sticky(by="caller").open()
_NONE: Mapping[str, Price] = {}


class Placed(Candidate, frozen=True):
    """A target of a model, in its place."""

    tier: int = 1
    conditions: Conditions | None = None
    """Which requests it is for; None: all."""
    patience: Patience = NONE_SAID
    """How long it and its model say to wait for it."""


class Route(Struct, frozen=True):
    """A configured model."""

    name: str
    """Its configured name; a pattern, perhaps."""
    placed: tuple[Placed, ...]
    """Its targets, tier after tier."""
    targets: tuple[Target, ...]
    """The same, without their places. A target without a model keeps the name that was asked for."""
    order: Order
    """Of the targets of a tier."""
    chooses: bool
    """False: all requests try all targets as they stand; nobody need be asked."""
    steady: Order
    """The same order of a tier for all requests of one caller."""
    retrying: Retrying | None = None
    """What follows failed attempts, where Envoy does not do it by itself."""
    wanted: frozenset[str] = frozenset()
    """Needs that conditions of its targets ask for."""
    pulses: Pulses | None = None
    """Of its targets, where the strategy wants them."""
    patient: bool = False
    """Some target is to be waited for as long as it, or the model, says; the others as long as their providers say."""

    def resolve(self, asked: str) -> tuple[Target, ...]:
        """The targets for the name that a caller used."""
        return tuple(target if target.model else Target(target.provider, asked) for target in self.targets)

    def patience(self, targets: tuple[Target, ...]) -> dict[Target, tuple[Patience, ...]]:
        """How long to wait for each of `targets`, which is what `resolve` gave: all that is said of one that is there several times."""
        return _patience(zip(targets, (one.patience for one in self.placed), strict=True))

    def patience_among(self, able: Iterable[Placed]) -> dict[Target, tuple[Patience, ...]]:
        """The same for each of those that are for a request."""
        return _patience((one.target, one.patience) for one in able)

    def able(self, request: Request, targets: tuple[Target, ...]) -> list[Placed]:
        """Of `targets`, which is what `resolve` gave or some of it, those that are for this request, each in its place. Raises `Reject`
        404 where there is none.
        """
        there = zip(self.placed, self.resolve(request.record.model), strict=True)
        facts = Facts(request, self.wanted)
        able: list[Placed] = []
        failed: dict[str, None] = {}
        for one, target in there:
            if target not in targets:
                continue
            if one.conditions is not None and (why := one.conditions.fails(facts)):
                failed[why] = None
            else:
                able.append(replace(one, target=target, pulse=None if self.pulses is None else self.pulses.of(target)))
        if not able:
            raise _nobody(request.record.model, failed, facts)
        return able

    def arrange(self, request: Request, placed: list[Placed], *, by_caller: bool = False) -> tuple[Target, ...]:
        """Their targets in the order in which they are to be tried; `by_caller`: in one that is the same for all requests of a caller."""
        order = self.steady if by_caller else self.order
        tiers = (list(tier) for _, tier in groupby(placed, key=attrgetter("tier")))
        return tuple(one.target for tier in tiers for one in (order.arrange(request, tier) if len(tier) > 1 else tier))


def _patience(said: Iterable[tuple[Target, Patience]]) -> dict[Target, tuple[Patience, ...]]:
    found: dict[Target, tuple[Patience, ...]] = {}
    for target, patience in said:
        found[target] = (*found.get(target, ()), patience)
    return {target: each for target, each in found.items() if any(one != NONE_SAID for one in each)}


def _nobody(model: str, failed: Collection[str], facts: Facts) -> Reject:
    """Whose targets and what they are for is not the caller's to know, but what of his request they are not for is."""
    lacking = f"`lacks` (it needs {', '.join(sorted(facts.needs))})" if "lacks" in failed else ""
    named = [lacking if name == "lacks" else f"`{name}`" for name in failed]
    message = f"No provider of {model!r} is for this request: there are conditions that it does not fulfil: {', '.join(named)}."
    return Reject(404, "no_target", message, param="model")


def _route(model: Model, retries: Retries, prices: Mapping[str, Price], pulses: Pulses) -> Route:
    aims = sorted(map(aim, model.targets), key=attrgetter("tier"))
    name, settings = model.ordering
    strategy = msgspec.convert(settings, STRATEGIES.find(name))
    charged = prices if strategy.needs_price else _NONE
    placed = tuple(
        Placed(
            Target(one.provider, one.model),
            one.weight,
            price=charged.get(priced_as(one, model.name)),
            tier=one.tier,
            conditions=conditions(one),
            patience=joined(model.timeouts, one.timeouts),
        )
        for one in aims
    )
    chooses = name != "ordered" or any(one.conditions is not None for one in placed)
    order = strategy.open()
    steady = order if name == "ordered" else _BY_CALLER
    return Route(
        name=model.name,
        placed=placed,
        targets=tuple(one.target for one in placed),
        order=order,
        chooses=chooses,
        steady=steady,
        retrying=retrying_of(model, retries),
        wanted=frozenset(need for one in placed if one.conditions is not None for need in one.conditions.wanted),
        pulses=pulses if strategy.needs_pulse else None,
        patient=any(one.patience != NONE_SAID for one in placed),
    )


class _Globs:
    """Patterns with a star elsewhere than at their end. Each is found by the longer one of its two fixed ends, where it has any."""

    def __init__(self, globs: list[tuple[str, Route]]) -> None:
        self._heads: dict[str, list[_Glob]] = {}
        self._tails: dict[str, list[_Glob]] = {}
        for rank, (name, route) in enumerate(sorted(globs, key=lambda pair: -len(pair[0]))):
            head, tail = name.partition("*")[0], name.rpartition("*")[2]
            by, end = (self._heads, head) if len(head) >= len(tail) else (self._tails, tail)
            by.setdefault(end, []).append((rank, re.compile(regex(name), re.DOTALL), route))
        self._head_lengths = sorted(set(map(len, self._heads)))
        self._tail_lengths = sorted(set(map(len, self._tails)))

    def __bool__(self) -> bool:
        return bool(self._heads or self._tails)

    def find(self, name: str) -> Route | None:
        """What the longest pattern that `name` matches is for."""
        near = [self._heads.get(name[:length], ()) for length in self._head_lengths]
        near += [self._tails.get(name[-length:], ()) for length in self._tail_lengths]
        ranked = sorted((glob for globs in near for glob in globs), key=itemgetter(0))
        return next((route for _, pattern, route in ranked if pattern.fullmatch(name)), None)


_Glob = tuple[int, re.Pattern[str], Route]


class Routes:
    """All configured models. Exact names and aliases win over patterns, longer patterns over shorter ones."""

    def __init__(
        self, models: Iterable[Model], retries: Retries = USUAL, prices: Mapping[str, Price] = _NONE, pulses: Pulses | None = None
    ) -> None:
        """`retries`: of models that say nothing of them. `prices`: see `Settings.prices`. `pulses`: of the worker."""
        pulses = pulses or Pulses()
        self._exact: dict[str, Route] = {}
        self._prefixes: dict[str, Route] = {}
        globs: list[tuple[str, Route]] = []
        for model in models:
            route = _route(model, retries, prices, pulses)
            if "*" not in model.name:
                self._exact[model.name] = route
            elif model.name.index("*") == len(model.name) - 1:
                self._prefixes[model.name[:-1]] = route
            else:
                globs.append((model.name, route))
            for alias in model.aliases:
                # The alias asks for the model's own name, so a target that keeps the name gets that.
                self._exact[alias] = replace(route, targets=route.resolve(model.name)) if "*" not in model.name else route
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        self._globs = _Globs(globs)
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
        # What a pattern with a star inside gave is remembered, up to a bound that a hostile caller cannot exceed.
        if name in self._remembered:
            return self._remembered[name]
        found = self._globs.find(name)
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
