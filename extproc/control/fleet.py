"""What the machines of a fleet tell one another of targets and keys, in Redis: what has changed, and who may try what is half open.

All keys have one hash tag, so that they live in the same slot of a cluster. One hash holds the last change of each; a counter says which
are new. Times are Redis' own, and what is told are durations, so that no machine's clock need agree with another's.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from extproc.cachestore.pump import Argument, Pump, RedisDown, script
from extproc.standing.board import Change
from extproc.standing.cooling import Name

_STAYS = 3600.0
"""Seconds for which a change is kept, beyond the time for which it counts."""
_TOLD = 60.0
"""Seconds for which it is kept that one is closed again, or cools down no more: all others have asked by then."""

_WAITING = 1024
"""Changes that wait for Redis at most."""

_log = logging.getLogger(__name__)

_NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)"

# KEYS: the hash, the counter. ARGV: field, ms left, ms to keep it, what it says.
_TELL = script(f"""
{_NOW}
local version = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], ARGV[1], version .. ' ' .. (now + ARGV[2]) .. ' ' .. (now + ARGV[3]) .. ' ' .. ARGV[4])
return version
""")

# ARGV: the last version that is known; -1: none. The version, and for each change since: ms left, what it says.
_NEWS = script(f"""
local version, since = tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[1])
if version == since then return {{version}} end
{_NOW}
if since > version then since = -1 end
local found, all = {{version}}, redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local number, ends, gone, said = string.match(all[at + 1], '^(%d+) (%d+) (%d+) (.*)$')
  if tonumber(gone) <= now then
    redis.call('HDEL', KEYS[1], all[at])
  elseif tonumber(number) > since then
    found[#found + 1] = ends - now
    found[#found + 1] = said
  end
end
return found
""")

# ARGV: who wants it, ms. One machine has it; it says itself how many of its requests may try.
_LEASE = script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")


class _Said(Struct, frozen=True, array_like=True):
    machine: str
    name: Name
    state: Literal["closed", "open", "half_open", "cooling"]
    why: str
    told: bool


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Said).decode


class Fleet:
    """One machine of it. `url` as redis-py takes it; `prefix` keeps several gateways on one Redis apart."""

    def __init__(self, url: str, timeout: float, *, prefix: str = "headgate:standing:1") -> None:
        self._pump = Pump(url, timeout)
        self._machine = secrets.token_hex(8)
        self._prefix = f"{prefix}:{{all}}:"
        self._keys = f"{self._prefix}changes".encode(), f"{self._prefix}version".encode()
        self._version = -1
        self._alone = False
        self._unsaid: dict[bytes, tuple[float, Change]] = {}

    def tell(self, changes: Iterable[Change]) -> None:
        """What this machine has found out. It goes out with the next look for news; while Redis is gone, it waits."""
        now = time.monotonic()
        for change in changes:
            # Its cooling and its breaker are two things.
            field = _encode([*change.name, change.state == "cooling"])
            self._unsaid.pop(field, None)
            self._unsaid[field] = now, change
        while len(self._unsaid) > _WAITING:
            del self._unsaid[next(iter(self._unsaid))]

    async def _say(self) -> None:
        for field, (since, change) in list(self._unsaid.items()):
            left = max(0.0, change.left - (time.monotonic() - since))
            keep = left + _STAYS if change.state == "open" else left if change.state == "cooling" and change.left > 0 else _TOLD
            said = _Said(self._machine, change.name, change.state, change.why, change.told)
            await self._pump.run(_TELL, self._keys, [field, int(left * 1000), int(keep * 1000), _encode(said)])
            if self._unsaid.get(field) == (since, change):
                del self._unsaid[field]

    async def news(self) -> list[Change]:
        """What the others have found out since the last time."""
        try:
            await self._say()
            version, *found = await self._pump.run(_NEWS, self._keys, [self._version])
        except RedisDown as error:
            if not self._alone:
                self._alone = True
                _log.warning("how targets stand is not shared with other machines for now: %s", error)
            return []
        if self._alone:
            self._alone = False
            _log.info("how targets stand is shared with other machines again")
        self._version = int(version)
        changes = []
        for left, text in zip(found[::2], found[1::2], strict=True):
            said = _decode(text)
            if said.machine != self._machine:
                changes.append(Change(said.name, said.state, said.why, float(left) / 1000, said.told))
        return changes

    async def lease(self, name: Name, seconds: float) -> bool:
        """Whether this machine may try what is half open, for so many seconds. While Redis is gone, it may."""
        digest = hashlib.sha256(_encode(name)).hexdigest()[:32]
        asked: list[Argument] = [self._machine, max(1, int(seconds * 1000))]
        try:
            return bool(await self._pump.run(_LEASE, [f"{self._prefix}lease:{digest}".encode()], asked))
        except RedisDown:
            return True

    async def close(self) -> None:
        """Closes all connections."""
        await self._pump.close()
