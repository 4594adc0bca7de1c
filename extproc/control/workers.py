"""The workers: started, listened to, and started again when they end, leave, or fall silent.

Each says every second that it is there (`worker.Notice`). So one that hangs - stopped, swapped out, in an endless loop - is found,
although its process lives and its sockets take connections; and one counts as ready when it has said itself that it serves, whatever
sockets an earlier one has left behind.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from extproc.control.children import Child, Handed
from extproc.loops import forever
from extproc.worker import NOTICE_EVERY, Notice

PATIENCE = 30.0
"""Seconds of silence after which a worker is killed.

A worker that computes says nothing. The longest that a body within the default limits can take it is ten seconds: an answer of 64 MiB that
is millions of tiny blocks, to be translated (a request of 32 MiB takes five, one long text of 64 MiB a fifth of one). Three times that,
since the machine may have other things to do. By then Envoy has given up its connections, after 15 to 20 seconds
(`envoy/workers.py`), so the requests of a worker that is killed here were lost before.
"""
_START = 60.0
"""The same before its first word: on a busy machine many may start at once."""
_GRACE = 2.0
"""Beyond `drain`, for a worker to write its records and leave."""

_PREFIX = "worker-"

_log = logging.getLogger(__name__)


class _Worker:
    """One of them, through all its processes."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = None
        """The process that is watched."""
        self.heard = False
        """It has said that it serves."""
        self.silence = 0.0
        """Seconds, as far as we have been listening: were it told by the clock, all would be silent after we have slept ourselves."""

    def ready(self) -> bool:
        return self.heard and self.pid is not None and self.pid == self.child.pid


class Workers:
    """All of them."""

    def __init__(self, run_dir: Path, state: Path, setup: str, *, many: int, drain: float, patience: float = PATIENCE) -> None:
        """`setup`: `listening.Setup` as JSON; `drain`: as there."""
        self._drain = drain
        self._patience = patience
        self._command = [sys.executable, "-m", "extproc.worker"]
        self._told = [str(run_dir), str(state), setup]
        self._workers = {_name(index): self._made(index) for index in range(many)}
        self._surplus: dict[str, _Worker] = {}
        """Adopted ones that are too many: they serve until `dismiss`."""
        self._adopted: list[_Worker] = []
        """Those that still run as the control process before has started them."""
        self._fresh: set[int] = set()
        """Process ids of those that serve, and stand beside one whose place they are to take."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        """For those that leave."""
        self._watching: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._workers)

    def _made(self, index: int) -> _Worker:
        return _Worker(Child(_name(index), [*self._command, str(index), *self._told]))

    async def start(self, handed: Mapping[str, Handed] | None = None) -> None:
        """Starts them; they are ready some time later. `handed`: those that a control process before this one has left."""
        handed = handed or {}
        for name, processes in handed.items():
            worker = self._workers.get(name)
            if worker is None:
                worker = self._surplus[name] = self._made(int(name.removeprefix(_PREFIX)))
            else:
                self._adopted.append(worker)
            worker.child.adopt(processes, self._drain + _GRACE)
        for name, worker in self._workers.items():
            if name not in handed:
                await worker.child.start()
        self._watching = asyncio.get_running_loop().create_task(forever("listening to the workers", NOTICE_EVERY, self._look))

    def handed(self) -> dict[str, Handed]:
        """What another control process needs in order to adopt them."""
        return {name: worker.child.handed() for name, worker in (self._workers | self._surplus).items()}

    async def renew(self) -> list[str]:
        """Replaces those that were handed over, one after another, each when its successor serves. Names of those that stay."""
        failed = []
        while self._adopted:
            worker = self._adopted.pop(0)
            if not await worker.child.succeed(self._serves, within=_START, leave=signal.SIGTERM, grace=self._drain + _GRACE):
                failed.append(worker.child.name)
                continue
            worker.pid, worker.heard, worker.silence = worker.child.pid, True, 0.0
        self._fresh.clear()
        return failed

    async def _serves(self, pid: int) -> bool:
        return pid in self._fresh

    def dismiss(self) -> None:
        """Asks those to leave that are too many: no Envoy sends them anything new."""
        surplus, self._surplus = self._surplus, {}
        for worker in surplus.values():
            task = asyncio.ensure_future(worker.child.stop(self._drain + _GRACE, self._hurry))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def missing(self) -> list[str]:
        """Names of those that do not serve."""
        return [name for name, worker in self._workers.items() if not worker.ready()]

    def pids(self) -> list[int]:
        """Of those that run; not of those that are on their way out."""
        return [worker.child.pid for worker in self._workers.values() if worker.child.pid is not None]

    def restarts(self) -> dict[str, int]:
        """By name, how often each has been started again."""
        return {name: worker.child.restarts for name, worker in self._workers.items()}

    def failing(self, restarts: int) -> list[str]:
        """Names of those that have been started again more often than that."""
        return [name for name, worker in self._workers.items() if worker.child.restarts > restarts]

    def heard(self, notice: Notice) -> bool:
        """A worker has said something; False if it is one that is on its way out, for which another one stands in."""
        worker = self._workers.get(notice.worker) or self._surplus.get(notice.worker)
        if worker is None:
            return False
        if notice.pid != worker.child.pid:
            if not notice.leaving:
                self._fresh.add(notice.pid)
            return False
        worker.pid, worker.heard, worker.silence = notice.pid, not notice.leaving, 0.0
        if notice.leaving:
            worker.child.relieve(self._drain + _GRACE)
        return worker.heard

    async def _look(self) -> None:
        for worker in self._workers.values():
            pid = worker.child.pid
            if pid != worker.pid:
                worker.pid, worker.heard, worker.silence = pid, False, 0.0
                continue
            worker.silence += NOTICE_EVERY
            if pid is not None and worker.silence > (self._patience if worker.heard else max(_START, self._patience)):
                _log.error(
                    "%s (pid %d) has said nothing for %g s and is killed: it hangs, or the machine has no time for it; "
                    "look for its last words above, and for swapping, a full CPU or a disk that does not answer",
                    worker.child.name,
                    pid,
                    worker.silence,
                )
                worker.child.send(signal.SIGKILL)

    async def stop(self, within: float, hurry: asyncio.Event) -> None:
        """Ends them. What they have under way they may finish `within` seconds, unless there is `hurry`."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        hurrying = asyncio.ensure_future(hurry.wait())
        hurrying.add_done_callback(lambda _: self._hurry.set())
        everybody = [*self._workers.values(), *self._surplus.values()]
        await asyncio.gather(*(worker.child.stop(within + _GRACE, hurry) for worker in everybody), *self._leaving)
        hurrying.cancel()


def _name(index: int) -> str:
    return f"{_PREFIX}{index}"
