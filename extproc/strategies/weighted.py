"""By lot: targets get requests in proportion to their weights."""

from collections.abc import Callable, Sequence
from math import inf, log
from random import random

from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request


class Weighted(Strategy, frozen=True, kw_only=True):
    """Draws the target to begin with by weight, then the next among the others, and so on. What is asked of one does not depend on what
    was asked before, so workers and machines need not agree.
    """

    def open(self) -> Order:
        """See `Strategy.open`."""
        return Lots()


class Lots:
    """Draws."""

    def __init__(self, draw: Callable[[], float] = random) -> None:
        """`draw`: numbers from 0 up to 1, as `random.random` has them."""
        self._draw = draw

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Order.arrange`."""
        return drawn(candidates, [1.0 - self._draw() for _ in candidates])


def drawn(candidates: Sequence[Candidate], lots: Sequence[float]) -> list[Candidate]:
    """Candidates by their lots, numbers above 0 up to 1: those of equal chances make each order as likely as drawing one after another
    by weight, without putting back (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006). Without weight: last.
    """
    waits = [-log(lot) / candidate.weight if candidate.weight else inf for candidate, lot in zip(candidates, lots, strict=True)]
    return [candidates[at] for at in sorted(range(len(candidates)), key=waits.__getitem__)]
