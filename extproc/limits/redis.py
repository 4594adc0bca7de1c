"""Counters in Redis, shared by machines: exact over all of them. See `scripts` for how they are kept there.

A request is one script for each group of counters that it wants something of, all of them in the pipeline of the moment: one round trip,
shared. Where one group has room and another has not, what was reserved is given back at once; for that moment others may be refused.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from extproc.cachestore.pump import Argument, Orphan, Pump, RedisDown, Script
from extproc.limits.limit import Charge, Crossed, Granted, Held, LimitsDown, Look, Refused, Settlement, granted, refused
from extproc.limits.rule import Want
from extproc.limits.scripts import FREE, HOLD, RELEASE, RESERVE, SETTLE, SHRINK
from extproc.limits.window import PARTS, UNDER_WAY, Spot, Window, spot

logger = logging.getLogger(__name__)

TIMEOUT = 0.25
"""Seconds for one command."""
TTL = 300.0
"""Seconds for which something stays reserved, unless it is held again."""
_TOGETHER = 64
"""Settlements of one script; and so many that are under way are told at once."""
_AGAIN = 0.25
"""Seconds after which Redis is told again what it did not hear."""
_OWED = 1000
"""Of so many requests at once, at most."""
_NEXT = 1_000
"""Milliseconds for which a key stays after nothing in it counts any more."""


class RedisLimits:
    """A `Source` in Redis. `url` as redis-py takes it; `prefix` keeps several gateways on one Redis apart.

    What takes longer than `timeout` seconds has failed: `LimitsDown`. What it may have reserved is given back when Redis is there again,
    and after `ttl` seconds at the latest.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = TIMEOUT,
        ttl: float = TTL,
        prefix: str = "headgate:limits:1",
        clock: Callable[[], float] | None = None,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: seconds since 1970, for what is over and what slides; None: Redis's own. `calendar`: for how long a calendar's windows
        are kept.
        """
        self._pump = Pump(url, timeout)
        self._prefix = prefix
        self._ttl = max(PARTS, int(ttl * 1000))
        self._clock = clock
        self._calendar = clock or calendar
        self._owed: dict[tuple[str, bytes], asyncio.TimerHandle] = {}
        """Groups and tickets that are to be given back there, which Redis could not be told."""
        self._holding: dict[bytes, Held] = {}
        """What Redis is to be told that it is under way."""
        self._holder: asyncio.Task[None] | None = None

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Source`."""
        if not wants:
            return Granted(())
        now = int(at * 1000)
        spots = [spot(want.terms.window, now) for want in wants]
        groups = _groups(want.group for want in wants)
        if len(groups) == 1:
            replies: list[list[int] | BaseException] = [await self._reserve(ticket, wants, spots)]
        else:
            asked = (self._reserve(ticket, [wants[one] for one in those], [spots[one] for one in those]) for those in groups.values())
            replies = await _all(asked)
        looks = [_NOTHING] * len(wants)
        for reply, those in zip(replies, groups.values(), strict=True):
            for place, one in enumerate(those):
                looks[one] = _NOTHING if isinstance(reply, BaseException) else Look(*reply[1 + 3 * place : 4 + 3 * place])
        if all(not isinstance(reply, BaseException) and reply[0] for reply in replies):
            return granted(wants, looks, spots)
        for reply, (group, those) in zip(replies, groups.items(), strict=True):
            if not isinstance(reply, BaseException) and reply[0]:
                self.release(ticket, tuple(wants[one] for one in those))
            if isinstance(reply, Exception):
                raise LimitsDown(f"group {group!r}: {reply}") from None
        return refused(wants, looks, spots, now)

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""
        self._holding.pop(ticket, None)
        for group in _groups(want.group for want in wants):
            self._give_back(group, ticket)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""
        self._holding.pop(ticket, None)
        for group in _groups(want.group for want in wants if want.terms.window == UNDER_WAY):
            self._give_back(group, ticket, script=FREE)

    def hold(self, held: Iterable[Held]) -> None:
        """See `Source`. However many they are, they leave room for others."""
        self._holding.update((one.ticket, one) for one in held)
        if self._holding and self._holder is None:
            self._holder = asyncio.get_running_loop().create_task(self._hold())

    def shrink(self, held: Held) -> None:
        """See `Source`."""
        now = int(held.at * 1000)
        for want in held.wants:
            arguments: list[Argument] = [held.ticket, _cell(want.counter, spot(want.terms.window, now)), want.amount]
            self._pump.send(SHRINK, self._base(want.group), arguments)

    async def settle(self, source: str, settlements: Sequence[Settlement]) -> list[Crossed]:
        """Tells the truth about requests, in the order of their numbers; one call after the other for one source. The thresholds that were
        reached by it. Raises `LimitsDown`: call again with the same, until it does not; what had been settled is not settled twice.

        A threshold that was reached in a call that failed may not be told.
        """
        groups: dict[str, list[tuple[Settlement, list[Charge]]]] = {}
        for settlement in settlements:
            for group, those in _groups(charge.group for charge in settlement.charges).items():
                groups.setdefault(group, []).append((settlement, [settlement.charges[one] for one in those]))
        told = await _all(self._settle_group(source, group, those) for group, those in groups.items())
        for each in told:
            if isinstance(each, BaseException):
                raise LimitsDown(str(each)) from None
        return [crossed for each in told if not isinstance(each, BaseException) for crossed in each]

    async def look(self, group: str, counter: str, window: Window, at: float) -> Look:
        """What a counter holds in the window that `at` is in. Raises `LimitsDown`."""
        where = spot(window, int(at * 1000))
        arguments: list[Argument] = [self._now(), b"", self._ttl, _cell(counter, where), window.part, where.part, 0, b"", 0]
        return Look(*(await self._run(RESERVE, group, arguments))[1:])

    async def close(self) -> None:
        """Closes all connections, when what is waiting has been told, or Redis takes too long for that."""
        for timer in self._owed.values():
            timer.cancel()
        if self._holder is not None:
            self._holder.cancel()
            await asyncio.gather(self._holder, return_exceptions=True)
        await self._pump.drain()
        await self._pump.close()

    async def _reserve(self, ticket: bytes, wants: Sequence[Want], spots: Sequence[Spot]) -> list[int]:
        arguments: list[Argument] = [self._now(), ticket, self._ttl]
        for want, where in zip(wants, spots, strict=True):
            terms = want.terms
            life = max(1, self._life(terms.window, where))
            most: Argument = terms.most if terms.hard else b""
            arguments += [_cell(want.counter, where), terms.window.part, where.part, life, most, want.amount]
        group = wants[0].group

        def undo(reply: Any) -> None:
            if isinstance(reply, Exception) or reply[0]:
                self._give_back(group, ticket)

        found: list[int] = await self._run(RESERVE, group, arguments, undo)
        return found

    async def _hold(self) -> None:
        """Those that Redis does not hear of are told with the next ones: it is away then, and who asked it goes on without it."""
        try:
            while some := [self._holding.pop(ticket) for ticket in list(self._holding)[:_TOGETHER]]:
                for each in await _all(asked for held in some for asked in self._holds(held)):
                    if isinstance(each, BaseException):
                        logger.debug("what is under way could not be told: %s", each)
        finally:
            self._holder = None

    def _holds(self, held: Held) -> Iterator[Coroutine[Any, Any, Any]]:
        spots = [spot(want.terms.window, int(held.at * 1000)) for want in held.wants]
        for group, those in _groups(want.group for want in held.wants).items():
            if (owed := self._owed.pop((group, held.ticket), None)) is not None:
                owed.cancel()
            arguments: list[Argument] = [self._now(), held.ticket, self._ttl]
            for want, where in ((held.wants[each], spots[each]) for each in those):
                life = max(1, self._life(want.terms.window, where))
                arguments += [_cell(want.counter, where), where.part, life, want.amount]
            yield self._run(HOLD, group, arguments)

    async def _settle_group(self, source: str, group: str, those: list[tuple[Settlement, list[Charge]]]) -> list[Crossed]:
        crossed = []
        for begin in range(0, len(those), _TOGETHER):
            arguments: list[Argument] = [self._now(), source]
            charges: list[Charge] = []
            for settlement, charged in those[begin : begin + _TOGETHER]:
                part = [each for charge in charged if (each := self._charge(charge, settlement.at, charges))]
                more: list[Argument] = [settlement.number, settlement.ticket, *(one for each in part for one in each)]
                arguments += [len(more), *more]
            told = await self._run(SETTLE, group, arguments)
            for at in range(0, len(told), 3):
                charge = charges[told[at]]
                crossed.append(Crossed(charge.counter, charge.terms.thresholds[told[at + 1]], told[at + 2], charge.terms.most))
        return crossed

    def _give_back(self, group: str, ticket: bytes, until: float | None = None, script: Script = RELEASE) -> None:
        """A Redis that was away is told again, until the reservation is over by itself."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._ttl / 1000 if until is None else until
        self._owed.pop((group, ticket), None)

        def failed(_: Any) -> None:
            if loop.time() + _AGAIN < end and len(self._owed) < _OWED:
                self._owed[group, ticket] = loop.call_later(_AGAIN, self._give_back, group, ticket, end, script)

        self._pump.send(script, self._base(group), [ticket], failed)

    def _charge(self, charge: Charge, at: float, charges: list[Charge]) -> list[Argument]:
        """A charge as the script takes it, which then is one of `charges`. Nothing: its window is over, or it has none."""
        terms, where = charge.terms, spot(charge.terms.window, int(at * 1000))
        life = self._life(terms.window, where)
        if not where.ends or life <= 0:
            return []
        charges.append(charge)
        levels = [one for share, level in zip(terms.thresholds, terms.levels(), strict=True) for one in (str(share), level)]
        told: list[Argument] = [_cell(charge.counter, where), terms.window.part, where.part, life, charge.amount]
        told += [charge.lease, charge.taken, *levels]
        return [len(told), *told]

    def _life(self, window: Window, where: Spot) -> int:
        """Milliseconds for which a key has to stay."""
        if window.part:
            return (PARTS + 1) * window.part + _NEXT
        return where.ends + where.grace - int(self._calendar() * 1000) if where.ends else 2 * self._ttl

    async def _run(self, script: Any, group: str, arguments: list[Argument], orphan: Orphan | None = None) -> Any:
        try:
            return await self._pump.run(script, self._base(group), arguments, orphan)
        except RedisDown as error:
            raise LimitsDown(str(error)) from None

    def _now(self) -> Argument:
        return b"" if self._clock is None else int(self._clock() * 1000)

    def _base(self, group: str) -> tuple[bytes]:
        digest = hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()
        return (f"{self._prefix}:{{{digest[:32]}}}:".encode(),)


_NOTHING = Look()


def _cell(counter: str, where: Spot) -> str:
    return f"{counter}@{where.name}"


def _groups(names: Iterable[str]) -> dict[str, list[int]]:
    """Which of them are of which group."""
    found: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        found.setdefault(name, []).append(at)
    return found


async def _all(asked: Iterable[Any]) -> list[Any]:
    """All of them in the same moment, outside of a task as well: what they return, or raise."""
    future = asyncio.gather(*asked, return_exceptions=True)
    try:
        return await future
    finally:
        future.cancel()
