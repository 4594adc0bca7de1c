"""A coroutine runs as far as it does not wait; what waits behaves in a task as if it had always been one."""

import asyncio
from collections.abc import Awaitable

import pytest

from extproc.drive import Waiting, begin


async def at_once(value: int) -> int:
    return value


async def later(future: Awaitable[int]) -> int:
    return await future + await future


def waiting(future: "asyncio.Future[int]") -> Waiting[int]:
    begun = begin(later(future))
    assert isinstance(begun, Waiting)
    return begun


def test_what_does_not_wait_needs_no_loop() -> None:
    async def several() -> int:
        return await at_once(1) + await at_once(2)

    assert begin(several()) == 3


def test_what_it_raises_at_once_is_raised_here() -> None:
    async def broken() -> None:
        raise LookupError("early")

    with pytest.raises(LookupError, match="early"):
        begin(broken())


async def test_a_future() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    begun = waiting(future)
    asyncio.get_running_loop().call_soon(future.set_result, 4)
    assert await begun == 8


async def test_a_sleep_and_a_task() -> None:
    async def several() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return await asyncio.create_task(at_once(5)) + sum(await asyncio.gather(at_once(1), at_once(2)))

    begun = begin(several())
    assert isinstance(begun, Waiting)
    assert await begun == 8
    # The rest of it may as well have a task of its own.
    again = begin(several())
    assert isinstance(again, Waiting)

    async def rest() -> int:
        return await again

    assert await asyncio.create_task(rest()) == 8


async def test_an_exception_after_the_wait() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    begun = waiting(future)
    future.set_exception(LookupError("late"))
    with pytest.raises(LookupError, match="late"):
        await begun


async def test_what_is_caught_inside_stays_inside() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def careful() -> str:
        try:
            await future
        except LookupError:
            await asyncio.sleep(0)
            return "caught"
        return "not raised"

    begun = begin(careful())
    assert isinstance(begun, Waiting)
    future.set_exception(LookupError())
    assert await begun == "caught"


async def test_cancellation_reaches_the_coroutine() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def watched() -> int:
        try:
            return await future
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("left")

    begun = begin(watched())
    assert isinstance(begun, Waiting)

    async def rest() -> int:
        return await begun

    task = asyncio.create_task(rest())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "left"]
    assert future.cancelled()


async def test_a_time_limit_in_the_coroutine() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def impatient() -> str:
        # A time limit needs a task to cancel; here it is set after the first wait, inside the task that awaits the rest.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(0.001):
                await future
        except TimeoutError:
            return "too late"
        return "in time"

    begun = begin(impatient())
    assert isinstance(begun, Waiting)
    assert await begun == "too late"


async def test_giving_it_up() -> None:
    left: list[str] = []

    async def watched() -> int:
        try:
            await asyncio.sleep(0)
            return 1
        finally:
            left.append("left")

    begun = begin(watched())
    assert isinstance(begun, Waiting)
    begun.close()
    assert left == ["left"]
    again = begin(watched())
    assert isinstance(again, Waiting)
    step = again.__await__()
    next(step)
    step.close()
    assert left == ["left", "left"]
