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
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from extproc.control.aside import aside

_PR_SET_PDEATHSIG = 1
# A child that lived shorter than this died of something that a restart does not mend, so restarts slow down.
_STABLE = 5.0
_BACKOFF_MOST = 5.0
# What a child may still take that is to end at once.
_HURRIED = 2.0
# How often a successor is asked whether it is ready.
_ASK_EVERY = 0.02

_log = logging.getLogger(__name__)

R = TypeVar("R", bound="Running")


def die_with_parent() -> None:
    """Asks the kernel to end this process when its parent ends, even by SIGKILL. Linux only; elsewhere nothing is promised."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Handed(Struct, frozen=True):
    """The processes of a child, as one control process hands them over to the next."""

    pid: int | None
    """The one that runs; None while none does."""
    leaving: tuple[int, ...] = ()
    """Those before it that are on their way out."""
    restarts: int = 0


class Adopted:
    """A child of this process that a program before ours has started: `exec` keeps the process, and so its children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = asyncio.ensure_future(self._reap())

    async def _reap(self) -> int:
        self.returncode = await aside(lambda: _exit_code(self.pid), f"waits for pid {self.pid}")
        return self.returncode

    async def wait(self) -> int:
        """Like that of a `Process`."""
        return await asyncio.shield(self._end)


def _exit_code(pid: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # no child of ours: all that is known is that it is not there
        return 0


Running = Process | Adopted


class Child:
    """One process, started again whenever it ends, until `stop`."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, log: str | None = None, sockets: Sequence[int] = (),
        *, speaks: bool = False,
    ) -> None:  # fmt: skip
        """`log`: a file that takes its output; our own standard error unless given. `sockets`: descriptors that it has, too. `speaks`: its
        standard output is ours.
        """
        self.name = name
        self.restarts = 0
        self.command = list(command)
        """What starts it, now and whenever it has ended."""
        self._env = dict(env) if env is not None else None
        self._log = log
        self._sockets = tuple(sockets)
        self._speaks = speaks
        self._process: Running | None = None
        self._began = 0.0
        self._backoff = 0.0
        self._stopping = False
        self._alive: set[Running] = set()
        """The one that runs, and those before it that are on their way out."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts it and keeps it running."""
        self._process = await self._spawn(self.command)

    def adopt(self, handed: Handed, within: float) -> None:
        """Keeps running what runs already. Those on their way out are killed if they take longer than `within` seconds."""
        self.restarts = handed.restarts
        for pid in handed.leaving:
            self._begin(_see_out(self._keep(Adopted(pid)), within, None))
        if handed.pid is None:
            self._begin(self._again())
        else:
            self._process = self._keep(Adopted(handed.pid))
            self._began = time.monotonic()

    def handed(self) -> Handed:
        """What another control process needs in order to adopt it."""
        pid = self.pid
        return Handed(pid, tuple(each.pid for each in self._alive if each.returncode is None and each.pid != pid), self.restarts)

    async def _spawn(self, command: Sequence[str]) -> Process:
        output = Path(self._log).open("ab", buffering=0) if self._log else None  # noqa: SIM115 - the child's, closed below
        try:
            # A session of its own: Ctrl-C in the terminal reaches the control process alone, which then ends the others in order.
            process = await asyncio.create_subprocess_exec(
                *command, env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=None if self._speaks else output,
                stderr=output, start_new_session=True,
                preexec_fn=die_with_parent, pass_fds=self._sockets,
            )  # fmt: skip
        finally:
            if output is not None:
                output.close()
        self._began = time.monotonic()
        self._keep(process)
        return process

    def _keep(self, process: R) -> R:
        self._alive.add(process)
        self._begin(self._tend(process))
        return process

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tend(self, process: Running) -> None:
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
            if self.pid is not None:  # its successor has come meanwhile
                return
            self.restarts += 1
            try:
                self._process = await self._spawn(self.command)
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

    async def succeed(
        self, ready: Callable[[int], Awaitable[bool]], *, within: float, leave: int | None, grace: float, once: Sequence[str] = ()
    ) -> bool:
        """Has another one take its place, which is started beside it. False, and nothing has changed, if that is not ready in time.

        `ready`: whether the one with that process id is; `within`: seconds that it has for that. `leave`: the signal that then asks the one
        before to end (None: it knows by itself), which is killed if it takes longer than `grace` seconds. `once`: the command that starts
        it this time, where that is another one than `command`.
        """
        fresh = await self._spawn(once or self.command)
        try:
            if not await self._proves(fresh, ready, within):
                return False
            before, self._process = self._process, fresh
        finally:
            if self._process is not fresh:
                _send(fresh, signal.SIGKILL)
        if before is not None and before.returncode is None:
            _log.info("%s (pid %d) takes the place of pid %d", self.name, fresh.pid, before.pid)
            if leave is not None:
                _send(before, leave)
            self._begin(_see_out(before, grace, None))
        return True

    async def _proves(self, fresh: Process, ready: Callable[[int], Awaitable[bool]], within: float) -> bool:
        end = time.monotonic() + within
        while fresh.returncode is None:
            if await ready(fresh.pid):
                return True
            if time.monotonic() > end:
                _log.error("%s (pid %d) is not ready after %g s, and is killed", self.name, fresh.pid, within)
                return False
            await asyncio.sleep(_ASK_EVERY)
        return False

    async def left(self) -> None:
        """Returns when none before it is on its way out any more."""
        await asyncio.gather(*(process.wait() for process in self._alive if process is not self._process))

    def tell_leaving(self, signal_number: int) -> None:
        """Sends a signal to those that are on their way out."""
        for process in self._alive:
            if process is not self._process:
                _send(process, signal_number)

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


def _send(process: Running, signal_number: int) -> None:
    # It may have ended without our having been told yet.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal_number)


async def _see_out(process: Running, within: float, hurry: asyncio.Event | None) -> None:
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
