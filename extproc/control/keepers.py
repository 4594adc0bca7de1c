"""What the control process keeps fresh for the workers - tokens, issuers' keys - with one keeper for each: begun, waited for, ended."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)


class Keeper(Protocol):
    """Keeps one thing fresh, in the background, until `close`."""

    tried: asyncio.Event
    """It has been asked for, whatever came of it."""

    async def close(self) -> None:
        """Keeps it no more."""


Wanted = TypeVar("Wanted")
K = TypeVar("K", bound=Keeper)


class Keepers(Generic[Wanted, K]):
    """Those of a configuration, by what they keep."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds for which a start or a reload waits for what has not been tried yet."""
        self._patience = patience
        self.all: dict[Wanted, K] = {}

    async def follow(self, wanted: Mapping[Wanted, Callable[[], K]]) -> None:
        """Keeps these, and no others; makes those that are new."""
        for name in self.all.keys() - wanted.keys():
            await self.all.pop(name).close()
        for name, make in wanted.items():
            if name not in self.all:
                self.all[name] = make()

    async def until_tried(self) -> bool:
        """Waits until all have been tried, or for as long as `patience` is. Whether there are any."""
        trying = [asyncio.ensure_future(keeper.tried.wait()) for keeper in self.all.values()]
        if trying:
            _, late = await asyncio.wait(trying, timeout=self._patience)
            for each in late:
                each.cancel()
        return bool(trying)

    async def close(self) -> None:
        """Keeps none any more."""
        keepers, self.all = self.all, {}
        for keeper in keepers.values():
            await keeper.close()


def pause_after(failures: int) -> float:
    """Seconds until it is tried again, after so many failures before this one."""
    return _PAUSES[min(failures, len(_PAUSES) - 1)]
