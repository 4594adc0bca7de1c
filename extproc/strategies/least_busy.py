"""The less busy of two: power of two choices, by the requests that are under way."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request


class LeastBusy(Strategy, frozen=True, kw_only=True):
    """Begins with the less busy of two targets that are drawn (power of two choices): the one that has fewer requests of this worker's
    under way, for its weight. The others follow by the same measure.
    """

    needs_pulse: ClassVar[bool] = True

    def open(self) -> Order:
        """See `Strategy.open`."""
        return Fewest()


class Fewest:
    """Draws and compares."""

    def __init__(self, random: Random | None = None) -> None:
        """`random`: who draws."""
        self._random = random or Random()  # noqa: S311 - no secret hangs on it

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Order.arrange`."""
        random = self._random
        working = [candidate for candidate in candidates if candidate.weight] or list(candidates)
        waiting = [candidate for candidate in candidates if not candidate.weight] if len(working) < len(candidates) else []
        # What is the same to the measure stands in any order.
        random.shuffle(working)
        first = min(working[:2], key=load)
        rest = sorted((candidate for candidate in working if candidate is not first), key=load)
        return [first, *rest, *sorted(waiting, key=load)]


def load(candidate: Candidate) -> float:
    """Requests that a target has, with the one that is to come, for its weight."""
    busy = candidate.pulse.busy if candidate.pulse is not None else 0
    return (busy + 1) / (candidate.weight or 1.0)
