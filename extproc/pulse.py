"""What one worker has felt of a target: how many of its own requests are there, and how long answers take.

Times are averages that rise at once and fall slowly (peak-EWMA, as Finagle and linkerd balance by): what is slower than expected counts
whole, what is quicker bit by bit, the more the longer ago the last one was. An expectation that nobody renews fades, so that a target which
was slow is tried again. Each class of size has its own, as a long prompt takes longer wherever it is sent.

https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala
https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/
"""

from bisect import bisect_left
from math import exp

from extproc.values import Target

SIZES = (1_000, 8_000, 64_000)
"""Most tokens of input of each class of size; the last class has no bound."""
_FADING = 30.0
"""Seconds in which an expectation fades to a third (1/e)."""
_FAILED = 5.0
"""Seconds that a failure counts for at least: what fails at once is not quick."""
_MOST = 4096
"""Targets that a worker remembers."""


def size_class(tokens: int) -> int:
    """The class of a request of so many tokens of input: an index of `SIZES`, or one more."""
    return bisect_left(SIZES, tokens)


class Expectation:
    """How many seconds something takes."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def seconds(self, now: float) -> float:
        """What is expected; 0: nothing is known. `now`: by a clock that never goes back."""
        return self._seconds * exp((self._at - now) / _FADING)

    def felt(self, seconds: float, now: float) -> None:
        """It took so long."""
        if seconds < self._seconds:
            kept = exp((self._at - now) / _FADING)
            seconds = self._seconds * kept + seconds * (1.0 - kept)
        self._seconds, self._at = seconds, now

    def at_least(self, seconds: float, now: float) -> None:
        """It would have taken longer than this."""
        if seconds > (expected := self.seconds(now)):
            self._seconds, self._at = seconds, now
        else:
            self._seconds, self._at = expected, now


class Pulse:
    """A target, as this worker feels it."""

    __slots__ = ("busy", "first", "whole")

    def __init__(self) -> None:
        self.busy = 0
        """Requests of this worker that are there."""
        self.first = tuple(Expectation() for _ in range(len(SIZES) + 1))
        """By class of size: to the first token, or to the head of an answer that is no stream."""
        self.whole = tuple(Expectation() for _ in range(len(SIZES) + 1))
        """By class of size: to the end of an answer."""

    def failed(self, size: int, now: float, after: float = 0.0) -> None:
        """It gave no answer to a request of that class, `after` so many seconds."""
        for expectation in (self.first[size], self.whole[size]):
            expectation.at_least(max(after, _FAILED), now)


class Pulses:
    """Those of all targets that some strategy wants to know of. They outlive configurations."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._pulses: dict[Target, Pulse] = {}

    def of(self, target: Target) -> Pulse:
        """A target's. Where there are too many, the one that was asked about longest ago is forgotten: callers may make up names where a
        target has none.
        """
        pulse = self._pulses.pop(target, None) or Pulse()
        if len(self._pulses) >= self._most:
            del self._pulses[next(iter(self._pulses))]
        self._pulses[target] = pulse
        return pulse
