"""The memory cache over the link: two workers, one control process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from extproc.cachestore.entry import Lead, Store, decode, encode
from extproc.cachestore.shared import CacheService, RemoteStore
from extproc.cachestore.shelf import Shelf
from extproc.link.client import Link
from extproc.link.server import LinkServer
from tests.cachestore.contract import CONTRACT, entry, key, lead_of, took

pytestmark = pytest.mark.asyncio


class Scene:
    """A control process and two workers."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def start(self, lease: float = 60.0) -> None:
        await self.start_control(lease)
        self.links = [await Link.connect(self.path) for _ in range(2)]
        self.stores = [RemoteStore(link, timeout=0.5) for link in self.links]

    async def start_control(self, lease: float = 60.0) -> None:
        self.shelf = Shelf(8 << 20, 2 << 20, lease=lease)
        self.service = CacheService(self.shelf)
        self.server = LinkServer(self.path, self.service.handlers, on_disconnect=self.service.disconnected)
        await self.server.start()

    async def stop(self) -> None:
        for link in self.links:
            await link.close()
        await self.server.close()


@pytest_asyncio.fixture
async def scene(socket_path: str) -> AsyncIterator[Scene]:
    made = Scene(socket_path)
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
async def test_contract(scene: Scene, rule: Callable[[Store, Store], Awaitable[None]]) -> None:
    await rule(*scene.stores)
    await asyncio.sleep(0.02)
    assert not scene.shelf.waiting


async def test_a_dead_leader_frees_the_others_at_once(scene: Scene) -> None:
    name = key()
    await lead_of(scene.stores[0].begin(name, lead=True, wait=0))
    waiting = asyncio.create_task(took(scene.stores[1].begin(name, lead=True, wait=9)))
    await asyncio.sleep(0.05)
    await scene.links[0].close()
    found, seconds = await waiting
    assert found is None
    assert seconds < 1
    assert isinstance(await scene.stores[1].begin(name, lead=True, wait=0), Lead)


async def test_a_silent_leader_loses_the_lead(socket_path: str) -> None:
    scene = Scene(socket_path)
    await scene.start(lease=0.1)
    name = key()
    first = await lead_of(scene.stores[0].begin(name, lead=True, wait=0))
    await asyncio.sleep(0.12)
    second = await lead_of(scene.stores[1].begin(name, lead=True, wait=0))
    await scene.stores[0].abandon(name, first)
    await scene.stores[1].put(name, entry(), 60, second)
    assert await scene.stores[0].begin(name, lead=True, wait=0) == entry()
    await scene.stop()


async def test_without_a_control_process_there_is_no_cache(scene: Scene) -> None:
    name = key()
    lead = await lead_of(scene.stores[0].begin(name, lead=True, wait=0))
    await scene.server.close()
    found, seconds = await took(scene.stores[0].begin(name, lead=True, wait=5))
    assert found is None
    assert seconds < 0.3
    await scene.stores[0].put(name, entry(), 60, lead)
    await scene.stores[0].abandon(name, lead)
    await scene.start_control()
    assert await scene.links[0].ready(3)
    await scene.stores[0].put(name, entry(), 60, lead)
    assert await scene.links[1].ready(3)
    assert await scene.stores[1].begin(name, lead=True, wait=5) == entry()


async def test_too_large_to_keep_is_still_shared(scene: Scene) -> None:
    name = key()
    lead = await lead_of(scene.stores[0].begin(name, lead=True, wait=0))
    waiting = asyncio.create_task(scene.stores[1].begin(name, lead=True, wait=5))
    await asyncio.sleep(0.05)
    large = entry(bytes(3 << 20))
    await scene.stores[0].put(name, large, 60, lead)
    assert await waiting == large
    assert await scene.stores[1].begin(name, lead=False, wait=0) is None


async def test_entries_of_other_versions_are_not_there() -> None:
    assert decode(encode(entry())) == entry()
    assert decode(b"\x93\x01\x02\x03") is None
    assert decode(b"nonsense") is None
