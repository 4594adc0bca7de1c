"""What the control process does beside everything else, until it ends or leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """All of it."""

    def __init__(self) -> None:
        self._all: list[asyncio.Task[Any]] = []

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Does it from now on. Nobody waits for it."""
        self._all.append(asyncio.get_running_loop().create_task(work))

    def sweep(self) -> None:
        """Lets go of what is done."""
        self._all = [task for task in self._all if not task.done()]

    async def close(self) -> None:
        """Breaks off what is under way."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)
