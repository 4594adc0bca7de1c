"""What every store must do, tried on each of them. Two views of one store stand for two workers."""

import asyncio
import os
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

from extproc.cachestore.entry import Entry, Lead, Store
from extproc.usage import Usage


def key() -> bytes:
    """A key that nobody else has."""
    return os.urandom(32)


def entry(body: bytes = b'{"ok":true}') -> Entry:
    return Entry(
        status=200,
        headers=(("content-type", "application/json"), ("x-twice", "1"), ("x-twice", "2")),
        body=body,
        usage=Usage(input=3, output=4, cache_read=1),
        provider="demo",
        target="demo",
        answered="demo-1",
        created=1_760_000_000,
        stream=False,
    )


async def lead_of(found: Awaitable[Entry | Lead | None]) -> Lead:
    """The lead that this caller got."""
    lead = await found
    assert isinstance(lead, Lead)
    return lead


async def took(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    """Result and seconds."""
    began = time.monotonic()
    return await coroutine, time.monotonic() - began


async def hit_and_miss(one: Store, two: Store) -> None:
    name = key()
    assert await one.begin(name, lead=False, wait=0) is None
    await one.put(name, entry(), 60, None)
    assert await two.begin(name, lead=False, wait=0) == entry()
    assert await two.begin(name, lead=True, wait=1) == entry()
    large = entry(os.urandom(1 << 20))
    lead = await lead_of(two.begin(other := key(), lead=True, wait=0))
    await two.put(other, large, 60, lead)
    assert await one.begin(other, lead=True, wait=0) == large


async def expiry(one: Store, two: Store) -> None:
    name = key()
    await one.put(name, entry(), 0.2, None)
    assert await two.begin(name, lead=False, wait=0) == entry()
    await asyncio.sleep(0.25)
    assert await two.begin(name, lead=False, wait=0) is None
    lead = await lead_of(one.begin(name, lead=True, wait=0))
    await one.put(name, entry(), 0, lead)
    assert isinstance(await two.begin(name, lead=True, wait=0), Lead)


async def single_flight(one: Store, two: Store) -> None:
    name = key()
    leaders = []

    async def ask(store: Store) -> Entry | None:
        found = await store.begin(name, lead=True, wait=5)
        if isinstance(found, Lead):
            leaders.append(found)
            await asyncio.sleep(0.1)
            await store.put(name, entry(), 60, found)
            return entry()
        return found

    found = await asyncio.gather(*[ask(store) for store in (one, two) * 25])
    assert len(leaders) == 1
    assert found == [entry()] * 50


async def abandoned(one: Store, two: Store) -> None:
    name = key()
    lead = await lead_of(one.begin(name, lead=True, wait=0))
    waiting = [asyncio.create_task(took(store.begin(name, lead=True, wait=5))) for store in (one, two)]
    await asyncio.sleep(0.1)
    await one.abandon(name, lead)
    for found, seconds in await asyncio.gather(*waiting):
        assert found is None
        assert seconds < 2
    await one.abandon(name, lead)
    lead = await lead_of(two.begin(name, lead=True, wait=0))
    await two.abandon(name, lead)


async def patience(one: Store, two: Store) -> None:
    name = key()
    lead = await lead_of(one.begin(name, lead=True, wait=0))
    found, seconds = await took(two.begin(name, lead=True, wait=0.2))
    assert found is None
    assert 0.15 < seconds < 1.5
    found, seconds = await took(two.begin(name, lead=True, wait=0))
    assert found is None
    assert seconds < 0.2
    found, seconds = await took(two.begin(name, lead=False, wait=5))
    assert found is None
    assert seconds < 0.2
    await one.put(name, entry(), 60, lead)
    assert await two.begin(name, lead=True, wait=0) == entry()


async def hang_up(one: Store, two: Store) -> None:
    """A caller that is cancelled leaves nothing behind, whether it would have led or waited."""
    name = key()
    for _ in range(20):
        task = asyncio.create_task(one.begin(name, lead=True, wait=5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if task.done():
            # A store that has no need to wait has answered already, and what it gave has to be given back.
            await one.abandon(name, await lead_of(task))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.1)
    lead = await lead_of(two.begin(name, lead=True, wait=0))
    await two.abandon(name, lead)


async def by_hand(one: Store, two: Store) -> None:
    """As the engine does it: the coroutine runs outside of a task, from one future to the next."""
    loop = asyncio.get_running_loop()
    name = key()
    lead = await lead_of(two.begin(name, lead=True, wait=0))
    done: asyncio.Future[Any] = loop.create_future()
    waiting = one.begin(name, lead=True, wait=3)

    def step(_: Any = None) -> None:
        try:
            future = waiting.send(None)
        except StopIteration as end:
            done.set_result(end.value)
        else:
            future._asyncio_future_blocking = False
            future.add_done_callback(step)

    loop.call_soon(step)
    await asyncio.sleep(0.05)
    await two.put(name, entry(), 60, lead)
    assert await done == entry()


CONTRACT = (hit_and_miss, expiry, single_flight, abandoned, patience, hang_up, by_hand)
