"""The limits of one machine, as a worker sees them: it asks the control process, over the link, once for all requests of a moment."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable

import msgspec

from extproc.limits import messages
from extproc.limits.limit import Granted, Held, LimitsDown, Refused
from extproc.limits.rule import Want
from extproc.link.client import Link, LinkDown, LinkFailed

TIMEOUT = 0.5
"""Seconds that the control process may take to answer."""
_PATIENCE = 5.0
"""Seconds that are waited for one that is about to take over."""
_SILENT = 1.0
"""Seconds in which one that did not answer is not asked."""
_TOGETHER = 256
"""Requests of one message, at most: others wait meanwhile for the control process."""


class RemoteLimits:
    """A `Source` over the link."""

    def __init__(self, link: Link, *, timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from anywhere."""
        self._link = link
        self._timeout = timeout
        self._clock = clock
        self._silent_until = float("-inf")
        self._asked: list[tuple[Held, asyncio.Future[Granted | Refused]]] = []
        """What is asked in this moment."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `Source`."""
        if self._clock() < self._silent_until:
            raise LimitsDown("the control process does not answer")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Granted | Refused] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._ask)
        self._asked.append((Held(ticket, wants, at), future))
        try:
            return await future
        except LimitsDown:
            raise
        except BaseException:  # the caller was cancelled, or closed: nobody is left to use what may be reserved
            future.cancel()
            self.release(ticket, wants)
            raise

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""
        self._link.notify(messages.RELEASE, messages.encode((ticket,)), hold=True)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        """See `Source`."""
        self._link.notify(messages.FREE, messages.encode((ticket,)), hold=True)

    def hold(self, held: Iterable[Held]) -> None:
        """See `Source`."""
        left = iter(held)
        while some := tuple(itertools.islice(left, _TOGETHER)):
            self._link.notify(messages.HOLD, messages.encode(some), hold=True)

    def shrink(self, held: Held) -> None:
        """See `Source`. Not for a control process that takes over: that one hears from the start how much is left."""
        self._link.notify(messages.SHRINK, messages.encode((held,)))

    async def close(self) -> None:
        """See `Source`. The link is closed by whoever has opened it, and says what it has before that."""

    def _ask(self) -> None:
        """Sends what has gathered in this moment."""
        asked, self._asked = self._asked, []
        for begin in range(0, len(asked), _TOGETHER):
            task = asyncio.get_running_loop().create_task(self._answer(asked[begin : begin + _TOGETHER]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: list[tuple[Held, "asyncio.Future[Granted | Refused]"]]) -> None:
        # Whoever has gone in this moment has given back already.
        asked = [each for each in asked if not each[1].done()]
        if not asked:
            return
        wishes = [wish for wish, _ in asked]
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._link.call(messages.RESERVE, messages.encode(wishes), timeout=self._timeout, hold=True)
            verdicts = messages.read_verdicts(told)
        except (LinkDown, LinkFailed, TimeoutError, msgspec.DecodeError) as error:
            self._failed(asked, error)
            return
        for (_, future), verdict in zip(asked, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)

    def _failed(self, asked: list[tuple[Held, "asyncio.Future[Granted | Refused]"]], error: Exception) -> None:
        # It may have reserved, and what it said of that is lost.
        if self._link.notify(messages.RELEASE, messages.encode([wish.ticket for wish, _ in asked])):
            # It is there, and says nothing of use.
            self._silent_until = self._clock() + _SILENT
        for _, future in asked:
            if not future.done():
                future.set_exception(LimitsDown(str(error) or "the control process does not answer"))
