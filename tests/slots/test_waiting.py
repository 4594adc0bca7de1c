"""Waiting for a slot: in the only worker, and in several over the link; and what becomes of slots when somebody is gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import pytest_asyncio

from extproc.control.slots import SlotService
from extproc.link.client import Link
from extproc.link.server import LinkServer
from extproc.slots import messages
from extproc.slots.atonce import AtOnce
from extproc.slots.local import LocalSlots
from extproc.slots.remote import RemoteSlots
from extproc.slots.slot import Choice, Count, Full, Line, Slots, Taken, Want

pytestmark = pytest.mark.asyncio

RED: tuple[Choice, ...] = ((Want("tenant:red", 2),),)
PATIENT, BRIEF = Line(9, 30.0), Line(9, 0.02)


class Scene:
    """A control process and two workers."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.workers: list[RemoteSlots] = []
        self.links: list[Link] = []

    async def start(self) -> None:
        await self.start_control()
        for _ in range(2):
            at = len(self.workers)
            link = await Link.connect(self.path, on_up=partial(self.up, at))
            self.links.append(link)
            self.workers.append(RemoteSlots(link, lambda: 2, timeout=0.2))

    def up(self, at: int) -> None:
        # The first time there is nobody yet to hold anything.
        for worker in self.workers[at : at + 1]:
            worker.told()

    async def start_control(self) -> None:
        self.service = SlotService()
        self.server = LinkServer(self.path, self.service.handlers, on_disconnect=self.service.disconnected)
        await self.server.start()

    async def stop(self) -> None:
        for link in self.links:
            await link.close()
        await self.server.close()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def scene(socket_path: str) -> AsyncIterator[Scene]:
    made = Scene(socket_path)
    await made.start()
    yield made
    await made.stop()


async def taken(slots: Slots, choices: tuple[Choice, ...] = RED, line: Line = BRIEF) -> bytes:
    found = await slots.take(choices, line)
    assert isinstance(found, Taken), found
    return found.ticket


async def serves_in_order(one: Slots, other: Slots) -> None:
    first = await taken(one)
    second = await taken(other)
    found = await one.take(RED, BRIEF)
    assert isinstance(found, Full) and found.waited and found.scope == "tenant:red" and found.again >= 1
    waiting = asyncio.create_task(taken(other, line=PATIENT))
    await asyncio.sleep(0.02)
    assert other.counts()["tenant"].waiting == 1
    late = asyncio.create_task(taken(one, line=PATIENT))
    await asyncio.sleep(0.02)
    one.release(first)
    third = await waiting
    assert not late.done()
    other.release(second)
    fourth = await late
    assert one.counts()["tenant"] == Count(2 if one is other else 1, 0)
    for slots, ticket in ((other, third), (one, fourth), (one, fourth)):
        slots.release(ticket)
    assert not await full(one)


async def gives_up(one: Slots, other: Slots) -> None:
    held = [await taken(one), await taken(one)]
    waiting = asyncio.create_task(taken(other, line=PATIENT))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    # Given up in the very moment in which it is served: what it would have had is free.
    unlucky = asyncio.create_task(taken(other, line=PATIENT))
    await asyncio.sleep(0.02)
    one.release(held.pop())
    unlucky.cancel()
    await asyncio.gather(unlucky, return_exceptions=True)
    one.release(held.pop())
    await asyncio.sleep(0.02)
    assert not await full(one)


async def nobody_waits_without_a_line(one: Slots, other: Slots) -> None:
    held = [await taken(one), await taken(other)]
    for line in (Line(), Line(0, 5.0), Line(5, 0.0)):
        found = await one.take(RED, line)
        assert isinstance(found, Full) and not found.waited
    one.release(held[0])
    other.release(held[1])


async def full(slots: Slots) -> bool:
    """Whether not all slots are to be had."""
    tickets = [await taken(slots) for _ in range(2)]
    more = await slots.take(RED, Line())
    for ticket in tickets:
        slots.release(ticket)
    return not isinstance(more, Full)


RULES = [serves_in_order, gives_up, nobody_waits_without_a_line]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_in_one_worker(rule: Callable[[Slots, Slots], "asyncio.Future[None]"]) -> None:
    slots = LocalSlots()
    await rule(slots, slots)
    assert slots.table.scopes == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_in_two_workers(scene: Scene, rule: Callable[[Slots, Slots], "asyncio.Future[None]"]) -> None:
    await rule(*scene.workers)
    await scene.until(lambda: scene.service.table.scopes == 0)
    assert all(worker.table.scopes == 0 for worker in scene.workers)


async def test_without_a_loop_nobody_waits() -> None:
    slots = AtOnce()
    await nobody_waits_without_a_line(slots, slots)
    assert slots.counts() == {}


async def test_a_worker_that_dies_gives_back(scene: Scene) -> None:
    one, other = scene.workers
    await taken(one)
    await taken(one)
    waiting = asyncio.create_task(taken(other, line=PATIENT))
    await asyncio.sleep(0.02)
    await scene.links[0].close()
    async with asyncio.timeout(2):
        await waiting


