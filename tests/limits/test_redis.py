"""Limits in a real Redis: the model that the table is checked against, and what only a Redis can do wrong."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
import pytest_asyncio
import redis as client
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from extproc.limits.limit import Charge, Crossed, Granted, Held, LimitsDown, Look, Refused, Settlement
from extproc.limits.redis import RedisLimits
from extproc.limits.rule import Terms, Want
from extproc.limits.window import UNDER_WAY, Window
from tests.e2e.ports import free_port
from tests.limits.model import SOURCE, START, TERMS, TTL, Counting, Reserved
from tests.servers import RedisServer, running_redis

MINUTE = Terms(10, Window("minute"))
DAY = Terms(10, Window("day"))
A, B = Want("a", DAY, 1, "one"), Want("b", DAY, 1, "other")


class InRedis(Counting):
    """Two machines, by turns, that share one Redis. Time is the model's, but for how long keys stay."""

    turns_back = False
    machines = 0
    ours: list[RedisLimits]
    loop: asyncio.AbstractEventLoop

    def open(self) -> None:
        InRedis.machines += 1
        for limits in self.ours:
            limits._prefix = f"model:{InRedis.machines}"
            limits._clock = limits._calendar = lambda: self.now

    @property
    def limits(self) -> RedisLimits:
        self.ours.reverse()
        return self.ours[0]

    def reserve(self, ticket: bytes, wants: tuple[Want, ...]) -> Granted | Refused:
        return self.loop.run_until_complete(self.limits.reserve(ticket, wants, self.now))

    def release(self, ticket: bytes) -> None:
        self.tell(lambda limits: limits.release(ticket, (Want("any", MINUTE, 1, "org"),)))

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.tell(lambda limits: limits.free(ticket, (Want("any", TERMS["under way"], 1, "org"),)))

    def hold(self, ticket: bytes, reserved: Reserved) -> None:
        self.tell(lambda limits: limits.hold([Held(ticket, reserved.wants, reserved.at)]))

    def tell(self, say: Callable[[RedisLimits], None]) -> None:
        async def heard(limits: RedisLimits) -> None:
            say(limits)
            if limits._holder is not None:
                await limits._holder
            await limits.look("org", "any", UNDER_WAY, self.now)

        self.loop.run_until_complete(heard(self.limits))

    def shrink(self, ticket: bytes, want: Want, at: float) -> None:
        self.tell(lambda limits: limits.shrink(Held(ticket, (want,), at)))

    def settle(self, settlements: list[Settlement]) -> list[Crossed]:
        return self.loop.run_until_complete(self.limits.settle(SOURCE, settlements))

    def look(self, names: Iterable[str]) -> list[Look]:
        limits = self.limits

        async def together() -> list[Look]:
            return await asyncio.gather(*(limits.look("org", name, TERMS[name].window, self.now) for name in names))

        return self.loop.run_until_complete(together())


