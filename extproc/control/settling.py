"""Settles what requests have used of limits and budgets, from the ledger: with the table of this machine, or in Redis.

What could not be told stays in the ledger, and is told again until it has been heard.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from extproc.config.model import Redis
from extproc.ledger.spent import Row, Spent
from extproc.ledger.store import Store
from extproc.limits import messages
from extproc.limits.limit import Charge, Crossed, LimitsDown, Look, Settlement
from extproc.limits.news import Heard, News, Reached, lasts, window, words
from extproc.limits.reserved import Counted
from extproc.limits.rule import rule_of
from extproc.limits.service import LimitService
from extproc.limits.table import Table
from extproc.limits.window import Window, spot

_TOGETHER = 512
"""Settlements that are told at once."""
_KNOWN = 10_000
"""Windows of which it is remembered that nothing was left of them."""
_QUIET = 10.0
"""Seconds between two lines of the log about a Redis that does not hear."""

_log = logging.getLogger(__name__)

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Has something done in the ledger's thread."""


class Shared(Protocol):
    """Those who count for several machines; see `limits.redis`."""

    async def settle(self, source: str, settlements: Sequence[Settlement]) -> list[Crossed]:
        """Raises `LimitsDown`."""

    async def look(self, group: str, counter: str, window: Window, at: float) -> Look:
        """Raises `LimitsDown`."""

    async def close(self) -> None:
        """Ends."""


def open_redis(settings: Redis) -> Shared:
    """The counters of the fleet."""
    # Optional: only a configuration that names a Redis needs the client.
    from extproc.limits.redis import RedisLimits  # noqa: PLC0415

    return RedisLimits(settings.url)


def log_news(news: News) -> None:
    """Says it in the log: what is over soon, to those who look for it."""
    _log.log(logging.WARNING if lasts(news) else logging.DEBUG, "%s", words(news))


class Settling:
    """Of one gateway. `service`: who counts where there is no Redis."""

    def __init__(
        self,
        service: LimitService,
        heard: Heard = log_news,
        *,
        opens: Callable[[Redis], Shared] = open_redis,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`heard`: is told of thresholds, and of what is used up. `opens`: see `open_redis`."""
        self._service = service
        self._heard = heard
        self._opens = opens
        self._clock = clock
        self._redis: Redis | None = None
        self._follows = False
        self._shared: Shared | None = None
        self._exhausted: dict[str, None] = {}
        self._complained = float("-inf")
        self.crossed: dict[str, int] = {}
        """Thresholds, since the process began: how often each rule has reached one."""

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], bytes]]:
        """What workers may tell."""
        return {messages.EXHAUSTED: self._used_up}

    async def follow(self, redis: Redis | None, spent: Spent, run: Run) -> None:
        """From now on it is counted there: in the table, with what the ledger says of windows that still count. Raises `sqlite3.Error`."""
        if self._follows and redis == self._redis:
            return
        await self.close()
        if redis is None:
            self._service.table = await run(partial(self._resumed, spent))
        self._redis, self._follows = redis, True

    def _resumed(self, spent: Spent) -> Table:
        table, now = Table(), self._clock()
        for each in spent.sums(now):
            counted = each.counted
            table.resume([Charge(counted.counter, counted.terms, each.amount, counted.group)], each.at, now)
        return table

    async def step(self, spent: Spent, store: Store, run: Run) -> None:
        """Settles what the ledger has new. Raises `sqlite3.Error` where it cannot be read or written; call again then."""
        while rows := await run(partial(spent.pending, _TOGETHER)):
            try:
                crossed = await self._tell(spent.source, await run(partial(spent.settlements, rows)))
            except LimitsDown as error:
                self._complain(error)
                return
            self._tell_crossed(rows, crossed)
            await run(partial(self._fold, spent, store, rows))

    async def look(self, counted: Counted, at: float) -> Look:
        """What a counter holds now. Raises `LimitsDown`."""
        if self._redis is None:
            return self._service.table.look(counted.counter, counted.terms.window, at)
        return await self._fleet().look(counted.group, counted.counter, counted.terms.window, at)

    async def close(self) -> None:
        """Ends. What has not been told is told at the next start."""
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.close()

    async def _tell(self, source: str, settlements: list[Settlement]) -> list[Crossed]:
        if self._redis is None:
            return self._service.table.settle(source, settlements, self._clock())
        return await self._fleet().settle(source, settlements)

    def _fleet(self) -> Shared:
        assert self._redis is not None
        if self._shared is None:
            self._shared = self._opens(self._redis)
        return self._shared

    def _fold(self, spent: Spent, store: Store, rows: list[Row]) -> None:
        with store.transaction():
            spent.fold(rows, self._clock())

    def _tell_crossed(self, rows: list[Row], crossed: list[Crossed]) -> None:
        if not crossed:
            return
        known = {each.counted.counter: (each.counted, row.at) for row in rows for each in row.used}
        for each in crossed:
            counted, at = known[each.counter]
            resets = spot(counted.terms.window, int(at * 1000)).ends / 1000
            told = Reached(
                counter=each.counter, per=counted.per, unit=counted.unit, window=counted.terms.window, group=counted.group,
                hard=counted.terms.hard, threshold=each.threshold, used=each.used, most=each.most, resets=resets,
            )  # fmt: skip
            name = rule_of(told.counter)
            self.crossed[name] = self.crossed.get(name, 0) + 1
            self._heard(told)

    def _used_up(self, _: object, payload: bytes) -> bytes:
        told = messages.read_exhausted(payload)
        name = window(told, self._clock())
        if name not in self._exhausted:
            if len(self._exhausted) >= _KNOWN:
                del self._exhausted[next(iter(self._exhausted))]
            self._exhausted[name] = None
            self._heard(told)
        return b""

    def _complain(self, error: LimitsDown) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._complained >= _QUIET:
            self._complained = now
            _log.warning("what requests have used cannot be settled in Redis, and is kept until it can: %s", error)
