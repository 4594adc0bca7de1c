"""Steps that are taken over and over."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from extproc import loops


async def steps(step: Callable[[], Awaitable[object] | None]) -> asyncio.Task[None]:
    """`step`, taken over and over, for a while."""
    task = asyncio.ensure_future(loops.forever("counting", 0.001, step))
    await asyncio.sleep(0.1)
    return task


async def test_the_first_step_is_taken_at_once_and_more_follow() -> None:
    taken: list[int] = []
    task = asyncio.ensure_future(loops.forever("counting", 1000, lambda: taken.append(1)))
    await asyncio.sleep(0)
    assert taken == [1]
    task.cancel()

    task = await steps(lambda: taken.append(1))
    assert len(taken) > 3
    task.cancel()


async def test_a_step_may_wait() -> None:
    taken: list[int] = []

    async def step() -> None:
        await asyncio.sleep(0)
        taken.append(1)

    task = await steps(step)
    assert len(taken) > 1
    task.cancel()


async def test_a_step_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(loops, "_AFTER_FAILURE", 0.001)
    taken: list[int] = []

    def step() -> None:
        taken.append(1)
        raise ValueError("no")

    task = await steps(step)
    assert len(taken) > 1
    assert not task.done()
    assert "counting failed; it is tried again" in caplog.text
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
