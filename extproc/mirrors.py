"""Copies of requests on their way to the mirrors' listener: sent beside what else a worker does, bounded, and dropped beyond that.

A copy is a request of its own to this machine's Envoy, which finds the gate again and from there its provider. What is answered is read
and thrown away, for a provider is only asked as fast as somebody reads. Nobody waits for any of it.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from msgspec import Struct

MOST = 64
"""Copies that one worker has under way. A mirror has no more of them than it leaves for others, so one that hangs silences no other."""
_BYTES = 16 * 1024 * 1024
"""Bytes of their bodies."""
_TELL_EVERY = 60.0
"""Seconds between two words in the log about one mirror's copies that are dropped."""
_WITHIN = 900.0
"""Seconds after which one is given up, whatever the provider's own time-outs say."""
_PIECE = 64 * 1024

_log = logging.getLogger(__name__)


class _Copy(NamedTuple):
    mirror: str
    size: int


class _Each(Struct):
    """What one mirror has under way."""

    copies: int = 0
    size: int = 0
    told: float = float("-inf")
    """When it was said last that copies of it are dropped."""


class Mirrors:
    """One worker's copies."""

    def __init__(self, path: str, busy: Callable[[], bool]) -> None:
        """`path`: of the mirrors' socket. `busy`: whether the worker has no time for them."""
        self.dropped = 0
        """Since the worker began: no room for them, no time, or nobody listened."""
        self._path = path
        self._busy = busy
        self._tasks: dict[asyncio.Task[None], _Copy] = {}
        self._each: defaultdict[str, _Each] = defaultdict(_Each)
        """By mirror."""
        self._bytes = 0

    @property
    def under_way(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def send(self, mirror: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a request off, or drops it. Returns at once. `mirror`: for whom; `headers`: without those that frame a message."""
        each, size = self._each[mirror], len(body)
        if each.copies >= MOST - len(self._tasks) or each.size + size > _BYTES - self._bytes or self._busy():
            self._drop(mirror)
            return
        each.copies += 1
        each.size += size
        self._bytes += size
        task = asyncio.get_running_loop().create_task(self._post(_head(path, headers, size), body))
        self._tasks[task] = _Copy(mirror, size)
        task.add_done_callback(self._ended)

    def keep(self, mirrors: Container[str]) -> None:
        """These are the mirrors from now on: what is under way to others is given up."""
        for task, copy in self._tasks.items():
            if copy.mirror not in mirrors:
                task.cancel()
        self._each = defaultdict(_Each, {name: each for name, each in self._each.items() if each.copies or name in mirrors})

    def _drop(self, mirror: str) -> None:
        self.dropped += 1
        each, now = self._each[mirror], time.monotonic()
        if now - each.told >= _TELL_EVERY:
            each.told = now
            _log.warning("copies for the mirror %s are dropped: %d are under way to it, of %d bytes", mirror, each.copies, each.size)

    async def close(self) -> None:
        """Gives up what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        copy = self._tasks.pop(task)
        each = self._each[copy.mirror]
        each.copies -= 1
        each.size -= copy.size
        self._bytes -= copy.size

    async def _post(self, head: bytes, body: bytes) -> None:
        taken = False
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


def _head(path: str, headers: Mapping[str, str], size: int) -> bytes:
    """A request's head in HTTP/1.1 (RFC 9112). What Envoy gave us of the client's own is fit for another one."""
    told = {"host": "mirror", **headers, "content-length": str(size), "connection": "close"}
    lines = (f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", "")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
