"""A slot that is held until an answer is over, however it ends."""

from extproc.filter import Tap
from extproc.slots.slot import Slots
from extproc.values import Response


class Holding(Tap):
    """Gives back what a ticket holds: once, whether it was answered or refused, whole, broken off, or given up."""

    passes = True

    def __init__(self, slots: Slots, ticket: bytes) -> None:
        self.slots = slots
        self._ticket = ticket

    async def end(self, response: Response) -> None:
        """See `Tap`."""
        self.slots.release(self._ticket)
