"""Puts names to what an event speaks of by ids, before anybody is told: asked of the store beside everything else, and done without where
that does not answer soon.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from extproc.control.aside import aside
from extproc.identity.named import Named
from extproc.notifications.event import Event, ids_of, with_names

_PATIENCE = 5.0
_MOST = 64
"""Events that wait for names at once; of more, the rest is told as it is."""

_log = logging.getLogger(__name__)


class Naming:
    """Of one gateway's notifications."""

    def __init__(self, find: Callable[[Collection[str]], dict[str, Named]], tell: Callable[[Event], None]) -> None:
        """`find`: raises `OSError` where nobody can be asked."""
        self._find = find
        self._tell = tell
        self._waiting: dict[asyncio.Task[None], Event] = {}

    def tell(self, event: Event) -> None:
        """Tells it, soon. In the loop; waits for nothing."""
        ids = ids_of(event)
        if not ids or len(self._waiting) >= _MOST:
            self._tell(event)
            return
        task = asyncio.get_running_loop().create_task(self._name(event, ids))
        self._waiting[task] = event
        task.add_done_callback(self._waiting.pop)

    async def _name(self, event: Event, ids: set[str]) -> None:
        try:
            known = await asyncio.wait_for(aside(lambda: self._find(ids), "names of an event"), _PATIENCE)
        except (OSError, TimeoutError) as error:
            _log.debug("an event is told without names: %s", error)
            known = {}
        self._tell(with_names(event, known))

    async def close(self) -> None:
        """Waits for nobody: what is not named yet is told as it is."""
        waiting = dict(self._waiting)
        for task, event in waiting.items():
            if task.cancel():
                self._tell(event)
        await asyncio.gather(*waiting, return_exceptions=True)
