"""Keepers are made and ended as they are wanted, and waited for, but not for long."""

import asyncio
from functools import partial

from extproc.control.keepers import Keepers, pause_after


class Keeper:
    def __init__(self, name: str, log: list[str], *, tried: bool = True) -> None:
        self.tried = asyncio.Event()
        if tried:
            self.tried.set()
        self.name, self.log = name, log
        log.append(f"+{name}")

    async def close(self) -> None:
        self.log.append(f"-{self.name}")


async def test_those_that_are_wanted_are_there_and_no_others() -> None:
    log: list[str] = []
    keepers: Keepers[str, Keeper] = Keepers(patience=0.01)
    assert not await keepers.until_tried()
    await keepers.follow({name: partial(Keeper, name, log) for name in "ab"})
    assert await keepers.until_tried()
    await keepers.follow({name: partial(Keeper, name, log, tried=False) for name in "bc"})
    # Nobody waits longer for `c`.
    assert await keepers.until_tried()
    await keepers.close()
    await keepers.close()
    assert log == ["+a", "+b", "-a", "+c", "-b", "-c"]


def test_pauses_grow_up_to_a_bound() -> None:
    assert [pause_after(failures) for failures in (0, 1, 4, 100)] == [1.0, 2.0, 30.0, 30.0]
