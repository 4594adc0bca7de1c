"""The slots of a gateway with several workers, as one of them sees it: the control process hands them out, over the link.

While the control process is away, or does not answer, each worker goes by itself, with its share of the slots. What it holds by then, and
gets meanwhile, it tells when the link is there again.
"""

import logging
import os
import time
from collections.abc import Callable

import msgspec

from extproc.link.client import Link, LinkDown, LinkFailed
from extproc.slots import messages
from extproc.slots.local import LocalSlots
from extproc.slots.slot import NO_LINE, Choice, Full, Line, Taken, Want, kind

TIMEOUT = 0.5
"""Seconds that the control process may take to answer, beyond those that were asked to wait."""
_SILENT = 1.0
"""Seconds in which one that did not answer is not asked."""

_FULL = 0.01
"""Seconds for which it is believed that there is no slot: what floods the gateway must not flood the control process as well."""
_KNOWN_FULL = 0.1
"""Seconds for which a scope is put off for that, where there are others."""
_FULLS = 1024
"""Of so many wishes at once."""

_log = logging.getLogger(__name__)


class RemoteSlots(LocalSlots):
    """`Slots` over the link. What is held by this worker stands in its own table as well: its share is what it may hold by itself."""

    def __init__(
        self, link: Link, workers: Callable[[], int], *, timeout: float = TIMEOUT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`workers`: how many share the slots. `told` has to be called when the link is up."""
        super().__init__(clock)
        self._link = link
        self._workers = workers
        self._timeout = timeout
        self._prefix = os.urandom(8)
        self._silent_until = float("-inf")
        self._full: dict[tuple[tuple[Choice, ...], Line], tuple[float, Full]] = {}
        self._lately: dict[str, float] = {}
        """Until when scopes are known as full."""
        self._alone = False
        """It has been said that the control process does not answer."""
        self._untold = False
        """The control process does not know yet what is held."""

    def told(self) -> None:
        """The link is up: the control process is told what is held."""
        told = [self._link.notify(messages.HOLD, messages.encode(messages.Hold(*held)), hold=True) for held in self._held.items()]
        self._untold = not all(told)

    async def take(self, choices: tuple[Choice, ...], line: Line = NO_LINE) -> Taken | Full:
        """See `Slots`."""
        if not self._link.up or self.clock() < self._silent_until:
            return await self._by_itself(choices, line)
        if self._untold:
            self.told()
        if (choices, line) in self._full and (known := self._still_full((choices, line))) is not None:
            return known
        ticket = self._ticket()
        waits = kind(next((want.scope for choice in choices for want in choice), ""))
        timed = line.wait > 0 and line.most > 0
        self._waiting[waits] += timed
        try:
            asked = messages.encode(messages.Take(ticket, choices, line))
            told = messages.read_told(await self._link.call(messages.TAKE, asked, timeout=line.wait * timed + self._timeout))
        except (LinkDown, LinkFailed, msgspec.DecodeError) as error:
            self._give_up(ticket, error)
            return await self._by_itself(choices, NO_LINE)
        except BaseException:  # the caller was cancelled, or closed: nobody is left to use a slot that may be on its way
            self._link.notify(messages.LEAVE, ticket)
            raise
        finally:
            self._waiting[waits] -= timed
        self._alone = False
        if told.choice < 0:
            return self._remember((choices, line), Full(told.scope, told.again, told.waited))
        self.table.hold(ticket, self, self._share(choices[told.choice]), self.clock())
        return self.keep(ticket, choices, told.choice)

    def _remember(self, wish: tuple[tuple[Choice, ...], Line], full: Full) -> Full:
        self._refused[kind(full.scope)] += 1
        if len(self._lately) >= _FULLS:
            self._lately.clear()
        self._lately[full.scope] = self.clock() + _KNOWN_FULL
        if not full.waited:
            if len(self._full) >= _FULLS:
                self._full.clear()
            self._full[wish] = self.clock() + _FULL, full
        return full

    def _still_full(self, wish: tuple[tuple[Choice, ...], Line]) -> Full | None:
        until, full = self._full[wish]
        if self.clock() < until:
            self._refused[kind(full.scope)] += 1
            return full
        del self._full[wish]
        return None

    async def _by_itself(self, choices: tuple[Choice, ...], line: Line) -> Taken | Full:
        taken = await super().take(tuple(map(self._share, choices)), line)
        if isinstance(taken, Taken):
            self._held[taken.ticket] = choices[taken.choice]
        return taken

    def _share(self, choice: Choice) -> Choice:
        workers = max(1, self._workers())
        return tuple(Want(want.scope, max(1, want.most // workers), want.adapt) for want in choice)

    def _give_up(self, ticket: bytes, error: Exception) -> None:
        if self._link.notify(messages.LEAVE, ticket):
            # It is there, and says nothing of use.
            self._silent_until = self.clock() + _SILENT
        if not self._alone:
            self._alone = True
            _log.warning("slots are handed out by this worker alone, for now: %s", error)

    def release(self, ticket: bytes) -> None:
        """See `Slots`."""
        if ticket in self._held:
            self._full.clear()
            for want in self._held[ticket]:
                self._lately.pop(want.scope, None)
            super().release(ticket)
            self._link.notify(messages.RELEASE, ticket, hold=True)

    def give_back(self, ticket: bytes) -> None:
        """See `Slots`."""
        if ticket in self._held:
            self.release(ticket)
        else:
            self._link.notify(messages.RELEASE, ticket, hold=True)

    def hand_over(self, ticket: bytes) -> None:
        """See `Slots`."""
        # The control process has it on this worker's account until another one adopts it.
        super().hand_over(ticket)
        super().release(ticket)

    def adopt(self, ticket: bytes, choice: Choice) -> None:
        """See `Slots`."""
        super().adopt(ticket, choice)
        self.table.hold(ticket, self, self._share(choice), self.clock())
        self.keep(ticket, (choice,), 0)
        self._link.notify(messages.HOLD, messages.encode(messages.Hold(ticket, choice)), hold=True)

    def _abandon(self, ticket: bytes) -> None:
        self._link.notify(messages.ABANDON, ticket, hold=True)

    def is_full(self, choice: Choice) -> bool:
        """See `Slots`."""
        if not self._link.up:
            return super().is_full(self._share(choice))
        now = self.clock()
        return bool(self._lately) and any(self._lately.get(want.scope, 0.0) > now for want in choice)

    def overloaded(self, scope: str) -> None:
        """See `Slots`."""
        super().overloaded(scope)
        self._link.notify(messages.OVERLOADED, scope.encode())

    def _ticket(self) -> bytes:
        return self._prefix + super()._ticket()
