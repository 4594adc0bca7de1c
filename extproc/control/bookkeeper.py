"""Keeps the books: collects journals and Envoy's log into the ledger, and feeds the metrics. In a thread, since SQLite blocks."""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from extproc.config.model import Config
from extproc.envoy.names import cluster_name
from extproc.ledger.collector import Collector
from extproc.ledger.metrics import Metrics
from extproc.ledger.prices import PriceBook
from extproc.loops import forever

# Whatever a collection finds, it costs a commit, and looking costs something even where there is nothing. Envoy writes its log once a
# second, too.
_EVERY = 1.0
# Lines that are read, and entries that are made, in one transaction.
_LIMIT = 2000
# The disk refuses: trying it more often than this fills the log and mends nothing.
_RETRY = 2.0

_log = logging.getLogger(__name__)


class Bookkeeper:
    """Collects for as long as it runs."""

    def __init__(self, state: Path, config: Config, metrics: Metrics, access_log: Path) -> None:
        """`access_log`: where Envoy writes it. Raises `Busy` when another process collects there."""
        self._metrics = metrics
        self._collector = Collector(
            state, _prices(config), access_log=access_log, clusters=_clusters(config), limit=_LIMIT
        )  # fmt: skip
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to collect, in the background."""
        self._task = asyncio.get_running_loop().create_task(forever("collecting the ledger", _EVERY, self._run))

    def follow(self, config: Config, aliases: Mapping[str, str]) -> None:
        """The configuration has changed: other prices, other providers. `aliases`: their names in Envoy, where those are not their own."""
        self._collector.prices = _prices(config)
        # Lines of requests that began before still name the clusters of before.
        self._collector.clusters |= _clusters(config) | {cluster_name(alias): name for name, alias in aliases.items()}

    async def _run(self) -> None:
        try:
            while await self.collect():
                pass
        except (OSError, sqlite3.Error) as error:
            _log.error("the ledger cannot be written: %s; nothing is lost, trying again", error)
            await asyncio.sleep(_RETRY)

    async def collect(self) -> bool:
        """Collects once; True if there is more. Raises what the disk raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._collect)

    def _collect(self) -> bool:
        collected = self._collector.collect()
        self._metrics.feed(collected)
        return collected.more

    async def close(self) -> None:
        """Collects what is left, and lets go of the ledger."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            while await self.collect():
                pass
        except (OSError, sqlite3.Error) as error:
            _log.error("the ledger cannot be written: %s; what is left is collected at the next start", error)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._collector.close)
        self._thread.shutdown()


def _prices(config: Config) -> PriceBook:
    return PriceBook(config.prices, config.providers)


def _clusters(config: Config) -> dict[str, str]:
    return {cluster_name(name): name for name in config.providers}
