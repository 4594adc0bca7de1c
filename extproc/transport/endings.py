"""What sessions have left to do when their streams are over: begun at once, finished by tasks of their own, awaited when a server ends."""

import asyncio
import logging

from extproc.drive import Waiting
from extproc.transport.seam import Session

_log = logging.getLogger(__name__)


class Endings:
    """The endings of one server's streams. There is nobody left to answer, so a bug in one can only be told."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self, session: Session) -> None:
        """The session's stream is over."""
        try:
            rest = session.close()
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the end of an exchange failed")
            return
        if rest is not None:
            # A task of its own: that of the stream may have been cancelled already.
            task = asyncio.get_running_loop().create_task(self._see_out(rest))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _see_out(self, rest: Waiting[None]) -> None:
        try:
            await rest
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the end of an exchange failed")

    async def wait(self, within: float) -> None:
        """Until all have ended, at most so many seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
