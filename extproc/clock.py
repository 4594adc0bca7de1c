"""The clock of a worker's streams, one for all of them: a look every quarter of a second at those whose time may be over.

A stream says when it is to be looked at next, which is some time after its last event; so events cost it nothing but the note of when
they came, and ten thousand streams a millisecond a second.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

TICK = 0.25
"""Seconds between two looks."""
LAST_WORDS = 0.25
"""Seconds that streams have for their last words, where the gateway, or their worker, ends before them."""
_LATE = 2.0
"""Ticks after which a look comes too late: what has come meanwhile is still to be read, and the next look sees it."""

_log = logging.getLogger(__name__)


class Timed(Protocol):
    """What has a time."""

    def look(self, now: float) -> float:
        """Its time may be over. Returns when it is to be looked at again, in seconds of `time.monotonic`; 0: never."""

    def finish(self) -> None:
        """Its time is over, whatever it is: nobody will be here for the rest of it."""


class Clock:
    """Of one worker."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._due: dict[Timed, float] = {}
        self._looked = now()

    def __len__(self) -> int:
        """How many have a time."""
        return len(self._due)

    def wind(self, one: Timed, at: float) -> None:
        """It is to be looked at then, in seconds of `time.monotonic`."""
        self._due[one] = at

    def stop(self, one: Timed) -> None:
        """It has no time any more."""
        self._due.pop(one, None)

    def finish(self) -> None:
        """Ends all of them, now."""
        for one in list(self._due):
            try:
                one.finish()
            except Exception:  # noqa: BLE001 - as in `step`
                _log.exception("a stream could not be ended")
            self.stop(one)

    def step(self) -> None:
        """Looks. To be called every `TICK` seconds."""
        now = self._now()
        late, self._looked = now - self._looked > _LATE * TICK, now
        if late:
            return
        for one in [one for one, at in self._due.items() if at <= now]:
            again = 0.0
            try:
                again = one.look(now)
            except Exception:  # noqa: BLE001 - a bug of one stream's end: the others have theirs, and Envoy's clock ends this one
                _log.exception("a stream could not be ended")
            if not again:
                self.stop(one)
            elif one in self._due:
                self._due[one] = again
