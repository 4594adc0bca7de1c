"""How all targets and keys stand: their breakers and who cools down. Pure: it is told what was heard, and when."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from extproc.config.breaker import Breaker
from extproc.standing.breaker import Circuit, Outcome, State
from extproc.standing.cooling import Coolings, Name
from extproc.standing.told import NONE, Heard, Stand
from extproc.standing.verdict import Meaning, meaning

_MOST = 4096
"""Breakers at once. Where targets keep the name that was asked for, callers decide how many targets there are."""
_LONGEST = 60
_SETTLES = 1.0
"""Seconds after a change of the configuration until all workers have it: what begins before may still be with the old one."""
_LASTS = 3600.0
"""Seconds for which an attempt may last, as far as is remembered when one has changed."""

Settings = Callable[[str], Breaker | None]
"""By the provider's name; None: it is never left alone."""


class Change(NamedTuple):
    """One that stands otherwise than before."""

    name: Name
    state: State | Literal["cooling"]
    why: str
    left: float = 0.0
    """Seconds for which it stays so, where that is known."""
    told: bool = False
    """Of one that cools down: see `Cool.told`."""


class Board:
    """All of them. Times are seconds of one clock that never goes back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._circuits: dict[Name, Circuit] = {}
        self._why: dict[Name, str] = {}
        """The last failure of each."""
        self._coolings = Coolings()
        self._changes: list[Change] = []
        self._renewed: dict[Name, float] = {}
        """Until when what begins says nothing of providers, or keys, that are not any more what they were."""

    def follow(self, settings: Settings) -> None:
        """The configuration has changed. What is known of providers that are still there stays."""
        self._settings = settings
        for name, circuit in list(self._circuits.items()):
            told = settings(name.provider)
            if told is None:
                del self._circuits[name]
                self._why.pop(name, None)
            elif told != circuit.settings:
                circuit.settings = told

    def forget(self, renewed: Iterable[Name], now: float) -> list[Change]:
        """These are not any more what they were (see `renewed.renewed`): what is known of them is forgotten, and attempts that began before
        say nothing. Returns those that stood ill, as others are to be told of them: one that cooled down does so for no seconds more.
        """
        fresh = dict.fromkeys(renewed, now + _SETTLES)
        self._renewed = {name: at for name, at in self._renewed.items() if at > now - _LASTS} | fresh
        ill = []
        for name, circuit in list(self._circuits.items()):
            if _ones(name, fresh):
                if circuit.look(now) != "closed":
                    ill.append(Change(name, "closed", self._reason(name, circuit)))
                del self._circuits[name]
                self._why.pop(name, None)
        for name, cool in self._coolings.all(now).items():
            if _ones(name, fresh):
                ill.append(Change(name, "cooling", "", told=cool.told))
                self._coolings.forget(name)
        return ill

    def _is_of_old(self, name: Name, begun: float) -> bool:
        """Whether what began then may have been with one that is not there any more."""
        return any(begun < self._renewed.get(one, begun) for one in _of(name))

    def hear(self, heard: Heard, now: float) -> None:
        """An attempt has ended."""
        settings = self._settings(heard.provider)
        if settings is None or not heard.model:
            return
        means, begun = meaning(heard.status, heard.reason), now - max(0.0, heard.took)
        if self._renewed and self._is_of_old(Name(heard.provider, heard.model, heard.key), begun):
            return
        key = Name(heard.provider, "", heard.key) if heard.key else None
        if means == "limited":
            self._limited(heard, key, settings, begun, now)
        elif means == "credential" and key is not None:
            self._step(key, _outcome(means, settings), heard, settings, begun, now)
            self._step(heard.name, Outcome.NOTHING, heard, settings, begun, now)
        else:
            outcome = _outcome(means, settings)
            self._step(heard.name, outcome, heard, settings, begun, now)
            if key is not None:
                self._step(key, Outcome.GOOD if outcome is Outcome.GOOD else Outcome.NOTHING, heard, settings, begun, now)
            if means is None:
                self._coolings.answered(Name(heard.provider, heard.model, heard.key), begun)

    def _limited(self, heard: Heard, key: Name | None, settings: Breaker, begun: float, now: float) -> None:
        name = Name(heard.provider, heard.model, heard.key)
        if self._coolings.limited(name, now, heard.resets, settings.cool):
            self._changes.append(Change(name, "cooling", _told(heard), self._coolings.left(name, now), heard.resets > 0))
        # Who answers so is there, and knows the key; but it says nothing of whether he would have answered.
        self._step(heard.name, Outcome.OTHER, heard, settings, begun, now)
        if key is not None:
            self._step(key, Outcome.OTHER, heard, settings, begun, now)

    def _step(self, name: Name, outcome: Outcome, heard: Heard, settings: Breaker, begun: float, now: float) -> None:
        circuit = self._circuits.get(name)
        if circuit is None:
            if outcome > Outcome.BAD or (outcome is Outcome.GOOD and settings.rate is None) or not self._room():
                return
            circuit = self._circuits[name] = Circuit(settings)
        if outcome is Outcome.BAD:
            self._why[name] = _told(heard)
        if circuit.hear(outcome, begun, now, heard.times):
            self._changed(name, circuit, now)

    def _changed(self, name: Name, circuit: Circuit, now: float) -> None:
        left = circuit.until - now if circuit.state == "open" else 0.0
        self._changes.append(Change(name, circuit.state, self._reason(name, circuit), left))
        if circuit.state == "closed":
            self._why.pop(name, None)

    def _room(self) -> bool:
        if len(self._circuits) < _MOST:
            return True
        name = next((name for name, circuit in self._circuits.items() if circuit.state == "closed"), None)
        if name is not None:
            del self._circuits[name]
            self._why.pop(name, None)
        return name is not None

    def lease(self, name: Name, now: float) -> int:
        """May a request try whether that one answers again? The lease's number; 0: no; `NONE`: it is closed."""
        circuit = self._circuits.get(name)
        return circuit.lease(now) if circuit is not None and circuit.look(now) != "closed" else NONE

    def give_back(self, name: Name, lease: int) -> None:
        """It was not used."""
        if (circuit := self._circuits.get(name)) is not None:
            circuit.give_back(lease)

    def open_for(self, name: Name) -> float:
        """Seconds for which that one stays open, and for which a lease of it lasts."""
        settings = self._settings(name.provider)
        return settings.open if settings is not None else 0.0

    def adopt(self, change: Change, now: float) -> None:
        """Another machine has found out how one stands."""
        settings = self._settings(change.name.provider)
        if settings is None or (self._is_of_old(change.name, now) and change.left > 0):
            return
        if change.state == "cooling":
            if change.left <= 0:
                self._coolings.forget(change.name)
            self._coolings.adopt(change.name, now, min(change.left, settings.cool), told=change.told)
            return
        circuit = self._circuits.get(change.name)
        if circuit is None:
            if change.state != "open" or not self._room():
                return
            circuit = self._circuits[change.name] = Circuit(settings)
        if change.state != "half_open" and circuit.adopt(change.state, now, change.left):
            self._why[change.name] = change.why

    def changes(self) -> list[Change]:
        """What has changed by what this machine heard, since the last time that somebody asked."""
        found, self._changes = self._changes, []
        return found

    def stands(self, now: float) -> list[Stand]:
        """All who do not stand well."""
        self._coolings.expire(now)
        return [*self._broken(now), *self._cooling(now)]

    def states(self, now: float) -> Iterator[tuple[Name, State]]:
        """All breakers that there are."""
        for name, circuit in self._circuits.items():
            yield name, circuit.look(now)

    def _broken(self, now: float) -> Iterator[Stand]:
        for name, circuit in self._circuits.items():
            if (state := circuit.look(now)) != "closed":
                left, why = circuit.until - now, self._reason(name, circuit)
                yield Stand(*name, state, left, now - circuit.since, why, circuit.settings.open)

    def _cooling(self, now: float) -> Iterator[Stand]:
        for name, cool in self._coolings.all(now).items():
            state: Literal["cooling", "limited"] = "cooling" if cool.told else "limited"
            yield Stand(*name, state, cool.until - now, now - cool.since, "429 rate_limit_exceeded")

    def _reason(self, name: Name, circuit: Circuit) -> str:
        last = self._why.get(name, "")
        if circuit.share is not None:
            bad, all_ = circuit.share
            return f"{bad} of {all_} attempts failed within {circuit.settings.over:g} s, the last: {last}"
        return f"{circuit.row} failures in a row, the last: {last}" if circuit.row > 1 and circuit.state == "open" else last


def _of(name: Name) -> tuple[Name, Name]:
    """Its provider and, without a model, its key."""
    return Name(name.provider, ""), Name(name.provider, "", name.key)


def _ones(name: Name, of: dict[Name, float]) -> bool:
    return any(one in of for one in _of(name))


def _outcome(means: Meaning | None, settings: Breaker) -> Outcome:
    if means is None or means == "request":
        return Outcome.GOOD
    if means == "nothing":
        return Outcome.NOTHING
    return Outcome.BAD if means in settings.counts else Outcome.OTHER


def _told(heard: Heard) -> str:
    """Status and word of a failure, for people: no provider's own text, which may hold what no caller should see."""
    word = heard.reason[:_LONGEST]
    return f"{heard.status} {word}".strip() if heard.status else word or "no answer"
