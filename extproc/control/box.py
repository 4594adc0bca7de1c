"""The outbox of notifications, for the loop: in a thread of its own, since SQLite blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from extproc.notifications.outbox import Outbox

P = ParamSpec("P")
T = TypeVar("T")


class Box:
    """What is asked is done in the order in which it was. Raises what the outbox does."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notifications")

    async def do(self, what: Callable[Concatenate[Outbox, P], T], *given: P.args, **named: P.kwargs) -> T:
        """Calls one of its methods, such as `Outbox.put`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: what(self._outbox, *given, **named))

    async def close(self) -> None:
        """Lets go of the file."""
        await self.do(Outbox.close)
        self._thread.shutdown()
