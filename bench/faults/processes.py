"""What becomes of the gateway's processes: killed, stopped, asked to end."""

import asyncio
import os
import signal
import time

from bench.faults.play import Part, Play, rest

_PAUSE = 3.0
"""Seconds that a process is stopped for: less than anybody gives it up for."""
_HANG = 60.0
"""Within it a worker that hangs has been given up for, and another one is there."""
_WORKERS = 2


async def _replaced(play: Play, victim: int) -> None:
    def is_so() -> bool:
        workers = play.site.workers()
        return victim not in workers and len(workers) == _WORKERS

    await play.site.until(is_so, "another worker is in its place", _HANG)


async def kill_workers(play: Play) -> None:
    """Each, one after the other, when the one before has been replaced."""
    for victim in play.site.workers():
        with play.broken():
            os.kill(victim, signal.SIGKILL)
        await _replaced(play, victim)
        await play.answered(10)


async def _pause(play: Play, pid: int) -> None:
    with play.broken():
        os.kill(pid, signal.SIGSTOP)
        try:
            await rest(_PAUSE)
        finally:
            os.kill(pid, signal.SIGCONT)


async def _pause_workers(play: Play) -> None:
    for victim in play.site.workers():
        await _pause(play, victim)
        await play.answered(10)


async def _pause_control(play: Play) -> None:
    await _pause(play, play.site.pid)


async def _pause_envoy(play: Play) -> None:
    await _pause(play, play.site.envoy())


async def _hang_workers(play: Play) -> None:
    for victim in play.site.workers():
        with play.broken():
            os.kill(victim, signal.SIGSTOP)
            await _replaced(play, victim)
        await play.answered(10)


async def _ask_workers_to_end(play: Play) -> None:
    for victim in play.site.workers():
        with play.broken():
            os.kill(victim, signal.SIGTERM)
            await _replaced(play, victim)


async def _kill_envoy(play: Play) -> None:
    begun = time.monotonic()
    with play.broken():
        os.kill(play.site.envoy(), signal.SIGKILL)
        await play.answered(1, begun)


async def _kill_control(play: Play) -> None:
    with play.broken():
        os.kill(play.site.pid, signal.SIGKILL)
        await asyncio.sleep(1)
        await play.site.start()
        # Those who were refused a connection may have been so until this moment.
        await play.answered(1)


PROCESSES = {
    "worker-killed": Part("SIGKILL of each worker, one after the other", kill_workers, "500|cut|error event"),
    "worker-paused": Part("each worker is stopped for three seconds, one after the other (SIGSTOP, SIGCONT)", _pause_workers),
    "worker-hangs": Part(
        "each worker is stopped until the control process kills it", _hang_workers, "500|cut|error event", log="has said nothing for"
    ),
    "worker-ends": Part("SIGTERM of each worker, one after the other", _ask_workers_to_end),
    "control-paused": Part("the control process is stopped for three seconds", _pause_control),
    "envoy-paused": Part("Envoy is stopped for three seconds", _pause_envoy),
    "envoy-killed": Part("SIGKILL of Envoy", _kill_envoy, "no answer|cut"),
    "control-killed": Part("SIGKILL of the control process, and a new start", _kill_control, "no answer|cut|500|503"),
}
"""By name."""
