"""When a receiver is asked, and asked again. Pure: times are passed in, seconds of one clock."""

from collections import deque
from collections.abc import Callable

PAUSES = (5.0, 15.0, 60.0, 300.0, 600.0)
"""Seconds after the first failure, the second, ...; from then on the last one."""
LASTS = 24 * 3600.0
"""Seconds after which nobody tries any more to deliver something."""
_JITTER = 0.2
LONGEST = PAUSES[-1] * (1 + _JITTER)
_MINUTE = 60.0


def pause(failures: int, draw: Callable[[], float], asked: float = 0.0) -> float:
    """Seconds until the next attempt, after so many failures. `draw`: from 0 to 1, so that many do not come together. `asked`: so many the
    receiver has asked for, of which it gets as many as we ever wait.
    """
    usual = PAUSES[min(failures, len(PAUSES)) - 1] * (1 - _JITTER + 2 * _JITTER * draw())
    return min(max(usual, asked), LONGEST)


class Pace:
    """How fast one receiver may be asked: at most so often a minute, and not while it does not answer."""

    def __init__(self, most: int, draw: Callable[[], float]) -> None:
        self.most = most
        self.failures = 0
        """In a row, of the kind that means that it is down."""
        self._draw = draw
        self._begun: deque[float] = deque()
        self._until = 0.0

    def wait(self, now: float) -> float:
        """Seconds until it may be asked."""
        while self._begun and self._begun[0] <= now - _MINUTE:
            self._begun.popleft()
        full = self._begun[-self.most] + _MINUTE - now if len(self._begun) >= self.most else 0.0
        return max(full, self._until - now, 0.0)

    def begun(self, now: float) -> None:
        """It is asked."""
        self._begun.append(now)

    def answered(self) -> None:
        """It is there, whatever it said."""
        self.failures, self._until = 0, 0.0

    def failed(self, now: float, asked: float = 0.0) -> None:
        """It is not there, or wants to be left alone, for so many seconds if it says so."""
        self.failures += 1
        self._until = now + pause(self.failures, self._draw, asked)
