"""Who counts for a worker: the control process, or a Redis, as the configuration in force says."""

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from extproc.limits.limit import Limits
from extproc.limits.shared import SharedLimits

S = TypeVar("S")


class Counters(Generic[S]):
    """Both, of which the second is opened when it is asked for. `S`: what says which Redis."""

    def __init__(self, near: SharedLimits, far: Callable[[S], SharedLimits]) -> None:
        """`near`: of this machine. `far`: opens that of the fleet."""
        self._near = near
        self._open = far
        self._far: dict[S, SharedLimits] = {}
        """One, mostly: another one only where the configuration has named another Redis."""

    def of(self, redis: S | None) -> Limits:
        """Who counts where this is the Redis."""
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

    def refusals(self) -> dict[str, int]:
        """Requests that were refused, since the process began, by the label of the rule."""
        return dict(sum((each.refusals for each in self._all), Counter[str]()))

    def alone(self) -> dict[str, int]:
        """How often this worker has decided alone, since then: `granted` and `refused`."""
        return dict(sum((Counter(each.counts()) for each in self._all), Counter[str]()))

    @property
    def _all(self) -> tuple[SharedLimits, ...]:
        return self._near, *self._far.values()
