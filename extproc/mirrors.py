"""Copies of requests on their way to the mirrors' listener: sent beside what else a worker does, bounded, and dropped beyond that.

A copy is a request of its own to this machine's Envoy, which finds the gate again and from there its provider. What is answered is read
and thrown away, for a provider is only asked as fast as somebody reads. Nobody waits for any of it.
"""

import asyncio
from collections.abc import Callable, Mapping

MOST = 64
"""Copies that one worker has under way."""
_BYTES = 16 * 1024 * 1024
"""Bytes of their bodies."""
_WITHIN = 900.0
"""Seconds after which one is given up, whatever the provider's own time-outs say."""
_PIECE = 64 * 1024


class Mirrors:
    """One worker's copies."""

    def __init__(self, path: str, busy: Callable[[], bool]) -> None:
        """`path`: of the mirrors' socket. `busy`: whether the worker has no time for them."""
        self.dropped = 0
        """Since the worker began: no room for them, no time, or nobody listened."""
        self._path = path
        self._busy = busy
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes = 0

    @property
    def under_way(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def send(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a request off, or drops it. Returns at once. `headers`: without those that frame a message."""
        if len(self._tasks) >= MOST or self._bytes + len(body) > _BYTES or self._busy():
            self.dropped += 1
            return
        self._bytes += len(body)
        task = asyncio.get_running_loop().create_task(self._post(_head(path, headers, len(body)), body))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Gives up what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)

    async def _post(self, head: bytes, body: bytes) -> None:
        size, taken = len(body), False
        try:
            async with asyncio.timeout(_WITHIN):
                reader, writer = await asyncio.open_unix_connection(self._path)
                taken = True
                try:
                    writer.writelines((head, body))
                    while await reader.read(_PIECE):
                        pass
                finally:
                    # What is given up is cut off at once, and with it what its provider was asked.
                    writer.transport.abort()
        except (OSError, TimeoutError):
            # One that the listener has taken has an entry in the ledger, which says what became of it.
            self.dropped += not taken
        finally:
            self._bytes -= size


def _head(path: str, headers: Mapping[str, str], size: int) -> bytes:
    """A request's head in HTTP/1.1 (RFC 9112). What Envoy gave us of the client's own is fit for another one."""
    told = {"host": "mirror", **headers, "content-length": str(size), "connection": "close"}
    lines = (f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", "")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