async def test_a_control_process_that_comes_back_is_told_what_is_held(scene: Scene) -> None:
    one, other = scene.workers
    first = await taken(one)
    await scene.server.close()
    await scene.until(lambda: not one._link.up and not other._link.up)
    # By itself, each has its share: half of two, and what it holds already counts.
    assert isinstance(await one.take(RED, Line()), Full)
    second = await taken(other)
    assert isinstance(await other.take(RED, Line()), Full)
    await scene.start_control()
    await scene.until(lambda: scene.service.table.held("tenant:red") == 2)
    assert isinstance(await one.take(RED, Line()), Full)
    one.release(first)
    other.release(second)
    await scene.until(lambda: scene.service.table.scopes == 0)


async def test_a_control_process_that_hangs_is_not_asked_again_at_once(socket_path: str, caplog: pytest.LogCaptureFixture) -> None:
    asked = []

    async def hangs(peer: object, payload: bytes) -> bytes:
        asked.append(payload)
        await asyncio.sleep(60)
        return b""

    left: list[bytes] = []

    def leave(peer: object, payload: bytes) -> bytes:
        left.append(payload)
        return b""

    server = LinkServer(socket_path, {messages.TAKE: hangs, messages.LEAVE: leave, messages.RELEASE: leave})
    await server.start()
    link = await Link.connect(socket_path)
    slots = RemoteSlots(link, lambda: 2, timeout=0.05)
    await taken(slots)
    assert isinstance(await slots.take(RED, Line()), Full)
    await asyncio.sleep(0.02)
    assert len(asked) == 1
    assert left == [messages.read_take(asked[0]).ticket]
    slots.clock = lambda: time.monotonic() + 5
    assert isinstance(await slots.take(RED, Line()), Full)
    assert len(asked) == 2
    assert caplog.text.count("by this worker alone") == 1, "it says so once"
    await link.close()
    await server.close()


async def test_for_a_moment_it_is_believed_that_there_is_none(scene: Scene) -> None:
    one, other = scene.workers
    now = [0.0]
    one.clock = lambda: now[0]
    held = [await taken(one), await taken(other)]
    assert isinstance(await one.take(RED, Line()), Full)
    other.release(held[1])
    await scene.until(lambda: scene.service.table.held("tenant:red") == 1)
    assert isinstance(await one.take(RED, Line()), Full)
    assert one.refusals() == {"tenant": 2}
    # What comes back here is known here.
    one.release(held[0])
    held[0] = await taken(one)
    held[1] = await taken(one)
    assert isinstance(await one.take(RED, Line()), Full)
    now[0] += 0.02
    scene.service.table.release(held[1], 0.0)
    await taken(one)


async def test_overload_is_told_to_all(scene: Scene) -> None:
    one, other = scene.workers
    wish: tuple[Choice, ...] = ((Want("target:a", 10, adapt=True),),)
    ticket = await taken(one, wish)
    one.overloaded("target:a")
    await scene.until(lambda: scene.service.table.limit("target:a") == pytest.approx(3.5))
    assert [await taken(other, wish) for _ in range(2)]
    assert isinstance(await other.take(wish, Line()), Full)
    one.release(ticket)


@pytest.mark.parametrize("adopter", [0, 1])
async def test_what_is_handed_over_is_held_by_who_adopts_it(scene: Scene, monkeypatch: pytest.MonkeyPatch, adopter: int) -> None:
    monkeypatch.setattr("extproc.slots.local.HANDED", 0.05)
    one, other = scene.workers[0], scene.workers[adopter]
    tickets = [await taken(one), await taken(one)]
    for ticket in tickets:
        one.hand_over(ticket)
    other.adopt(tickets[0], RED[0])
    assert scene.service.table.held("tenant:red") == 2
    await scene.until(lambda: scene.service.table.held("tenant:red") == 1)
    await asyncio.sleep(0.1)
    assert (scene.service.table.held("tenant:red"), other.table.held("tenant:red")) == (1, 1), "the other one has been adopted"
    other.release(tickets[0])
    await scene.until(lambda: not scene.service.table.held("tenant:red"))
    assert not one.table.held("tenant:red")


async def test_in_one_process_it_is_given_back_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.slots.local.HANDED", 0.01)
    slots = LocalSlots()
    tickets = [await taken(slots), await taken(slots)]
    for ticket in tickets:
        slots.hand_over(ticket)
    slots.adopt(tickets[0], RED[0])
    assert slots.is_full(RED[0])
    await asyncio.sleep(0.05)
    assert (slots.table.held("tenant:red"), slots.is_full(RED[0])) == (1, False)
    slots.give_back(tickets[0])
    assert not slots.table.held("tenant:red")


async def test_another_worker_gives_back_and_who_was_full_is_known_for_a_moment(scene: Scene) -> None:
    one, other = scene.workers
    tickets = [await taken(one), await taken(one)]
    assert not other.is_full(RED[0]), "nobody has told it"
    assert isinstance(await other.take(RED, BRIEF), Full)
    assert other.is_full(RED[0])
    for ticket in tickets:
        other.give_back(ticket)
    await scene.until(lambda: not scene.service.table.held("tenant:red"))
    one.release(tickets[0])
    assert await taken(one)
    assert scene.service.table.held("tenant:red") == 1
