"""What the operator reads of a gateway: its metrics, how providers stand, how limits stand."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from extproc.control import counted
from extproc.control.api import AdminApi
from extproc.control.aside import aside
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.envoy import Envoy
from extproc.control.feed import Feed
from extproc.control.identities import Identities
from extproc.control.in_force import InForce
from extproc.control.services import Services
from extproc.control.source import store_of
from extproc.control.workers import Workers
from extproc.ledger.metrics import Metrics

_NAMES_WITHIN = 5.0

_log = logging.getLogger(__name__)


class Readings:
    """Taken when they are asked for."""

    def __init__(
        self, state: Path, in_force: InForce, *, feed: Feed, services: Services, workers: Workers, envoy: Envoy | None, api: AdminApi,
        metrics: Metrics,
    ) -> None:  # fmt: skip
        """`envoy`: our own; None where it is somebody else's."""
        self.books: Bookkeeper | None = None
        """None until the gateway starts."""
        self._state = state
        self._in_force = in_force
        self._feed = feed
        self._services = services
        self._workers = workers
        self._envoy = envoy
        self._api = api
        self._metrics = metrics

    async def render(self) -> bytes:
        """The metrics, for Prometheus."""
        for name, restarts in self._workers.restarts().items():
            self._metrics.restarts(name, restarts)
        self._metrics.restarts("admin-api", self._api.restarts)
        if self._envoy is not None:
            self._metrics.restarts("envoy", self._envoy.restarts)
            self._metrics.under_way(await self._envoy.admin.active())
            self._metrics.websockets(await self._envoy.admin.websockets())
            for provider, is_open in (await self._envoy.admin.open_breakers()).items():
                self._metrics.providers.full(provider, is_open)
        await self._services.show()
        if self.books is not None:
            await self.books.show_limits(counted.rules(self._in_force.loaded))
        return self._metrics.render()

    def status(self) -> dict[str, Any]:
        """How providers, targets and keys stand."""
        return self._services.status(self._in_force.config)

    async def limits(self) -> dict[str, Any]:
        """How limits stand, with the names that people know."""
        if self.books is None:
            return {"data": [], "next_cursor": None}
        told = await self.books.counters(counted.rules(self._in_force.loaded))
        url = store_of(self._in_force.config)
        identities, wanted = Identities(self._state, url), counted.ids(told)
        if not wanted or (url and not self._feed.up):
            return told
        try:
            known = await asyncio.wait_for(aside(lambda: identities.named(wanted), "names of limits"), _NAMES_WITHIN)
        except (OSError, TimeoutError) as error:
            _log.warning("limits are shown without names: %s", error)
            return told
        return counted.with_names(told, known)
