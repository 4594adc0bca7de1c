"""A gateway's life, from its start to the signal that ends it."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from extproc.control.gateway import Gateway
from extproc.control.handover import listen_to_signals


async def run(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Runs until SIGINT or SIGTERM, which may come before everything has started; the second one ends all at once. SIGHUP reloads,
    SIGUSR2 upgrades.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end() -> None:
        if stop.is_set():
            gateway.hurry()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    listen_to_signals()
    reloads: set[asyncio.Task[Any]] = set()

    def hang_up() -> None:
        if _terminal_gone():
            stop.set()
            return
        begin(gateway.reload())

    def begin(work: Coroutine[Any, Any, Any]) -> None:
        task = loop.create_task(work)
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    stopping = loop.create_task(stop.wait())
    starting = loop.create_task(gateway.start())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await starting
            loop.add_signal_handler(signal.SIGHUP, hang_up)
            loop.add_signal_handler(signal.SIGUSR2, lambda: begin(gateway.upgrade()))
            on_ready()
            await stopping
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await gateway.stop()


def _terminal_gone() -> bool:
    """Whether the terminal that this process was started from has been closed: its SIGHUP means the end, not a reload."""
    try:
        os.tcgetpgrp(0)
    except OSError as error:
        return error.errno == errno.EIO
    return False
