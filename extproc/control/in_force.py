"""The configuration that is in force, and how another one takes its place: as a whole, or not at all."""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from extproc.config.load import Loaded, format_problems
from extproc.config.model import Config
from extproc.control import amazon, sealed
from extproc.control.addresses import Addresses
from extproc.control.api import AdminApi
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.declared import Declaration
from extproc.control.effect import IN_BOOTSTRAP, known_to_envoy, needs_restart
from extproc.control.envoy import Envoy
from extproc.control.feed import Feed
from extproc.control.handover import HandedEnvoy
from extproc.control.identities import Identities
from extproc.control.pricing import marks
from extproc.control.services import Services
from extproc.control.source import Source, fingerprint, store_of
from extproc.control.startup import faults
from extproc.control.tasks import Tasks
from extproc.control.workers import Workers
from extproc.envoy.silences import silences
from extproc.ledger.metrics import Metrics

# Clusters of the configuration before stay this long for requests that began with it.
_OVERLAP = 30.0

_log = logging.getLogger(__name__)


class InForce:
    """One configuration, brought to everybody who goes by it: Envoy, the workers, the admin API, the books."""

    def __init__(
        self, source: Source, loaded: Loaded, *, addresses: Addresses, feed: Feed, services: Services, workers: Workers,
        envoy: Envoy | None, api: AdminApi, metrics: Metrics, tasks: Tasks,
    ) -> None:  # fmt: skip
        """`envoy`: our own; None where it is somebody else's."""
        config = loaded.config
        assert config is not None
        self.config: Config = config
        self.loaded = loaded
        """What it was made of."""
        self.lock = asyncio.Lock()
        """Held by whoever changes what is in force, or replaces those who go by it."""
        self.books: Bookkeeper | None = None
        """None until the gateway starts."""
        self._running = config
        self._source = source
        self._state = source.state_folder(config)
        self._declaration = Declaration(self._state)
        self._addresses = addresses
        self._feed = feed
        self._services = services
        self._workers = workers
        self._envoy = envoy
        self._api = api
        self._metrics = metrics
        self._tasks = tasks
        self._is_told = True
        """What the files say is what is in force."""
        self._files = loaded.files
        self._seen = self._last = self._look()

    # The first one.

    async def begin(self) -> None:
        """The one of the start is, for whoever asks."""
        await self._feed.follow(store_of(self.config))
        self._services.message = await self._message(self.loaded, fold=True)
        self._warn(self.config)

    async def adopt(self, envoy: Envoy, handed: HandedEnvoy) -> None:
        """Brings it to the Envoy that the control process before has left."""
        try:
            told = await envoy.adopt(self._addresses.seen_by_envoy(self.config), handed)
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            # It serves all the same.
            _log.error("Envoy has not been told what this version would tell it: %s", error)
        else:
            if told:
                self._tasks.begin(self._prune(self.config))

    # Another one.

    async def watch(self) -> None:
        """Reloads when a file or the keys have changed, and have then stayed the same for one look: editors write in steps."""
        now = self._look()
        settled, self._last = now == self._last, now
        if settled and now != self._seen:
            # What changes while it is read has to be read again, so what was seen is what was there before.
            only_keys = {path for path, mark in now.items() if self._seen.get(path) != mark} == {self._state}
            if only_keys and self._is_told:
                await self.renew_keys()
            else:
                await self.reload()
            self._seen = {path: now.get(path, mark) for path, mark in self._look().items()}

    def _look(self) -> dict[Path, object]:
        """Changes whenever one of the files or the keys do."""
        files: dict[Path, object] = dict(zip(self._files, fingerprint(self._files), strict=True))
        # Prices are the workers' business, too, where a strategy asks for them.
        identities = (*Identities(self._state, store_of(self.config)).version(), self._feed.version)
        return files | marks(self.config, self._state) | {self._state: identities}

    async def reload(self) -> bool:
        """Reads the configuration again and swaps it as a whole; False, with the errors logged, if it is wrong: the old one serves on."""
        async with self.lock:
            loaded = await asyncio.to_thread(self._source.load, faults)
            self._files = loaded.files
            was_told, self._is_told = self._is_told, False
            reason = "" if loaded.config is not None else "\n" + format_problems(loaded.problems, self._source.path)
            if not reason:
                try:
                    await self._take(loaded, was_told)
                except (OSError, RuntimeError, sqlite3.Error, aiohttp.ClientError) as error:
                    reason = str(error)
                    self._services.lead(self.config)
                    await self._services.tokens.follow(self.config)
                    await self._services.issuers.follow(self.config)
                    await self._feed.follow(store_of(self.config))
                else:
                    return True
            _log.error("the new configuration is refused, the old one serves on: %s", reason)
            self._metrics.reloaded("refused")
            await self._take_keys()
            return False

    async def _take(self, loaded: Loaded, was_told: bool) -> None:
        config, before = loaded.config, self._services.message
        assert config is not None
        self._services.lead(config)
        await self._services.tokens.follow(config)
        # Requests that began with the configuration before still need the keys of its issuers.
        await self._services.issuers.follow(self.config, config)
        await self._feed.follow(store_of(config))
        await self._swap(config, await self._message(loaded))
        await self._services.issuers.follow(config)
        notified = await self._services.notify(config)
        self.loaded, self._is_told = loaded, True
        if self._services.message != before or notified:
            self._metrics.reloaded("accepted")
            return
        # Whoever has edited the file, or sent a signal, waits for a word.
        _log.info("the configuration has been read again: " + ("nothing has changed" if was_told else "it is again the one in force"))
        self._metrics.reloaded("unchanged")

    async def _swap(self, config: Config, message: bytes) -> None:
        if message == self._services.message:
            return
        old = self.config
        if self._envoy is not None and known_to_envoy(config) != known_to_envoy(old):
            # Envoy has to know a provider before a worker sends a request there, and to keep one until none is sent there any more.
            await self._envoy.follow(self._addresses.seen_by_envoy(old, config))
            self._tasks.begin(self._prune(config))
        elif self._envoy is None and (config.providers, silences(config)) != (old.providers, silences(old)):
            if config.fleet is not None:
                _log.info("providers or timeouts have changed: Envoy hears of that from the control plane of the fleet")
            else:
                _log.warning("providers or timeouts have changed: give your Envoy what `headgate compile attach` prints now")
        self.config = config
        await self._services.standing.follow(config)
        self._warn(config)
        await self._services.checks.follow(config)
        taken = await self._services.swap(message)
        # Workers wait for no other process.
        self._tasks.begin(self._api.follow(config))
        if self.books is not None:
            self.books.follow(config, self._aliases(config))
        self._tell_what_waits(config)
        level = logging.INFO if taken >= len(self._workers) else logging.ERROR
        _log.log(level, "new configuration in force in %d of %d workers", taken, len(self._workers))

    async def _prune(self, config: Config) -> None:
        await asyncio.sleep(_OVERLAP)
        async with self.lock:
            if self.config is config and self._envoy is not None:
                try:
                    await self._envoy.follow(self._addresses.seen_by_envoy(config))
                except (OSError, RuntimeError) as error:
                    _log.warning("providers that are gone stay in Envoy for now: %s", error)

    def _tell_what_waits(self, config: Config) -> None:
        told = self._envoy is None and config.fleet is not None
        for name in needs_restart(self._running, config, told=told):
            # Another state folder is another gateway.
            sooner = "" if name == "state" else ", or, without losing a request, with `headgate upgrade`"
            envoy = ", and Envoy needs what `headgate compile xds` prints now" if told and name in IN_BOOTSTRAP else ""
            _log.warning("%s has changed: it takes effect at the next start%s%s", name, sooner, envoy)

    def _warn(self, config: Config) -> None:
        # Somebody else's Envoy looks elsewhere for them.
        for what in (*amazon.lacking(config), *sealed.lacking(config)) if self._envoy is not None else ():
            _log.warning("%s", what)

    # What the workers are told.

    async def renew_keys(self, *, fold: bool = False) -> None:
        """Keys that were made or revoked count at once. `fold`: see `key_state`."""
        async with self.lock:
            await self._take_keys(fold=fold)

    async def _take_keys(self, *, fold: bool = False) -> None:
        """The same for whoever has the lock, also while the file is wrong."""
        message = await self._message(self.loaded, fold=fold)
        if message != self._services.message:
            taken = await self._services.swap(message)
            _log.info("new keys in force in %d of %d workers", taken, len(self._workers))

    async def _message(self, loaded: Loaded, *, fold: bool = False) -> bytes:
        """The snapshot, with the keys as they are, and those that are declared brought to the others first."""
        config = loaded.config
        assert config is not None
        aliases = self._aliases(config)

        def make(up: bool) -> bytes:
            self._declaration.bring(config, up=up)
            return self._source.message(loaded, aliases, fold=fold, up=up)

        return await self._feed.ask(make)

    def _aliases(self, config: Config) -> Mapping[str, str]:
        # Somebody else's Envoy has the names that `headgate compile attach` gave it.
        return self._addresses.aliases(config) if self._envoy is not None else {}
