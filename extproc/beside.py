"""Jobs on bulky bodies, done by a process beside the worker (`chores`), which is started when there is one to do, and ends when there is
none for a while, or with the worker.

One job after another, each tenant in a lane of its own (`lanes`). How much waits is bounded, and so is how long it may take: whoever waits
for it has Envoy waiting.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, cast

import msgspec

from extproc.aside import Failed, Job, Refused, T, Undone
from extproc.chores import LENGTH, Outcomes
from extproc.errors import Reject
from extproc.lanes import Lanes

_PATIENCE = 12.0
"""Seconds that a job may take, and wait for those before it. A request has two at most (the cache's, and its translation), and Envoy gives
it thirty (`envoy/filters.py`)."""
_MOST = 128 * 1024 * 1024
"""Bytes of bodies that may wait, beside the first."""
_ITEM = 3000
"""Bytes of a long text that take as long as one object (measured: 8 ns a byte, 27 us an object)."""
_IDLE = 30.0
"""Seconds without a job after which the process ends."""
_READ = 1024 * 1024

_outcomes = msgspec.msgpack.Decoder(Outcomes)

_log = logging.getLogger(__name__)


class Beside:
    """See `aside.Aside`."""

    def __init__(self, *, patience: float = _PATIENCE, most: int = _MOST, idle: float = _IDLE) -> None:
        self._patience = patience
        self._lanes = Lanes(most)
        self._idle = idle
        self._process: Process | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._dying: set[asyncio.Task[int]] = set()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def work(self, job: Job[T], body: bytes, lane: str = "") -> T:
        """See `Aside`. A bug in the job, and the process's death, are `RuntimeError`s."""
        try:
            # A task: whoever drives us may have none before it really waits (`drive`).
            outcome = await asyncio.get_running_loop().create_task(self._in_turn(job, body, lane))
        except TimeoutError:
            text = f"This body is too much to be translated within {self._patience:g} seconds. Send less at once, or try again later."
            raise Undone(503, "overloaded", text) from None
        if isinstance(outcome, Refused):
            raise Reject(outcome.status, outcome.code, outcome.message, param=outcome.param)
        if isinstance(outcome, Failed):
            raise RuntimeError(outcome.trace)  # noqa: TRY004 - no wrong type
        return cast("T", outcome)

    async def _in_turn(self, job: Job[Any], body: bytes, lane: str) -> Outcomes:
        ticket = self._lanes.enter(lane, len(body), len(body) + _ITEM * body.count(b"{"))
        try:
            async with asyncio.timeout(self._patience):
                await ticket.called
                return await self._done(job, body)
        finally:
            self._lanes.leave(ticket)

    async def _done(self, job: Job[Any], body: bytes) -> Outcomes:
        """The process's own turn. Whatever goes wrong in it, the process ends: nobody knows what it would say next."""
        if self._ending is not None:
            self._ending.cancel()
        try:
            process = self._process or await self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            told = msgspec.msgpack.encode(job)
            for piece in (told, body):
                process.stdin.write(LENGTH.pack(len(piece)))
                process.stdin.write(piece)
            await process.stdin.drain()
            (size,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
            outcome: Outcomes = _outcomes.decode(await process.stdout.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._end()
            raise RuntimeError(f"the process beside, which does the work on large bodies, has ended: {error}") from None
        except BaseException:  # whoever waited has given up, or time is over
            self._end()
            raise
        self._ending = asyncio.get_running_loop().call_later(self._idle, self._end)
        return outcome

    async def _start(self) -> Process:
        # A session of its own: Ctrl-C in the terminal is not for it.
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "extproc.chores", stdin=PIPE, stdout=PIPE, limit=_READ, start_new_session=True
        )
        _log.info("a process beside (pid %d) does the work on large bodies", process.pid)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        seen_out = asyncio.get_running_loop().create_task(process.wait())
        self._dying.add(seen_out)
        seen_out.add_done_callback(self._dying.discard)

    async def close(self) -> None:
        """Ends it, for good or until there is a job."""
        if self._ending is not None:
            self._ending.cancel()
        self._end()
        await asyncio.gather(*self._dying)
