"""How settings are inherited: from the gateway to the organization, to its projects and teams, to users and service accounts, to the key.

An inner level can only narrow what the levels around it allow; it adds limits, which are counted beside theirs; its tags and its cost
centre stand before theirs. So nobody needs to look at inner levels to know what an outer one guarantees.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from msgspec import Struct

from extproc.globs import regex
from extproc.identity.settings import NOTHING, Limit, Plan, Settings, network

LevelKind = Literal["gateway", "organization", "project", "team", "user", "membership", "service_account", "key"]
ORDER: tuple[LevelKind, ...] = ("gateway", "organization", "project", "team", "user", "membership", "service_account", "key")
"""From the outside in."""

# Names of models that are remembered with the answer: clients can make up as many as they like.
_REMEMBERED = 256


class Level(Struct, frozen=True, kw_only=True):
    """One level, as it is set."""

    kind: LevelKind
    id: str = ""
    """Of the organization, team, ...; empty for the gateway."""
    settings: Settings = NOTHING
    plan: Plan | None = None
    closed: bool = False
    """It is suspended: nobody below it is let in."""

    @property
    def telling(self) -> bool:
        """Whether it changes anything."""
        return self.closed or self.plan is not None or self.settings != NOTHING


class Applied(Struct, frozen=True):
    """A limit and the level at which it is counted."""

    kind: LevelKind
    id: str
    limit: Limit
    plan: str = ""
    """Name of the plan that it came with."""


def _limits(level: Level) -> Iterable[Applied]:
    for limit in level.settings.limits:
        yield Applied(level.kind, level.id, limit)
    if level.plan is not None:
        for limit in level.plan.limits:
            yield Applied(level.kind, level.id, limit, level.plan.name)


def _common(said: Iterable[tuple[str, ...] | None]) -> frozenset[str] | None:
    sets = [frozenset(names) for names in said if names is not None]
    return frozenset.intersection(*sets) if sets else None


def _matcher(patterns: tuple[str, ...]) -> Callable[[str], object | None]:
    if not patterns:
        return lambda _: None
    return re.compile("|".join(f"(?:{regex(pattern)})" for pattern in patterns), re.DOTALL).fullmatch


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # An IPv4 caller at a socket of both families (RFC 4291, 2.5.5.2) is who it is at a socket of its own.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


class Grant:
    """What somebody may do, and what is kept of it. Shared by all keys of the same levels; it is never changed.

    Asked for each request: nothing here depends on how many keys, teams or organizations there are.
    """

    __slots__ = (
        "_known", "_models", "_networks", "closed", "cost_centre", "endpoints", "guardrails", "limits", "named_models", "providers", "tags",
    )  # fmt: skip

    def __init__(self, levels: Sequence[Level]) -> None:
        """`levels` from the outside in. See `inherit`."""
        said = [level.settings for level in levels]
        self.closed: Level | None = next((level for level in levels if level.closed), None)
        """The outermost level that is suspended: nothing is allowed."""
        self.providers: frozenset[str] | None = _common(one.providers for one in said)
        """Those that may be asked; None: all."""
        self.endpoints: frozenset[str] | None = _common(one.endpoints for one in said)
        """Operations that may be asked for; None: all."""
        self.limits: tuple[Applied, ...] = tuple(applied for level in levels for applied in _limits(level))
        """All of them have to be kept."""
        self.tags: dict[str, str] = {name: value for one in said for name, value in one.tags.items()}
        """Of entries in the ledger."""
        self.cost_centre: str = next((one.cost_centre for one in reversed(said) if one.cost_centre), "")
        """The innermost."""
        self.guardrails: tuple[str, ...] = tuple(dict.fromkeys(name for one in said for name in one.guardrails))
        """All that any level names, the outer ones' first."""
        self.named_models: tuple[str, ...] = tuple(dict.fromkeys(name for one in said for name in one.models or () if "*" not in name))
        """Those that levels name without a pattern; whether they may be asked for is another matter."""
        self._models = [_matcher(one.models) for one in said if one.models is not None]
        self._networks = [tuple(map(network, one.networks)) for one in said if one.networks is not None]
        self._known: dict[str, bool] = {}

    @property
    def any_model(self) -> bool:
        """Whether all models may be asked for."""
        return not self._models

    def allows_model(self, name: str) -> bool:
        """Whether a model may be asked for, by the name that the client gives it."""
        known = self._known.get(name)
        if known is None:
            known = all(matches(name) is not None for matches in self._models)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = known
        return known

    def allows_provider(self, name: str) -> bool:
        """Whether a provider may be asked."""
        return self.providers is None or name in self.providers

    def allows_endpoint(self, operation: str) -> bool:
        """Whether an operation may be asked for."""
        return self.endpoints is None or operation in self.endpoints

    def allows_address(self, address: str) -> bool:
        """Whether a caller at this address may. What is no address is in no network."""
        if not self._networks:
            return True
        found = _address(address)
        return found is not None and all(any(found in one for one in allowed) for allowed in self._networks)


EVERYTHING = Grant(())
"""What somebody may do of whom nothing is set."""


def inherit(levels: Iterable[Level]) -> Grant:
    """What a caller may do to whom all of these levels apply. Their order is that of `ORDER`, however they are given.

    Of one kind there may be several: a user's membership of the organization, then of the team.
    """
    telling = [level for level in levels if level.telling]
    return Grant(sorted(telling, key=lambda level: ORDER.index(level.kind))) if telling else EVERYTHING


class Grants:
    """Grants by the ids of their levels. As long as the levels are the same, so is the grant: it is made once."""

    def __init__(self, levels: Iterable[Level]) -> None:
        """`levels`: all that say something. The gateway's own has the empty id."""
        self._levels = {level.id: level for level in levels if level.telling}
        self._grants: dict[tuple[str, ...], Grant] = {}

    def find(self, ids: Iterable[str], own: Level | None = None) -> Grant:
        """The grant of whoever belongs to these levels, and to the gateway. `own`: the key's, which nobody shares."""
        # Most say nothing: whoever belongs to them has the same grant as all others there.
        telling = tuple(id for id in ("", *ids) if id in self._levels)
        if own is not None and own.telling:
            return inherit((*map(self._levels.__getitem__, telling), own))
        grant = self._grants.get(telling)
        if grant is None:
            grant = self._grants[telling] = inherit(map(self._levels.__getitem__, telling))
        return grant
