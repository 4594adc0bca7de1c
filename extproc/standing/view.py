"""How targets and keys stand, as a worker knows it: what the control process has pushed, and nothing of what stands well.

As long as all stand well, a request looks at one attribute. While the control process is gone, the worker goes on with what it has: what
ends, ends by itself, and what is half open is tried by one request of this worker at a time.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from extproc.standing.cooling import Name
from extproc.standing.told import NONE, Lease, Stand, decode_stands
from extproc.values import Target

_AGAIN = 0.05
"""Seconds after a refusal before anybody of this worker asks again."""

_MOMENT = 0.1
"""Seconds for which a key that is half open may be used, once somebody may: a request asks several times whether it may."""


class Line(Protocol):
    """A worker's line to the control process."""

    def probe(self, name: Name) -> Awaitable[int]:
        """Asks whether a request may try that one, which is half open: a lease's number, 0 for no, `NONE` where nobody answers."""

    def give_back(self, lease: Lease) -> None:
        """Tells that nobody has tried."""

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Has it done beside what is being done."""


class Entry:
    """How one stands, with times of this worker's clock."""

    __slots__ = ("asking", "granted", "not_before", "since", "stand", "until")

    def __init__(self, stand: Stand, now: float) -> None:
        self.not_before = 0.0
        self.asking = False
        self.granted = 0.0
        """Until when this worker may try a key that is half open."""
        self.renew(stand, now)

    def renew(self, stand: Stand, now: float) -> None:
        """It is told anew."""
        self.stand = stand
        self.until = now + stand.left
        self.since = now - stand.ago
        if self.until > now:
            self.granted = 0.0


class Chosen(Struct):
    """The targets of a request, in the order in which they are to be asked."""

    targets: tuple[Target, ...]
    passed: tuple[Target, ...] = ()
    """Those that are passed over."""
    lease: Lease | None = None
    """The first target is half open, and this request may try it."""
    why: tuple[Entry, ...] = ()
    """How those stand that are passed over, the ones that may be asked soonest first. Given only where nobody is left."""


