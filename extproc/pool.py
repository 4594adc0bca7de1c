"""Key pools: which of a provider's keys an attempt takes, in one worker.

Of the keys that are neither told to wait, nor refused, nor at their limits, the one whose turn it is, or the one that is used least.
A request that is tried again takes another one each time: the gate plans that, and whoever makes the attempt departs from the plan only
where a key has turned bad since. What is known of a key outlives snapshots, as long as it is the same key.

A provider that has several keys and all of them at their limits is not asked by the gate. An attempt that is one of several is not
refused for that: nobody could ask the next target then, so it goes over the limit.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec import Struct

from extproc.config.model import Provider
from extproc.config.pool import Choice, ProviderKey
from extproc.errors import Reject, come_again
from extproc.tried import Tried

_RATE, _UNPAID = 429, ("insufficient_quota", "insufficient_balance")
_UNTOLD = 5.0
"""Seconds that a key waits after a 429 that does not say how long."""
_UNPAID_WAIT = 60.0
"""Those that it waits where its money is used up."""
_MINUTE = 60.0
_FADES = 30.0
"""Seconds after which a use counts for half."""
_MODELS = 256
"""Models for which a key is remembered to wait. Clients may make up names."""
ATTEMPTS = 3
"""Keys that a request is tried with, where nobody else can be asked."""


class Standing(Protocol):
    """What the machine knows of keys, which is more than a worker does. Both take provider, model and the key's name."""

    def usable(self, provider: str, model: str, key: str, /) -> bool:
        """Whether it may be asked, or tried."""

    def able(self, provider: str, model: str, key: str, /) -> bool:
        """The same of one that is about to be asked: of a key that has failed, one attempt finds out."""


class _Good:
    """All keys stand well."""

    def usable(self, provider: str, model: str, key: str, /) -> bool:
        return True

    able = usable


class _State:
    """What a worker knows of one key."""

    __slots__ = ("__weakref__", "name", "recent", "recent_at", "since", "times", "turn", "under_way", "waits")

    def __init__(self, name: str, since: float) -> None:
        self.name = name
        self.since = since
        """What began before was with another one of that name."""
        self.under_way = 0
        self.turn = 0.0
        self.recent = 0.0
        """Uses, each of which counts for less as it grows old."""
        self.recent_at = 0.0
        self.times: deque[float] = deque()
        """When it was used in the last minute; only where that is limited."""
        self.waits: dict[str, float] = {}
        """Until when it is not to be asked, by model."""

    def used(self, now: float, *, timed: bool) -> None:
        """An attempt takes it."""
        self.under_way += 1
        self.recent, self.recent_at = self.lately(now) + 1.0, now
        if timed:
            self.times.append(now)

    def lately(self, now: float) -> float:
        """How much it was used."""
        return self.recent * math.exp2((self.recent_at - now) / _FADES)

    def wait(self, model: str, until: float, now: float) -> None:
        """It is not to be asked for `model` before `until`."""
        if len(self.waits) >= _MODELS:
            self.waits = {name: end for name, end in self.waits.items() if end > now}
            if len(self.waits) >= _MODELS:
                self.waits.clear()
        self.waits[model] = max(until, self.waits.get(model, 0.0))

    def forget(self, now: float) -> None:
        """What its provider has told until now is worth nothing."""
        self.since = now
        self.waits.clear()

    def waiting(self, model: str, now: float) -> float:
        """Seconds for which it is not to be asked for that model."""
        return max(0.0, self.waits.get(model, 0.0) - now) if self.waits else 0.0


class _Slot(Struct, frozen=True):
    """A key as one snapshot has it."""

    state: _State
    credential: str
    weight: float
    most: int
    """Requests under way in this worker; 0: any number."""
    per_minute: int
    """Requests of this worker in a minute; 0: any number."""

    def busy(self, now: float) -> float:
        """Seconds until it may be below its limits; 0.0 if it is."""
        state = self.state
        if self.most and state.under_way >= self.most:
            return 1.0
        if self.per_minute:
            times = state.times
            while times and times[0] <= now - _MINUTE:
                times.popleft()
            if len(times) >= self.per_minute:
                return max(times[len(times) - self.per_minute] + _MINUTE - now, 0.001)
        return 0.0

    def load(self, now: float) -> tuple[float, float]:
        """How much it is used, for its weight: now, and lately."""
        return self.state.under_way / self.weight, self.state.lately(now) / self.weight


