"""Processes that the control process keeps alive: Envoy and the workers. Each ends with its parent, however that ends."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# A child that lived shorter than this died of something that a restart does not mend, so restarts slow down.
_STABLE = 5.0
_BACKOFF_MOST = 5.0

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
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and keeps it running."""
        await self._spawn()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _spawn(self) -> None:
        output = Path(self._log).open("ab", buffering=0) if self._log else None  # noqa: SIM115 - the child's, closed below
        try:
            # A session of its own: Ctrl-C in the terminal reaches the control process alone, which then ends the others in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()

    async def _keep(self) -> None:
        backoff = 0.0
        while True:
            process = self._process
            assert process is not None
            began = time.monotonic()
            code = await process.wait()
            _log.error("%s (pid %d) ended: %s; starting it again", self.name, process.pid, _how(code))
            backoff = 0.0 if time.monotonic() - began > _STABLE else min(_BACKOFF_MOST, backoff * 2 + 0.05)
            await asyncio.sleep(backoff)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # no memory, no file: tried again as after any other end, more and more slowly
                _log.error("%s cannot be started: %s", self.name, error)

    def send(self, signal_number: int) -> None:
        """Sends it a signal, if it runs."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal_number)

    async def stop(self, grace: float) -> None:
        """Ends it: asks, waits `grace` seconds, then kills."""
        if self._keeper is not None:
            # First, and to its end: it may be about to start another one.
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), grace)
            except TimeoutError:
                process.kill()
                await process.wait()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
