"""A worker's look at itself: every so often it measures whether it keeps up, says when it begins to refuse requests and when it ends that,
and sums up its load for the control process.
"""

import logging
import time
from collections.abc import Callable

from msgspec import Struct

from extproc.engine import Engine
from extproc.memory import resident as resident_now
from extproc.pressure import LOOK_EVERY, Reason
from extproc.slots.slot import Count

_HELD_BACK = 4 << 20
"""Bytes that are said to be left behind, so that it is looked what can be given back to the system."""
_WHY: dict[Reason, str] = {"lag": "what it has to do waits too long (shedding.lag)", "memory": "it takes too much memory (shedding.memory)"}

_log = logging.getLogger("headgate.load")


class Load(Struct, frozen=True, array_like=True):
    """What a worker tells of its load."""

    slots: dict[str, Count] = {}
    """By the kind of scope: `tenant`, `target`, `provider`."""
    refused: dict[str, int] = {}
    """Requests, since the worker began: for want of a slot by the kind of scope; `pressure`: it did not keep up; `bodies`: no room."""
    limit: int = 0
    """Requests that may be under way while it does not keep up; 0: it does."""
    bodies: int = 0
    """Bytes of large bodies that it holds."""
    unmirrored: int = 0
    """Copies of requests that were not sent to their mirrors, since the worker began."""


class Lookout:
    """Of one worker."""

    def __init__(
        self,
        engine: Engine,
        waits: Callable[[], float] = float,
        *,
        clock: Callable[[], float] = time.monotonic,
        resident: Callable[[], int] = resident_now,
    ) -> None:
        """`waits`: seconds for which requests wait in sockets; `clock`: seconds; `resident`: bytes of memory."""
        self._engine = engine
        self._waits = waits
        self._clock = clock
        self._resident = resident
        self._due = float("inf")
        self._before = 0
        """Refused when it began."""

    def step(self) -> None:
        """Looks. Is to be called `LOOK_EVERY` seconds after it has returned."""
        pressure = self._engine.pressure
        was = pressure.limit
        reason = pressure.look(max(0.0, self._clock() - self._due), self._resident, self._waits())
        if reason == "memory":
            self._engine.leftovers.passed(_HELD_BACK)
        if pressure.limit and not was:
            self._before = pressure.refused
            _log.warning("this worker does not keep up: %s; of new requests it refuses those of whom most are under way", _WHY[reason])
        elif was and not pressure.limit:
            _log.warning("this worker keeps up again; it has refused %d requests meanwhile", pressure.refused - self._before)
        self._due = self._clock() + LOOK_EVERY

    def load(self) -> Load:
        """The load now."""
        engine = self._engine
        pressure, room = engine.pressure, engine.room
        refused = {**engine.slots.refusals(), "pressure": pressure.refused, "bodies": room.refused, "retries": engine.budgets.spent}
        refused = {reason: count for reason, count in refused.items() if count}
        unmirrored = engine.mirrors.dropped if engine.mirrors is not None else 0
        return Load(dict(engine.slots.counts()), refused, pressure.limit, room.held, unmirrored)
