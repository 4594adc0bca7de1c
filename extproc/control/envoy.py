"""The Envoy that the gateway runs: its files, its process, and what its admin interface says."""

import asyncio
import hashlib
import json
import logging
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml
from msgspec import Struct

from extproc.clock import LAST_WORDS
from extproc.config.access_log import STREAMS
from extproc.config.fragments import Fragments
from extproc.config.model import Config
from extproc.control.addresses import SEPARATOR
from extproc.control.aside import aside, busy
from extproc.control.children import Child
from extproc.control.handover import HandedEnvoy
from extproc.control.ports import obstacle
from extproc.envoy import hot_restart, names
from extproc.envoy.places import Places
from extproc.ledger.access_log import rotate, rotate_due

# How long a new configuration waits for Envoy to have taken its clusters, and how often it looks.
_TAKEN_WITHIN = 5.0
_LOOK_EVERY = 0.02
# How often the requests of an Envoy that is to end are counted.
_COUNT_EVERY = 0.05
_LOG_MOST = 64 * 1024 * 1024
_COMPILER = "compiles for Envoy"
# How long a new Envoy may take until it serves.
_SERVES_WITHIN = 60.0
# What an Envoy that has had its time may still take to end.
_GRACE = 5.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Compiled(Struct, frozen=True):
    """All that an Envoy is started with."""

    binary: str
    bootstrap: str
    threads: int
    drain: float
    places: tuple[tuple[str, int], ...]
    log: str = ""
    """Where its log for people is: a file, `stdout` or `stderr`; empty for none."""

    def signature(self) -> str:
        """The same as long as another Envoy would be no other."""
        binary = Path(self.binary).resolve()
        found = binary.stat()
        told = (str(binary), found.st_ino, found.st_mtime_ns, found.st_size, self.bootstrap, self.threads)
        return hashlib.sha256(repr(told).encode()).hexdigest()


