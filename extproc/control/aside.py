"""Work beside the loop, in a thread that nobody waits for who ends."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

_under_way: list[str] = []


def busy(name: str) -> bool:
    """Whether work of that name is under way. Its thread may live on for a moment when it is done, and then does nothing of importance."""
    return name in _under_way


async def aside(work: Callable[[], T], name: str) -> T:
    """Like `asyncio.to_thread`, but neither Ctrl-C nor the loop's end waits for the thread. `name`: the work's, and the thread's."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            _under_way.remove(name)
            done.set_exception(error)
        else:
            # First this: whoever gets the result may ask at once.
            _under_way.remove(name)
            done.set_result(result)

    _under_way.append(name)
    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(done)
