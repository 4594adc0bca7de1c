"""Turns over the link: two workers, one control process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from extproc.link.client import Link
from extproc.link.server import LinkServer
from extproc.turns import messages
from extproc.turns.remote import RemoteTurns
from extproc.turns.service import TurnService
from extproc.turns.turn import Chain, Keep, TurnsDown
from tests.turns.contract import CONTRACT, KEEP, LOTS, Rule
from tests.turns.made import turn

pytestmark = pytest.mark.asyncio


class Scene:
    """A control process and two workers."""

    def __init__(self, path: str, state: Path) -> None:
        self.path, self.state = path, state

    async def start(self) -> None:
        await self.start_control()
        self.links = [await Link.connect(self.path) for _ in range(2)]
        self.turns = [RemoteTurns(link, timeout=5) for link in self.links]

    async def start_control(self) -> None:
        self.service = TurnService(self.state)
        self.server = LinkServer(self.path, self.service.handlers)
        await self.server.start()

    async def stop_control(self) -> None:
        await self.server.close()
        await self.service.close()

    async def stop(self) -> None:
        for link in self.links:
            await link.close()
        await self.stop_control()


@pytest_asyncio.fixture
async def scene(socket_path: str, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(socket_path, tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
async def test_contract(scene: Scene, rule: Rule) -> None:
    await rule(*scene.turns)


async def test_what_is_counted(scene: Scene) -> None:
    here, there = scene.turns
    await here.put("o", turn("a", size=3_000_000), KEEP)
    assert (await there.chain("o", "a", LOTS)).turns
    assert scene.service.counts == {"kept": 1, "found": 1, "evicted": 0}
    assert scene.service.count == 1 and scene.service.size > 3_000_000


async def test_what_is_not_there(scene: Scene) -> None:
    assert await scene.turns[0].chain("o", "a", LOTS) == Chain()
    assert not await scene.turns[0].delete("o", "a")
    await scene.turns[0].put("o", turn("b", "a"), KEEP)
    assert await scene.turns[0].chain("o", "b", LOTS) == Chain()
    assert scene.service.counts["lost"] == 1


async def test_without_the_control_process_nobody_is_told_that_there_is_nothing(scene: Scene) -> None:
    await scene.turns[0].put("o", turn("a"), KEEP)
    assert (await scene.turns[0].chain("o", "a", LOTS)).turns
    await scene.stop_control()
    with pytest.raises(TurnsDown):
        await scene.turns[0].chain("o", "a", LOTS)
    await scene.turns[0].put("o", turn("b"), KEEP)
    with pytest.raises(TurnsDown):
        await scene.turns[0].delete("o", "a")
    await scene.start_control()
    assert await scene.links[0].ready(5)
    assert (await scene.turns[0].chain("o", "a", LOTS)).turns == (turn("a"),)


async def test_a_disk_that_refuses_loses_the_turn_and_says_so(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    (scene.state / "conversations.sqlite").write_bytes(b"this is no database, but it is as long as one has to be" * 100)
    await scene.turns[0].put("o", turn("a"), KEEP)
    with pytest.raises(TurnsDown):
        await scene.turns[0].chain("o", "a", LOTS)
    assert scene.service.counts["lost"] == 1
    assert "is not kept" in caplog.text
    await scene.service.sweep()


async def test_a_turn_makes_room_for_itself(scene: Scene) -> None:
    for number in range(5):
        await scene.turns[0].put("o", turn(f"a{number}", size=1000), Keep(100.0, 4000))
    assert (await scene.turns[0].chain("o", "a4", LOTS)).turns
    assert scene.service.size <= 4000 and scene.service.counts["evicted"]


async def test_what_was_sent_before_the_end_is_written(scene: Scene) -> None:
    service = TurnService(scene.state / "other")
    (scene.state / "other").mkdir()
    writing = service.handlers[messages.PUT](None, messages.encode(messages.Made("o", turn("a"), KEEP)))
    await asyncio.sleep(0)
    await service.close()
    assert not isinstance(writing, bytes)
    await writing
    assert service.counts["kept"] == 1
