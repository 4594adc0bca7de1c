"""What costs us little and the other end nothing may not come too often (RFC 9113, section 10.5)."""

from extproc.transport.http2.codes import Broken, Code
from extproc.transport.http2.limits import Limits, Rate


class Budget:
    """What is left of a rate."""

    __slots__ = ("_balance", "_rate", "_when")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._balance = rate.at_once
        self._when = 0.0

    def spend(self, now: float) -> bool:
        """Takes one; False if there is none left."""
        balance = min(self._rate.at_once, self._balance + (now - self._when) * self._rate.a_second)
        self._when = now
        self._balance = balance - 1
        return balance >= 1


class Patience:
    """With one connection. What comes too often ends it: each method raises `Broken` then."""

    __slots__ = ("_chatter", "_hang_ups", "_limit", "_pings", "_resets", "_settings", "earned", "now")

    def __init__(self, limits: Limits) -> None:
        self.now = 0.0
        """Seconds, when the newest bytes came."""
        self.earned = 0
        """Window updates that are free for now."""
        self._limit = limits.earned
        self._pings, self._settings, self._chatter = Budget(limits.pings), Budget(limits.settings), Budget(limits.chatter)
        self._resets, self._hang_ups = Budget(limits.resets), Budget(limits.hang_ups)

    def ping(self) -> None:
        """A ping, or the answer to one."""
        self._spend(self._pings, "pings")

    def settings(self) -> None:
        """Settings, which every stream has to be looked at for."""
        self._spend(self._settings, "settings")

    def reset(self, *, answered: bool) -> None:
        """A stream that is reset, by whomever. `answered`: its answer had begun."""
        self._spend(self._hang_ups if answered else self._resets, "streams that are reset")

    def window_update(self) -> None:
        """Some are free."""
        if self.earned:
            self.earned = min(self.earned, self._limit) - 1
        else:
            self._spend(self._chatter, "window updates")

    def chatter(self, what: str = "frames that say nothing") -> None:
        """A frame that changes nothing."""
        self._spend(self._chatter, what)

    def _spend(self, budget: Budget, what: str) -> None:
        if not budget.spend(self.now):
            raise Broken(Code.ENHANCE_YOUR_CALM, f"too many {what}")
