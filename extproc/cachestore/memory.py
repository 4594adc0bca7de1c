"""A cache in memory, bounded by bytes: the entry that has not been asked for the longest goes first. Synchronous; time is passed in."""

from collections import OrderedDict

from msgspec import Struct

OVERHEAD = 256
"""Bytes that an entry costs beside key and value: measured on CPython 3.11, rounded up."""


class _Kept(Struct):
    value: bytes
    expires: float


class MemoryCache:
    """Values by key, at most `max_bytes` of them together, `OVERHEAD` included, and at most `max_entry` bytes each.

    Times are seconds of any clock that does not go back.
    """

    def __init__(self, max_bytes: int, max_entry: int) -> None:
        self.max_bytes = max_bytes
        self.max_entry = max_entry
        self.bytes = 0
        """Bytes in use."""
        self.evicted = 0
        """Entries that had to go for others, before their time."""
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now: float) -> bytes | None:
        """The value, if it has not expired. It is now the one asked for last."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires <= now:
            self.delete(key)
            return None
        self._kept.move_to_end(key)
        return kept.value

    def put(self, key: bytes, value: bytes, ttl: float, now: float) -> bool:
        """Keeps a value for `ttl` seconds. False if it is too large, or would expire at once; then nothing is kept for the key."""
        if key in self._kept:
            self.delete(key)
        size = _size(key, value)
        if ttl <= 0 or len(value) > self.max_entry or size > self.max_bytes:
            return False
        if self.bytes + size > self.max_bytes:
            self._make_room(size, now)
        self._kept[key] = _Kept(value, now + ttl)
        self.bytes += size
        return True

    def delete(self, key: bytes) -> None:
        """Forgets a value."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= _size(key, kept.value)

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()
        self.bytes = 0

    def _make_room(self, size: int, now: float) -> None:
        while self.bytes + size > self.max_bytes:
            oldest, kept = next(iter(self._kept.items()))
            self.evicted += kept.expires > now
            self.delete(oldest)


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD
