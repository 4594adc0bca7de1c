"""Commands to Redis from coroutines that run outside of a task: those of the same moment share a round trip.

A caller waits on a plain future, never longer than the time-out. Tasks of our own take what has gathered and send it as one pipeline;
redis-py needs a current task for its time-outs, and callers may have none.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

logger = logging.getLogger(__name__)

Argument: TypeAlias = bytes | str | int
Orphan: TypeAlias = Callable[[Any], None]
"""Gets a reply that nobody waits for any more, or the exception that took its place: what the command did can be undone."""

_PUMPS = 4
"""Pipelines at once, each on its own connection, so that one large entry does not hold up everybody."""
_BATCH = 64
"""Commands of a pipeline at most."""
_QUEUE = 4096
"""Commands that may wait. More means that Redis is slower than the traffic: better no cache than a queue."""
_FAULTS = 3
"""Faults in a row after which Redis counts as down."""
_REST = 0.5
"""Seconds for which nothing is sent to a Redis that is down."""
_QUIET = 10.0
"""Seconds between two lines of log about faults."""


class RedisDown(Exception):
    """Redis cannot be reached, is too slow, or refuses. Whoever calls goes on without it."""


class Script(Struct, frozen=True):
    """A Lua script, known to Redis by its hash."""

    source: str
    sha: str


def script(source: str) -> Script:
    """A script from its source."""
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class _Command(Struct):
    script: Script
    arguments: Sequence[Argument]
    """Number of keys, keys, arguments: as `EVALSHA` takes them."""
    future: Any
    """asyncio.Future of the reply."""
    orphan: Orphan | None


class Pump:
    """One Redis. `timeout` bounds every call, in seconds."""

    def __init__(self, url: str, timeout: float) -> None:
        self._timeout = timeout
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A second attempt would come after the caller has gone on; a stale connection is found out before it is used.
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # the oldest handshake is the shortest: none
            driver_info=None,
        )
        self._queue: deque[_Command] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        """Pumps that will look at the queue once more: a task that has ended in this moment is none."""
        self._faults = 0
        self._rest_until = 0.0
        self._said = -_QUIET
        self._unsaid = 0

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument], orphan: Orphan | None = None) -> Any:
        """Runs a script, and returns its reply. Raises `RedisDown`, at once while Redis counts as down."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._rest_until or len(self._queue) >= _QUEUE:
            raise RedisDown("redis is down or too slow")
        future: asyncio.Future[Any] = loop.create_future()
        self._add(_Command(script, [len(keys), *keys, *arguments], future, orphan))
        timer = loop.call_later(self._timeout, self._late, future)
        try:
            return await future
        except (asyncio.CancelledError, GeneratorExit):
            # The caller is gone in the moment in which its reply was there.
            if orphan is not None and future.done() and not future.cancelled() and future.exception() is None:
                orphan(future.result())
            raise
        finally:
            timer.cancel()
            # Nobody wants it any more: if it has not been sent yet, it never will be.
            future.cancel()

    def send(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument], failed: Orphan | None = None) -> None:
        """Runs a script; nobody waits for it. `failed` hears it if that fails."""
        if len(self._queue) < _QUEUE:
            self._add(_Command(script, [len(keys), *keys, *arguments], asyncio.get_running_loop().create_future(), failed))

    def _add(self, command: _Command) -> None:
        self._queue.append(command)
        # Where something waits already, there is a pump about to take it, or all of them are busy.
        if len(self._queue) == 1 and self._running < _PUMPS:
            self._running += 1
            task = asyncio.get_running_loop().create_task(self._pump())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Waits until what has been said so far is there, or for one time-out."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timeout)

    async def close(self) -> None:
        """Closes all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _pump(self) -> None:
        """Sends what is there, until nothing is left."""
        try:
            while self._queue:
                batch: list[_Command] = []
                while self._queue and len(batch) < _BATCH:
                    command = self._queue.popleft()
                    if not command.future.done():
                        batch.append(command)
                if batch:
                    await self._run_batch(batch)
        finally:
            self._running -= 1

    async def _run_batch(self, batch: list[_Command]) -> None:
        try:
            replies = await self._execute([("EVALSHA", command.script.sha, *command.arguments) for command in batch])
            unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                # A new Redis, or an emptied one. EVAL also teaches it the script.
                again = [batch[number] for number in unknown]
                found = await self._execute([("EVAL", command.script.source, *command.arguments) for command in again])
                for number, reply in zip(unknown, found, strict=True):
                    replies[number] = reply
        except (RedisError, OSError, TimeoutError) as error:
            self._fault(error)
            replies = [error] * len(batch)
        for command, reply in zip(batch, replies, strict=True):
            self._settle(command, reply)

    async def _execute(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))

    def _settle(self, command: _Command, reply: Any) -> None:
        failed = isinstance(reply, Exception)
        if failed:
            self._say(reply)
        else:
            self._faults = 0
        if command.orphan is not None and (failed or command.future.done()):
            command.orphan(reply)
        if command.future.done():
            return
        if failed:
            command.future.set_exception(RedisDown(str(reply)))
            command.future.exception()  # nobody may be waiting for it
        else:
            command.future.set_result(reply)

    def _late(self, future: "asyncio.Future[Any]") -> None:
        if not future.done():
            error = RedisDown(f"redis did not answer within {self._timeout} s")
            self._fault(error)
            future.set_exception(error)

    def _fault(self, error: Exception) -> None:
        self._say(error)
        self._faults += 1
        if self._faults >= _FAULTS:
            self._faults = 0
            self._rest_until = asyncio.get_running_loop().time() + _REST

    def _say(self, error: Exception) -> None:
        """Logs, but not every time: a Redis that is down is one fault, however many requests see it."""
        now = asyncio.get_running_loop().time()
        self._unsaid += 1
        if now - self._said >= _QUIET:
            logger.warning("redis: %s: %s (%d faults since the last line)", type(error).__name__, error, self._unsaid)
            self._said, self._unsaid = now, 0
