"""Who is not to be asked for a while because he said so: a target, or one key of its provider, that answered 429.

Who says when to come again is not asked before that. Who does not is asked last for some seconds: it may have been a matter of a moment.
"""

from typing import NamedTuple

SOON = 5.0
"""Seconds for which one is asked last who has not said when to come again."""
_MOST = 4096


class Name(NamedTuple):
    """Who cools down."""

    provider: str
    model: str
    key: str = ""
    """The key's name where the provider has several; for a provider with one, empty."""


class Cool(NamedTuple):
    """Since when, until when."""

    since: float
    until: float
    told: bool
    """He said so himself: he is not asked. Otherwise he is asked last."""


class Coolings:
    """All who cool down. Times are seconds of one clock."""

    __slots__ = ("_cools",)

    def __init__(self) -> None:
        self._cools: dict[Name, Cool] = {}

    def limited(self, name: Name, now: float, resets: float, most: float) -> bool:
        """He answered 429, and may be asked again in `resets` seconds (0: he did not say), up to `most` of them. Whether that is news."""
        known = self._cools.get(name)
        known = known if known is not None and known.until > now else None
        if most <= 0 or (resets <= 0 and known is not None and known.told):
            return False
        until = now + min(resets if resets > 0 else SOON, most)
        if known is not None and known.told and known.until >= until:
            return False
        self._take(name, Cool(now if known is None else known.since, until, resets > 0), now)
        return True

    def adopt(self, name: Name, now: float, left: float, *, told: bool) -> None:
        """Another machine has heard so."""
        known = self._cools.get(name)
        if left > 0 and (known is None or known.until < now + left):
            self._take(name, Cool(now, now + left, told), now)

    def forget(self, name: Name) -> None:
        """He is not the one any more who said so."""
        self._cools.pop(name, None)

    def _take(self, name: Name, cool: Cool, now: float) -> None:
        if name not in self._cools and len(self._cools) >= _MOST:
            self.expire(now)
            if len(self._cools) >= _MOST:
                del self._cools[min(self._cools, key=lambda one: self._cools[one].until)]
        self._cools[name] = cool

    def left(self, name: Name, now: float) -> float:
        """Seconds for which he cools down yet; 0: he does not."""
        known = self._cools.get(name)
        return max(0.0, known.until - now) if known is not None else 0.0

    def answered(self, name: Name, begun: float) -> bool:
        """He answered a request that began at `begun`. Whether he cools no more by that."""
        known = self._cools.get(name)
        if known is None or begun < known.since:
            return False
        del self._cools[name]
        return True

    def expire(self, now: float) -> bool:
        """Forgets those whose time is over. Whether there were any."""
        over = [name for name, cool in self._cools.items() if cool.until <= now]
        for name in over:
            del self._cools[name]
        return bool(over)

    def all(self, now: float) -> dict[Name, Cool]:
        """Those that cool down at `now`."""
        return {name: cool for name, cool in self._cools.items() if cool.until > now}
