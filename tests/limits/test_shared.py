"""Limits of several workers: exact while the control process is there, each rule's own policy while it is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import pytest_asyncio
from msgspec.structs import replace

from extproc.limits import messages
from extproc.limits.limit import Charge, Granted, Held, LimitsDown, Look, Refused, Settlement, State
from extproc.limits.remote import RemoteLimits
from extproc.limits.rule import Terms, Want
from extproc.limits.service import LimitService
from extproc.limits.shared import SharedLimits
from extproc.limits.window import UNDER_WAY, Window
from extproc.link.client import Link
from extproc.link.server import LinkServer
from tests.limits.model import SOURCE, START

DAY = Terms(10, Window("day"))
ONE = Want("budget", DAY, 1)
SLOT = Want("slots", Terms(4, UNDER_WAY), 1)
SLIDES = Want("slides", Terms(10, Window("sliding", 16)), 1)


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


class Scene:
    """A control process, its ledger, and two workers."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.clock = Clock()
        self.sources: list[RemoteLimits] = []
        self.workers: list[SharedLimits] = []
        self.links: list[Link] = []
        self.asked: list[int] = []

    async def start(self) -> None:
        await self.start_control()
        for at in range(2):
            link = await Link.connect(self.path, on_up=partial(self.up, at))
            self.links.append(link)
            self.sources.append(RemoteLimits(link, timeout=0.2, clock=self.clock))
            self.workers.append(SharedLimits(self.sources[at], lambda: 2, clock=self.clock))

    def up(self, at: int) -> None:
        for worker in self.workers[at : at + 1]:
            worker.told()

    async def start_control(self) -> None:
        self.service = LimitService(ttl=300, clock=self.clock)
        handlers = dict(self.service.handlers)

        def reserve(peer: object, payload: bytes) -> bytes:
            self.asked.append(len(messages.read_held(payload)))
            return self.service.handlers[messages.RESERVE](peer, payload)

        self.server = LinkServer(self.path, {**handlers, messages.RESERVE: reserve})
        await self.server.start()

    async def stop_control(self) -> None:
        await self.server.close()
        await self.until(lambda: not any(link.up for link in self.links))

    async def stop(self) -> None:
        for link in self.links:
            await link.close()
        await self.server.close()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.005)

    def used(self, want: Want = ONE) -> int:
        return self.service.table.look(want.counter, want.terms.window, self.clock()).used


@pytest_asyncio.fixture
async def scene(socket_path: str) -> AsyncIterator[Scene]:
    made = Scene(socket_path)
    await made.start()
    yield made
    await made.stop()


async def count(limits: SharedLimits, name: str, *wants: Want, tries: int = 20, at: float = START) -> int:
    """How many of so many are let in."""
    found = [await limits.reserve(b"%s%d" % (name.encode(), number), wants, at) for number in range(tries)]
    return sum(isinstance(one, Granted) for one in found)


async def test_two_workers_have_one_limit_and_those_of_a_moment_one_question(scene: Scene) -> None:
    found = await asyncio.gather(*(scene.workers[at % 2].reserve(b"%d" % at, (ONE, SLIDES), START) for at in range(30)))
    assert sum(isinstance(one, Granted) for one in found) == 10 == scene.used()
    assert scene.asked == [15, 15]
    assert found[0] == Granted((State(9, START + 86_400, 0.0), State(9, START + 17, 0.0)))
    assert next(one for one in found if isinstance(one, Refused)) == Refused(0, 0, START + 86_400)


async def test_what_is_not_used_comes_back_and_what_has_ended_is_settled(scene: Scene) -> None:
    one, other = scene.workers
    assert await count(one, "a", ONE) == 10
    one.release(b"a0")
    one.release(b"a0")
    other.release(b"a1")  # it is not the other's
    one.ended(b"a2")
    await scene.until(lambda: scene.used() == 9)
    charge = Charge("budget", DAY, 0)
    scene.service.table.settle(SOURCE, [Settlement(1, b"a2", START, (charge,))], START)
    assert await count(other, "b", ONE) == 2


async def test_who_goes_away_holds_nothing(scene: Scene) -> None:
    for wait in range(4):  # before it is asked, in that moment, and while the answer is on its way
        asked = asyncio.create_task(scene.workers[0].reserve(b"gone%d" % wait, (ONE,), START))
        for _ in range(wait):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    await scene.workers[0].reserve(b"stays", (ONE,), START)
    await scene.until(lambda: scene.used() == 1)


async def test_a_worker_that_renews_keeps_what_it_has_and_a_dead_one_does_not(scene: Scene) -> None:
    one, other = scene.workers
    await one.reserve(b"one", (ONE, SLOT), START)
    await other.reserve(b"other", (ONE, SLOT), START)
    await scene.links[1].close()
    assert scene.used(SLOT) == 2, "its journal may still tell what it used"
    scene.clock.now += 200
    one.renew()
    await scene.until(lambda: scene.service.table._held[b"one"].over > (START + 480) * 1000)
    scene.clock.now += 150
    assert scene.used(SLOT) == 1 == scene.used()


