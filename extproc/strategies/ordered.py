"""As they are written: the first target gets everything, the others what it fails at."""

from collections.abc import Sequence
from typing import ClassVar

from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request


class Ordered(Strategy, frozen=True, kw_only=True):
    """Tries targets in the order of the configuration."""

    heeds: ClassVar[tuple[float, ...] | None] = (1,)

    def open(self) -> Order:
        """See `Strategy.open`."""
        return _AsWritten()


class _AsWritten:
    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        return list(candidates)
