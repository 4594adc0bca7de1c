"""A memory cache with single flight: what the only worker keeps itself (`local`) and what the control process keeps for all (`shared`)."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from extproc.cachestore.flight import Flights, Wake
from extproc.cachestore.memory import MemoryCache

LEASE = 60.0
"""Seconds after which a lead may be taken from one who holds it and does nothing."""


class Shelf:
    """Values by key; what is missing is fetched by one caller at a time. Callers name themselves by token, those who may die by owner."""

    def __init__(self, max_bytes: int, max_entry: int, *, lease: float = LEASE, clock: Callable[[], float] = time.monotonic) -> None:
        """`lease`: seconds that a lead holds at most."""
        self._cache = MemoryCache(max_bytes, max_entry)
        self._flights = Flights(lease)
        self._clock = clock

    @property
    def waiting(self) -> int:
        """How many wait for somebody else's value."""
        return self._flights.waiting

    def look(self, key: bytes) -> bytes | None:
        """What is kept."""
        return self._cache.get(key, self._clock())

    def lead(self, key: bytes, token: bytes, owner: object) -> bool:
        """Takes the lead, if nobody has it."""
        return self._flights.lead(key, token, owner, self._clock())

    def wait(self, key: bytes, token: bytes, owner: object, seconds: float) -> Awaitable[bytes | None]:
        """Waits for the one who has the lead, from now on; None: nothing came of it in time. Raises `KeyError` if nobody has it."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

        def wake(value: bytes | None) -> None:
            if not future.done():
                future.set_result(value)

        self._flights.wait(key, token, owner, wake)
        return self._wait(key, token, seconds, future, wake)

    async def _wait(self, key: bytes, token: bytes, seconds: float, future: "asyncio.Future[bytes | None]", wake: Wake) -> bytes | None:
        timer = asyncio.get_running_loop().call_later(seconds, wake, None)
        try:
            return await future
        finally:
            timer.cancel()
            self._flights.leave(key, token)

    def put(self, key: bytes, token: bytes, value: bytes, ttl: float) -> None:
        """Keeps a value for `ttl` seconds, gives it to all who wait for it, and ends the lead of this token, if it has one."""
        self._cache.put(key, value, ttl, self._clock())
        # Those who wait get it even if it is too large to be kept.
        self._flights.deliver(key, token, value)

    def release(self, key: bytes, token: bytes) -> None:
        """Ends the lead of this token, or its waiting."""
        self._flights.release(key, token)

    def dead(self, owner: object) -> None:
        """Ends all leads and all waiting of one who died."""
        self._flights.dead(owner)
