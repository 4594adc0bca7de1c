"""The slots of a gateway with one worker: inside that worker, so that nobody has to be asked."""

import time
from collections.abc import Callable

from extproc.slots.atonce import AtOnce
from extproc.slots.desk import Desk
from extproc.slots.slot import NO_LINE, Choice, Full, Line, Taken, kind


class LocalSlots(AtOnce):
    """`Slots` of this process. Those of another one are others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from anywhere."""
        super().__init__(clock)
        self._desk = Desk(self.table, clock)

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
