"""Delivers to one receiver what waits for it: one delivery after another, again and again where it is not taken, for a day."""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Sequence

from extproc.control.box import Box
from extproc.ledger.notified import NotificationMetrics
from extproc.loops import forever
from extproc.notifications.delivery import Delivery, Undelivered
from extproc.notifications.outbox import Outbox, Waiting
from extproc.notifications.schedule import Pace, pause

_LONG = 60.0
"""Seconds after which it looks again, whatever it knows of."""
_RETRY = 5.0
"""Seconds between two attempts to use a disk that refuses."""

_log = logging.getLogger(__name__)


class Carrier:
    """The deliveries to one receiver, until `close`."""

    def __init__(
        self, name: str, delivery: Delivery, pace: Pace, box: Box, metrics: NotificationMetrics, draw: Callable[[], float] = random.random
    ) -> None:  # fmt: skip
        self._name = name
        self._delivery = delivery
        self._pace = pace
        self._box = box
        self._metrics = metrics
        self._draw = draw
        self._news = asyncio.Event()
        self._over: list[int] = []
        """What needs no delivery any more, while the disk does not take that."""
        self._slowed = False
        """It has been said that there is more to tell than may be told at once."""
        self._task = asyncio.get_running_loop().create_task(forever(f"notifying {name}", 0.0, self._run))

    def wake(self) -> None:
        """There may be something new."""
        self._news.set()

    async def close(self) -> None:
        """Delivers nothing any more. What is under way may be delivered once more, by whoever comes next."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._step()
        except (OSError, sqlite3.Error) as error:
            _log.error("the outbox of notifications cannot be used: %s; nothing is lost, trying again", error)
            await asyncio.sleep(_RETRY)

    async def _step(self) -> None:
        self._news.clear()
        if self._over:
            await self._box.do(Outbox.done, self._over)
            self._over = []
        waiting = await self._box.do(Outbox.due, self._name, time.time(), self._delivery.most)
        if not waiting:
            await self._rest()
        elif (wait := self._pace.wait(time.monotonic())) > 0:
            if not self._pace.failures and not self._slowed:
                _log.warning("the receiver %s is told no more than %d times a minute: what is more waits", self._name, self._pace.most)
                self._slowed = True
            # More may have come until then.
            await asyncio.sleep(wait)
        else:
            await self._deliver(waiting)

    async def _rest(self) -> None:
        self._slowed = False
        due = await self._box.do(Outbox.next_due, self._name)
        left = _LONG if due is None else min(max(due - time.time(), 0.0), _LONG)
        try:
            await asyncio.wait_for(self._news.wait(), left)
        except TimeoutError:
            return

    async def _deliver(self, waiting: Sequence[Waiting]) -> None:
        self._pace.begun(time.monotonic())
        try:
            await self._delivery.deliver(waiting)
        except Undelivered as why:
            await self._failed(waiting, why)
        else:
            self._answered()
            self._metrics.count(self._name, "sent", len(waiting))
            await self._finish(waiting)

    def _answered(self) -> None:
        if self._pace.failures:
            _log.info("the receiver %s answers again", self._name)
        self._pace.answered()

    async def _finish(self, waiting: Sequence[Waiting]) -> None:
        self._over += [one.number for one in waiting]
        await self._box.do(Outbox.done, self._over)
        self._over = []

    async def _failed(self, waiting: Sequence[Waiting], why: Undelivered) -> None:
        self._metrics.count(self._name, "failed", len(waiting))
        if why.down:
            self._pace.failed(time.monotonic(), why.after)
        else:
            self._answered()
        if why.final:
            _log.error("the receiver %s never takes %s: %s; it is given up", self._name, _named(waiting), why)
            self._metrics.count(self._name, "given_up", len(waiting))
            await self._finish(waiting)
            return
        attempts = max(one.attempts for one in waiting) + 1
        count = self._pace.failures if why.down else attempts
        log = _log.warning if count in (1, 10) or count % 100 == 0 else _log.debug
        log("the receiver %s has not taken %s: %s; it is tried again for a day", self._name, _named(waiting), why)
        due = time.time() + pause(attempts, self._draw, why.after)
        await self._box.do(Outbox.again, [one.number for one in waiting], due)


def _named(waiting: Sequence[Waiting]) -> str:
    first = waiting[0].event
    return f"{first.type} {first.id}" + (f" and {len(waiting) - 1} more" if len(waiting) > 1 else "")
