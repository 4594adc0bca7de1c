"""How a gateway becomes another version: this program is replaced first (`handover.py`), then, by the new one, what still runs of it."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from extproc.control.api import AdminApi
from extproc.control.envoy import Envoy
from extproc.control.handover import Handover, Status, become, hold_signals, listen_to_signals, report, status, trial
from extproc.control.in_force import InForce
from extproc.control.workers import Workers
from extproc.version import VERSION

_log = logging.getLogger(__name__)


async def upgrade(
    state: Path, in_force: InForce, checking: Sequence[str], leave: Callable[[int], Awaitable[Handover]], ending: asyncio.Event
) -> None:
    """The program that is installed now takes this one's place, if it could start; else all goes on, and the reason is told.

    `checking`: see `handover.trial`. `leave`: lets go of everything that the next program needs, and says what that is; it is told the
    number of the upgrade. `ending`: the gateway is about to end, and nothing takes its place.
    """
    number = status(state).number + 1
    report(state, Status(number, "checking"))
    # What has changed in the configuration first, while there is an old one beside it.
    await in_force.reload()
    async with in_force.lock:
        if reason := await trial(checking):
            _log.error("no upgrade: %s", reason)
            report(state, Status(number, "refused", (reason,), VERSION))
            return
        if ending.is_set():
            return
        report(state, Status(number, "replacing"))
        hold_signals()
        try:
            become(await leave(number))
        except Exception:  # noqa: BLE001 - whatever it is, there is no way back
            _log.exception("half of this gateway has been left to one that does not start: it ends")
            listen_to_signals()
            os.kill(os.getpid(), signal.SIGTERM)


async def renew(state: Path, in_force: InForce, handed: Handover, workers: Workers, envoy: Envoy | None, api: AdminApi) -> None:
    """Replaces, one after another, what still runs as it was: workers, and Envoy where it would be another one.

    `handed`: what the program before has left.
    """
    async with in_force.lock:
        failed = [f"{name} goes on as it was: its successor does not serve" for name in await workers.renew()]
        if envoy is not None and (reason := await envoy.renew()):
            # Which may still ask workers that are too many.
            failed.append(f"Envoy goes on as it was: {reason}")
        else:
            workers.dismiss()
        failed += filter(None, [await api.renew()])
        for what in failed:
            _log.error("%s", what)
    _log.info("upgraded from %s to %s", handed.version, VERSION)
    report(state, Status(handed.number, "partly" if failed else "done", tuple(failed), VERSION))