class Envoy:
    """One Envoy process and the folder of files that it watches."""

    def __init__(self, places: Places, log: Path) -> None:
        self._places = places
        self._log = log
        self._child: Child | None = None
        self._http: aiohttp.ClientSession | None = None
        self._compiled: _Compiled | None = None
        self._base_id: int | None = None
        self._signature = ""
        self._proven: Fragments | None = None
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
        # Importing Envoy's types takes most of a second, in which the workers start.
        compiled = self._compiled = await _aside(lambda: self._prepare(config))
        self._base_id = hot_restart.base_id(self._places.run_dir)
        self._signature = compiled.signature()
        Path(self._bootstrap).write_text(compiled.bootstrap)
        self._http = self._admin()
        self._child = self._made(compiled)
        await self._child.start()

    async def adopt(self, config: Config, handed: HandedEnvoy) -> bool:
        """Goes on with the one that a control process before this one has left; see `renew` for what it cannot be told.

        Whether it has been told something new: what is gone is then still there, until `follow`. Raises as that and `start` do.
        """
        self._base_id, self._signature = handed.base_id, handed.signature
        self._http = self._admin()
        compiled = self._compiled = await _aside(lambda: self._compile(config))
        self._child = self._made(compiled)
        self._child.adopt(handed.processes, compiled.drain + _GRACE)
        # Requests under way may still need a provider that is gone.
        texts = await asyncio.to_thread(self._texts, config, keep=True)
        if texts == self._told():
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
            epoch, ours = await self._generation()
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

    async def _replace(self, compiled: _Compiled, child: Child, epoch: int) -> str:
        async def serves(_: int) -> bool:
            try:
                return (await self._generation())[0] == epoch and (await self._get("/ready")).strip() == "LIVE"
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

    async def _generation(self) -> tuple[int, str]:
        """Restart epoch and hot restart version of the one that answers."""
        told = json.loads(await self._get("/server_info"))
        return int(told["command_line_options"].get("restart_epoch", 0)), str(told["hot_restart_version"])

    @property
    def _bootstrap(self) -> str:
        return f"{self._places.run_dir}/envoy.yaml"

    def _admin(self) -> aiohttp.ClientSession:
        # A connection that is kept would lead to an Envoy that another one has replaced.
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(names.admin_socket(self._places.run_dir), force_close=True))

    def _made(self, compiled: _Compiled) -> Child:
        return Child("envoy", self._command(compiled), log=str(self._log), speaks=compiled.log == "stdout")

    def _command(self, compiled: _Compiled, epoch: int = 0) -> list[str]:
        from extproc.envoy.binary import arguments  # noqa: PLC0415 - heavy, and only `up` needs it

        place = None
        if self._base_id is not None:
            place = hot_restart.Place(self._base_id, epoch, f"{self._places.run_dir}/hot", compiled.drain)
        return [compiled.binary, *arguments(self._bootstrap, threads=compiled.threads, place=place), "--log-level", "warning"]

    def _prepare(self, config: Config) -> _Compiled:
        compiled = self._compile(config)
        self._prove(config)
        self._write(self._texts(config))
        return compiled

    def _prove(self, config: Config) -> None:
        """Has another Envoy look at what the operator adds, where that is new. Raises `RuntimeError` with what it refuses.

        What is wrong in a file that Envoy watches it would tell when it is too late: routes are taken as a whole, or not at all.
        """
        if config.envoy == self._proven:
            return
        from extproc.envoy.binary import usable_envoy  # noqa: PLC0415 - heavy
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.proof import refusals  # noqa: PLC0415

        if config.envoy is not None and (refused := list(refusals(config, usable_envoy(version(config)), self._places.ca_file))):
            raise RuntimeError("\n".join(refused))
        self._proven = config.envoy

    def _compile(self, config: Config) -> _Compiled:
        from extproc.envoy.binary import usable_envoy  # noqa: PLC0415 - heavy, and only `up` needs it
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.compile import compile_edge  # noqa: PLC0415
        from extproc.envoy.document import to_yaml  # noqa: PLC0415

        bootstrap = to_yaml(compile_edge(config, self._places, files=True))
        return _Compiled(
            usable_envoy(version(config)), bootstrap, config.envoy_threads, config.drain, config.listener.places,
            config.access_log.path if config.access_log is not None else "",
        )  # fmt: skip

    def _texts(self, config: Config, *, keep: bool = False) -> tuple[str, str, str]:
        """Clusters, routes and listeners. `keep`: clusters and listeners that Envoy has been told of, and that are gone, stay."""
        from extproc.envoy.compile import compile_clusters, compile_listeners, compile_routes  # noqa: PLC0415
        from extproc.envoy.document import replace, to_yaml  # noqa: PLC0415
        from extproc.envoy.secrets import secret_files  # noqa: PLC0415

        # Before the clusters that name them: of a cluster whose file is not there Envoy takes nothing.
        for path, document in secret_files(config, self._places).items():
            replace(Path(path), to_yaml(document))
        clusters, _, listeners = self._told() if keep else ("", "", "")
        return (
            to_yaml(_with(compile_clusters(config, self._places), clusters)),
            to_yaml(compile_routes(config)),
            to_yaml(_with(compile_listeners(config), listeners)),
        )

    @property
    def _files(self) -> tuple[Path, Path, Path]:
        run_dir = self._places.run_dir
        return Path(names.clusters_file(run_dir)), Path(names.routes_file(run_dir)), Path(names.listeners_file(run_dir))

    def _told(self) -> tuple[str, str, str]:
        """Clusters, routes and listeners as they stand."""
        clusters, routes, listeners = (path.read_text() if path.exists() else "" for path in self._files)
        return clusters, routes, listeners

    def _write(self, texts: tuple[str, str, str]) -> None:
        from extproc.envoy.document import replace  # noqa: PLC0415

        for path, text in zip(self._files, texts, strict=True):
            replace(path, text)

    async def follow(self, config: Config) -> None:
        """Gives it the clusters and routes of `config`, and waits until it has taken them. Raises `RuntimeError` if it refuses them."""
        await asyncio.to_thread(self._prove, config)
        await self._give(await asyncio.to_thread(self._texts, config))

    async def _give(self, texts: tuple[str, str, str]) -> None:
        before, told = await self._updates(), self._told()
        await asyncio.to_thread(self._write, texts)
        end = asyncio.get_running_loop().time() + _TAKEN_WITHIN
        while asyncio.get_running_loop().time() < end:
            now = await self._updates()
            if any(now[key] > before.get(key, 0) for key in now if key.endswith("rejected")):
                # Another Envoy would begin with what is there.
                await asyncio.to_thread(self._write, told)
                raise RuntimeError(f"Envoy refused its part of the configuration; {self._log} says why")
            if all(now[key] > before.get(key, 0) for key in now if key.endswith("success")):
                return
            await asyncio.sleep(_LOOK_EVERY)
        raise RuntimeError("Envoy did not take its part of the configuration in time")

    async def _updates(self) -> dict[str, int]:
        text = await self._get("/stats?filter=(cluster_manager.cds|listener_manager.lds|rds.*)\\.update_(success|rejected)$")
        found = (line.rpartition(":") for line in text.splitlines())
        return {name.strip(): int(value) for name, _, value in found if value.strip().isdigit()}

    async def ready(self) -> bool:
        """Whether it takes requests."""
        if (self._renewing or self._silent) and self.pid is not None:
            # While another one takes over, nobody answers for a moment; callers are served all the time.
            return True
        try:
            return (await self._get("/ready")).strip() == "LIVE"
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def open_breakers(self) -> dict[str, bool]:
        """By provider: whether Envoy refuses requests to it, because too many are under way."""
        prefix = "cluster." + names.cluster_name("")
        try:
            text = await self._get(f"/stats?filter={prefix}.*circuit_breakers\\.default\\.(cx|rq|rq_pending)_open$")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return {}
        found: dict[str, bool] = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(":")
            provider = name.removeprefix(prefix).partition(".circuit_breakers.")[0].partition(SEPARATOR)[0]
            found[provider] = found.get(provider, False) or value.strip() != "0"
        return found

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
            await self._post("/reopen_logs")
            if self._child is not None:
                # https://www.envoyproxy.io/docs/envoy/latest/operations/cli: those that only finish what they have answer nobody else.
                self._child.tell_leaving(signal.SIGUSR1)

    def _peoples(self) -> list[Path]:
        """The file of the log for people, where it is one."""
        log = self._compiled.log if self._compiled is not None else ""
        return [Path(log)] if log and log not in STREAMS else []

    def _session(self) -> aiohttp.ClientSession:
        """Raises `ConnectionError` as long as there is no Envoy to talk to."""
        if self._http is None:
            raise ConnectionError("Envoy has not been started yet")
        return self._http

    async def _get(self, path: str) -> str:
        async with self._session().get(f"http://envoy{path}", timeout=aiohttp.ClientTimeout(total=2)) as response:
            return await response.text()

    async def _post(self, path: str) -> None:
        async with self._session().post(f"http://envoy{path}", timeout=aiohttp.ClientTimeout(total=2)) as response:
            response.raise_for_status()

    async def leave(self) -> None:
        """Has it tell clients whose connection stays open to make another one: `connection: close` with each answer, or GOAWAY."""
        try:
            await self._post("/healthcheck/fail")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:  # it has ended, or hangs
            _log.warning("Envoy does not tell its clients that it is about to end: %s", error)

    async def drain(self, until: float, hurry: asyncio.Event, finish: Callable[[], Awaitable[None]]) -> None:
        """Has it take no more requests, and returns when none is under way; at the loop's time `until`, or with `hurry`, in any case.
        `finish`: ends streams, a moment before that.
        """
        loop = asyncio.get_running_loop()
        try:
            # The first is what `leave` says; the second closes the door to new clients.
            await self._post("/healthcheck/fail")
            await self._post("/drain_listeners")
            if active := await self._active():
                _log.info("requests under way: %d; they have %.3g s, the same signal again ends them", active, until - loop.time())
            if not await self._idle(until - LAST_WORDS, hurry):
                await finish()
                await self._idle(loop.time() + LAST_WORDS, asyncio.Event())
            if active := await self._active():
                _log.warning("requests that are cut, since their time is over (`drain`): %d", active)
        except (aiohttp.ClientError, OSError, TimeoutError):  # it has ended, or hangs: nobody to wait for
            return

    async def _idle(self, until: float, hurry: asyncio.Event) -> bool:
        """Waits until nothing is under way, also not in those before it. Whether that is so at the loop's time `until`, or with `hurry`."""
        loop = asyncio.get_running_loop()
        while await self._active():
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

    async def active(self) -> int:
        """Requests under way; 0 where it is not there."""
        try:
            return await self._active()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def _active(self) -> int:
        return await self._count("downstream_rq_active")

    async def websockets(self) -> int:
        """Upgraded connections that are open; 0 where it is not there."""
        try:
            return await self._count("downstream_cx_upgrades_active")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def _count(self, statistic: str) -> int:
        text = await self._get(f"/stats?filter=^http\\.headgate\\.{statistic}$")
        number = text.rpartition(":")[2].strip()
        return int(number) if number.isdigit() else 0

    async def stop(self) -> None:
        """Ends it at once."""
        if self._child is not None:
            await self._child.stop(grace=2.0)
        if self._base_id is not None:
            hot_restart.forget(self._base_id)
        http, self._http = self._http, None
        if http is not None:
            await http.close()


def compiling() -> bool:
    """Whether a compilation still runs for which nobody waits any more."""
    return busy(_COMPILER)


async def _aside(function: Callable[[], T]) -> T:
    return await aside(function, _COMPILER)


def _with(compiled: dict[str, Any], told: str) -> dict[str, Any]:
    """What is compiled, and what Envoy has been told of and is not among that."""
    known = {one["name"] for one in compiled["resources"]}
    return {"resources": [*compiled["resources"], *(one for one in _resources(told) if one["name"] not in known)]}


def _resources(text: str) -> list[dict[str, Any]]:
    """What Envoy has been told, if it can be read."""
    try:
        return list(yaml.safe_load(text)["resources"])
    except (yaml.YAMLError, KeyError, TypeError):
        return []
