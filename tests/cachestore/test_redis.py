"""The cache in a real Redis: two stores stand for two machines, and Redis is paused, killed and started again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import redis.asyncio

from extproc.cachestore.entry import Lead, Store
from extproc.cachestore.redis import RedisStore
from tests.cachestore.contract import CONTRACT, entry, key, lead_of, took
from tests.servers import RedisServer, own_redis, redis_url

__all__ = ["own_redis", "redis_url"]

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def stores(redis_url: str) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    # A time-out that a busy machine does not reach by itself.
    one, two = (RedisStore(redis_url, timeout=2.0) for _ in range(2))
    yield one, two
    await one.close()
    await two.close()


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
async def test_contract(stores: tuple[RedisStore, RedisStore], rule: Callable[[Store, Store], Awaitable[None]]) -> None:
    await rule(*stores)


async def test_one_round_trip_and_cluster_safe_keys(redis_url: str, stores: tuple[RedisStore, RedisStore]) -> None:
    name = key()
    await stores[0].put(key(), entry(), 60, await lead_of(stores[0].begin(name, lead=True, wait=0)))
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await stores[0].begin(key(), lead=True, wait=0)
        assert (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] == before + 1
        names = [found async for found in client.scan_iter(f"*{name.hex()}*")]
        assert names == [b"headgate:cache:1:{%b}:lock" % name.hex().encode()]
        assert 0 < await client.pttl(names[0]) <= 30_000


async def test_a_dead_leader_holds_nobody_longer_than_its_lease(redis_url: str) -> None:
    dead, store = RedisStore(redis_url, lease=0.3, timeout=2.0), RedisStore(redis_url, timeout=2.0)
    name = key()
    first = await lead_of(dead.begin(name, lead=True, wait=0))
    found, seconds = await took(store.begin(name, lead=True, wait=5))
    assert found is None
    assert 0.1 < seconds < 2
    second = await lead_of(store.begin(name, lead=True, wait=0))
    # It was not dead after all: its end does not end another's lead.
    await dead.abandon(name, first)
    await asyncio.sleep(0.05)
    assert await dead.begin(name, lead=True, wait=0) is None
    await store.put(name, entry(), 60, second)
    assert await dead.begin(name, lead=True, wait=0) == entry()
    await dead.close()
    await store.close()


async def test_too_large_and_foreign_entries(redis_url: str) -> None:
    store = RedisStore(redis_url, max_entry=1000, timeout=2.0)
    name = key()
    await store.put(name, entry(bytes(2000)), 60, await lead_of(store.begin(name, lead=True, wait=0)))
    await store.put(name, entry(), 60, await lead_of(store.begin(name, lead=True, wait=1)))
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.set(b"headgate:cache:1:{%b}:entry" % name.hex().encode(), b"another version's")
    assert await store.begin(name, lead=False, wait=0) is None
    await store.close()


async def test_a_paused_redis_costs_one_timeout(own_redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    store = RedisStore(own_redis.url, timeout=0.2)
    name = key()
    await store.put(name, entry(), 60, None)
    own_redis.pause()
    results = await asyncio.gather(*[took(store.begin(name, lead=True, wait=5)) for _ in range(50)])
    assert all(found is None and seconds < 0.6 for found, seconds in results)
    # From now on it counts as down: nobody waits.
    _, seconds = await took(store.begin(name, lead=True, wait=5))
    assert seconds < 0.1
    _, seconds = await took(store.put(name, entry(), 60, None))
    assert seconds < 0.1
    assert 1 <= len([line for line in caplog.records if line.levelname == "WARNING"]) <= 2
    own_redis.resume()
    await eventually(store, name)
    await store.close()


async def test_a_killed_redis_comes_back_empty(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url, timeout=0.5)
    name = key()
    lead = await lead_of(store.begin(name, lead=True, wait=0))
    waiting = asyncio.create_task(took(store.begin(name, lead=True, wait=5)))
    await asyncio.sleep(0.1)
    own_redis.kill()
    found, seconds = await waiting
    assert found is None
    assert seconds < 1.5
    _, seconds = await took(store.put(name, entry(), 60, lead))
    assert seconds < 1
    own_redis.start()
    found = None
    async with asyncio.timeout(5):
        while found is None:
            found = await store.begin(name, lead=True, wait=0)
            await asyncio.sleep(0.05)
    # The script is not known to the new process; that must not cost a request its cache.
    assert isinstance(found, Lead)
    await store.put(name, entry(), 60, found)
    await eventually(store, name)
    await store.close()


async def test_nobody_there() -> None:
    store = RedisStore("unix:///nowhere/redis.sock", timeout=0.2)
    found, seconds = await took(store.begin(key(), lead=True, wait=5))
    assert found is None
    # Not the five seconds that one waits for somebody else.
    assert seconds < 2.5
    await store.close()


async def eventually(store: RedisStore, name: bytes) -> None:
    """The entry is found again, within a few seconds."""
    async with asyncio.timeout(5):
        while await store.begin(name, lead=False, wait=0) != entry():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["put", "abandon"])
async def test_a_lead_that_ended_while_redis_was_away_holds_nobody(own_redis: RedisServer, way: str) -> None:
    """Redis lives, and keeps the lock; only the way there is broken for a moment."""
    store, other = RedisStore(own_redis.url), RedisStore(own_redis.url, timeout=2.0)
    name = key()
    lead = await lead_of(store.begin(name, lead=True, wait=0))
    path = Path(own_redis.url.removeprefix("unix://"))
    elsewhere = path.rename(path.with_suffix(".away"))
    async with redis.asyncio.Redis.from_url(f"unix://{elsewhere}") as client:
        await client.client_kill_filter(_type="normal", skipme=True)
    await (store.put(name, entry(), 60, lead) if way == "put" else store.abandon(name, lead))
    await asyncio.sleep(0.1)
    elsewhere.rename(path)
    found, seconds = await took(other.begin(name, lead=True, wait=10))
    assert found is None
    assert seconds < 5
    await store.close()
    await other.close()
