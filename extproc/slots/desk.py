"""Where one may wait for a slot: a table, and asyncio's futures and clocks."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from extproc.slots.slot import Choice, Line
from extproc.slots.table import Table


class Desk:
    """A table, and a line in front of it."""

    def __init__(self, table: Table | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.table = table or Table()
        self._clock = clock

    def take(self, ticket: bytes, owner: object, choices: tuple[Choice, ...], line: Line) -> int | Awaitable[int | None] | None:
        """The index of the choice whose slots are held by now; None: there is none. What can be awaited: whoever asks is in line.

        May be awaited outside of a task. Given up meanwhile, nothing is held.
        """
        at = self.table.take(ticket, owner, choices, self._clock())
        if at is not None or not line.most or line.wait <= 0:
            return at
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        def wake(at: int) -> None:
            # Cancelled already: whoever waited is about to hear of it, and leaves.
            if not future.done():
                future.set_result(at)

        if not self.table.wait(ticket, owner, choices, line.most, wake, self._clock()):
            return None
        return self._wait(ticket, line.wait, future)

    async def _wait(self, ticket: bytes, seconds: float, future: "asyncio.Future[int | None]") -> int | None:
        timer = asyncio.get_running_loop().call_later(seconds, self._give_up, ticket, future)
        try:
            return await future
        except BaseException:
            self.table.leave(ticket, self._clock())
            raise
        finally:
            timer.cancel()

    def _give_up(self, ticket: bytes, future: "asyncio.Future[int | None]") -> None:
        if not future.done():
            self.table.leave(ticket, self._clock())
            future.set_result(None)
