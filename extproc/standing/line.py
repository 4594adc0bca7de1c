"""A worker's line to the control process, as `View` and `Ear` use it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from extproc.link.client import Link, LinkDown, LinkFailed
from extproc.standing.cooling import Name
from extproc.standing.told import BACK, HEARD, NONE, PROBE, Heard, Lease, encode

T = TypeVar("T")

_PATIENCE = 0.5
"""Seconds that a request waits for the answer to whether it may make the probe."""


class LinkLine:
    """The line over the link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tasks: set[asyncio.Task[Any]] = set()

    async def probe(self, name: Name) -> int:
        """See `extproc.standing.view.Line`. Where the one who asks goes away meanwhile, what is granted to him is given back."""
        asking = self._keep(asyncio.get_running_loop().create_task(self._probe(name)))
        try:
            return await asyncio.shield(asking)
        except (asyncio.CancelledError, GeneratorExit):
            asking.add_done_callback(lambda asked: self._too_late(name, asked))
            raise

    def _too_late(self, name: Name, asked: asyncio.Task[int]) -> None:
        if not asked.cancelled() and asked.exception() is None and asked.result() > 0:
            self.give_back(Lease(name, asked.result()))

    async def _probe(self, name: Name) -> int:
        try:
            return int(await self._link.call(PROBE, encode(name), timeout=_PATIENCE))
        except (LinkDown, LinkFailed):
            return NONE

    def give_back(self, lease: Lease) -> None:
        """See `extproc.standing.view.Line`."""
        self._link.notify(BACK, encode(lease))

    def tell(self, heard: list[Heard]) -> bool:
        """See `extproc.standing.ear.Tells`."""
        return self._link.notify(HEARD, encode(heard))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """See `extproc.standing.ear.Tells`."""
        asyncio.get_running_loop().call_later(seconds, call)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """See `extproc.standing.view.Line`."""
        self._keep(asyncio.get_running_loop().create_task(work))

    def _keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        """The loop itself holds no task."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
