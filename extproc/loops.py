"""What a process does over and over: a step that fails is told and tried again, and never ends the loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
# A step that fails at once again and again must not fill the log.
_AFTER_FAILURE = 2.0


async def forever(what: str, every: float, step: Callable[[], Awaitable[object] | None]) -> None:
    """Takes `step`, which may wait, now and `every` seconds after it has ended, until it is cancelled. `what` it is, for the log."""
    while True:
        try:
            waiting = step()
            if waiting is not None:
                await waiting
        except Exception:  # noqa: BLE001 - a bug, or a fault that nobody thought of: whatever it is, what comes later must still be noticed
            _log.exception("%s failed; it is tried again", what)
            await asyncio.sleep(_AFTER_FAILURE)
        await asyncio.sleep(every)
