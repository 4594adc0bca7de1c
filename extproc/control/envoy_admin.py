"""What an Envoy says of itself, at its admin interface: https://www.envoyproxy.io/docs/envoy/latest/operations/admin."""

import json

import aiohttp

from extproc.control.addresses import SEPARATOR
from extproc.envoy import names

_PATIENCE = aiohttp.ClientTimeout(total=2)


class EnvoyAdmin:
    """The admin interface of the Envoy of one folder, whichever that is by now. What does not say otherwise raises `ClientError`, `OSError`
    or `TimeoutError` where nobody answers.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """There is somebody to talk to, or will be in a moment."""
        # A connection that is kept would lead to an Envoy that another one has replaced.
        self._http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(names.admin_socket(self._run_dir), force_close=True))

    async def close(self) -> None:
        """There is nobody any more."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def live(self) -> bool:
        """Whether it takes requests."""
        return (await self._get("/ready")).strip() == "LIVE"

    async def generation(self) -> tuple[int, str]:
        """Restart epoch and hot restart version of the one that answers."""
        told = json.loads(await self._get("/server_info"))
        return int(told["command_line_options"].get("restart_epoch", 0)), str(told["hot_restart_version"])

    async def updates(self) -> dict[str, int]:
        """How often it has taken clusters, routes and listeners, and how often it has refused them; by statistic."""
        text = await self._get("/stats?filter=(cluster_manager.cds|listener_manager.lds|rds.*)\\.update_(success|rejected)$")
        found = (line.rpartition(":") for line in text.splitlines())
        return {name.strip(): int(value) for name, _, value in found if value.strip().isdigit()}

    async def open_breakers(self) -> dict[str, bool]:
        """By provider: whether Envoy refuses requests to it, because too many are under way. None where nobody answers."""
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

    async def active(self) -> int:
        """Requests under way; 0 where nobody answers."""
        try:
            return await self.under_way()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def under_way(self) -> int:
        """Requests under way."""
        return await self._count("downstream_rq_active")

    async def websockets(self) -> int:
        """Upgraded connections that are open; 0 where nobody answers."""
        try:
            return await self._count("downstream_cx_upgrades_active")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def fail(self) -> None:
        """Has it tell clients whose connection stays open to make another one: `connection: close` with each answer, or GOAWAY."""
        await self._post("/healthcheck/fail")

    async def drain_listeners(self) -> None:
        """Has it close the door to new clients."""
        await self._post("/drain_listeners")

    async def reopen_logs(self) -> None:
        """Has it write to new files where the old ones have been moved away."""
        await self._post("/reopen_logs")

    async def _count(self, statistic: str) -> int:
        text = await self._get(f"/stats?filter=^http\\.headgate\\.{statistic}$")
        number = text.rpartition(":")[2].strip()
        return int(number) if number.isdigit() else 0

    def _session(self) -> aiohttp.ClientSession:
        """Raises `ConnectionError` as long as there is no Envoy to talk to."""
        if self._http is None:
            raise ConnectionError("Envoy has not been started yet")
        return self._http

    async def _get(self, path: str) -> str:
        async with self._session().get(f"http://envoy{path}", timeout=_PATIENCE) as response:
            return await response.text()

    async def _post(self, path: str) -> None:
        async with self._session().post(f"http://envoy{path}", timeout=_PATIENCE) as response:
            response.raise_for_status()
