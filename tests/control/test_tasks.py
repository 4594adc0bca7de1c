"""What the control process does beside everything else."""

import asyncio

from extproc.control.tasks import Tasks


async def test_what_is_under_way_is_broken_off_and_what_is_done_is_let_go() -> None:
    tasks, done, told = Tasks(), asyncio.Event(), list[str]()

    async def ends() -> None:
        done.set()

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append("broken off")

    tasks.begin(ends())
    tasks.begin(goes_on())
    await done.wait()
    tasks.sweep()
    assert told == []
    await tasks.close()
    assert told == ["broken off"]


async def test_one_that_fails_keeps_no_other_from_its_end() -> None:
    tasks = Tasks()

    async def fails() -> None:
        raise OSError

    tasks.begin(fails())
    await asyncio.sleep(0)
    await tasks.close()
