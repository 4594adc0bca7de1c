"""The cache in Redis, shared by machines.

An entry and its lock are two keys with one hash tag, so that they live in the same slot of a cluster: `<prefix>:{<key in hex>}:entry`
and `...:lock`. A request costs one round trip: one script looks for the entry, or else takes the lock. The lock expires by itself
after `lease` seconds, so a leader that dies holds nobody up for longer. Those who wait look again, at growing intervals.
"""

import asyncio
import logging
from typing import Any

from extproc.cachestore.entry import Entry, Lead, decode, encode, new_lead
from extproc.cachestore.pump import Orphan, Pump, RedisDown, script

logger = logging.getLogger(__name__)

TIMEOUT = 0.25
"""Seconds for one command. A cache that is slower than that is no help."""
LEASE = 30.0
"""Seconds that a leader may take. A longer one is not disturbed, but the next request for the key leads as well."""
LARGEST = 16 << 20
"""Bytes of the largest entry."""
_LOOK_FIRST, _LOOK_LAST = 0.01, 0.05
"""Seconds between two looks of one who waits: the first pause, and the longest."""

_AGAIN = 1.0
"""Seconds after which Redis is told again that a lead has ended."""
_OWED = 1000
"""Leads of which it is to be told again, at most."""

_FREE, _LED, _BUSY = 0, 1, 2

# ARGV: token (empty: only look), lease in ms.
_BEGIN = script(f"""
local entry = redis.call('GET', KEYS[1])
if entry then return entry end
if ARGV[1] ~= '' and redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {_LED} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {_BUSY} end
return {_FREE}
""")

# ARGV: token (empty: no lead to end), then entry and time to live in ms, or neither.
_END = script("""
if ARGV[2] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
""")


class RedisStore:
    """A `Store` in Redis. Whatever goes wrong there means no cache, a line of log, and at most `timeout` seconds.

    `url` as redis-py takes it: `redis://`, `rediss://`, `unix://`. `prefix` keeps several gateways on one Redis apart.
    """

    def __init__(
        self, url: str, *, timeout: float = TIMEOUT, prefix: str = "headgate:cache:1", lease: float = LEASE, max_entry: int = LARGEST
    ) -> None:
        self._pump = Pump(url, timeout)
        self._prefix = prefix.encode()
        self._lease = lease
        self._max_entry = max_entry
        self._again: dict[bytes, asyncio.TimerHandle] = {}
        """When leads are to be ended that Redis could not be told of, by token."""

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """See `Store`."""
        try:
            if not lead:
                return _entry(await self._look(key, b""))
            mine = new_lead()
            reply = await self._look(key, mine.token, lambda reply: self._undo(key, mine, reply))
            if reply == _LED:
                return mine
            return await self._wait(key, wait) if reply == _BUSY else _entry(reply)
        except RedisDown as error:
            logger.debug("no cache: %s", error)
            return None

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """See `Store`. When it returns, everybody finds the entry."""
        data = encode(entry)
        if len(data) > self._max_entry or ttl <= 0:
            if lead is not None:
                self._end(key, lead)
            return
        token = lead.token if lead is not None else b""
        try:
            await self._pump.run(_END, self._keys(key), [token, data, max(1, int(ttl * 1000))])
        except RedisDown as error:
            logger.debug("not cached: %s", error)
            if lead is not None:
                self._end(key, lead)

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """See `Store`. Does not wait."""
        self._end(key, lead)

    async def close(self) -> None:
        """Closes all connections."""
        for timer in self._again.values():
            timer.cancel()
        await self._pump.close()

    async def _wait(self, key: bytes, wait: float) -> Entry | None:
        """Looks again until the entry is there, the lock is gone, or `wait` seconds are over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        pause = _LOOK_FIRST
        while (left := end - loop.time()) > 0:
            await _sleep(min(pause, left))
            pause = min(_LOOK_LAST, pause * 1.5)
            reply = await self._look(key, b"")
            if reply != _BUSY:
                return _entry(reply)
        return None

    async def _look(self, key: bytes, token: bytes, orphan: Orphan | None = None) -> Any:
        return await self._pump.run(_BEGIN, self._keys(key), [token, int(self._lease * 1000)], orphan)

    def _undo(self, key: bytes, lead: Lead, reply: Any) -> None:
        """The caller that was to lead is gone. If the answer was lost, the lock may be taken all the same."""
        if reply == _LED or isinstance(reply, Exception):
            self._end(key, lead)

    def _end(self, key: bytes, lead: Lead, until: float | None = None) -> None:
        """Ends a lead. A Redis that was away is told again, until the lead ends by itself: else all others would wait for nobody."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._lease if until is None else until
        self._again.pop(lead.token, None)

        def failed(_: Any) -> None:
            if loop.time() + _AGAIN < end and len(self._again) < _OWED:
                self._again[lead.token] = loop.call_later(_AGAIN, self._end, key, lead, end)

        self._pump.send(_END, self._keys(key), [lead.token], failed)

    def _keys(self, key: bytes) -> tuple[bytes, bytes]:
        base = b"%b:{%b}:" % (self._prefix, key.hex().encode())
        return base + b"entry", base + b"lock"


def _entry(reply: Any) -> Entry | None:
    """The entry in a reply, if there is one, and it is one that we can read."""
    return decode(reply) if isinstance(reply, bytes) else None


async def _sleep(seconds: float) -> None:
    """Like asyncio's, but for coroutines outside of a task as well."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _wake, future)
    try:
        await future
    finally:
        timer.cancel()


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
