"""Machines of a fleet tell one another how targets stand, through a real Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from extproc.control.fleet import Fleet
from extproc.standing.board import Change
from extproc.standing.cooling import Name
from tests.servers import RedisServer

GPT = Name("openai", "gpt")


@pytest_asyncio.fixture
async def fleet(own_redis: RedisServer) -> AsyncIterator[tuple[Fleet, Fleet]]:
    one, two = (Fleet(own_redis.url, 2.0) for _ in range(2))
    yield one, two
    await one.close()
    await two.close()


async def heard(fleet: Fleet, many: int, teller: Fleet) -> list[Change]:
    """The news, once there are so many."""
    found: list[Change] = []
    async with asyncio.timeout(10):
        while len(found) < many:
            await teller.news()
            found += await fleet.news()
            await asyncio.sleep(0.01)
    return found


async def test_what_one_finds_out_the_others_hear_once(fleet: tuple[Fleet, Fleet], own_redis: RedisServer) -> None:
    one, two = fleet
    assert await two.news() == []
    cooling = Change(Name("openai", "gpt", "first"), "cooling", "429", 20.0, told=True)
    one.tell([Change(GPT, "open", "5 failures", 60.0), cooling])
    changes = {change.state: change for change in await heard(two, 2, one)}
    assert changes["open"].name == GPT
    assert changes["open"].why == "5 failures"
    assert 59 < changes["open"].left <= 60
    assert changes["cooling"].name == cooling.name
    assert changes["cooling"].told
    assert await two.news() == []
    assert await one.news() == [], "nobody is told his own"
    two.tell([Change(GPT, "closed", "")])
    assert [change.state for change in await heard(one, 1, two)] == ["closed"]
    # Who comes later hears how all stand now, also after what was known has been lost.
    three = Fleet(own_redis.url, 2.0)
    assert {change.state for change in await heard(three, 2, one)} == {"closed", "cooling"}
    await three.close()
    own_redis.kill()
    own_redis.start()
    two.tell([Change(GPT, "open", "again", 1.0)])
    assert [change.why for change in await heard(one, 1, two)] == ["again"]


async def test_who_cools_down_no_more(fleet: tuple[Fleet, Fleet]) -> None:
    one, two = fleet
    name = Name("openai", "gpt", "first")
    one.tell([Change(name, "cooling", "429", 600.0, told=True)])
    assert (await heard(two, 1, one))[0].left > 599
    one.tell([Change(name, "cooling", "")])
    (over,) = await heard(two, 1, one)
    assert (over.name, over.state) == (name, "cooling") and over.left <= 0


async def test_one_machine_may_try(fleet: tuple[Fleet, Fleet]) -> None:
    one, two = fleet
    assert await one.lease(GPT, 0.3)
    assert not await two.lease(GPT, 0.3)
    assert await one.lease(GPT, 0.3), "it says itself how many of its requests may"
    assert await two.lease(Name("openai", "other"), 0.3)
    async with asyncio.timeout(10):
        while not await two.lease(GPT, 0.3):
            await asyncio.sleep(0.02)


async def test_each_by_itself_while_redis_is_gone(
    fleet: tuple[Fleet, Fleet], own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = fleet
    own_redis.kill()
    caplog.set_level("INFO", "extproc.control.fleet")
    for _ in range(3):
        assert await one.news() == []
    assert await one.lease(GPT, 1)
    own_redis.start()
    async with asyncio.timeout(10):
        while "again" not in caplog.text:
            await one.news()
            await asyncio.sleep(0.05)
    assert [record.levelname for record in caplog.records if record.name == "extproc.control.fleet"] == ["WARNING", "INFO"]
