"""Processes that the control process keeps alive: Envoy and the workers. Each ends with its parent, however that ends."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# A child that lived shorter than this died of something that a restart does not mend, so restarts slow down.
_STABLE = 5.0
_BACKOFF_MOST = 5.0
# What a child may still take that is to end at once.
_HURRIED = 2.0

_log = logging.getLogger(__name__)


def die_with_parent() -> None:
    """Asks the kernel to end this process when its parent ends, even by SIGKILL. Linux only; elsewhere nothing is promised."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process, started again whenever it ends, until `stop`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, log: str | None = None) -> None:
        """`log`: a file that takes its output; our own standard error unless given."""
        self.name = name
        self.restarts = 0
        self._command = list(command)
        self._env = dict(env) if env is not None else None
        self._log = log
        self._process: Process | None = None
        self._began = 0.0
        self._backoff = 0.0
        self._stopping = False
        self._alive: set[Process] = set()
        """The one that runs, and those before it that are on their way out."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and keeps it running."""
        await self._spawn()

    async def _spawn(self) -> None:
        output = Path(self._log).open("ab", buffering=0) if self._log else None  # noqa: SIM115 - the child's, closed below
        try:
            # A session of its own: Ctrl-C in the terminal reaches the control process alone, which then ends the others in order.
            process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()
        self._process, self._began = process, time.monotonic()
        self._alive.add(process)
        self._begin(self._tend(process))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tend(self, process: Process) -> None:
        """Waits for its end, and starts another one unless that has been done already."""
        code = await process.wait()
        self._alive.discard(process)
        if process is self._process:
            _log.error("%s (pid %d) ended: %s; starting it again", self.name, process.pid, _how(code))
            await self._again()
        else:
            _log.info("%s (pid %d) has left: %s", self.name, process.pid, _how(code))

    async def _again(self) -> None:
        """Starts another one, the later the sooner those before it ended."""
        self._backoff = 0.0 if time.monotonic() - self._began > _STABLE else min(_BACKOFF_MOST, self._backoff * 2 + 0.05)
        while True:
            await asyncio.sleep(self._backoff)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # no memory, no file: tried again as after any other end, more and more slowly
                _log.error("%s cannot be started: %s", self.name, error)
                self._backoff = min(_BACKOFF_MOST, self._backoff * 2 + 0.05)
            else:
                return

    def relieve(self, within: float) -> None:
        """Starts another one beside the one that runs, which is on its way out, and is killed if it takes longer than `within` seconds.

        Nothing happens after `stop`, which is why that one is on its way out.
        """
        if self._stopping:
            return
        process, self._process = self._process, None
        if process is not None:
            _log.info("%s (pid %d) has been asked to end; another one takes its place", self.name, process.pid)
            self._begin(self._again())
            self._begin(_see_out(process, within, None))

    def send(self, signal_number: int) -> None:
        """Sends it a signal, if it runs."""
        if self._process is not None:
            _send(self._process, signal_number)

    async def stop(self, grace: float, hurry: asyncio.Event | None = None) -> None:
        """Ends it: asks (SIGTERM), waits `grace` seconds, then kills. Once there is `hurry`, it is asked to end at once (SIGINT)."""
        self._stopping = True
        # First, and to its end: it may be about to start another one.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.send(signal.SIGTERM)
        await asyncio.gather(*(_see_out(process, grace, hurry) for process in self._alive))
        self._alive.clear()


def _send(process: Process, signal_number: int) -> None:
    # It may have ended without our having been told yet.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal_number)


async def _see_out(process: Process, within: float, hurry: asyncio.Event | None) -> None:
    """Waits for an end that has been asked for, and kills what takes too long."""
    ended = asyncio.ensure_future(process.wait())
    hurried = asyncio.ensure_future(hurry.wait()) if hurry is not None else None
    try:
        await asyncio.wait({ended, hurried} if hurried is not None else {ended}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if hurry is not None and hurry.is_set() and process.returncode is None:
            _send(process, signal.SIGINT)
            await asyncio.wait({ended}, timeout=min(within, _HURRIED))
        if process.returncode is None:
            _send(process, signal.SIGKILL)
            await ended
    finally:
        ended.cancel()
        if hurried is not None:
            hurried.cancel()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
