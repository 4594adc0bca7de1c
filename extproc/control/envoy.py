"""The Envoy that the gateway runs: its process, what it is told and when, and its end."""

import asyncio
import logging
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from extproc.clock import LAST_WORDS
from extproc.config.access_log import STREAMS
from extproc.config.model import Config
from extproc.control.children import Child
from extproc.control.compiler import Compiled, Compiler, Texts
from extproc.control.envoy_admin import EnvoyAdmin
from extproc.control.handover import HandedEnvoy
from extproc.control.ports import obstacle
from extproc.envoy import hot_restart
from extproc.envoy.places import Places
from extproc.ledger.access_log import rotate, rotate_due

# How long a new configuration waits for Envoy to have taken its clusters, and how often it looks.
_TAKEN_WITHIN = 5.0
_LOOK_EVERY = 0.02
# How often the requests of an Envoy that is to end are counted.
_COUNT_EVERY = 0.05
_LOG_MOST = 64 * 1024 * 1024
# How long a new Envoy may take until it serves.
_SERVES_WITHIN = 60.0
# What an Envoy that has had its time may still take to end.
_GRACE = 5.0

_log = logging.getLogger(__name__)


class Envoy:
    """One Envoy process and the folder of files that it watches."""

    def __init__(self, places: Places, log: Path) -> None:
        self._places = places
        self._log = log
        self._compiler = Compiler(places)
        self.admin = EnvoyAdmin(places.run_dir)
        """What it says of itself."""
        self._child: Child | None = None
        self._compiled: Compiled | None = None
        self._base_id: int | None = None
        self._signature = ""
        self._renewing = False
        self._silent = False
        """It serves, and answers nobody who asks how it fares."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child is not None else None

    @property
    def restarts(self) -> int:
        """How often it has ended, and been started again."""
        return self._child.restarts if self._child is not None else 0

    async def start(self, config: Config) -> None:
        """Compiles, and starts it. Raises `FileNotFoundError` with advice where there is no Envoy."""
        compiled = self._compiled = await self._compiler.prepare(config)
        self._base_id = hot_restart.base_id(self._places.run_dir)
        self._signature = compiled.signature()
        Path(self._bootstrap).write_text(compiled.bootstrap)
        self.admin.open()
        self._child = self._made(compiled)
        await self._child.start()

    async def adopt(self, config: Config, handed: HandedEnvoy) -> bool:
        """Goes on with the one that a control process before this one has left; see `renew` for what it cannot be told.

        Whether it has been told something new: what is gone is then still there, until `follow`. Raises as that and `start` do.
        """
        self._base_id, self._signature = handed.base_id, handed.signature
        self.admin.open()
        compiled = self._compiled = await self._compiler.compile(config)
        self._child = self._made(compiled)
        self._child.adopt(handed.processes, compiled.drain + _GRACE)
        # Requests under way may still need a provider that is gone.
        texts = await asyncio.to_thread(self._compiler.texts, config, keep=True)
        if texts == self._compiler.told():
            return False
        await self._give(texts)
        return True

    def handed(self) -> HandedEnvoy | None:
        """What another control process needs in order to adopt it."""
        return HandedEnvoy(self._child.handed(), self._base_id, self._signature) if self._child is not None else None

    async def renew(self) -> str:
        """Has another Envoy take over, if it would be another one: binary, bootstrap, threads. Why it cannot, if so; else nothing.

        The one before has `drain` seconds for what is under way. Only for one that has been adopted.
        """
        compiled, child = self._compiled, self._child
        assert compiled is not None
        assert child is not None
        if compiled.signature() == self._signature:
            return ""
        if self._base_id is None:
            return "there is no shared memory (/dev/shm) by which another Envoy could take over"
        # A third one would have the second end the first at once.
        await child.left()
        try:
            epoch, ours = await self.admin.generation()
            theirs = await asyncio.to_thread(hot_restart.version, compiled.binary)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, subprocess.SubprocessError) as error:
            return f"nobody can be asked whether another Envoy could take over: {error}"
        if ours != theirs:
            return f"no other Envoy of that version can take over from this one (their hot restart versions are {ours} and {theirs})"
        for place in compiled.places:
            if (found := obstacle(*place)) is not None and f"(pid {child.pid})" not in found:
                # Envoy would find out when it has begun, and after that no other one can.
                return found
        return await self._replace(compiled, child, epoch + 1)

    async def _replace(self, compiled: Compiled, child: Child, epoch: int) -> str:
        async def serves(_: int) -> bool:
            try:
                return (await self.admin.generation())[0] == epoch and await self.admin.live()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                return False

        before = Path(self._bootstrap).read_text()
        Path(self._bootstrap).write_text(compiled.bootstrap)
        self._renewing = True
        try:
            taken = await child.succeed(
                serves, within=_SERVES_WITHIN, leave=None, grace=compiled.drain + _GRACE, once=self._command(compiled, epoch)
            )  # fmt: skip
        finally:
            self._renewing = False
        if not taken:
            Path(self._bootstrap).write_text(before)
            # Tried on 1.40: one that fails late has had the one before close its admin interface, and blocks all that come after it.
            self._silent, self._base_id = not await self.ready(), None
            return f"the new Envoy did not take over; {self._log} says why"
        self._signature = compiled.signature()
        return ""

    @property
    def _bootstrap(self) -> str:
        return f"{self._places.run_dir}/envoy.yaml"

    def _made(self, compiled: Compiled) -> Child:
        return Child("envoy", self._command(compiled), log=str(self._log), speaks=compiled.log == "stdout")

    def _command(self, compiled: Compiled, epoch: int = 0) -> list[str]:
        from extproc.envoy.binary import arguments  # noqa: PLC0415 - heavy, and only `up` needs it

        place = None
        if self._base_id is not None:
            place = hot_restart.Place(self._base_id, epoch, f"{self._places.run_dir}/hot", compiled.drain)
        return [compiled.binary, *arguments(self._bootstrap, threads=compiled.threads, place=place), "--log-level", "warning"]

    async def follow(self, config: Config) -> None:
        """Gives it the clusters and routes of `config`, and waits until it has taken them. Raises `RuntimeError` if it refuses them."""
        await asyncio.to_thread(self._compiler.prove, config)
        await self._give(await asyncio.to_thread(self._compiler.texts, config))

    async def _give(self, texts: Texts) -> None:
        before, told = await self.admin.updates(), self._compiler.told()
        await asyncio.to_thread(self._compiler.write, texts)
        end = asyncio.get_running_loop().time() + _TAKEN_WITHIN
        while asyncio.get_running_loop().time() < end:
            now = await self.admin.updates()
            if any(now[key] > before.get(key, 0) for key in now if key.endswith("rejected")):
                # Another Envoy would begin with what is there.
                await asyncio.to_thread(self._compiler.write, told)
                raise RuntimeError(f"Envoy refused its part of the configuration; {self._log} says why")
            if all(now[key] > before.get(key, 0) for key in now if key.endswith("success")):
                return
            await asyncio.sleep(_LOOK_EVERY)
        raise RuntimeError("Envoy did not take its part of the configuration in time")

    async def ready(self) -> bool:
        """Whether it takes requests."""
        if (self._renewing or self._silent) and self.pid is not None:
            # While another one takes over, nobody answers for a moment; callers are served all the time.
            return True
        try:
            return await self.admin.live()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def rotate_logs(self) -> None:
        """Starts new log files where the old ones have grown long. The ledger reads the old ones to their end and removes them."""
        access_log, attempts_log = Path(self._places.access_log), Path(self._places.attempts_log)
        due = rotate_due(access_log, _LOG_MOST)
        if due:
            rotate(access_log)
        for log in (attempts_log, *self._peoples()):
            if log.exists() and log.stat().st_size > _LOG_MOST:
                # Nobody collects these; the one before is kept for people.
                log.replace(log.with_name(f"{log.name}.1"))
                due = True
        if due:
            await self.admin.reopen_logs()
            if self._child is not None:
                # https://www.envoyproxy.io/docs/envoy/latest/operations/cli: those that only finish what they have answer nobody else.
                self._child.tell_leaving(signal.SIGUSR1)

    def _peoples(self) -> list[Path]:
        """The file of the log for people, where it is one."""
        log = self._compiled.log if self._compiled is not None else ""
        return [Path(log)] if log and log not in STREAMS else []

    async def leave(self) -> None:
        """Has it tell clients whose connection stays open to make another one: `connection: close` with each answer, or GOAWAY."""
        try:
            await self.admin.fail()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:  # it has ended, or hangs
            _log.warning("Envoy does not tell its clients that it is about to end: %s", error)

    async def drain(self, until: float, hurry: asyncio.Event, finish: Callable[[], Awaitable[None]]) -> None:
        """Has it take no more requests, and returns when none is under way; at the loop's time `until`, or with `hurry`, in any case.
        `finish`: ends streams, a moment before that.
        """
        loop = asyncio.get_running_loop()
        try:
            # The first is what `leave` says; the second closes the door to new clients.
            await self.admin.fail()
            await self.admin.drain_listeners()
            if active := await self.admin.under_way():
                _log.info("requests under way: %d; they have %.3g s, the same signal again ends them", active, until - loop.time())
            if not await self._idle(until - LAST_WORDS, hurry):
                await finish()
                await self._idle(loop.time() + LAST_WORDS, asyncio.Event())
            if active := await self.admin.under_way():
                _log.warning("requests that are cut, since their time is over (`drain`): %d", active)
        except (aiohttp.ClientError, OSError, TimeoutError):  # it has ended, or hangs: nobody to wait for
            return

    async def _idle(self, until: float, hurry: asyncio.Event) -> bool:
        """Waits until nothing is under way, also not in those before it. Whether that is so at the loop's time `until`, or with `hurry`."""
        loop = asyncio.get_running_loop()
        while await self.admin.under_way():
            if loop.time() >= until or hurry.is_set():
                return False
            await asyncio.sleep(_COUNT_EVERY)
        if self._child is None:
            return True
        left, hurrying = loop.create_task(self._child.left()), loop.create_task(hurry.wait())
        await asyncio.wait((left, hurrying), timeout=max(0.0, until - loop.time()), return_when=asyncio.FIRST_COMPLETED)
        over = left.done()
        for waiting in (left, hurrying):
            waiting.cancel()
        return over

    async def stop(self) -> None:
        """Ends it at once."""
        if self._child is not None:
            await self._child.stop(grace=2.0)
        if self._base_id is not None:
            hot_restart.forget(self._base_id)
        await self.admin.close()
