"""Who counts for a worker: the control process, or a Redis, as the configuration in force says."""

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from extproc.limits.leased import LeasedLimits
from extproc.limits.limit import Limits
from extproc.limits.shared import SharedLimits

S = TypeVar("S")


class Counters(Generic[S]):
    """Both, of which the second is opened when it is asked for. `S`: what says which Redis."""

    def __init__(self, near: SharedLimits, far: Callable[[S], SharedLimits]) -> None:
        """`near`: of this machine. `far`: opens that of the fleet."""
        self._near = near
        self._open = far
        self._leased: dict[S | None, LeasedLimits] = {}
        self._far: dict[S, SharedLimits] = {}
        """One, mostly: another one only where the configuration has named another Redis."""

    def of(self, redis: S | None) -> Limits:
        """Who counts where this is the Redis."""
        return self._of(redis)

    def leased(self, redis: S | None) -> Limits:
        """The same, with leases."""
        if redis not in self._leased:
            shared = self._of(redis)
            self._leased[redis] = LeasedLimits(shared, shared.sharers)
        return self._leased[redis]

    def _of(self, redis: S | None) -> SharedLimits:
        if redis is None:
            return self._near
        if redis not in self._far:
            self._far[redis] = self._open(redis)
        return self._far[redis]

    def told(self) -> None:
        """The control process is there, again perhaps."""
        self._near.told()

    def renew(self) -> None:
        """Says what is under way. Has to be called every `shared.RENEW` seconds."""
        for each in self._all:
            each.renew()

    async def close(self) -> None:
        """Ends: what was leased, and nobody has taken, comes back."""
        for leased in self._leased.values():
            leased.close()
        for each in self._all:
            await each.close()

    def refusals(self) -> dict[str, int]:
        """Requests that were refused, since the process began, by the label of the rule."""
        return dict(sum((each.refusals for each in self._all), Counter[str]()))

    def alone(self) -> dict[str, int]:
        """How often this worker has decided alone, since then: `granted` and `refused`."""
        return dict(sum((Counter(each.counts()) for each in self._all), Counter[str]()))

    @property
    def _all(self) -> tuple[SharedLimits, ...]:
        return self._near, *self._far.values()
