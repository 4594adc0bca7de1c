"""The memory cache of a gateway with one worker: inside that worker, so that nobody has to be asked, and a miss costs no wait."""

from extproc.cachestore.entry import Entry, Lead, decode, encode, new_lead
from extproc.cachestore.shelf import Shelf


class LocalStore:
    """A `Store` of this process. It is gone when the process ends."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """See `Store`."""
        value = self._shelf.look(key)
        if value is None and lead:
            mine = new_lead()
            if self._shelf.lead(key, mine.token, self):
                return mine
            if wait > 0:
                value = await self._shelf.wait(key, mine.token, self, wait)
        return decode(value) if value is not None else None

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """See `Store`."""
        self._shelf.put(key, lead.token if lead is not None else b"", encode(entry), ttl)

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """See `Store`."""
        self._shelf.release(key, lead.token)
