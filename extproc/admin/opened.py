"""The store, opened when it is first needed: a gateway that nobody administers makes none, and a database that is away may come back."""

import logging
from collections.abc import Callable
from threading import Lock

from extproc.errors import Reject
from extproc.store.schema import Unusable
from extproc.store.store import Store

_log = logging.getLogger(__name__)


class Opened:
    """One store. Safe for threads."""

    def __init__(self, open_it: Callable[[], Store]) -> None:
        self._open = open_it
        self._store: Store | None = None
        self._lock = Lock()

    def __call__(self) -> Store:
        """It. Raises `Reject` 503 where it cannot be used, and `SQLAlchemyError` where it does not answer."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    self._store = self._made()
        return self._store

    def _made(self) -> Store:
        try:
            return self._open()
        except Unusable as error:
            _log.error("%s", error)
            raise Reject(503, "store_unavailable", f"The store cannot be used: {error}.") from None

    def close(self) -> None:
        """Closes it, if it is open."""
        if self._store is not None:
            self._store.close()
