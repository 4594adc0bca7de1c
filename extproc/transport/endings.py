"""What is left to do when streams are over: begun at once, finished by tasks of their own, awaited when a server ends."""

import asyncio
import logging

from extproc.drive import Waiting
from extproc.transport.seam import Session

_PATIENCE = 5.0

_log = logging.getLogger(__name__)


class Endings:
    """The endings of one server's streams. There is nobody left to answer, so a bug in one can only be told."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def own(self, task: asyncio.Task[None]) -> None:
        """The server does not end before this task does, which is to close a session."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self, session: Session) -> None:
        """The session's stream is over."""
        try:
            rest = session.close()
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - see above
            _log.exception("the end of an exchange failed")
            return
        if rest is not None:
            # A task of its own: that of the stream may have been cancelled already.
            self.own(asyncio.get_running_loop().create_task(self._see_out(rest)))

    async def _see_out(self, rest: Waiting[None]) -> None:
        try:
            await rest
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - see above
            _log.exception("the end of an exchange failed")

    async def wait(self) -> None:
        """Until all have ended, also those that begin meanwhile; at most for some seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE
        while self._tasks and (left := until - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