class Lease:
    """A key in use. It has to be ended, once."""

    __slots__ = ("_state", "credential", "name")

    def __init__(self, state: _State, credential: str) -> None:
        self._state: _State | None = state
        self.name = state.name
        self.credential = credential
        """The value of the pool's header."""

    def end(self) -> None:
        """The attempt is over. Again: nothing happens."""
        if self._state is not None:
            self._state.under_way -= 1
            self._state = None


class Pool:
    """The keys of one provider, as one snapshot has them."""

    def __init__(
        self, provider: str, header: str, slots: Sequence[_Slot], choice: Choice, standing: Standing, clock: Callable[[], float]
    ) -> None:  # fmt: skip
        self.header = header
        """The one that carries a key."""
        self._provider = provider
        self._slots = tuple(slots)
        self._least = choice == "least_used"
        self._standing = standing
        self._clock = clock

    @property
    def ready(self) -> bool:
        """Some key is below its limits."""
        now = self._clock()
        return any(not slot.busy(now) for slot in self._slots)

    def worth(self, model: str) -> int:
        """How many keys a request for that model may be tried with: those that may be asked now, and no more than `ATTEMPTS`."""
        now = self._clock()
        return min(ATTEMPTS, sum(not slot.busy(now) for slot in self._fit(self._slots, model, now)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of its keys."""
        return tuple(slot.state.name for slot in self._slots)

    def plan(self, model: str, count: int) -> tuple[str, ...]:
        """Names of the keys for `count` attempts of one request, another one each time as long as there are others."""
        now = self._clock()
        chosen = [self._choose(self._best(self._slots, model, now), now)]
        while len(chosen) < min(count, len(self._slots)):
            left = [slot for slot in self._slots if slot not in chosen]
            chosen.append(min(self._best(left, model, now), key=lambda slot: slot.load(now)))
        return tuple(chosen[at % len(chosen)].state.name for at in range(count))

    def lease(self, model: str, wanted: str = "", without: Collection[str] = (), *, alone: bool = False) -> Lease:
        """A key for an attempt: `wanted`, as long as nothing speaks against it. `without`: those that the request had before. `alone`: the
        attempt is the only one, so that it is refused (`Reject` 503) where all keys are at their limits.
        """
        now = self._clock()
        slots = [slot for slot in self._slots if slot.state.name not in without] or self._slots
        if alone and (fit := self._fit(slots, model, now)) and (wait := min(slot.busy(now) for slot in fit)):
            raise _at_limits(self._provider, wait)
        slot = self._taken(list(self._best(slots, model, now)), model, wanted, now)
        slot.state.used(now, timed=slot.per_minute > 0)
        return Lease(slot.state, slot.credential)

    def _taken(self, best: list[_Slot], model: str, wanted: str, now: float) -> _Slot:
        """One of `best`: `wanted` if it is among them, and only in need one that the machine does not let this attempt have."""
        while True:
            slot = next((slot for slot in best if slot.state.name == wanted), None) or self._choose(best, now)
            best.remove(slot)
            if not best or self._standing.able(self._provider, model, slot.state.name):
                return slot

    def _fit(self, slots: Sequence[_Slot], model: str, now: float) -> list[_Slot]:
        """Those that may be asked for that model, busy or not."""
        usable = self._standing.usable
        return [slot for slot in slots if not slot.state.waiting(model, now) and usable(self._provider, model, slot.state.name)]

    def _best(self, slots: Sequence[_Slot], model: str, now: float) -> Sequence[_Slot]:
        """Those that nothing speaks against; else those that are only busy; else those that wait for the shortest time."""
        if fit := self._fit(slots, model, now):
            return [slot for slot in fit if not slot.busy(now)] or fit
        shortest = min(slot.state.waiting(model, now) for slot in slots)
        return [slot for slot in slots if slot.state.waiting(model, now) == shortest]

    def _choose(self, best: Sequence[_Slot], now: float) -> _Slot:
        if self._least:
            return min(best, key=lambda slot: slot.load(now))
        # Smooth weighted round robin, as in nginx: each gains its weight, and whoever is chosen pays for all.
        for slot in best:
            slot.state.turn += slot.weight
        chosen = max(best, key=lambda slot: slot.state.turn)
        chosen.state.turn -= sum(slot.weight for slot in best)
        return chosen


class Pools:
    """All of a worker's keys, whatever snapshot they are in."""

    def __init__(self, standing: Standing | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`standing`: what else speaks against keys; nothing unless given. `clock`: seconds since whenever."""
        self._standing = standing or _Good()
        self._clock = clock
        self._states: WeakValueDictionary[tuple[str, str, str], _State] = WeakValueDictionary()
        """By provider, name and key, as long as some snapshot has it, in force or not: one that was in force before may be so again. A key
        that is replaced is another one, and has to wait for nothing."""
        self._cool: dict[str, float] = {}
        self._asked: dict[str, str] = {}

    def follow(self, cool: Mapping[str, float], asked: Mapping[str, str] | None = None) -> None:
        """Another configuration is in force. `cool`: for how many seconds at most a 429 is believed (`Breaker.cool`), by provider; of who
        is not named, for as long as it says. `asked`: how providers are asked (`standing.renewed.way`): of one that is asked otherwise
        than before, keys wait for nothing any more.
        """
        self._cool = dict(cool)
        before, self._asked = self._asked, dict(asked or {})
        now = self._clock()
        for (provider, _, _), state in self._states.items():
            if before.get(provider) != self._asked.get(provider):
                state.forget(now)

    def open(self, name: str, provider: Provider, header: tuple[str, str] | None, workers: int) -> Pool | None:
        """The pool of a provider for a snapshot; None where it has not several keys. `header`: what carries a key, and what stands before
        it there; `workers`: among whom limits are shared.
        """
        if not provider.keys or header is None:
            return None
        slots = []
        for key in provider.keys:
            assert isinstance(key, ProviderKey)
            called = key.name or ""
            state = self._states.setdefault((name, called, key.key), _State(called, self._clock()))
            slots.append(
                _Slot(state, header[1] + key.key, key.weight, _share(key.concurrency, workers), _share(key.requests_per_minute, workers))
            )
        return Pool(name, header[0], slots, provider.pool, self._standing, self._clock)

    def hear(self, tried: Tried) -> None:
        """What came of an attempt. One that was refused for a limit has its key wait for as long as the provider says."""
        if not tried.key or (tried.status != _RATE and tried.reason not in _UNPAID):
            return
        if tried.reason in _UNPAID:
            wait = tried.resets or _UNPAID_WAIT
        else:
            wait = min(tried.resets or _UNTOLD, self._cool.get(tried.provider, math.inf))
        now = self._clock()
        begun = now - max(tried.first, tried.whole)
        for (provider, name, _), state in self._states.items():
            if name == tried.key and provider == tried.provider and begun >= state.since and wait > 0:
                state.wait(tried.model, now + wait, now)


def key_names(provider: Provider) -> tuple[str, ...]:
    """Names of a provider's keys, where it has several."""
    return tuple(key.name or "" for key in provider.keys if isinstance(key, ProviderKey))


def plan(providers: Sequence[tuple[str, str]], pools: Mapping[str, Pool]) -> tuple[str, ...]:
    """Names of the keys that attempts at these are to take, in the same order; empty where a provider has one. `providers`: each attempt's
    provider and model; `pools`: by provider. Empty if there is nothing to plan.
    """
    models = {provider: model for provider, model in reversed(providers) if provider in pools}
    if not models:
        return ()
    named = [provider for provider, _ in providers]
    planned = {provider: iter(pools[provider].plan(model, named.count(provider))) for provider, model in models.items()}
    return tuple(next(planned[provider]) if provider in planned else "" for provider in named)


def _share(limit: int | None, workers: int) -> int:
    return max(1, limit // workers) if limit is not None else 0


def _at_limits(provider: str, wait: float) -> Reject:
    message = f"All keys of the provider {provider} are at their limits (`concurrency`, `requests_per_minute`). Try again later."
    return Reject(503, "overloaded", message, headers=(come_again(wait),))
