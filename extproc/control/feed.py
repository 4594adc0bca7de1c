"""What a store elsewhere has to tell: PostgreSQL notifies of each change (LISTEN), and a connection that breaks is made again.

Between two connections nobody knows what has changed, so each new one counts as a change. While there is none, what was known stays in
force (`kept.py`): the database may be away for hours.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from extproc.control.aside import aside
from extproc.control.identities import Identities
from extproc.control.kept import FILE

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PATIENCE = 5.0
"""Seconds that a start or a reload waits for the first connection."""
_LOOK = 2.0
"""Seconds without a word after which the connection is asked whether it still is one."""
_ANSWERED, _READ = 3.0, 10.0
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_CONNECTION = {"connect_timeout": 5, "tcp_user_timeout": 5000, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2}

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Feed:
    """Follows the store of one configuration. It belongs to one loop."""

    def __init__(self, state: Path) -> None:
        self.version = 0
        """Another one after each change, and whenever the store has come or gone."""
        self.up = False
        """It can be asked."""
        self._state = state
        self._url = ""
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._gone = asyncio.Event()
        self._trouble = ""
        self._failures = 0
        self._known = False

    @property
    def ignorant(self) -> bool:
        """It has never told anything that is still known, so of no key of it anybody can tell."""
        return bool(self._url) and not self._known and not (self._state / FILE).exists()

    async def follow(self, url: str) -> None:
        """From now on that one; none where it is empty. Returns when it can be asked, or has been tried, or soon."""
        if url == self._url:
            return
        await self.close()
        self._url, self._tried, self._trouble, self._known = url, asyncio.Event(), "", False
        if url:
            self._task = asyncio.get_running_loop().create_task(self._keep())
            try:
                await asyncio.wait_for(self._tried.wait(), PATIENCE)
            except TimeoutError:
                _log.warning("the store does not answer; what was known of it is in force")

    async def ask(self, work: Callable[[bool], T]) -> T:
        """What `work(up)` gives, in a thread. One that waits for a store which has gone is left to itself, and done again without it."""
        if self.up:
            asked, gone = asyncio.ensure_future(aside(partial(work, True), "asking the store")), asyncio.ensure_future(self._gone.wait())
            try:
                await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    return asked.result()
            finally:
                gone.cancel()
                asked.cancel()
        return await asyncio.to_thread(work, False)

    async def close(self) -> None:
        """Follows none."""
        task, self._task, self._url = self._task, None, ""
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.up = False
        self._gone.set()

    async def _keep(self) -> None:
        # Slow to import, and not needed where identities are in the state folder.
        import psycopg  # noqa: PLC0415

        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._lost(error)
            pause = _PAUSES[min(self._failures, len(_PAUSES)) - 1]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that machines do not come all at once

    async def _listen(self) -> None:
        """Until the connection breaks. Raises what it breaks with."""
        from psycopg import AsyncConnection  # noqa: PLC0415 - see `_keep`
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - see `_keep`

        from extproc.store.changes import CHANNEL  # noqa: PLC0415 - see `_keep`
        from extproc.store.database import libpq_of  # noqa: PLC0415 - see `_keep`

        async with await AsyncConnection.connect(make_conninfo(libpq_of(self._url), **_CONNECTION), autocommit=True) as connection:
            # Before it is read for the first time: what changes meanwhile is told.
            await connection.execute(f'LISTEN "{CHANNEL}"'.encode())
            async with asyncio.timeout(_READ):
                await aside(Identities(self._state, self._url).stamp, "looking at the store")
            self._found()
            await self._heed(connection)

    async def _heed(self, connection: "AsyncConnection") -> None:
        while True:
            async for _ in connection.notifies(timeout=_LOOK):
                self.version += 1
            asked = asyncio.ensure_future(connection.execute("SELECT 1"))
            done, _ = await asyncio.wait({asked}, timeout=_ANSWERED)
            if not done:
                # psycopg takes its time to give a question up.
                self._lost(silent := TimeoutError(f"no answer within {_ANSWERED:g} s"))
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
                raise silent
            asked.result()

    def _found(self) -> None:
        if self._trouble:
            _log.info("the store answers again")
        self.up, self._trouble, self._failures, self._known = True, "", 0, True
        self._gone.clear()
        self.version += 1
        self._tried.set()

    def _lost(self, error: Exception) -> None:
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        if self.up:
            self.version += 1
        if reason != self._trouble:
            _log.error("the store cannot be asked; known keys go on working, others get 503: %s", reason)
        self.up, self._trouble = False, reason
        self._gone.set()
        self._failures += 1
        self._tried.set()
