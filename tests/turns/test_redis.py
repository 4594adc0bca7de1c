"""Turns in a real Redis: two stores stand for two machines."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import redis.asyncio

from extproc.turns.redis import RedisTurns
from extproc.turns.turn import TurnsDown
from tests.servers import RedisServer, own_redis, redis_url
from tests.turns.contract import CONTRACT, KEEP, LOTS, Rule
from tests.turns.made import turn

__all__ = ["own_redis", "redis_url"]

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def stores(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[RedisTurns, RedisTurns]]:
    one, two = (RedisTurns(redis_url, prefix=f"test:{request.node.name}") for _ in range(2))
    yield one, two
    await one.close()
    await two.close()


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
async def test_contract(stores: tuple[RedisTurns, RedisTurns], rule: Rule) -> None:
    await rule(*stores)


async def test_nothing_stays_of_what_was_deleted_and_nothing_for_ever(redis_url: str, stores: tuple[RedisTurns, RedisTurns]) -> None:
    for one in (turn("a"), turn("b", "a"), turn("c", "b")):
        await stores[0].put("o", one, KEEP)
    base = stores[0]._base("o").decode()
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        names = {name.removeprefix(base) async for name in client.scan_iter(f"{base}*")}
        assert names == {"n", "i:a", "i:b", "i:c", "t:1", "t:2", "t:3"}
        assert all([0 < await client.pttl(base + name) <= 3_700_000 for name in names - {"n"}])
        for id in ("b", "a", "c"):
            assert await stores[1].delete("o", id)
        assert [name async for name in client.scan_iter(f"{base}*")] == [f"{base}n"]


async def test_a_conversation_is_not_walked_to_its_begin_for_each_turn(own_redis: RedisServer) -> None:
    turns, most = RedisTurns(own_redis.url), 40
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        for number in range(most):
            await turns.put("o", turn(f"a{number}", f"a{number - 1}" if number else ""), KEEP)
        told = await client.info("commandstats")
    # Each turn once, and all that there are once more if a half hour ended meanwhile.
    assert most <= told["cmdstat_pexpireat"]["calls"] <= 2 * most
    assert told.get("cmdstat_hget", {"calls": 0})["calls"] <= most
    await turns.close()


async def test_none_ends_before_one_that_builds_on_it(redis_url: str, stores: tuple[RedisTurns, RedisTurns]) -> None:
    for one in (turn("a"), turn("b", "a"), turn("c", "b"), turn("fork", "a")):
        await stores[0].put("o", one, KEEP)
    base = stores[0]._base("o")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for number in (1, 2, 3, 4):  # as much later
            await client.pexpire(base + b"t:%d" % number, 5_000)
        await stores[1].put("o", turn("d", "c"), KEEP)
        a, b, c, fork, d = [await client.pttl(base + b"t:%d" % number) for number in (1, 2, 3, 4, 5)]
    assert d > 1_800_000 and min(a, b, c) > d - 1_000 and fork <= 5_000


async def test_what_redis_has_evicted_ends_the_conversation(redis_url: str, stores: tuple[RedisTurns, RedisTurns]) -> None:
    for one in (turn("a"), turn("b", "a")):
        await stores[0].put("o", one, KEEP)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.delete(stores[0]._base("o") + b"t:1")
    assert not (await stores[1].chain("o", "b", LOTS)).turns


async def test_without_redis_nobody_is_told_that_there_is_nothing(own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    turns = RedisTurns(own_redis.url)
    await turns.put("o", turn("a"), KEEP)
    own_redis.kill()
    with pytest.raises(TurnsDown):
        await turns.chain("o", "a", LOTS)
    with pytest.raises(TurnsDown):
        await turns.delete("o", "a")
    await turns.put("o", turn("b"), KEEP)
    assert "response b is not kept" in caplog.text
    await turns.close()
