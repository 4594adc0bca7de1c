"""The requests that were collected just now. Envoy's line for each is about to come, and needs neither parsing nor a look at the disk."""

from collections.abc import Iterable

_KEY = b'"request_id":"'
_MOST = 20_000


class Recent:
    """Ids, the newest of them: between `most` and twice as many once there are that many."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._new: set[str] = set()
        self._old: set[str] = set()

    def update(self, ids: Iterable[str]) -> None:
        """These were collected."""
        self._new.update(ids)
        if len(self._new) >= self._most:
            self._old, self._new = self._new, set()

    def take(self, line: bytes) -> str:
        """The request id of an access log line, if it is one of these; its line has come, so it is not one of them any more.

        Within a string of JSON quotes are escaped, so the key that is looked for is found as a key only. Empty: perhaps the line has
        to be read properly.
        """
        # From the end: Envoy writes its keys in order, and the long one, `record`, comes before this one.
        start = line.rfind(_KEY)
        if start < 0:
            return ""
        start += len(_KEY)
        id = line[start : line.find(b'"', start)].decode("latin-1")
        for ids in (self._new, self._old):
            if id in ids:
                ids.discard(id)
                return id
        return ""

    def clear(self) -> None:
        """None of it is certain any more."""
        self._new.clear()
        self._old.clear()