async def test_a_control_process_that_comes_back_knows_what_is_under_way(scene: Scene) -> None:
    one, other = scene.workers
    assert await count(one, "a", ONE, tries=2) + await count(other, "b", ONE, tries=2) == 4
    await scene.stop_control()
    # Eight and six were left when they heard last: each has half of that.
    assert await count(one, "c", ONE) == 4 and await count(other, "d", ONE) == 3
    assert one.alone and other.alone and one.counts() == {"granted": 4, "refused": 16}
    one.ended(b"c0")
    one.release(b"c1")
    assert await count(one, "e", ONE) == 1, "what has ended counts as it was reserved"
    one.ended(b"e0")
    await scene.start_control()
    # Those of c0 and e0 are the ledger's to tell.
    await scene.until(lambda: scene.used() == 4 + 2 + 3)
    assert await count(other, "f", ONE) == 1 and not other.alone


async def test_policies(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    one = scene.workers[0]
    await scene.stop_control()
    closed, open_ = replace(ONE, counter="c", outage="closed"), replace(ONE, counter="o", outage="open")
    soft = replace(closed, terms=replace(DAY, hard=False))
    assert await one.reserve(b"1", (open_, closed), START) == Refused(1, 0, START + 1, alone=True)
    assert await count(one, "o", open_, soft) == 20
    assert await one.reserve(b"2", (open_, ONE), START) == Granted((State(10, START + 86_400, 0), State(4, START + 86_400, 0)), alone=True)
    assert await count(one, "s", ONE) == 4, "half of the amount, where nothing was heard"
    assert await one.reserve(b"3", (open_, ONE), START) == Refused(1, 0, START + 86_400, alone=True)
    assert await count(one, "slot", SLOT) == 2
    one.release(b"slot0")
    assert await count(one, "more", SLOT) == 1
    assert await count(one, "tomorrow", ONE, at=START + 86_400) == 5
    assert caplog.text.count("by this worker alone") == 1, "it says so once"


async def test_slots_that_are_held_count_in_the_share(scene: Scene) -> None:
    one = scene.workers[0]
    assert await count(one, "a", SLOT, tries=1) == 1
    await scene.stop_control()
    assert await count(one, "b", SLOT) == 1
    one.ended(b"a0")
    assert await count(one, "c", SLOT) == 1
    scene.clock.now += 250
    one.renew()
    assert await count(one, "d", SLOT, at=scene.clock() + 100) == 0


async def test_what_slides_is_shared_anew_when_it_has_slid(scene: Scene) -> None:
    one, other = scene.workers
    assert await count(other, "a", SLIDES) == 10
    assert await count(one, "b", SLIDES) == 0
    await scene.stop_control()
    assert await count(one, "c", SLIDES, at=START + 16.9) == 0
    assert await count(one, "d", SLIDES, at=START + 17) == 5


async def test_a_control_process_that_hangs_is_not_asked_again_at_once(socket_path: str) -> None:
    asked, released = list[bytes](), list[bytes]()

    async def hangs(peer: object, payload: bytes) -> bytes:
        asked.append(payload)
        await asyncio.sleep(60)
        return b""

    def release(peer: object, payload: bytes) -> bytes:
        released.extend(messages.read_tickets(payload))
        return b""

    server = LinkServer(socket_path, {messages.RESERVE: hangs, messages.RELEASE: release})
    await server.start()
    link, clock = await Link.connect(socket_path), Clock()
    limits = RemoteLimits(link, timeout=0.05, clock=clock)
    found = await asyncio.gather(*(limits.reserve(b"%d" % at, (ONE,), START) for at in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [LimitsDown] * 3
    with pytest.raises(LimitsDown):
        await limits.reserve(b"3", (ONE,), START)
    async with asyncio.timeout(5):
        while not released:
            await asyncio.sleep(0.005)
    assert len(asked) == 1 and released == [b"0", b"1", b"2"]
    clock.now += 1
    with pytest.raises(LimitsDown):
        await limits.reserve(b"4", (ONE,), START)
    assert len(asked) == 2
    await link.close()
    await server.close()


def test_what_is_remembered_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.limits.shared._KNOWN", 3)

    class Away:
        """A source that grants five times, and then is away."""

        left = 5

        async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
            self.left -= 1
            if self.left < 0:
                raise LimitsDown("away")
            return Granted(tuple(State(2, 0, 0) for _ in wants))

        def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
            pass

        def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
            pass

        def hold(self, held: object) -> None:
            pass

        def shrink(self, held: object) -> None:
            pass

        async def close(self) -> None:
            pass

    limits = SharedLimits(Away(), lambda: 2, clock=Clock())

    async def run() -> list[int]:
        for number in range(5):
            await limits.reserve(b"%d" % number, (replace(ONE, counter=str(number)),), START)
        return [await count(limits, f"a{number}", replace(ONE, counter=str(number))) for number in range(5)]

    assert asyncio.run(run()) == [5, 5, 1, 1, 1]
    assert len(limits._left) <= 3 and len(limits._shares) <= 3


def test_messages_come_back_as_they_went() -> None:
    wishes = (Held(b"1", (ONE, SLOT), START),)
    assert messages.read_held(messages.encode(wishes)) == wishes
    verdicts = (Granted((State(1, 2.0, 0.5),)), Refused(1, -3, START, alone=True))
    assert messages.read_verdicts(messages.encode(verdicts)) == verdicts
    assert Look() == Look(0, 0)
