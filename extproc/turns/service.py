"""The control process's part: it keeps the turns of all workers, in a thread of its own, since SQLite blocks."""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from extproc.turns import messages
from extproc.turns.sqlite import SqliteTurns
from extproc.turns.turn import Chain

T = TypeVar("T")

_PAUSES = (0.02, 0.1, 0.3)
"""Seconds between looks for what is not there: a large turn of one worker may still be on its way when another one is asked for it."""

_log = logging.getLogger(__name__)


class TurnService:
    """`handlers` go to the `LinkServer`."""

    def __init__(self, state: Path) -> None:
        self._turns = SqliteTurns(state)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="turns")
        self._writing: set[asyncio.Task[bytes]] = set()
        self._most = 0
        """Bytes that may be kept, as the last turn told; 0 before that."""
        self.counts: Counter[str] = Counter()
        """Of `kept`, `lost`, `found`, `unknown`, `deleted`, `expired`, `evicted`."""

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], bytes | Awaitable[bytes]]]:
        """What workers may call."""
        return {messages.CHAIN: self._chain, messages.PUT: self._put, messages.DELETE: self._delete}

    @property
    def count(self) -> int:
        """Turns that there are, as far as anybody has looked."""
        return self._turns.count

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._turns.size

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _chain(self, peer: object, payload: bytes) -> bytes:
        wanted = messages.read_wanted(payload)
        chain = Chain()
        for pause in (0.0, *_PAUSES):
            await asyncio.sleep(pause)
            chain = await self._run(lambda: self._turns.chain(wanted.owner, wanted.id, wanted.most))
            if chain.size:
                break
        self.counts["found" if chain.size else "unknown"] += 1
        return messages.encode(chain)

    def _put(self, peer: object, payload: bytes) -> Awaitable[bytes]:
        # A task of our own: that of a worker's connection ends with the worker.
        task = asyncio.ensure_future(self._write(payload))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return asyncio.shield(task)

    async def _write(self, payload: bytes) -> bytes:
        made = messages.read_made(payload)
        self._most = made.keep.most

        def write() -> tuple[bool, int]:
            kept = self._turns.put(made.owner, made.turn, made.keep)
            return kept, self._turns.sweep(made.keep.most)[1] if self._turns.full(made.keep.most) else 0

        try:
            kept, evicted = await self._run(write)
        except (sqlite3.Error, OSError) as error:
            kept, evicted = False, 0
            _log.error("response %s is not kept: %s", made.turn.id, error)
        self.counts["kept" if kept else "lost"] += 1
        self.counts["evicted"] += evicted
        return b""

    async def _delete(self, peer: object, payload: bytes) -> bytes:
        unwanted = messages.read_unwanted(payload)
        deleted = await self._run(lambda: self._turns.delete(unwanted.owner, unwanted.id))
        self.counts["deleted"] += deleted
        return messages.encode(deleted)

    async def sweep(self) -> None:
        """Drops what has expired. Call now and then."""
        try:
            expired, evicted = await self._run(lambda: self._turns.sweep(self._most or 1 << 62))
        except (sqlite3.Error, OSError) as error:
            _log.error("conversations cannot be swept: %s", error)
            return
        self.counts.update(expired=expired, evicted=evicted)

    async def close(self) -> None:
        """Writes what is still to be written, and lets go of the file."""
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._run(self._turns.close)
        self._thread.shutdown()
