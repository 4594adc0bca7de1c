"""What is to be looked at when its time has come: a few at a time, and none before."""

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Due(Generic[T]):
    """Things by moments, many of which share one. Adding, dropping and taking cost the same however many there are."""

    def __init__(self) -> None:
        self._at: dict[int, dict[T, None]] = {}
        self._moments: list[int] = []
        """Those of `_at`, as a heap: few, since moments are on a grid."""

    def add(self, moment: int, thing: T) -> None:
        """It is to be looked at from `moment` on."""
        at = self._at.get(moment)
        if at is None:
            at = self._at[moment] = {}
            heapq.heappush(self._moments, moment)
        at[thing] = None

    def drop(self, moment: int, thing: T) -> None:
        """It is not."""
        at = self._at.get(moment)
        if at is not None:
            at.pop(thing, None)

    def take(self, now: int, most: int) -> list[T]:
        """Those whose time has come: `most` of them, and no longer here."""
        taken: list[T] = []
        while len(taken) < most and self._moments and self._moments[0] <= now:
            at = self._at[self._moments[0]]
            if at:
                taken.append(at.popitem()[0])
            if not at:
                del self._at[heapq.heappop(self._moments)]
        return taken
