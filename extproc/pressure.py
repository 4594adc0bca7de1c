"""Whether this worker keeps up, and whom it refuses while it does not. Synchronous; what is measured is passed in.

What a worker has to do waits in two places. One is its own loop: it gets late to what it wanted to do at a certain time, which is its lag.
The other is sockets: how long requests wait there the transport finds out (`Server.late`). One late moment is a large body, or another
process that had the processor; one that does not go away for several looks is a queue that stands. So the least of the last few decides
(as in CoDel, RFC 8289). In sockets that may be no more than many who came at the same moment, who can all be answered: a queue there has
to be longer until there is a bound; once there is one, it is to be as short as the other. The third measure is memory.

While it does not keep up, so many requests may be under way as there are, less a tenth at each look; while it does again, more at each
look, until that is no bound any more. At the bound those are refused who have their share of it, or more; the others have some room beyond.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, Protocol

from extproc.errors import Fault

LOOK_EVERY = 0.1
"""Seconds between looks."""
_LOOKS = 5
"""Lags, and waits, of which the least counts."""
_BURST = 4
"""So many times as long as the lag may be requests may wait in sockets, until there is a bound."""
_LESS = 0.9
_MORE = 20
"""The bound grows by one part of so many at each look."""
_FLOOR = 16
"""Requests that may always be under way."""
_CALM = 10
"""Looks for which the bound has to be twice what there is, until it is none."""
_AGAIN = 3
"""Those who are refused are told to come again after 1, 2 or 3 seconds in turn, so that they do not all come at once."""

Reason = Literal["", "lag", "memory"]

BUSY = Fault(503, "overloaded", "This gateway has more to do than it can, so it takes no more requests of yours right now. Try again.")
"""What those are told who are refused."""


class Guest(Protocol):
    """A request under way."""

    @property
    def caller(self) -> str | None:
        """Whose it is; None: nobody's yet, or it is answered."""

    counted: bool
    """It counts for its caller, until it has `left`."""


class Pressure:
    """A worker's own."""

    __slots__ = ("_again", "_bound", "_calm", "_counts", "_enabled", "_lag", "_lags", "_total", "_waits", "guests", "limit", "refused")

    def __init__(self) -> None:
        self.guests: set[Guest] = set()
        """All requests under way."""
        self.limit = 0
        """So many may be; 0: there is no bound, since the worker keeps up."""
        self.refused = 0
        """Requests, since the worker began."""
        self._enabled = False
        self._lag = 0.0
        self._bound = 0
        self._lags: deque[float] = deque(maxlen=_LOOKS)
        self._waits: deque[float] = deque(maxlen=_LOOKS)
        self._counts: Counter[str] = Counter()
        self._total = 0
        self._calm = 0
        self._again = 0

    def follow(self, *, enabled: bool, lag: float, memory: int) -> None:
        """What the configuration says by now. `lag`: seconds; `memory`: bytes, 0: no bound."""
        self._enabled, self._lag, self._bound = enabled, lag, memory
        if not enabled:
            self.limit = 0

    def look(self, lag: float, resident: Callable[[], int], waits: float = 0.0) -> Reason:
        """Once every `LOOK_EVERY` seconds. `lag`: seconds that this comes late; `waits`: seconds that requests wait in sockets; `resident`:
        bytes of memory. Why it does not keep up.
        """
        self._lags.append(lag)
        self._waits.append(waits)
        if not self._enabled:
            return ""
        reason = self._reason(resident)
        if self.limit or reason:
            self._settle(reason)
        return reason

    def _reason(self, resident: Callable[[], int]) -> Reason:
        if self._late():
            return "lag"
        return "memory" if self._bound and resident() > self._bound else ""

    def _late(self) -> bool:
        lags, waits, most = self._lags, self._waits, self._lag
        if self.limit:
            return max(lags[-1], waits[-1]) > most
        return (len(lags) == _LOOKS and min(lags) > most) or (len(waits) == _LOOKS and min(waits) > _BURST * most)

    def _settle(self, reason: Reason) -> None:
        self._counts = counts = Counter[str]()
        for guest in self.guests:
            caller = guest.caller
            # Who is answered may be here for a while yet: it is not to be counted out once more when it goes.
            guest.counted = caller is not None
            if caller is not None:
                counts[caller] += 1
        self._total = total = counts.total()
        if reason:
            least = int(total * _LESS)
            self.limit = max(_FLOOR, min(self.limit, least) if self.limit else least)
            self._calm = 0
            return
        self.limit += max(1, self.limit // _MORE)
        self._calm = self._calm + 1 if 2 * total <= self.limit else 0
        if self._calm >= _CALM:
            self.limit = self._calm = 0

    def admits(self, caller: str) -> bool:
        """Whether a request may come in; it is `counted` from now on. Ask while there is a `limit`."""
        held, limit = self._counts[caller], self.limit
        if self._total >= limit:
            sharing = len(self._counts) + (caller not in self._counts)
            if held * sharing >= limit or self._total >= limit + max(_FLOOR, limit) // 4:
                self.refused += 1
                return False
        self._counts[caller] = held + 1
        self._total += 1
        return True

    def left(self, caller: str) -> None:
        """A request that was `counted` is over. What is forgotten here, or told twice, the next look puts right."""
        if self._counts[caller] > 0:
            self._counts[caller] -= 1
            self._total -= 1

    def again(self) -> int:
        """Seconds after which one who was refused may try again."""
        self._again = self._again % _AGAIN + 1
        return self._again
