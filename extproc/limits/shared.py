"""Limits that are counted elsewhere, as a worker uses them: what it has reserved, and what it does while nobody can be asked."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from extproc.limits.limit import Granted, Held, LimitsDown, Refused, Source, State
from extproc.limits.news import Exhausted, window
from extproc.limits.rule import Want
from extproc.limits.table import Table
from extproc.limits.window import UNDER_WAY, spot

RENEW = 100.0
"""Seconds after which `renew` has to be called again: well before what is reserved is over."""
_TTL = 3 * RENEW
_AGAIN = 1.0
"""Seconds after which it is worth trying again, where a rule is closed."""
_KNOWN = 10_000
"""Counters of which it is remembered what was left."""

_log = logging.getLogger(__name__)


def _nobody(_: Exhausted) -> None:
    pass


class _Left(Struct, frozen=True):
    """What a counter had left when it was last heard of."""

    window: str
    left: int
    until: float
    """When that says nothing any more: its window is over by then, or has moved on."""


class SharedLimits:
    """`Limits` that ask a `Source`.

    While it is away each rule's own policy decides. `open`: nobody is refused. `closed`: everybody is. `share`: each worker lets in, in
    each window, its share of what was left when it last heard of that counter, or of the whole amount where it has not heard of the
    window. So all of them together let in no more than the most that any of them believes to be left. What ends meanwhile counts there as
    it was reserved, and is settled when its records are read; what is still under way is told when the source is back.
    """

    def __init__(
        self, source: Source, sharers: Callable[[], int], tell: Callable[[Exhausted], object] = _nobody, *,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """`sharers`: how many workers share a counter, on all machines. `tell`: hears of what is used up, once in a window. `clock`:
        seconds since 1970.
        """
        self.sharers = sharers
        self._source = source
        self._tell = tell
        self._clock = clock
        self._held: dict[bytes, Held] = {}
        self._left: dict[str, _Left] = {}
        self._own: Table | None = None
        """While the source is away: what is let in by shares."""
        self._shares: dict[tuple[str, str], int] = {}
        self._decided: Counter[str] = Counter()
        self._exhausted: dict[str, None] = {}
        """Windows that this worker has told of."""
        self.refusals: Counter[str] = Counter()
        """Requests, since the process began, by the label of the rule that refused them."""

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Limits`."""
        try:
            found = await self._source.reserve(ticket, wants, at)
        except LimitsDown as error:
            return self._alone(ticket, wants, at, error)
        if self._own is not None:
            self.told()
        if isinstance(found, Granted):
            self._held[ticket] = Held(ticket, wants, at)
            for want, state in zip(wants, found.states, strict=True):
                self._heard(want, state.left, at)
        else:
            self._heard(wants[found.at], found.left, at)
        return found

    def release(self, ticket: bytes) -> None:
        """See `Limits`."""
        held = self._held.pop(ticket, None)
        if held is not None:
            self._source.release(ticket, held.wants)
            if self._own is not None:
                self._own.release(ticket)

    def ended(self, ticket: bytes) -> None:
        """See `Limits`."""
        held = self._held.pop(ticket, None)
        if held is None:
            return
        if any(want.terms.window == UNDER_WAY for want in held.wants):
            self._source.free(ticket, held.wants)
        if self._own is not None:
            # Nobody here knows what it has cost: no more than that, as far as anybody could know.
            self._own.use(ticket)

    def shrink(self, ticket: bytes, amount: int) -> None:
        """So much of the one thing that the ticket has reserved is free again."""
        held = self._held.get(ticket)
        if held is not None:
            (want,) = held.wants
            self._held[ticket] = replace(held, wants=(replace(want, amount=want.amount - amount),))
            self._source.shrink(replace(held, wants=(replace(want, amount=amount),)))

    def refused(self, label: str, exhausted: Exhausted | None) -> None:
        """See `Limits`."""
        self.refusals[label] += 1
        if exhausted is None:
            return
        name = window(exhausted, self._clock())
        if name not in self._exhausted:
            if len(self._exhausted) >= _KNOWN:
                del self._exhausted[next(iter(self._exhausted))]
            self._exhausted[name] = None
            self._tell(exhausted)

    async def close(self) -> None:
        """Ends."""
        await self._source.close()

    def told(self) -> None:
        """The source is there, again perhaps: it is told what is under way."""
        if self._own is not None:
            _log.warning("limits are counted together again; alone, this worker has decided so far: %s", dict(self._decided))
            self._own = None
            self._shares.clear()
        self._source.hold(list(self._held.values()))

    def renew(self) -> None:
        """Says that what is under way still is. Has to be called every `RENEW` seconds."""
        self._source.hold(list(self._held.values()))
        if self._own is not None:
            for held in self._held.values():
                self._hold_own(self._own, held, self._clock())

    @property
    def alone(self) -> bool:
        """Whether nobody could be asked, the last time."""
        return self._own is not None

    def counts(self) -> Mapping[str, int]:
        """How often it had to decide alone, since the process began: `granted` and `refused`."""
        return dict(self._decided)

    def _alone(self, ticket: bytes, wants: tuple[Want, ...], at: float, error: LimitsDown) -> Granted | Refused:
        own = self._own
        if own is None:
            _log.warning("limits are counted by this worker alone, for now: %s", error)
            own = self._own = Table()
            for held in self._held.values():
                self._hold_own(own, held, at)
        found = self._decide(own, ticket, wants, at)
        self._decided["granted" if isinstance(found, Granted) else "refused"] += 1
        if isinstance(found, Granted):
            self._held[ticket] = Held(ticket, wants, at)
        return found

    def _decide(self, own: Table, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        for index, want in enumerate(wants):
            if want.outage == "closed" and want.terms.hard:
                return Refused(index, 0, at + _AGAIN, alone=True)
        shared = [index for index, want in enumerate(wants) if want.outage == "share" and want.terms.hard]
        found = own.reserve(ticket, tuple(self._own_want(wants[index], at) for index in shared), at, _TTL)
        if isinstance(found, Refused):
            return replace(found, at=shared[found.at], alone=True)
        states = dict(zip(shared, found.states, strict=True))
        unknown = (State(want.terms.most, spot(want.terms.window, int(at * 1000)).ends / 1000, 0.0) for want in wants)
        return Granted(tuple(states.get(index, state) for index, state in enumerate(unknown)), alone=True)

    def _hold_own(self, own: Table, held: Held, now: float) -> None:
        """What has been let in counts already in what was left; but the slots that it has are its own."""
        known = tuple(want for want in held.wants if want.terms.window == UNDER_WAY)
        own.hold(held.ticket, known, held.at, now, _TTL)

    def _own_want(self, want: Want, at: float) -> Want:
        """The same, of this worker's share. It is fixed when it is asked for first, in each window."""
        now = int(at * 1000)
        where = spot(want.terms.window, now)
        key = want.counter, where.name
        share = self._shares.get(key)
        heard = self._left.get(want.counter)
        if heard is not None and (heard.window != where.name or at >= heard.until):
            del self._left[want.counter]
            heard = share = None
        if share is None:
            if len(self._shares) >= _KNOWN:
                del self._shares[next(iter(self._shares))]
            share = self._shares[key] = self._share(want, heard)
        return replace(want, terms=replace(want.terms, most=share))

    def _share(self, want: Want, heard: _Left | None) -> int:
        sharers = max(1, self.sharers())
        if want.terms.window == UNDER_WAY:
            return max(1, want.terms.most // sharers)
        return max(0, want.terms.most if heard is None else min(heard.left, want.terms.most)) // sharers

    def _heard(self, want: Want, left: int, at: float) -> None:
        window = want.terms.window
        if window == UNDER_WAY or want.outage != "share" or not want.terms.hard:
            return
        self._left.pop(want.counter, None)
        if len(self._left) >= _KNOWN:
            del self._left[next(iter(self._left))]
        where = spot(window, int(at * 1000))
        self._left[want.counter] = _Left(where.name, left, where.ends / 1000)