def test_the_model(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        InRedis.loop = runner.get_loop()
        InRedis.ours = [RedisLimits(redis_url, timeout=5, ttl=TTL) for _ in range(2)]
        try:
            run_state_machine_as_test(InRedis, settings=settings(max_examples=8, stateful_step_count=20))
        finally:
            for limits in InRedis.ours:
                runner.run(limits.close())


@pytest_asyncio.fixture
async def two(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[RedisLimits, RedisLimits]]:
    """Two machines."""
    one, other = (RedisLimits(redis_url, prefix=f"test:{request.node.name}", timeout=5) for _ in range(2))
    yield one, other
    await one.close()
    await other.close()


def keys(url: str, prefix: str) -> dict[str, int]:
    """All keys, and how many milliseconds they stay."""
    with client.Redis.from_url(url, decode_responses=True) as redis:
        return {name: redis.pttl(name) for name in redis.scan_iter(f"{prefix}*")}


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():
            await asyncio.sleep(0.01)


def settled(number: int, ticket: bytes, at: float, *wants: Want) -> Settlement:
    return Settlement(number, ticket, at, tuple(Charge(want.counter, want.terms, want.amount, want.group) for want in wants))


async def test_two_machines_have_one_limit(two: tuple[RedisLimits, RedisLimits]) -> None:
    now = time.time()
    found = await asyncio.gather(*(two[at % 2].reserve(b"%d" % at, (A,), now) for at in range(30)))
    assert sorted(isinstance(one, Granted) for one in found) == [False] * 20 + [True] * 10
    assert min(one.states[0].left for one in found if isinstance(one, Granted)) == 0
    refusals = [one for one in found if isinstance(one, Refused)]
    assert refusals[0].left == 0 and now < refusals[0].resets <= now + 86_400


async def test_of_two_groups_both_have_room_or_neither_is_taken(two: tuple[RedisLimits, RedisLimits]) -> None:
    now = time.time()
    assert isinstance(await two[0].reserve(b"1", (A, replace(B, amount=10)), now), Granted)
    found = await two[1].reserve(b"2", (A, B), now)
    assert isinstance(found, Refused) and found.at == 1

    async def used(one: int, other: int) -> bool:
        return [(await two[1].look(*where, DAY.window, now)).used for where in (("one", "a"), ("other", "b"))] == [one, other]

    await until(lambda: used(1, 10))
    two[1].release(b"1", (A, B))
    await until(lambda: used(0, 0))


async def test_what_a_dead_worker_had_reserved_comes_back(redis_url: str) -> None:
    limits = RedisLimits(redis_url, prefix="test:dead", timeout=5, ttl=0.1)
    now = time.time()
    assert isinstance(await limits.reserve(b"1", (A, Want("slots", Terms(1, UNDER_WAY), 1, "one")), now), Granted)

    async def gone() -> bool:
        looks = [await limits.look("one", "a", DAY.window, now), await limits.look("one", "slots", UNDER_WAY, now)]
        return [look.used for look in looks] == [0, 0]

    await until(gone)
    # It is settled all the same, when its journal is found.
    await limits.settle(SOURCE, [settled(1, b"1", now, A)])
    assert await limits.look("one", "a", DAY.window, now) == Look(1, 1)
    await limits.close()


async def test_what_slides_goes_by_the_clock_of_redis(two: tuple[RedisLimits, RedisLimits]) -> None:
    wide = Want("s", Terms(1, Window("sliding", 3600)), 1, "one")
    assert isinstance(await two[0].reserve(b"1", (wide,), time.time() - 9999), Granted), "its own clock is wrong"
    assert isinstance(await two[1].reserve(b"2", (wide,), time.time()), Refused)


async def test_when_a_sliding_window_has_room_again(redis_url: str) -> None:
    """As in the table."""
    now = [START]
    limits = RedisLimits(redis_url, prefix="test:room", timeout=5, ttl=999, clock=lambda: now[0])

    async def reserve(amount: int, after: float) -> Granted | Refused:
        now[0] = START + after
        return await limits.reserve(b"%d" % after, (Want("s", Terms(10, Window("sliding", 16)), amount, "one"),), now[0])

    for second, amount in ((0, 4), (5, 3), (9, 3)):
        assert isinstance(await reserve(amount, second), Granted)
    for amount, room in ((4, 17), (5, 22), (10, 26), (11, 26)):
        assert await reserve(amount, 10) == Refused(0, 0, START + room)
    assert isinstance(await reserve(4, 16.999), Refused)
    assert isinstance(await reserve(4, 17), Granted)
    await limits.close()


async def test_no_key_stays_for_ever(redis_url: str) -> None:
    limits, now = RedisLimits(redis_url, prefix="test:keys", timeout=5), time.time()
    wants = tuple(Want(name, terms, 1, "org") for name, terms in TERMS.items())
    await limits.reserve(b"1", wants, now)
    await limits.reserve(b"2", wants, now)
    await limits.settle(SOURCE, [settled(1, b"1", now, *wants)])
    found = keys(redis_url, "test:keys")
    assert len(found) == len(TERMS) + 2 and all(0 < stays <= 100 * 86_400_000 for stays in found.values())
    assert len({name[name.index("{") : name.index("}")] for name in found}) == 1, "one slot of a cluster"
    await limits.close()


async def test_what_is_under_way_makes_nothing_slower(own_redis: RedisServer) -> None:
    """As many commands, on hashes as large, with many as with few. `bench.limits` times it."""
    wants = tuple(Want(name, replace(terms, most=10_000), 1, "org") for name, terms in TERMS.items())
    found = []
    with client.Redis.from_url(own_redis.url, decode_responses=True) as redis:
        for live in (10, 400):
            limits = RedisLimits(own_redis.url, timeout=5, ttl=TTL, prefix=str(live), clock=lambda: START)
            await asyncio.gather(*(limits.reserve(b"%d" % number, wants, START) for number in range(live)))
            sizes = sorted(redis.hlen(name) for name in redis.scan_iter(f"{live}*@*"))
            redis.config_resetstat()
            await limits.reserve(b"one", wants, START)
            await limits.settle(SOURCE, [settled(1, b"one", START, *wants)])
            stats = redis.info("commandstats")
            found.append((sizes, {name: stats[name]["calls"] for name in stats if "eval" not in name and "info" not in name}))
            await limits.close()
    assert found[0] == found[1] and max(found[0][0]) == 1
    assert sum(found[0][1].values()) < 100


async def test_many_are_told_to_be_under_way(own_redis: RedisServer) -> None:
    limits, now = RedisLimits(own_redis.url, timeout=5), time.time()
    many = [Held(b"%d" % number, (A, B), now) for number in range(300)]
    limits.hold(many)
    limits.hold(many[:1])
    limits.release(b"299", (A, B))

    async def told() -> bool:
        return (await limits.look("one", "a", DAY.window, now)).used == 299 == (await limits.look("other", "b", DAY.window, now)).used

    await until(told)
    limits.hold(many)
    await limits.close()


async def test_a_caller_who_goes_away_holds_nothing(two: tuple[RedisLimits, RedisLimits]) -> None:
    now = time.time()
    for wants in ((A,), (A, B)):
        asked = asyncio.create_task(two[0].reserve(b"gone", wants, now))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    async def free() -> bool:
        return (await two[0].look("one", "a", DAY.window, now)).used + (await two[0].look("other", "b", DAY.window, now)).used == 0

    await until(free)


async def test_redis_away_and_back(own_redis: RedisServer) -> None:
    limits, now = RedisLimits(own_redis.url, timeout=1.0), time.time()
    assert await limits.reserve(b"0", (), now) == Granted(())
    await limits.reserve(b"1", (A, B), now)
    own_redis.pause()
    with pytest.raises(LimitsDown):
        await limits.reserve(b"2", (A, B), now)
    with pytest.raises(LimitsDown):
        await limits.settle(SOURCE, [settled(1, b"1", now, A, B)])
    own_redis.resume()
    told = 0
    while told < 3:
        with contextlib.suppress(LimitsDown):
            await limits.settle(SOURCE, [settled(1, b"1", now, A, B), settled(2, b"3", now, A)])
            told += 1
        await asyncio.sleep(0.01)

    async def right() -> bool:
        with contextlib.suppress(LimitsDown):
            # The one of which nobody knew whether it was reserved was given back.
            return await limits.look("one", "a", DAY.window, now) == Look(2, 2)
        return False

    await until(right)
    own_redis.kill()
    with pytest.raises(LimitsDown):
        await limits.reserve(b"4", (A,), now)
    await limits.close()


async def test_in_a_cluster() -> None:
    """One node that has all slots: it refuses commands whose keys are in several."""
    # Nodes speak with each other at a port that is 10,000 above this one: without any they would all be at the same.
    port = ("--bind", "127.0.0.1", "--port", str(free_port()))
    with running_redis(*port, "--cluster-enabled", "yes") as server:
        with client.Redis.from_url(server.url) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
            await until(lambda: ready(admin))
        limits, now = RedisLimits(server.url, timeout=5), time.time()
        assert isinstance(await limits.reserve(b"1", (A, B), now), Granted)
        limits.hold([Held(b"1", (A, B), now)])
        await until(lambda: idle(limits))
        assert await limits.settle(SOURCE, [settled(1, b"1", now, A, B)]) == []
        await limits.reserve(b"2", (A, B), now)
        limits.release(b"2", (A, B))

        async def settled_alone() -> bool:
            return await limits.look("other", "b", DAY.window, now) == Look(1, 1)

        await until(settled_alone)
        await limits.close()


async def idle(limits: RedisLimits) -> bool:
    return limits._holder is None


async def ready(admin: client.Redis) -> bool:
    return b"cluster_state:ok" in admin.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
