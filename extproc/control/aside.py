"""Work beside the loop, in a thread that nobody waits for who ends."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], name: str) -> T:
    """Like `asyncio.to_thread`, but neither Ctrl-C nor the loop's end waits for the thread. `name`: the thread's."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            done.set_exception(error)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(done)
