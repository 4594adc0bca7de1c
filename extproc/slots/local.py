"""The slots of a gateway with one worker: inside that worker, so that nobody has to be asked."""

import asyncio
import time
from collections.abc import Callable

from extproc.slots.atonce import AtOnce
from extproc.slots.desk import Desk
from extproc.slots.slot import NO_LINE, Choice, Full, Line, Taken, kind

HANDED = 10.0
"""Seconds in which what is handed over has to be adopted."""


class LocalSlots(AtOnce):
    """`Slots` of this process. Those of another one are others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from anywhere."""
        super().__init__(clock)
        self._desk = Desk(self.table, clock)
        self._handed: set[bytes] = set()
        """Tickets that nobody has adopted yet, as far as is known here."""

    async def take(self, choices: tuple[Choice, ...], line: Line = NO_LINE) -> Taken | Full:
        """See `Slots`."""
        ticket = self._ticket()
        at = self._desk.take(ticket, self, choices, line)
        waited = at is not None and not isinstance(at, int)
        if at is not None and not isinstance(at, int):
            waits = kind(self.table.full(choices))
            self._waiting[waits] += 1
            try:
                at = await at
            finally:
                self._waiting[waits] -= 1
        return self.refused(choices, waited=waited) if at is None else self.keep(ticket, choices, at)

    def hand_over(self, ticket: bytes) -> None:
        """See `Slots`."""
        self._handed.add(ticket)
        asyncio.get_running_loop().call_later(HANDED, self._late, ticket)

    def adopt(self, ticket: bytes, choice: Choice) -> None:
        """See `Slots`."""
        self._handed.discard(ticket)

    def _late(self, ticket: bytes) -> None:
        if ticket in self._handed:
            self._handed.discard(ticket)
            self._abandon(ticket)

    def _abandon(self, ticket: bytes) -> None:
        """Nobody here has adopted it."""
        self.release(ticket)