class View:
    """A worker's knowledge. One for all snapshots."""

    def __init__(self, line: Line | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Without a `line`, as without the control process."""
        self.troubled = False
        """Somebody does not stand well, or did lately: only then is anything here worth a look."""
        self.sick: Mapping[str, str] = {}
        """Providers that health checks have found ill, and why; see `ill`."""
        self._line = line
        self._clock = clock
        self._broken: dict[Name, Entry] = {}
        self._cooling: dict[Name, Entry] = {}

    def take(self, data: bytes) -> None:
        """How all stand, as it is pushed."""
        now, before = self._clock(), self._broken
        stands = decode_stands(data)
        self._cooling = {one.name: Entry(one, now) for one in stands if one.state in ("cooling", "limited")}
        self._broken = {}
        for stand in stands:
            if stand.state not in ("cooling", "limited"):
                # Somebody may be waiting for the answer to whether he may try it: who is known stays the same.
                entry = self._broken[stand.name] = before.get(stand.name) or Entry(stand, now)
                entry.renew(stand, now)
        self._settle()

    def ill(self, sick: Mapping[str, str]) -> None:
        """Which providers are, by health checks, and why. They are asked when nobody else is left."""
        self.sick = sick
        self._settle()

    def _settle(self) -> None:
        self.troubled = bool(self._broken or self._cooling or self.sick)

    def concerns(self, provider: str, model: str, key: str) -> bool:
        """Whether what comes of an attempt may be news to somebody at once: its target or its key does not stand well."""
        cooling = Name(provider, model, key) in self._cooling
        return cooling or Name(provider, model) in self._broken or (bool(key) and Name(provider, "", key) in self._broken)

    # Targets.

    async def choose(self, targets: Sequence[Target], keys: Mapping[str, Sequence[str]]) -> Chosen:
        """Which of them are to be asked. `keys`: by provider, the names of its keys, where it has several."""
        now = self._clock()
        free: list[Target] = []
        late: list[Target] = []
        passed: list[Target] = []
        out: list[Entry] = []
        lease: Lease | None = None
        for target in targets:
            entry = self._entry(target, keys.get(target.provider, ()), now) if target.model else None
            if entry is None:
                (late if target.provider in self.sick else free).append(target)
            elif entry.stand.state == "limited":
                late.append(target)
            elif entry.stand.state == "cooling" or entry.until > now or not entry.stand.model:
                passed.append(target)
                out.append(entry)
            elif free:
                # It steps in for those before it: what is asked only when they have failed has nothing to lose by it.
                free.append(target)
            elif (lease := await self._probe(entry)) is not None:
                free.append(target)
            else:
                passed.append(target)
                out.append(entry)
        chosen = (*free, *late)
        return Chosen(chosen, tuple(passed), lease, () if chosen else tuple(sorted(out, key=lambda one: one.until)))

    def shut(self, target: Target, keys: Sequence[str] = ()) -> bool:
        """Whether a target is to be passed over. One that is half open may be asked behind others. `keys`: as in `choose`."""
        if not (self._broken or self._cooling):
            return False
        now = self._clock()
        entry = self._entry(target, keys, now)
        return entry is not None and entry.stand.state != "limited" and entry.until > now

    def _entry(self, target: Target, keys: Sequence[str], now: float) -> Entry | None:
        """What keeps a target from being asked as usual; of several things the one that ends last."""
        name = Name(target.provider, target.model)
        found = [entry] if (entry := self._broken.get(name)) is not None else []
        if keys:
            held = [self._of_key(target, key, now) for key in keys]
            if all(one is not None for one in held):
                found.append(min((one for one in held if one is not None), key=lambda one: (one.stand.state != "limited", one.until)))
        elif (cool := self._cooling.get(name)) is not None and cool.until > now:
            found.append(cool)
        return max(found, key=lambda one: (one.stand.state != "limited", one.until)) if found else None

    def _of_key(self, target: Target, key: str, now: float) -> Entry | None:
        """What keeps a key from being used for a target. One that is half open is to be tried."""
        names = Name(target.provider, "", key), Name(target.provider, target.model, key)
        found = self._broken.get(names[0]), self._cooling.get(names[1])
        return max((one for one in found if one is not None and one.until > now), key=lambda one: one.until, default=None)

    async def _probe(self, entry: Entry) -> Lease | None:
        """Asks whether this request may try one that is half open."""
        if entry.asking or self._clock() < entry.not_before:
            return None
        entry.asking = True
        return await self._asked(entry)

    async def _asked(self, entry: Entry) -> Lease | None:
        try:
            number = await self._line.probe(entry.stand.name) if self._line is not None else NONE
        finally:
            entry.asking = False
        if number == 0:
            entry.not_before = self._clock() + _AGAIN
            return None
        if number == NONE:
            entry.not_before = self._clock() + entry.stand.open
        return Lease(entry.stand.name, number)

    def give_back(self, lease: Lease) -> None:
        """The request was answered otherwise, and nobody has tried."""
        entry = self._broken.get(lease.name)
        if entry is not None:
            entry.not_before = 0.0
        if self._line is not None and lease.number > 0:
            self._line.give_back(lease)

    # Keys.

    def usable(self, provider: str, model: str, key: str) -> bool:
        """Whether a key may be used now, or tried. As `able`, but nothing is taken by asking."""
        if not self.troubled:
            return True
        now = self._clock()
        cool, entry = self._cooling.get(Name(provider, model, key)), self._broken.get(Name(provider, "", key))
        cools = cool is not None and cool.until > now and cool.stand.state == "cooling"
        return not cools and (entry is None or entry.until <= now)

    def able(self, provider: str, model: str, key: str) -> bool:
        """Whether a key may be used now: it neither cools down for that model nor is open. One that is half open may be used for a moment,
        by one worker at a time.

        Does not wait: where the control process has to be asked, this attempt takes another key.
        """
        if not self.troubled:
            return True
        now = self._clock()
        cool = self._cooling.get(Name(provider, model, key))
        if cool is not None and cool.until > now and cool.stand.state == "cooling":
            return False
        entry = self._broken.get(Name(provider, "", key))
        return entry is None or (entry.until <= now and self._half_able(entry, now))

    def _half_able(self, entry: Entry, now: float) -> bool:
        if now < entry.granted:
            return True
        if not entry.asking and now >= entry.not_before:
            if self._line is None:
                entry.granted, entry.not_before = now + _MOMENT, now + entry.stand.open
                return True
            entry.asking = True
            self._line.begin(self._grant(entry))
        return False

    async def _grant(self, entry: Entry) -> None:
        if await self._asked(entry) is not None:
            entry.granted = self._clock() + _MOMENT

    # Alone.

    def alone(self, provider: str, model: str, key: str, *, good: bool) -> None:
        """What comes of an attempt while nobody takes it: what was half open is closed, or opens again, for this worker."""
        now = self._clock()
        for name in (Name(provider, model), Name(provider, "", key)):
            entry = self._broken.get(name)
            if entry is None or entry.until > now:
                continue
            if good:
                del self._broken[name]
            else:
                entry.until = now + entry.stand.open
        self._settle()

    # For people.

    def stands(self) -> Iterable[Stand]:
        """All who do not stand well, as of now."""
        now = self._clock()
        for entry in (*self._broken.values(), *self._cooling.values()):
            left, stand = entry.until - now, entry.stand
            if stand.state in ("cooling", "limited") and left <= 0:
                continue
            # What was told to be open has been half open since then.
            over = stand.state == "open" and left <= 0
            state, ago = ("half_open", -left) if over else (stand.state, now - entry.since)
            yield msgspec.structs.replace(stand, state=state, left=left, ago=ago)
