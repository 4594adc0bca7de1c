"""How something is delivered, whatever the receiver is; and how that fails."""

from collections.abc import Sequence
from typing import Protocol

from extproc.notifications.outbox import Waiting


class Undelivered(Exception):
    """It was not taken. Says why, without anything that may be a secret."""

    def __init__(self, why: str, *, down: bool = True, after: float = 0.0, final: bool = False) -> None:
        """`down`: nothing else would be taken either, for now. `after`: seconds for which the receiver wants to be left alone. `final`: it
        says that it never takes it.
        """
        super().__init__(why)
        self.down = down
        self.after = after
        self.final = final


class Delivery(Protocol):
    """One receiver's way."""

    most: int
    """So many are delivered together."""

    async def deliver(self, waiting: Sequence[Waiting]) -> None:
        """Delivers all of them, at least one. Raises `Undelivered`: then none is."""
