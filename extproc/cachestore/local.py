"""The memory cache of a gateway with one worker: inside that worker, so that nobody has to be asked, and a miss costs no wait."""

import asyncio
import time
from collections.abc import Callable

from extproc.cachestore.entry import Entry, Lead, decode, encode, new_lead
from extproc.cachestore.flight import Flights
from extproc.cachestore.memory import MemoryCache

LEASE = 60.0
"""Seconds after which a lead may be taken from a request that holds it and does nothing."""


class LocalStore:
    """A `Store` of this process. It is gone when the process ends."""

    def __init__(self, max_bytes: int, max_entry: int, *, lease: float = LEASE, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = MemoryCache(max_bytes, max_entry)
        self._flights = Flights(lease)
        self._clock = clock

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """See `Store`."""
        now = self._clock()
        value = self._cache.get(key, now)
        if value is None and lead:
            mine = new_lead()
            if self._flights.lead(key, mine.token, self, now):
                return mine
            if wait > 0:
                value = await self._wait(key, mine.token, wait)
        return decode(value) if value is not None else None

    async def _wait(self, key: bytes, token: bytes, seconds: float) -> bytes | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()

        def wake(value: bytes | None) -> None:
            if not future.done():
                future.set_result(value)

        self._flights.wait(key, token, self, wake)
        timer = loop.call_later(seconds, wake, None)
        try:
            return await future
        finally:
            timer.cancel()
            self._flights.leave(key, token)

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """See `Store`."""
        value = encode(entry)
        self._cache.put(key, value, ttl, self._clock())
        # Those who wait get it even if it is too large to be kept.
        self._flights.deliver(key, value)
        if lead is not None:
            self._flights.release(key, lead.token)

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """See `Store`."""
        self._flights.release(key, lead.token)
