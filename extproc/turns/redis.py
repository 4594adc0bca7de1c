"""Turns in Redis, shared by machines.

All keys of an owner have one hash tag, so that they live in the same slot of a cluster and a script may follow a conversation there:
`<prefix>:{<digest of the owner>}:` and then `n` (the number of the last turn), `i:<id>` (a turn's number), `t:<number>` (a turn: a hash). A
turn knows the number of the one before, which is lower than its own, so there are no circles. One script is one round trip.

Turns go when their time is over. How many there may be is Redis's own to say (`maxmemory`): what it has evicted of a conversation ends it.
"""

import asyncio
import hashlib
import logging

from extproc.cachestore.pump import Argument, Pump, RedisDown, script
from extproc.turns.turn import Chain, Keep, Turn, TurnsDown

TIMEOUT = 2.0
"""Seconds for one command, at least. Who names a response before his own cannot be answered without it."""
_GRACE = 1_800_000
"""Milliseconds for which an expired turn stays, at least, and twice as long at most: a request that builds on it may still be under way."""
_PAUSES = (0.0, 0.02, 0.1, 0.3)
"""Seconds between looks for what is not there: a large turn may still be on its way when another machine is asked for it."""

_log = logging.getLogger(__name__)

# ARGV: id, bytes at most. Bytes, then the turns, latest first, five values each. Nothing: there is no such turn, or not all of it.
_CHAIN = script("""
local number, found, size = redis.call('GET', KEYS[1] .. 'i:' .. ARGV[1]), {}, 0
while number and number ~= '' do
  local turn = redis.call('HMGET', KEYS[1] .. 't:' .. number, 'id', 'input', 'output', 'response', 'before')
  if not turn[2] then return {} end
  size = size + #turn[2] + #turn[3] + #turn[4]
  if size > tonumber(ARGV[2]) then return {size} end
  for at = 1, 4 do found[#found + 1] = turn[at] end
  number = turn[5]
end
if size == 0 then return {} end
table.insert(found, 1, size)
return found
""")

# ARGV: id, the one before or empty, milliseconds to live, milliseconds beyond that, input, output, response. 0: the one before is gone.
# Turns end at full half hours, and none before one that builds on it. So those before a new one have to stay longer only where the half
# hour is another one, and what is before one that stays long enough need not be looked at: not every turn walks the whole conversation.
_PUT = script("""
local before = ''
if ARGV[2] ~= '' then
  before = redis.call('GET', KEYS[1] .. 'i:' .. ARGV[2])
  if not before then return 0 end
end
local number = redis.call('INCR', KEYS[1] .. 'n')
local turn, clock, grace = KEYS[1] .. 't:' .. number, redis.call('TIME'), tonumber(ARGV[4])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now - now % grace + 2 * grace + ARGV[3]
redis.call('HSET', turn, 'id', ARGV[1], 'before', before, 'input', ARGV[5], 'output', ARGV[6], 'response', ARGV[7])
redis.call('PEXPIREAT', turn, ends)
redis.call('SET', KEYS[1] .. 'i:' .. ARGV[1], number, 'PX', ARGV[3])
if before ~= '' then redis.call('HINCRBY', KEYS[1] .. 't:' .. before, 'later', 1) end
while before and before ~= '' do
  local left = redis.call('PTTL', KEYS[1] .. 't:' .. before)
  if left == -2 or left > ends - now - 1000 then break end
  redis.call('PEXPIREAT', KEYS[1] .. 't:' .. before, ends)
  before = redis.call('HGET', KEYS[1] .. 't:' .. before, 'before')
end
return 1
""")

# ARGV: id. A turn that others build on stays without its response; those before it that waited for it alone go with it.
_DELETE = script("""
local number = redis.call('GET', KEYS[1] .. 'i:' .. ARGV[1])
if not number then return 0 end
redis.call('DEL', KEYS[1] .. 'i:' .. ARGV[1])
redis.call('HSET', KEYS[1] .. 't:' .. number, 'id', '', 'response', '')
while number and number ~= '' do
  local turn = redis.call('HMGET', KEYS[1] .. 't:' .. number, 'id', 'later', 'before')
  if turn[1] ~= '' or (tonumber(turn[2] or '0') or 0) > 0 then break end
  redis.call('DEL', KEYS[1] .. 't:' .. number)
  number = turn[3]
  if number and number ~= '' then redis.call('HINCRBY', KEYS[1] .. 't:' .. number, 'later', -1) end
end
return 1
""")


class RedisTurns:
    """`Turns` in Redis. `url` as redis-py takes it; `prefix` keeps several gateways on one Redis apart."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT, prefix: str = "headgate:turns:1") -> None:
        self._pump = Pump(url, max(timeout, TIMEOUT))
        self._prefix = prefix

    async def chain(self, owner: str, id: str, most: int) -> Chain:
        """See `Turns`."""
        found: list[bytes] = []
        try:
            for pause in _PAUSES:
                if pause:
                    await asyncio.sleep(pause)
                found = await self._pump.run(_CHAIN, [self._base(owner)], [id, most])
                if found:
                    break
        except RedisDown as error:
            raise TurnsDown(str(error)) from None
        if not found:
            return Chain()
        size, values = int(found[0]), found[1:]
        turns: list[Turn] = []
        for at in range(len(values) - 4, -1, -4):
            name, given, output, response = values[at : at + 4]
            previous = turns[-1].id if turns else ""
            turns.append(Turn(id=name.decode(), previous=previous, input=given, output=output, response=response))
        return Chain(tuple(turns), size)

    async def put(self, owner: str, turn: Turn, keep: Keep) -> None:
        """See `Turns`."""
        given: list[Argument] = [turn.id, turn.previous, max(1, int(keep.ttl * 1000)), _GRACE, turn.input, turn.output, turn.response]
        try:
            kept = await self._pump.run(_PUT, [self._base(owner)], given)
        except RedisDown as error:
            _log.error("response %s is not kept: %s", turn.id, error)
            return
        if not kept:
            _log.error("response %s is not kept: the one before it is gone", turn.id)

    async def delete(self, owner: str, id: str) -> bool:
        """See `Turns`."""
        try:
            return bool(await self._pump.run(_DELETE, [self._base(owner)], [id]))
        except RedisDown as error:
            raise TurnsDown(str(error)) from None

    async def close(self) -> None:
        """Closes all connections."""
        await self._pump.close()

    def _base(self, owner: str) -> bytes:
        digest = hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}:{{{digest[:32]}}}:".encode()
