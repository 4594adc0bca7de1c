"""The Envoy that the gateway runs: its files, its process, and what its admin interface says."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import aiohttp

from extproc.config.model import Config
from extproc.control.addresses import SEPARATOR
from extproc.control.aside import aside, busy
from extproc.control.children import Child
from extproc.envoy import names
from extproc.envoy.places import Places
from extproc.ledger.access_log import rotate, rotate_due

# How long a new configuration waits for Envoy to have taken its clusters, and how often it looks.
_TAKEN_WITHIN = 5.0
_LOOK_EVERY = 0.02
# How often the requests of an Envoy that is to end are counted.
_COUNT_EVERY = 0.1
_LOG_MOST = 64 * 1024 * 1024
_COMPILER = "compiles for Envoy"

_log = logging.getLogger(__name__)


class Envoy:
    """One Envoy process and the folder of files that it watches."""

    def __init__(self, places: Places, log: Path) -> None:
        self._places = places
        self._log = log
        self._child: Child | None = None
        self._http: aiohttp.ClientSession | None = None

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
        command = await _aside(self._prepare, config)
        self._http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(names.admin_socket(self._places.run_dir)))
        self._child = Child("envoy", command, log=str(self._log))
        await self._child.start()

    def _prepare(self, config: Config) -> list[str]:
        from extproc.envoy.binary import arguments, usable_envoy  # noqa: PLC0415 - heavy, and only `up` needs it
        from extproc.envoy.chains import version  # noqa: PLC0415
        from extproc.envoy.compile import compile_edge  # noqa: PLC0415
        from extproc.envoy.document import to_yaml  # noqa: PLC0415

        binary = usable_envoy(version(config))
        bootstrap = Path(self._places.run_dir, "envoy.yaml")
        bootstrap.write_text(to_yaml(compile_edge(config, self._places, files=True)))
        self._write(config)
        return [binary, *arguments(str(bootstrap), threads=config.envoy_threads), "--log-level", "warning"]

    def _write(self, config: Config) -> None:
        from extproc.envoy.compile import compile_clusters, compile_routes  # noqa: PLC0415
        from extproc.envoy.document import replace, to_yaml  # noqa: PLC0415
        from extproc.envoy.sealed import secret_files  # noqa: PLC0415

        run_dir = self._places.run_dir
        # Before the clusters that name them: of a cluster whose file is not there Envoy takes nothing.
        for path, document in secret_files(config, self._places).items():
            replace(Path(path), to_yaml(document))
        replace(Path(names.clusters_file(run_dir)), to_yaml(compile_clusters(config, self._places)))
        replace(Path(names.routes_file(run_dir)), to_yaml(compile_routes(config)))

    async def follow(self, config: Config) -> None:
        """Gives it the clusters and routes of `config`, and waits until it has taken them. Raises `RuntimeError` if it refuses them."""
        before = await self._updates()
        await asyncio.to_thread(self._write, config)
        end = asyncio.get_running_loop().time() + _TAKEN_WITHIN
        while asyncio.get_running_loop().time() < end:
            now = await self._updates()
            if any(now[key] > before.get(key, 0) for key in now if key.endswith("rejected")):
                raise RuntimeError(f"Envoy refused its part of the configuration; {self._log} says why")
            if all(now[key] > before.get(key, 0) for key in now if key.endswith("success")):
                return
            await asyncio.sleep(_LOOK_EVERY)
        raise RuntimeError("Envoy did not take its part of the configuration in time")

    async def _updates(self) -> dict[str, int]:
        text = await self._get("/stats?filter=(cluster_manager.cds|rds.*)\\.update_(success|rejected)$")
        found = (line.rpartition(":") for line in text.splitlines())
        return {name.strip(): int(value) for name, _, value in found if value.strip().isdigit()}

    async def ready(self) -> bool:
        """Whether it takes requests."""
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
        if attempts_log.exists() and attempts_log.stat().st_size > _LOG_MOST:
            # Nobody collects this one; the one before it is kept for people.
            attempts_log.replace(attempts_log.with_name(f"{attempts_log.name}.1"))
            due = True
        if due:
            await self._post("/reopen_logs")

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

    async def drain(self, until: float, hurry: asyncio.Event) -> None:
        """Has it take no more requests, and returns when none is under way; at the loop's time `until`, or with `hurry`, in any case."""
        loop = asyncio.get_running_loop()
        told = False
        try:
            # The first tells clients whose connection stays open to make a new one next time; the second closes the door to new ones.
            await self._post("/healthcheck/fail")
            await self._post("/drain_listeners")
            while (active := await self._active()) and loop.time() < until and not hurry.is_set():
                if not told:
                    told = True
                    _log.info("requests under way: %d; they have %.3g s, the same signal again ends them", active, until - loop.time())
                await asyncio.sleep(_COUNT_EVERY)
        except (aiohttp.ClientError, OSError, TimeoutError):  # it has ended, or hangs: nobody to wait for
            return

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
        if self._http is not None:
            await self._http.close()


def compiling() -> bool:
    """Whether a compilation still runs for which nobody waits any more."""
    return busy(_COMPILER)


async def _aside(function: Callable[[Config], list[str]], config: Config) -> list[str]:
    return await aside(lambda: function(config), _COMPILER)
