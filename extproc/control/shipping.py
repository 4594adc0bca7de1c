"""Sends the ledger to PostgreSQL while the gateway runs. In a thread of its own: whatever becomes of PostgreSQL, collecting goes on."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.config.ledger import Ledger
from extproc.errors import headline
from extproc.ledger.shipments import ShippingMetrics
from extproc.loops import forever

if TYPE_CHECKING:
    from extproc.ledger.shipper import Shipper

_EVERY = 1.0
_LONGEST = 30.0
"""Seconds between attempts, while it is away."""
_LAST_WORDS = 5.0
"""Seconds for which an end waits for what is being sent. What was not sent is by the next start."""

_log = logging.getLogger(__name__)


class Shipping:
    """Sends for as long as it runs."""

    def __init__(self, state: Path, ledger: Ledger, metrics: ShippingMetrics) -> None:
        self._state, self._ledger, self._metrics = state, ledger, metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shipping")
        self._task: asyncio.Task[None] | None = None
        self._shipper: Shipper | None = None
        self._pause = _EVERY
        self._ending = False

    def start(self) -> None:
        """Begins to send, in the background."""
        self._task = asyncio.get_running_loop().create_task(forever("sending the ledger", _EVERY, self._run))

    async def _run(self) -> None:
        fault = await asyncio.get_running_loop().run_in_executor(self._thread, self._send)
        if not fault:
            self._pause = _EVERY
            return
        self._metrics.failed()
        if self._pause == _EVERY:
            _log.error("the ledger cannot be sent to PostgreSQL: %s; nothing is lost, and it is tried again and again", fault)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST)

    def _send(self) -> str:
        """Sends all there is; what was in the way, or nothing."""
        # SQLAlchemy takes long to import: only a gateway that needs it pays for that.
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        from extproc.ledger.outbox import FAULTS  # noqa: PLC0415
        from extproc.ledger.shipper import Shipper  # noqa: PLC0415
        from extproc.store.versions import Unusable  # noqa: PLC0415

        try:
            if self._shipper is None:
                self._shipper = Shipper(self._state, self._ledger.url, keep=self._ledger.keep)
            while not self._ending:
                began = time.monotonic()
                count = self._shipper.ship()
                if not count:
                    break
                self._metrics.shipped(count, time.monotonic() - began)
            self._metrics.waiting(self._shipper.waiting())
        except (SQLAlchemyError, Unusable, ValueError, *FAULTS) as error:
            if self._shipper is not None:
                self._metrics.waiting(self._shipper.waiting())
            return headline(error)
        return ""

    async def close(self) -> None:
        """Sends what is left, as far as that is quick, and ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        loop = asyncio.get_running_loop()
        last = loop.run_in_executor(self._thread, self._send)
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await last
        except TimeoutError:
            self._ending = True
            _log.warning("not all of the ledger has been sent to PostgreSQL; the next start goes on with it")
        if last.done() and self._shipper is not None:
            await loop.run_in_executor(self._thread, self._shipper.close)
        self._thread.shutdown(wait=False)
