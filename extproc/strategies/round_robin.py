"""In turns: each request begins with the target after the one that the last request began with."""

from collections.abc import Callable, Sequence
from random import randrange
from typing import ClassVar

from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request


class RoundRobin(Strategy, frozen=True, kw_only=True):
    """Begins with each target in turn, whatever its weight; one of weight 0 has no turn. Each worker takes turns by itself."""

    heeds: ClassVar[tuple[float, ...] | None] = (0, 1)

    def open(self) -> Order:
        """See `Strategy.open`."""
        return Turns()


class Turns:
    """Whose turn it is."""

    def __init__(self, begin: Callable[[int], int] = randrange) -> None:
        """`begin`: a number below the one given. Workers that all began with the first target would all move on together."""
        self._begin = begin
        self._turn = -1

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Order.arrange`."""
        turning = [candidate for candidate in candidates if candidate.weight] or candidates
        count = len(turning)
        self._turn = at = (self._turn + 1) % count if self._turn >= 0 else self._begin(count)
        waiting = [candidate for candidate in candidates if not candidate.weight] if count < len(candidates) else ()
        return [*turning[at:], *turning[:at], *waiting]
