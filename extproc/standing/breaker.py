"""The circuit breaker of one target, or of one key: a state machine, written as a table. Time is passed in, so it knows no clock.

    closed ──(failures in a row, or their rate)──► open ──(its time is over)──► half_open ──(probes answered)──► closed
                                                    ▲                               │
                                                    └───────────(a failure)─────────┘

What an attempt shows is how the target stood while it ran. So one that began before the state did changes nothing: a hundred requests
that time out together open it once, and the last of them do not open it again when it has long been answering.

A probe is a lease: it ends when its outcome is heard, when it is given back, or after as long as the breaker stays open, so that one
whose outcome never comes keeps nobody waiting for ever.
"""

from enum import IntEnum
from typing import Literal

from extproc.config.breaker import Breaker

State = Literal["closed", "open", "half_open"]

_BUCKETS = 12
_ALWAYS = float("-inf")


class Outcome(IntEnum):
    """What an attempt shows."""

    GOOD = 0
    """It answers."""
    BAD = 1
    """It fails."""
    NOTHING = 2
    """Neither: the client gave up before."""
    OTHER = 3
    """It is there, and gives no answer for a reason that does not count: what it was opened for is over, and no more is known."""


class Window:
    """Counts of the last seconds, by steps of a twelfth of them: adding and asking cost the same however many there were."""

    __slots__ = ("_bad", "_good", "_last", "_step")

    def __init__(self, over: float) -> None:
        self._step = over / _BUCKETS
        self._last = 0
        self._good = [0] * _BUCKETS
        self._bad = [0] * _BUCKETS

    def add(self, now: float, good: int, bad: int) -> None:
        """Counts at `now`."""
        self._turn(now)
        at = self._last % _BUCKETS
        self._good[at] += good
        self._bad[at] += bad

    def sums(self, now: float) -> tuple[int, int]:
        """Good and bad ones."""
        self._turn(now)
        return sum(self._good), sum(self._bad)

    def _turn(self, now: float) -> None:
        step = int(now / self._step)
        for each in range(max(self._last + 1, step - _BUCKETS + 1), step + 1):
            self._good[each % _BUCKETS] = self._bad[each % _BUCKETS] = 0
        self._last = max(self._last, step)


class Circuit:
    """One breaker. All times are seconds of one clock that never goes back; a `now` before the last one is taken for that one."""

    __slots__ = ("_last", "_leases", "_number", "_passed", "_window", "row", "settings", "share", "since", "state", "until")

    def __init__(self, settings: Breaker) -> None:
        self.settings = settings
        self.state: State = "closed"
        self.since = _ALWAYS
        """When the state began."""
        self.until = 0.0
        """When it stops being open."""
        self.row = 0
        """Failures in a row, as far as they count."""
        self.share: tuple[int, int] | None = None
        """Failed attempts and all attempts of the time that is looked at, where it is open for their rate."""
        self._passed = 0
        self._leases: dict[int, float] = {}
        self._number = 0
        self._last = _ALWAYS
        self._window = Window(settings.over)

    def look(self, now: float) -> State:
        """The state at `now`."""
        self._last = max(now, self._last)
        if self.state == "open" and self._last >= self.until:
            self._become("half_open", self.until)
        return self.state

    def hear(self, outcome: Outcome, begun: float, now: float, times: int = 1) -> bool:
        """Takes the outcome of an attempt (or of `times` that were alike) that began at `begun`. Whether the state is another one now."""
        before = self.look(now)
        if begun < self.since:
            return False
        _STEPS[before][outcome](self, self._last, times)
        return self.state != before

    def lease(self, now: float) -> int:
        """May a request try whether it answers again? The lease's number, or 0: no."""
        if self.look(now) != "half_open":
            return 0
        now = self._last
        self._leases = {number: end for number, end in self._leases.items() if end > now}
        if len(self._leases) >= self.settings.probes:
            return 0
        self._number += 1
        self._leases[self._number] = now + self.settings.open
        return self._number

    def give_back(self, lease: int) -> None:
        """The one who had the lease has not asked after all."""
        self._leases.pop(lease, None)

    def adopt(self, state: Literal["open", "closed"], now: float, left: float = 0.0) -> bool:
        """Takes over what another one has found out: it is open for `left` seconds more, or closed. Whether that is another state."""
        before = self.look(now)
        if state == "open":
            self._become("open", self._last)
            self.until = self._last + min(left, self.settings.open)
        elif before != "closed":
            self._become("closed", self._last)
        return self.state != before

    def _become(self, state: State, since: float) -> None:
        self.state, self.since = state, since
        self.row = self._passed = 0
        self.share = None
        self._leases.clear()
        self._window = Window(self.settings.over)

    def _open(self, now: float, share: tuple[int, int] | None = None) -> None:
        row = self.row
        self._become("open", now)
        # What it was opened for is still to be told.
        self.row, self.share, self.until = row, share, now + self.settings.open

    # What becomes of outcomes, by state.

    def counted(self, now: float, times: int) -> None:
        """It answers, as usual."""
        self.row = 0
        if self.settings.rate is not None:
            self._window.add(now, times, 0)

    def failed(self, now: float, times: int) -> None:
        """A failure: opens it, if that is one too many."""
        settings = self.settings
        self.row += times
        if self.row >= settings.failures:
            self._open(now)
        elif settings.rate is not None:
            self._window.add(now, 0, times)
            good, bad = self._window.sums(now)
            if good + bad >= settings.least and bad >= settings.rate * (good + bad):
                self._open(now, (bad, good + bad))

    def answered(self, now: float, times: int) -> None:
        """A probe has been, or a request that was let through though it is open."""
        self._leases.pop(next(iter(self._leases), 0), None)
        self._passed += times
        if self.state == "open" or self._passed >= self.settings.probes:
            self._become("closed", now)

    def failed_again(self, now: float, times: int) -> None:
        """A probe has."""
        self.row += times
        self._open(now)

    def given_up(self, now: float, times: int) -> None:
        """The probe shows nothing: another one may try."""
        self._leases.pop(next(iter(self._leases), 0), None)

    def nothing(self, now: float, times: int) -> None:
        """It says nothing in this state."""


_STEPS = {
    "closed": {
        Outcome.GOOD: Circuit.counted, Outcome.BAD: Circuit.failed, Outcome.NOTHING: Circuit.nothing, Outcome.OTHER: Circuit.nothing,
    },
    "open": {
        Outcome.GOOD: Circuit.answered, Outcome.BAD: Circuit.nothing, Outcome.NOTHING: Circuit.nothing, Outcome.OTHER: Circuit.nothing,
    },
    "half_open": {
        Outcome.GOOD: Circuit.answered, Outcome.BAD: Circuit.failed_again, Outcome.NOTHING: Circuit.given_up,
        Outcome.OTHER: Circuit.answered,
    },
}  # fmt: skip
