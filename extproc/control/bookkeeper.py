"""Keeps the books: collects journals and Envoy's log into the ledger, feeds the metrics, and has settled what limits had reserved. In a
thread, since SQLite blocks.
"""

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from extproc.config.model import Config
from extproc.control import counted
from extproc.control.pricing import book, marks
from extproc.control.settling import Settling
from extproc.control.shipping import Shipping
from extproc.envoy.names import cluster_name
from extproc.ledger.collector import Collector
from extproc.ledger.metrics import Metrics
from extproc.ledger.outbox import Outbox
from extproc.limits.rule import Rule
from extproc.loops import forever
from extproc.price import Price

# Whatever a collection finds, it costs a commit, and looking costs something even where there is nothing. Envoy writes its log once a
# second, too.
_EVERY = 1.0
# Lines that are read, and entries that are made, in one transaction.
_LIMIT = 2000
# The disk refuses: trying it more often than this fills the log and mends nothing.
_RETRY = 2.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Bookkeeper:
    """Collects for as long as it runs."""

    def __init__(self, state: Path, config: Config, metrics: Metrics, access_log: Path, settling: Settling) -> None:
        """`access_log`: where Envoy writes it. Raises `Busy` when another process collects there."""
        self._metrics = metrics
        self._settling = settling
        self._state, self._config = state, config
        self._priced_by = (config, marks(config, state))
        """What the prices were made of that are in force."""
        self._collector = Collector(state, book(config, state), access_log=access_log, clusters=_clusters(config), limit=_LIMIT)
        self._shipping = Shipping(state, config.ledger, metrics.shipping) if config.ledger is not None else None
        if self._shipping is None:
            Outbox(self._collector.store).shut()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._task: asyncio.Task[None] | None = None

    async def resume(self) -> None:
        """Before anybody asks: what has been used by now of limits is counted. Raises `sqlite3.Error`."""
        await self._settle()

    def start(self) -> None:
        """Begins to collect, in the background."""
        self._task = asyncio.get_running_loop().create_task(forever("collecting the ledger", _EVERY, self._run))
        if self._shipping is not None:
            self._shipping.start()

    def follow(self, config: Config, aliases: Mapping[str, str]) -> None:
        """The configuration has changed: other prices, other providers. `aliases`: their names in Envoy, where those are not their own."""
        self._config = config
        # Lines of requests that began before still name the clusters of before.
        self._collector.clusters |= _clusters(config) | {cluster_name(alias): name for name, alias in aliases.items()}

    async def _run(self) -> None:
        try:
            more = True
            while more:
                more = await self.collect()
                await self._settle()
        except (OSError, sqlite3.Error) as error:
            _log.error("the ledger cannot be written: %s; nothing is lost, trying again", error)
            await asyncio.sleep(_RETRY)

    async def collect(self) -> bool:
        """Collects once; True if there is more. Raises what the disk raises."""
        return await self.run(self._collect)

    async def run(self, work: Callable[[], T]) -> T:
        """Has something done in the ledger's thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def quote(self, provider: str, model: str) -> Price | None:
        """What a target charges; None: nobody knows."""
        return await self.run(lambda: self._collector.prices.quote(provider, model, time.time()))

    async def counters(self, rules: Sequence[Rule]) -> dict[str, Any]:
        """How limits stand, see `counted.counters`. `rules`: of the configuration."""
        return await counted.counters(self._settling, self._collector.spent, self.run, rules)

    async def show_limits(self, rules: Sequence[Rule]) -> None:
        """Brings their metrics up to date."""
        own = {rule.id for rule in rules}
        crossed: Counter[str] = Counter()
        for name, times in self._settling.crossed.items():
            crossed[counted.label(name, own)] += times
        self._metrics.limits.crossed(crossed)
        stand = await counted.stand(self._settling, rules)
        self._metrics.limits.stand(stand, await self.run(self._collector.spent.waiting))

    async def _settle(self) -> None:
        collector = self._collector
        await self._settling.follow(self._config.redis, collector.spent, self.run)
        await self._settling.step(collector.spent, collector.store, self.run)

    def _collect(self) -> bool:
        self._follow_lists()
        collected = self._collector.collect()
        self._metrics.feed(collected)
        return collected.more

    def _follow_lists(self) -> None:
        """The configuration has changed, or a list of prices has: what is collected from now on is priced by them."""
        config, (made_of, before) = self._config, self._priced_by
        now = marks(config, self._state)
        if config is made_of and now == before:
            return
        self._collector.prices, self._priced_by = book(config, self._state), (config, now)
        if now != before:
            _log.info("lists of prices have changed: what is collected from now on is priced by them")

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
        await self._settling.close()
        if self._shipping is not None:
            await self._shipping.close()
        await self.run(self._collector.close)
        self._thread.shutdown()


def _clusters(config: Config) -> dict[str, str]:
    return {cluster_name(name): name for name in config.providers}
