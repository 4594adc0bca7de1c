"""Sends entries from the local ledger to the one that machines share, in batches, each at least once; there it counts once."""

import logging
import time
from pathlib import Path

from extproc.ledger.central import VERSIONS, Central
from extproc.ledger.outbox import Outbox
from extproc.ledger.places import places
from extproc.ledger.store import Store

_BATCH = 1000
_DAY = 86_400.0
_CLEAR_EVERY = 3600.0

log = logging.getLogger(__name__)


class Shipper:
    """For one thread. There is one for a state folder: whoever collects there has it."""

    def __init__(self, state: Path, url: str, *, keep: float, batch: int = _BATCH) -> None:
        """`keep`: days for which entries stay here after they were sent. Raises `ValueError` for the URL, `sqlite3.Error`."""
        self._central = Central(url)
        self._store = Store(places(state).database)
        self._outbox = Outbox(self._store)
        self._keep, self._batch = keep, batch
        self._ready = False
        self._cleared = float("-inf")
        self._outbox.open()

    def ship(self, now: float | None = None) -> int:
        """Sends a batch; how many changes were in it. Raises `sqlite3.Error`, `SQLAlchemyError`, `Unusable`: nothing is lost then."""
        now = time.time() if now is None else now
        batch = self._outbox.next(self._batch)
        if batch.numbers:
            if not self._ready:
                VERSIONS.ensure(self._central.database)
                self._ready = True
            try:
                self._central.take(batch.rows, batch.gone)
            except BaseException:
                # It may be another database by then.
                self._ready = False
                raise
            self._outbox.sent(batch)
        elif now - self._cleared >= _CLEAR_EVERY and not self._outbox.clear(now - self._keep * _DAY, self._batch):
            self._cleared = now
        return len(batch.numbers)

    def waiting(self) -> int:
        """How many changes are to be sent."""
        return self._outbox.waiting()

    def close(self) -> None:
        """What is left is sent by the next one."""
        self._store.close()
        self._central.close()
