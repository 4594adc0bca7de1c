"""Leases: most requests ask nobody, and never is more let in than there is; whoever dies, whatever is lost, wherever the clock is."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

import pytest
import redis as client
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from extproc.limits import messages
from extproc.limits.leased import LeasedLimits
from extproc.limits.limit import Charge, Granted, Held, LimitsDown, Look, Refused, Settlement
from extproc.limits.redis import RedisLimits
from extproc.limits.remote import RemoteLimits
from extproc.limits.rule import Rule, Terms, Want
from extproc.limits.service import LimitService
from extproc.limits.shared import SharedLimits
from extproc.limits.table import Table
from extproc.limits.window import UNDER_WAY, Window
from extproc.link.client import Link
from extproc.link.server import LinkServer
from tests.limits.model import SOURCE, START
from tests.servers import RedisServer

MONTH = Terms(10_000, Window("month"))
HOUR = Terms(600, Window("hour"))
BUDGET = Want("budget", MONTH, 10, "org", lease=True)
RATE = Want("rate", HOUR, 1, "org", lease=True)
EXACT = replace(RATE, counter="exact", lease=False)
TTL = 300.0
T = TypeVar("T")


class Counting:
    """A `Source`: a table in this process, which may be away, or forget all that it knows."""

    def __init__(self) -> None:
        self.table = Table()
        self.away = False
        self.asked = 0
        self.now = START

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        self.asked += 1
        if self.away:
            raise LimitsDown("away")
        return self.table.reserve(ticket, wants, at, TTL)

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        if not self.away:
            self.table.release(ticket)

    def hold(self, held: Iterable[Held]) -> None:
        for one in () if self.away else held:
            self.table.hold(one.ticket, one.wants, one.at, self.now, TTL)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        if not self.away:
            self.table.free(ticket)

    def shrink(self, held: Held) -> None:
        for want in () if self.away else held.wants:
            self.table.shrink(held.ticket, want.counter, want.amount)

    async def close(self) -> None:
        pass


class Request(NamedTuple):
    """One that was let in."""

    at: float
    wants: tuple[Want, ...]
    leases: tuple[bytes, ...]

    def settled(self, number: int, ticket: bytes, *, used: int | None = None) -> Settlement:
        """As its record tells it."""
        charges = (
            Charge(want.counter, want.terms, want.amount if used is None else min(used, want.amount), want.group, lease, want.amount)
            for want, lease in zip(self.wants, self.leases or (b"",) * len(self.wants), strict=True)
        )
        return Settlement(number, ticket, self.at, tuple(charges))


class Worker:
    """One with its requests."""

    def __init__(self, source: Counting, workers: int, lasts: float = 2.0) -> None:
        self.shared = SharedLimits(source, lambda: workers, clock=lambda: source.now)
        self.limits = LeasedLimits(self.shared, lambda: workers, lasts=lasts, clock=lambda: source.now)
        self.under_way: dict[bytes, Request] = {}

    async def come(self, ticket: bytes, at: float, *wants: Want) -> Granted | Refused:
        found = await self.limits.reserve(ticket, wants, at)
        if isinstance(found, Granted):
            self.under_way[ticket] = Request(at, wants, found.leases)
        # What it asks for beside the request is there.
        while self.limits._tasks:
            await asyncio.sleep(0)
        return found

    async def many(self, name: str, count: int, *wants: Want, at: float = START) -> int:
        """How many of so many are let in, of the leases and else."""
        found = [await self.come(b"%s%d" % (name.encode(), number), at, *wants) for number in range(count)]
        return sum(isinstance(one, Granted) for one in found)


def used(source: Counting, want: Want, at: float = START) -> Look:
    return source.table.look(want.counter, want.terms.window, at)


async def test_most_requests_ask_nobody() -> None:
    source = Counting()
    worker = Worker(source, 2)
    assert await worker.many("a", 500, BUDGET, RATE) == 500
    assert source.asked < 60
    leased = sum(lease.free for lease in worker.limits.leases if lease.terms == MONTH)
    assert used(source, BUDGET).used == 5000 + leased
    worker.limits.close()
    assert used(source, BUDGET).used == 5000 and used(source, RATE).used == 500
    settlements = [one.settled(number, ticket) for number, (ticket, one) in enumerate(worker.under_way.items(), 1)]
    source.table.settle(SOURCE, settlements, START)
    assert used(source, BUDGET) == Look(5000, 5000) and used(source, RATE) == Look(500, 500)


async def test_what_a_lease_lets_in_says_what_is_left_and_where_it_was_taken() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 10, RATE)
    found = await worker.come(b"b", START, RATE)
    assert isinstance(found, Granted) and found.leases[0].startswith(b"lease:")
    assert found.states[0].left == 589 and found.states[0].resets == START + 3600


async def test_never_more_than_there_is_and_all_of_it() -> None:
    source = Counting()
    one, other = Worker(source, 2), Worker(source, 2)
    let_in = 0
    for number in range(500):
        let_in += await one.many(f"a{number}-", 1, RATE) + await other.many(f"b{number}-", 1, RATE)
    held = sum(lease.free for each in (one, other) for lease in each.limits.leases)
    assert let_in <= 600 and let_in + held == 600, "what one is refused the other one has leased"
    assert await one.many("c", 9, RATE) == sum(lease.free for lease in one.limits.leases) == 0
    other.limits.close()
    assert await one.many("d", 100, RATE) == 600 - let_in


async def test_a_request_that_is_in_the_way_of_itself_is_let_in() -> None:
    """What a worker has leased itself is no reason to refuse."""
    source = Counting()
    worker = Worker(source, 1)
    assert await worker.many("a", 30, replace(RATE, amount=10)) == 30
    free = sum(lease.free for lease in worker.limits.leases)
    assert free > 0
    assert isinstance(await worker.come(b"all", START, replace(RATE, amount=300)), Granted)
    assert isinstance(await worker.come(b"more", START, RATE), Refused)


async def test_only_what_may_be_leased_is() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 20, EXACT, RATE)
    assert source.asked == 20 + len(list(worker.limits.leases)), "one of its rules has to be asked for each request"
    await worker.many("b", 20, EXACT)
    assert source.asked == 40 + len(list(worker.limits.leases))
    assert {lease.terms for lease in worker.limits.leases} <= {HOUR}
    assert await worker.limits.reserve(b"none", (), START) == Granted(())


async def test_what_is_not_used_comes_back() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 20, RATE)
    (lease,) = worker.limits.leases
    free = lease.free
    taken = [ticket for ticket, one in worker.under_way.items() if one.leases]
    worker.limits.release(taken[-1])
    worker.limits.release(taken[-1])
    assert lease.free == free + 1 and used(source, RATE).used == 20 + free
    worker.limits.close()
    worker.limits.release(taken[-2])
    worker.limits.release(b"a0")
    assert used(source, RATE).used == 17
    for ticket in worker.under_way:
        worker.limits.ended(ticket)
    assert not worker.shared._held


async def test_a_lease_is_over_with_its_time_and_with_its_window() -> None:
    source = Counting()
    worker = Worker(source, 1, lasts=0.05)
    await worker.many("a", 20, RATE)
    assert list(worker.limits.leases)
    async with asyncio.timeout(5):
        while list(worker.limits.leases):
            await asyncio.sleep(0.005)
    assert used(source, RATE).used == 20
    worker = Worker(source, 1, lasts=7200)
    source.now = START + 3599
    await worker.many("b", 20, RATE, at=source.now)
    (lease,) = worker.limits.leases
    assert lease.ends == START + 3600
    found = await worker.come(b"c", START + 3600, RATE)
    assert isinstance(found, Granted) and not found.leases, "the next window has a counter of its own"
    found = await worker.come(b"d", START - 10, RATE)
    assert isinstance(found, Granted) and not found.leases, "and so has the one before, for a clock that is set back"


async def test_another_amount_holds_at_once() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 20, RATE)
    assert isinstance(await worker.come(b"b", START, replace(RATE, terms=replace(HOUR, most=20))), Refused)


async def test_while_nobody_answers_leases_are_used_up() -> None:
    source = Counting()
    worker = Worker(source, 2)
    await worker.many("a", 20, RATE)
    free = sum(lease.free for lease in worker.limits.leases)
    source.away = True
    assert await worker.many("b", free, RATE) == free
    assert isinstance(found := await worker.come(b"c", START, RATE), Granted) and found.alone and not found.leases
    assert isinstance(await worker.come(b"d", START, replace(RATE, counter="closed", outage="closed")), Refused)
    source.away = False
    assert isinstance(await worker.come(b"e", START, RATE), Granted)
    worker.limits.close()
    assert used(source, RATE).used == 20 + free + 2


async def test_those_who_count_and_have_forgotten_are_told_of_leases() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 20, RATE)
    before = used(source, RATE).used
    source.table = Table()
    worker.shared.told()
    assert used(source, RATE).used == before
    worker.shared.renew()
    worker.limits.close()
    assert used(source, RATE).used == 20
    one = next(one for one in worker.under_way.values() if one.leases)
    source.table.settle(SOURCE, [one.settled(1, b"x")], START)
    worker.shared.renew()
    assert used(source, RATE) == Look(20, 1), "whoever holds a lease does not know what of it is settled"


async def test_what_a_dead_worker_had_leased_comes_back() -> None:
    source = Counting()
    worker = Worker(source, 1)
    await worker.many("a", 20, RATE)
    settlements = [one.settled(number, ticket) for number, (ticket, one) in enumerate(worker.under_way.items(), 1)]
    source.table.settle(SOURCE, settlements, START)
    assert used(source, RATE).used > 20
    assert used(source, RATE, START + TTL * 17 / 16) == Look(20, 20)


async def test_what_is_known_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.limits.leased._POOLS", 2)
    source = Counting()
    worker = Worker(source, 1)
    for number in range(5):
        await worker.many(f"a{number}-", 10, replace(RATE, counter=f"c{number}"))
    assert len(worker.limits._pools) == 2
    assert [used(source, replace(RATE, counter=f"c{number}")).used for number in range(3)] == [10, 10, 10]


async def test_over_the_link(socket_path: str) -> None:
    service = LimitService(clock=lambda: START)
    asked = 0

    def reserve(peer: object, payload: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return service.handlers[messages.RESERVE](peer, payload)

    server = LinkServer(socket_path, {**service.handlers, messages.RESERVE: reserve})
    await server.start()
    link = await Link.connect(socket_path)
    limits = LeasedLimits(SharedLimits(RemoteLimits(link), lambda: 1, clock=lambda: START), lambda: 1, clock=lambda: START)
    for number in range(400):
        assert isinstance(await limits.reserve(b"%d" % number, (BUDGET,), START), Granted)
        # As busy as it is, the link is heard.
        await asyncio.sleep(0)
    assert asked < 200
    limits.close()
    async with asyncio.timeout(5):
        while service.table.look("budget", MONTH.window, START).used != 4000:
            await asyncio.sleep(0.005)
    await link.close()
    await server.close()


async def test_in_redis(redis_url: str) -> None:
    ours = [RedisLimits(redis_url, prefix="test:leases", timeout=5) for _ in range(2)]
    workers = [LeasedLimits(SharedLimits(one, lambda: 2), lambda: 2) for one in ours]
    month = replace(BUDGET, terms=replace(MONTH, most=2000))
    let_in: dict[bytes, Request] = {}
    now = time.time()
    for number in range(300):
        for at, worker in enumerate(workers):
            ticket = b"%d-%d" % (at, number)
            found = await worker.reserve(ticket, (month,), now)
            if isinstance(found, Granted):
                let_in[ticket] = Request(now, (month,), found.leases)
    assert any(one.leases for one in let_in.values())
    free = sum(lease.free for worker in workers for lease in worker.leases)
    assert 1990 < len(let_in) * 10 + free <= 2000, "who is refused is so by what the other one has leased"
    for worker in workers:
        worker.close()
    await until(lambda: holds(ours[0], month, now, len(let_in) * 10))
    await ours[0].settle(SOURCE, [one.settled(number, ticket) for number, (ticket, one) in enumerate(let_in.items(), 1)])
    assert await ours[1].look("org", "budget", MONTH.window, now) == Look(len(let_in) * 10, len(let_in) * 10)
    for one in ours:
        await one.close()


async def test_a_fleet_with_one_budget(redis_url: str) -> None:
    """Forty clients of four workers, and one who settles what they have used: less than was reserved, while others go on."""
    ours = [RedisLimits(redis_url, prefix="test:fleet", timeout=10) for _ in range(4)]
    workers = [LeasedLimits(SharedLimits(one, lambda: 4), lambda: 4, lasts=0.05) for one in ours]
    month, now = replace(BUDGET, terms=replace(MONTH, most=4000)), time.time()
    under_way: dict[bytes, Request] = {}
    over: asyncio.Queue[bytes | None] = asyncio.Queue()
    settled = number = 0

    async def client_of(worker: LeasedLimits, name: str) -> None:
        for each in range(20):
            ticket = f"{name}-{each}".encode()
            found = await worker.reserve(ticket, (month,), now)
            if isinstance(found, Granted):
                under_way[ticket] = Request(now, (month,), found.leases)
                # Of the one that is being settled, Redis may know the truth already.
                assert len(under_way) * 10 + settled <= 4000 + 3
                await asyncio.sleep(0.001)
                worker.ended(ticket)
                over.put_nowait(ticket)

    async def settles() -> None:
        nonlocal settled, number
        while (ticket := await over.get()) is not None:
            number += 1
            await ours[0].settle(SOURCE, [under_way[ticket].settled(number, ticket, used=7)])
            settled += 7
            del under_way[ticket]

    settling = asyncio.create_task(settles())
    await asyncio.gather(*(client_of(worker, f"{at}-{name}") for at, worker in enumerate(workers) for name in range(10)))
    over.put_nowait(None)
    await settling
    assert 2000 < settled <= 4000 and any(worker._pools["budget"].size for worker in workers)
    for worker in workers:
        worker.close()
    await until(lambda: holds(ours[0], month, now, settled))
    for one in ours:
        await one.close()


async def test_a_redis_that_has_lost_all_is_told_of_leases(own_redis: RedisServer) -> None:
    ours = RedisLimits(own_redis.url, timeout=5)
    shared = SharedLimits(ours, lambda: 1)
    leased = LeasedLimits(shared, lambda: 1)
    now, let_in = time.time(), 0
    for number in range(40):
        let_in += isinstance(await leased.reserve(b"%d" % number, (BUDGET,), now), Granted)
    await asyncio.gather(*leased._tasks)
    free = sum(lease.free for lease in leased.leases)
    with client.Redis.from_url(own_redis.url) as redis:
        redis.flushall()
    shared.renew()
    await until(lambda: holds(ours, BUDGET, now, let_in * 10 + free))
    leased.close()
    await until(lambda: holds(ours, BUDGET, now, let_in * 10))
    shared.renew()
    await until(lambda: holds(ours, BUDGET, now, let_in * 10))
    await ours.close()


async def holds(limits: RedisLimits, want: Want, at: float, amount: int) -> bool:
    return (await limits.look("org", want.counter, want.terms.window, at)).used == amount


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await true():
            await asyncio.sleep(0.01)


def test_which_rules_have_leases() -> None:
    rule = Rule(id="r", unit="requests", amount=10, window=Window("day"), lease="auto")
    assert rule.want(1, {}) == Want("r", rule.terms, 1, "r", lease=True)
    assert not replace(rule, lease="off").leases
    assert not replace(rule, window=Window("sliding", 60)).leases
    assert not replace(rule, unit="concurrency", window=UNDER_WAY).leases
    assert messages.read_held(messages.encode((Held(b"1", (BUDGET,), START),))) == (Held(b"1", (BUDGET,), START),)


class Leasing(RuleBasedStateMachine):
    """Three workers and those who count. What is let in and not settled, and what is settled, is never more than the amount."""

    loop: asyncio.AbstractEventLoop

    @initialize()
    def begin(self) -> None:
        self.source = Counting()
        self.workers = [Worker(self.source, 3, lasts=1e6) for _ in range(3)]
        self.number = 0
        self.let_in: dict[bytes, Request] = {}
        """By those who did not have to decide alone; and not settled."""
        self.settled: list[Settlement] = []
        self.ended: set[bytes] = set()
        """Those whose worker knows no more of them, or is dead: they are the ledger's to tell."""
        self.more = False
        """Whether more may be counted than was let in by leave of those who count."""

    def run(self, doing: Awaitable[T]) -> T:
        async def it() -> T:
            return await doing

        return self.loop.run_until_complete(it())

    async def closed(self, worker: Worker) -> None:
        worker.limits.close()

    @rule(at=st.integers(0, 2), count=st.integers(1, 30), amount=st.integers(0, 12), both=st.booleans())
    def come(self, at: int, count: int, amount: int, both: bool) -> None:
        worker = self.workers[at]
        wants = (replace(BUDGET, amount=amount * 7), RATE) if both else (replace(RATE, amount=amount),)
        for _ in range(count):
            self.number += 1
            ticket = b"%d" % self.number
            found = self.run(worker.come(ticket, self.source.now, *wants))
            # What was let in by nobody else's leave is told when they are back.
            self.more |= found.alone
            if isinstance(found, Granted) and not found.alone:
                self.let_in[ticket] = worker.under_way[ticket]

    @precondition(lambda self: self.let_in)
    @rule(data=st.data(), count=st.integers(1, 20))
    def end(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.let_in))):
            ticket = data.draw(st.sampled_from(sorted(self.let_in)))
            for worker in self.workers:
                if worker.under_way.pop(ticket, None) is not None:
                    worker.limits.ended(ticket)
            self.ended.add(ticket)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), count=st.integers(1, 20), used=st.one_of(st.none(), st.integers(0, 5)))
    def are_settled(self, data: st.DataObject, count: int, used: int | None) -> None:
        for _ in range(min(count, len(self.ended))):
            ticket = data.draw(st.sampled_from(sorted(self.ended)))
            self.settle(ticket, used)

    def settle(self, ticket: bytes, used: int | None = None) -> None:
        self.number += 1
        self.ended.discard(ticket)
        self.settled.append(self.let_in.pop(ticket).settled(self.number, ticket, used=used))
        self.source.table.settle(SOURCE, self.settled[-1:], self.source.now)

    @precondition(lambda self: self.let_in)
    @rule(data=st.data())
    def use_nothing(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.let_in)))
        for worker in self.workers:
            if worker.under_way.pop(ticket, None) is not None:
                worker.limits.release(ticket)
                del self.let_in[ticket]

    @rule(at=st.integers(0, 2))
    def a_worker_dies(self, at: int) -> None:
        """What it had leased stays reserved; its requests are in its journal."""
        self.ended |= self.workers[at].under_way.keys() & self.let_in.keys()
        self.workers[at] = Worker(self.source, 3, lasts=1e6)

    @rule(at=st.integers(0, 2))
    def a_worker_ends(self, at: int) -> None:
        self.run(self.closed(self.workers[at]))

    @rule(away=st.booleans())
    def those_who_count_are_away(self, away: bool) -> None:
        self.source.away = away

    @precondition(lambda self: not self.ended and not self.source.away)
    @rule()
    def those_who_count_are_started_again(self) -> None:
        """They know what is settled, and are told the rest; of a lease also what is settled of it, until that is over."""
        self.more = True
        self.source.table = Table({SOURCE: self.number})
        for settlement in self.settled:
            self.source.table.resume(settlement.charges, settlement.at, self.source.now)
        for worker in self.workers:
            worker.shared.told()

    @rule()
    def it_is_said_again_what_is_under_way(self) -> None:
        for worker in self.workers:
            worker.shared.renew()

    @rule(seconds=st.sampled_from([-40.0, 0.5, 1.0, 100.0]))
    def time_goes_by(self, seconds: float) -> None:
        """Never so far that anything is over by time."""
        if START <= self.source.now + seconds < START + 250:
            self.source.now += seconds

    def truth(self, want: Want) -> int:
        held = sum(each.amount for one in self.let_in.values() for each in one.wants if each.counter == want.counter)
        return held + sum(charge.amount for one in self.settled for charge in one.charges if charge.counter == want.counter)

    @invariant()
    def never_more_than_there_is(self) -> None:
        for want in (BUDGET, RATE):
            counted = self.source.table.look(want.counter, want.terms.window, self.source.now).used
            assert self.truth(want) <= min(counted, want.terms.most)
            assert self.more or counted <= want.terms.most

    def teardown(self) -> None:
        """When all is settled and all leases are over, there is nothing but what was used."""
        self.source.away = False
        for worker in self.workers:
            self.run(self.closed(worker))
        for ticket in list(self.let_in):
            self.settle(ticket)
        for want in (BUDGET, RATE):
            later = self.source.table.look(want.counter, want.terms.window, START + 250 + TTL * 17 / 16)
            assert later == Look(self.truth(want), self.truth(want))


def test_the_model() -> None:
    with asyncio.Runner() as runner:
        Leasing.loop = runner.get_loop()
        run_state_machine_as_test(Leasing, settings=settings(max_examples=40, stateful_step_count=30))
