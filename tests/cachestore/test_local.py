"""The memory cache of one worker: what every store must do, and that nothing of it waits without need."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from extproc.cachestore.entry import Entry, Lead, Store, new_lead
from extproc.cachestore.local import LocalStore
from extproc.cachestore.shelf import Shelf
from extproc.drive import Waiting, begin
from tests.cachestore.contract import CONTRACT, entry, key, lead_of

MIB = 1 << 20


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
async def test_contract(rule: Callable[[Store, Store], Awaitable[None]]) -> None:
    shelf = Shelf(8 * MIB, 2 * MIB)
    store = LocalStore(shelf)
    await rule(store, store)
    await asyncio.sleep(0.02)
    assert not shelf.waiting


def test_a_miss_a_put_and_a_hit_need_no_loop() -> None:
    store = LocalStore(Shelf(8 * MIB, 2 * MIB))
    name = key()
    lead = begin(store.begin(name, lead=True, wait=10))
    assert isinstance(lead, Lead)
    assert not isinstance(begin(store.put(name, entry(), 60, lead)), Waiting)
    assert isinstance(begin(store.begin(name, lead=True, wait=10)), Entry)


async def test_a_lead_that_does_nothing_is_taken_over_when_its_lease_is_over() -> None:
    now = 0.0
    store = LocalStore(Shelf(8 * MIB, 2 * MIB, lease=60, clock=lambda: now))
    name = key()
    await lead_of(store.begin(name, lead=True, wait=0))
    now = 59.0
    assert await store.begin(name, lead=True, wait=0) is None
    now = 61.0
    await lead_of(store.begin(name, lead=True, wait=0))


async def test_a_waiter_that_hangs_up_leaves_nothing_behind() -> None:
    shelf = Shelf(8 * MIB, 2 * MIB)
    store = LocalStore(shelf)
    name = key()
    await lead_of(store.begin(name, lead=True, wait=0))
    waiting = asyncio.create_task(store.begin(name, lead=True, wait=10))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not shelf.waiting


def test_leads_are_like_no_others() -> None:
    tokens = {new_lead().token for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {16}
    # Other processes count as well, but each under its own name.
    script = "from extproc.cachestore.entry import new_lead; print(new_lead().token.hex())"
    told = {subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout for _ in range(2)}
    assert len(told) == 2
