"""Leases: what a worker has reserved of a counter in advance, so that most requests of a busy one are let in without asking anybody.

A lease is a reservation like any other, of one counter in one window, with a ticket of its own. Requests take theirs from it; what they
took comes back when they are settled, since their charges name the lease, and what nobody took when the lease ends. So those who count
have all that was let in among what is reserved, from the first moment to the last, and never let in more than there is.

    much is left       a lease is taken beside the requests, which ask for themselves until it is there; the next one before it is used up
    little is left     a lease is a share of it, and so smaller each time; where that is worth nothing, requests ask for themselves
    nobody answers     leases are used up to their end; then each rule's policy decides, as without leases
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from os import urandom

from msgspec.structs import replace

from extproc.limits.limit import Granted, Refused, State
from extproc.limits.news import Exhausted
from extproc.limits.rule import Want
from extproc.limits.shared import SharedLimits

LASTS = 2.0
"""Seconds of a lease: for so long others may be refused what nobody uses."""
_SHARE = 2
"""All leases that are taken of what is left at one time are at most this part of it."""
_WORTH = 4
"""A lease is worth its message if it is enough for so many requests."""
_POOLS = 10_000
"""Counters that are known, at most."""


class Lease:
    """One of them."""

    __slots__ = ("begins", "ends", "free", "open", "size", "state", "takers", "terms", "ticket")

    def __init__(self, ticket: bytes, want: Want, state: State, begins: float, ends: float) -> None:
        """`state`: what those who count said when they granted it."""
        self.ticket = ticket
        self.terms = want.terms
        self.size = self.free = want.amount
        self.state = state
        self.begins = begins
        self.ends = ends
        self.open = True
        self.takers = 0
        """Requests under way that have taken of it."""


class _Pool:
    """What a worker knows of one counter."""

    __slots__ = ("asking", "before", "leases", "left", "since", "size", "used")

    def __init__(self, at: float) -> None:
        self.leases: list[Lease] = []
        self.asking = False
        self.left = 0
        """What those who count have said last that is left."""
        self.size = 0
        """Of the last lease."""
        self.since = at
        self.used = 0
        """Wanted since then."""
        self.before = 0
        """And in as much time before that."""

    def wanted(self, amount: int, at: float, lasts: float) -> None:
        """A request wants so much."""
        passed = at - self.since
        if not 0 <= passed < lasts:
            self.before = self.used if 0 <= passed < 2 * lasts else 0
            self.since, self.used = at, 0
        self.used += amount

    @property
    def demand(self) -> int:
        """What is wanted while a lease lasts, and half as much again: so it grows where more comes."""
        most = max(self.used, self.before)
        return most + most // 2


class LeasedLimits:
    """`Limits` that take leases from others. For filters that have a rule with leases: others need not pay for looking."""

    def __init__(
        self, shared: SharedLimits, sharers: Callable[[], int], *, lasts: float = LASTS, clock: Callable[[], float] = time.time
    ) -> None:
        """`sharers`: as of `shared`. `lasts`: seconds of a lease. `clock`: seconds since 1970."""
        self._shared = shared
        self._sharers = sharers
        self._lasts = lasts
        self._clock = clock
        self._pools: dict[str, _Pool] = {}
        self._taken: dict[bytes, tuple[tuple[Lease, int], ...]] = {}
        """By request under way."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Limits`."""
        for want in wants:
            if want.lease:
                self._pool(want.counter, at).wanted(want.amount, at, self._lasts)
        found = self._take(ticket, wants, at)
        if found is not None:
            return found
        told = await self._shared.reserve(ticket, wants, at)
        if isinstance(told, Refused) and not told.alone and self._give_back(wants[told.at].counter):
            # What was in the way may have been our own.
            told = await self._shared.reserve(ticket, wants, at)
        if isinstance(told, Granted) and not told.alone:
            for want, state in zip(wants, told.states, strict=True):
                if want.lease and (pool := self._pools.get(want.counter)) is not None:
                    pool.left = state.left
                    self._consider(pool, want, at)
        return told

    def release(self, ticket: bytes) -> None:
        """See `Limits`."""
        taken = self._taken.pop(ticket, None)
        if taken is None:
            self._shared.release(ticket)
            return
        for lease, amount in taken:
            if lease.open:
                lease.free += amount
            else:
                self._shared.shrink(lease.ticket, amount)
            self._left(lease)

    def ended(self, ticket: bytes) -> None:
        """See `Limits`."""
        taken = self._taken.pop(ticket, None)
        if taken is None:
            self._shared.ended(ticket)
            return
        for lease, _ in taken:
            self._left(lease)

    def refused(self, label: str, exhausted: Exhausted | None) -> None:
        """See `Limits`."""
        self._shared.refused(label, exhausted)

    @property
    def leases(self) -> Iterator[Lease]:
        """All that requests may take from."""
        return (lease for pool in self._pools.values() for lease in pool.leases)

    def close(self) -> None:
        """Gives back what nobody has taken: this worker lets in no more."""
        for task in self._tasks:
            task.cancel()
        for lease in list(self.leases):
            self._end(lease)
        self._pools.clear()

    def _take(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | None:
        """All of it from leases, or nothing."""
        found = []
        for want in wants:
            lease = self._lease(want, at) if want.lease else None
            if lease is None:
                return None
            found.append((lease, want.amount))
        if not found:
            return None
        states = []
        for lease, amount in found:
            lease.free -= amount
            lease.takers += 1
            states.append(State(lease.state.left + lease.free, lease.state.resets, lease.state.reached))
        self._taken[ticket] = tuple(found)
        for want, (lease, _) in zip(wants, found, strict=True):
            pool = self._pools[want.counter]
            if lease.free * 2 < lease.size:
                self._consider(pool, want, at)
            if not lease.free:
                self._over(pool, lease)
        return Granted(tuple(states), leases=tuple(lease.ticket for lease, _ in found))

    def _lease(self, want: Want, at: float) -> Lease | None:
        """One that has enough, of the same terms: whoever changes a rule's amount wants it to hold at once."""
        pool = self._pools.get(want.counter)
        for lease in pool.leases if pool is not None else ():
            if lease.free >= want.amount and lease.begins <= at < lease.ends and lease.terms == want.terms:
                return lease
        return None

    def _consider(self, pool: _Pool, want: Want, at: float) -> None:
        """Takes a lease, if that is worth it, the last one is used up by half, and none is under way. Nobody waits for it."""
        if pool.asking or self._shared.alone or sum(lease.free for lease in pool.leases) * 2 > pool.size:
            return
        amount = min(pool.left // (_SHARE * max(1, self._sharers())), pool.demand)
        if amount < _WORTH * max(1, want.amount):
            return
        pool.asking = True
        task = asyncio.get_running_loop().create_task(self._ask(pool, replace(want, amount=amount), at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, pool: _Pool, want: Want, at: float) -> None:
        ticket = b"lease:" + urandom(12)
        try:
            told = await self._shared.reserve(ticket, (want,), at)
        finally:
            pool.asking = False
        if isinstance(told, Refused):
            pool.left = told.left
            return
        (state,) = told.states
        pool.left, pool.size = state.left, want.amount
        ends = min(at + self._lasts, state.resets)
        lease = Lease(ticket, want, state, at, ends)
        if told.alone or self._pools.get(want.counter) is not pool:
            self._end(lease)
            return
        pool.leases.append(lease)
        asyncio.get_running_loop().call_later(max(0.0, ends - self._clock()), self._over, pool, lease)

    def _over(self, pool: _Pool, lease: Lease) -> None:
        if lease.open:
            pool.leases.remove(lease)
            self._end(lease)

    def _end(self, lease: Lease) -> None:
        """Nobody takes of it any more; what nobody took is given back."""
        free, lease.free, lease.open = lease.free, 0, False
        if free == lease.size:
            self._shared.release(lease.ticket)
            return
        if free:
            self._shared.shrink(lease.ticket, free)
        self._settled_later(lease)

    def _left(self, lease: Lease) -> None:
        lease.takers -= 1
        self._settled_later(lease)

    def _settled_later(self, lease: Lease) -> None:
        """Where all is over, what is left of it is for those who settle."""
        if not lease.open and not lease.takers:
            self._shared.ended(lease.ticket)

    def _give_back(self, counter: str) -> bool:
        """What we have leased of a counter, and not used. Whether there was any."""
        pool = self._pools.get(counter)
        found = [lease for lease in pool.leases if lease.free] if pool is not None else []
        for lease in found:
            assert pool is not None
            self._over(pool, lease)
        return bool(found)

    def _pool(self, counter: str, at: float) -> _Pool:
        pool = self._pools.get(counter)
        if pool is None:
            if len(self._pools) >= _POOLS:
                self._forget()
            pool = self._pools[counter] = _Pool(at)
        return pool

    def _forget(self) -> None:
        """The one that came first; a busy one comes again at once."""
        pool = self._pools.pop(next(iter(self._pools)))
        for lease in list(pool.leases):
            self._over(pool, lease)
