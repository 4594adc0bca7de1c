"""Waiting until a system answers."""

import asyncio
import time
from collections.abc import Callable

from bench.load import Job, Load, LoadError
from bench.system import Target

_EVERY = 0.05


async def until_answers(target: Target, *, seconds: float = 30.0, alive: Callable[[], bool] = lambda: True) -> None:
    """Returns once a chat completion is answered with 200. Raises `RuntimeError` after `seconds`, or when `alive` says no."""
    deadline = time.monotonic() + seconds
    load = Load()
    job = Job(target=target, size=1024, concurrency=1, seconds=0.0)
    while True:
        try:
            async with asyncio.timeout(max(_EVERY, deadline - time.monotonic())):
                await load.run(job)
        except TimeoutError:
            raise RuntimeError(f"no answer within {seconds:g} s: it is silent") from None
        except (LoadError, OSError) as error:
            if not alive():
                raise RuntimeError(f"it has ended ({error})") from None
            if time.monotonic() > deadline:
                raise RuntimeError(f"no answer within {seconds:g} s: {error}") from None
            await asyncio.sleep(_EVERY)
        else:
            return
