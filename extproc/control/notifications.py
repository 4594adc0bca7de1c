"""Tells receivers what has happened: takes events from whoever knows of one, and keeps them until they are delivered.

Of breakers and of keys that expire it finds out itself.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from extproc.config.notifications import OF_KEYS, Notifications, Receiver, Webhook
from extproc.control.box import Box
from extproc.control.carrier import Carrier
from extproc.control.expiry import Find, look
from extproc.control.mail import MailDelivery
from extproc.control.way_out import DIRECT, WayOut
from extproc.control.webhook import WebhookDelivery
from extproc.ledger.notified import NotificationMetrics
from extproc.loops import forever
from extproc.notifications.delivery import Delivery
from extproc.notifications.event import Event, breaker_closed, breaker_opened
from extproc.notifications.outbox import FILE, MOST, Mark, Outbox
from extproc.notifications.schedule import LASTS, Pace
from extproc.standing.board import Change
from extproc.standing.cooling import Name
from extproc.standing.told import Stand

_LOOK_EVERY = 1.0
_SWEEP_EVERY = 60.0
_KEYS_EVERY = 600.0
_RETRY = 5.0
"""Seconds between two attempts to write on a disk that refuses."""
_REFUSED = "the outbox of notifications cannot be used: %s"

_log = logging.getLogger(__name__)
Rows = list[tuple[Event, list[str]]]


class Notifier:
    """The notifications of one gateway. Without receivers it does nothing, and makes no file."""

    def __init__(
        self, state: Path, metrics: NotificationMetrics, *, ca_file: Callable[[], str], stands: Callable[[], Iterable[Stand]], keys: Find,
        way: WayOut = DIRECT,
    ) -> None:  # fmt: skip
        """`stands`: all targets and keys that do not stand well. `keys`: callers' keys, by when they expire. `ca_file`: who vouches for
        receivers.
        """
        self._state = state
        self._metrics = metrics
        self._ca_file = ca_file
        self._way = way
        self._stands = stands
        self._keys = keys
        self._section: Notifications | None = None
        self._receivers: dict[str, Receiver] = {}
        self._carriers: dict[str, Carrier] = {}
        self._told: deque[Event] = deque()
        self._news = asyncio.Event()
        self._lost: Counter[str] = Counter()
        self._open: set[Name] = set()
        """Those that receivers take for open."""
        self._box: Box | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def tell(self, event: Event) -> None:
        """Something has happened. May be called from any thread, and waits for nothing."""
        loop = self._loop
        if loop is None or not self._receivers:
            return
        if len(self._told) >= MOST:
            # The disk does not take them.
            self._lost.update(self._wanting(self._told.popleft()))
        self._told.append(event)
        loop.call_soon_threadsafe(self._news.set)

    def changed(self, change: Change) -> None:
        """A breaker has. One that was tried in vain, and is open again, has been told of as open."""
        if change.state == "open" and self._receivers and change.name not in self._open:
            self._open.add(change.name)
            self.tell(breaker_opened(change))

    async def follow(self, section: Notifications) -> bool:
        """These are the receivers now. What waits for one that goes on by its name is delivered as that one says now. Whether anything is
        otherwise than before.
        """
        if section == self._section:
            return False
        wanted = {one.name: one for one in section.receivers}
        # At once: what happens meanwhile is already kept for these.
        before, self._receivers, self._section = self._receivers, wanted, section
        for name, receiver in before.items():
            if wanted.get(name) != receiver:
                await self._carriers.pop(name).close()
        if wanted or (self._state / FILE).exists():
            self._loop = asyncio.get_running_loop()
            box = self._box or await self._begin()
            await self._keep(box, wanted)
            for name, receiver in wanted.items():
                if name not in self._carriers:
                    pace = Pace(receiver.per_minute, random.random)
                    self._carriers[name] = Carrier(name, delivery(receiver, self._ca_file, self._way), pace, box, self._metrics)
            if not self._tasks:
                self._run(self._loop)
        if wanted or before:
            _log.info("notifications go to %s", ", ".join(wanted) or "nobody any more")
        return True

    async def _begin(self) -> Box:
        self._box = box = Box(Outbox(self._state))
        try:
            self._open = await box.do(Outbox.breakers)
        except (OSError, sqlite3.Error) as error:
            _log.error(_REFUSED, error)
        return box

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tasks = [
            loop.create_task(forever("taking notifications", 0.0, self._take)),
            loop.create_task(forever("looking at breakers", _LOOK_EVERY, self._look)),
            loop.create_task(forever("looking for keys that expire", _KEYS_EVERY, self._expiring)),
            loop.create_task(forever("clearing the outbox", _SWEEP_EVERY, self._sweep)),
        ]

    async def _keep(self, box: Box, wanted: Iterable[str]) -> None:
        try:
            gone = await box.do(Outbox.keep, wanted)
        except (OSError, sqlite3.Error) as error:
            _log.error(_REFUSED, error)
            return
        for name, count in gone.items():
            _log.warning("there is no receiver %s any more: %d notifications are dropped", name, count)
            self._metrics.count(name, "dropped", count)

    async def close(self) -> None:
        """Ends. What is not delivered yet is kept."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(carrier.close() for carrier in self._carriers.values()), return_exceptions=True)
        if self._box is not None:
            try:
                await self._write(self._box)
            except (OSError, sqlite3.Error) as error:
                _log.error("%d notifications are lost: %s", len(self._told), error)
            await self._box.close()
        self._receivers, self._carriers, self._box = {}, {}, None

    async def show(self) -> None:
        """Brings the metrics up to date."""
        if self._box is None:
            return
        try:
            waiting = await self._box.do(Outbox.waiting)
        except (OSError, sqlite3.Error) as error:
            _log.error(_REFUSED, error)
        else:
            self._metrics.waiting({name: waiting[name] for name in self._receivers})

    # What has happened.

    async def _take(self) -> None:
        await self._news.wait()
        self._news.clear()
        assert self._box is not None
        try:
            await self._write(self._box)
        except (OSError, sqlite3.Error) as error:
            _log.error("notifications cannot be kept: %s; trying again", error)
            self._news.set()
            await asyncio.sleep(_RETRY)

    async def _write(self, box: Box) -> None:
        events, self._told = self._told, deque()
        if not events:
            return
        try:
            await self._put(box, [(event, self._wanting(event)) for event in events])
        except BaseException:
            # Whatever it was, the end of all this among it: twice is better than never.
            self._told.extendleft(reversed(events))
            raise

    async def _put(self, box: Box, rows: Rows, mark: tuple[int, Mark] | None = None) -> None:
        self._lost.update(await box.do(Outbox.put, rows, time.time(), mark))
        wanting = {name for _, names in rows for name in names}
        for name, carrier in self._carriers.items():
            if name in wanting:
                carrier.wake()

    def _wanting(self, event: Event) -> list[str]:
        return [name for name, receiver in self._receivers.items() if event.is_for(receiver)]

    async def _expiring(self) -> None:
        box, section = self._box, self._section
        if box is None or section is None or not any(not one.events or not OF_KEYS.isdisjoint(one.events) for one in section.receivers):
            return

        async def put(events: Sequence[Event], mark: tuple[int, Mark]) -> None:
            await self._put(box, [(event, self._wanting(event)) for event in events], mark)

        try:
            await look(section.key_expiry_days, int(time.time() * 1000), box, self._keys, put)
        except (OSError, sqlite3.Error) as error:
            _log.error("nobody is told of keys that expire: %s; it is tried again in %d minutes", error, _KEYS_EVERY / 60)

    # What is over.

    def _look(self) -> None:
        """Breakers that are closed, whoever has found that out, and however: another machine, a new configuration, a new start."""
        if not self._receivers:
            return
        still = {stand.name for stand in self._stands() if stand.state in ("open", "half_open")}
        for name in self._open - still:
            self._open.discard(name)
            self.tell(breaker_closed(name))

    async def _sweep(self) -> None:
        assert self._box is not None
        try:
            gone = await self._box.do(Outbox.give_up, time.time() - LASTS)
        except (OSError, sqlite3.Error) as error:
            _log.error(_REFUSED, error)
            return
        for name, count in gone.items():
            _log.error("%d notifications for the receiver %s are given up: it has not taken them for a day", count, name)
            self._metrics.count(name, "given_up", count)
        lost, self._lost = self._lost, Counter()
        for name, count in lost.items():
            _log.error("%d notifications for the receiver %s are dropped: more than %d waited", count, name, MOST)
            self._metrics.count(name, "dropped", count)


def delivery(receiver: Receiver, ca_file: Callable[[], str], way: WayOut = DIRECT) -> Delivery:
    """The way to a receiver. Mail takes no proxy."""
    return WebhookDelivery(receiver, ca_file, way=way) if isinstance(receiver, Webhook) else MailDelivery(receiver, ca_file)
