"""The control process: it keeps the workers, Envoy, the ledger, the shared cache, the metrics and the local origin together.

Nothing of it lies on the path of a request but the shared cache, and workers go on without that.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from extproc.cachestore.shelf import Shelf
from extproc.config.load import Loaded, format_problems
from extproc.config.model import Config
from extproc.config.urls import is_loopback
from extproc.control import amazon, counted, operator, sealed
from extproc.control.addresses import Addresses
from extproc.control.api import AdminApi
from extproc.control.aside import aside
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.declared import Declaration
from extproc.control.directory import Directory
from extproc.control.door import Door
from extproc.control.effect import known_to_envoy, needs_restart
from extproc.control.envoy import Envoy
from extproc.control.feed import Feed
from extproc.control.handover import HandedEnvoy, Handover, Status, become, hold_signals, listen_to_signals, report, status, trial
from extproc.control.identities import Identities
from extproc.control.moved import Moved
from extproc.control.pricing import marks
from extproc.control.run_dir import sockets_folder
from extproc.control.services import Services
from extproc.control.source import Source, declares_keys, fingerprint
from extproc.control.startup import faults
from extproc.control.trust import ca_file
from extproc.control.workers import PATIENCE, Workers
from extproc.demo.app import build_app as build_demo
from extproc.envoy import names
from extproc.envoy.places import Places, below
from extproc.envoy.silences import silences
from extproc.ledger.metrics import Metrics
from extproc.ledger.places import places as ledger_places
from extproc.listening import setup_of
from extproc.loops import forever
from extproc.version import VERSION

_LOOK_EVERY = 0.25
_READY_WITHIN = 30.0
_NAMES_WITHIN = 5.0
# So often a worker may have ended before the gateway is ready; more, and it will not get there.
_STARTS = 2
_HOUSEKEEPING_EVERY = 10.0
# Connections that may wait for the demo provider: as many as the kernel allows by default.
_BACKLOG = 4096
# Clusters of the configuration before stay this long for requests that began with it.
_OVERLAP = 30.0

# What workers may still say, and ask, when another control process takes this one's place.
_LAST_WORDS = 5.0

_log = logging.getLogger(__name__)


class Gateway:
    """Everything that `headgate up` runs; without Envoy, everything that `headgate serve` runs."""

    def __init__(
        self, source: Source, loaded: Loaded, *, with_envoy: bool, run_dir: Path | None = None, patience: float = PATIENCE,
        handover: Handover | None = None, lock: int = -1, checking: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`patience`: see `workers.PATIENCE`. `handover`: what the control process before has left, and not what there is to do anew.

        `lock`: descriptor of the state folder's lock. `checking`: see `handover.trial`.
        """
        config = loaded.config
        assert config is not None
        self.config: Config = config
        self._running = config
        self._handover = handover
        self._lock, self._checking = lock, tuple(checking)
        self._addresses = Addresses(handover.addresses if handover is not None else None)
        self.state = source.state_folder(config)
        self.run_dir = run_dir or sockets_folder(self.state)
        self._source = source
        self._feed, self._declaration = Feed(self.state), Declaration(self.state)
        self._moved = Moved(self.state)
        self._loaded = loaded
        self._in_force = True
        """What the files say is what is in force."""
        self._files = loaded.files
        self._seen = self._last = self._look()
        self._own_run_dir = run_dir is None
        self._metrics = Metrics(VERSION)
        self._with_envoy = with_envoy
        setup = msgspec.json.encode(setup_of(config, _cache_size(loaded))).decode()
        self.workers = Workers(self.run_dir, self.state, setup, many=config.workers, drain=config.drain, patience=patience)
        self._services = Services(
            self.run_dir, self.state, Shelf(*_cache_size(loaded)), self._metrics, Path(self._places().attempts_log),
            self.workers.heard, Directory(self.state, self._feed, lambda: _store_of(self.config)),
            silent=handover is not None,
        )  # fmt: skip
        self._envoy = Envoy(self._places(), self.state / "envoy.log") if with_envoy else None
        self._books: Bookkeeper | None = None
        self._demo = Door(build_demo(), patience=config.drain)
        private = is_loopback(config.admin.address)
        self._operator = Door(
            operator.build_app(self._render, self.missing, self._status, self._limits, private=private), patience=_LAST_WORDS
        )
        self.api = AdminApi(config, self.state, self.run_dir)
        self._tasks: list[asyncio.Task[None]] = []
        self._reloading = asyncio.Lock()
        self._started = self._ending = False
        self._hurry = asyncio.Event()
        self.operator_port = 0

    @property
    def keys_required(self) -> bool:
        """Whether callers need a key, as far as a banner can tell."""
        return keys_required(self._loaded, self.state)

    def _places(self) -> Places:
        """Where Envoy finds and puts things. Somebody else's has its logs where `headgate compile` says: beside the sockets."""
        if not self._with_envoy:
            return below(str(self.run_dir), ca_file())
        state = self.state
        return Places(
            run_dir=str(self.run_dir), access_log=str(ledger_places(state).access_log), attempts_log=str(state / "attempts.log"),
            ca_file=ca_file(),
        )  # fmt: skip

    # Life.

    async def start(self) -> None:
        """Starts everything, and returns when requests are answered. Raises `OSError`, `Busy`, `RuntimeError` with what is in the way."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._books = Bookkeeper(self.state, self.config, self._metrics, Path(self._places().access_log), self._services.settling)
        self._services.quote = self._books.quote
        await self._books.resume()
        await self._feed.follow(_store_of(self.config))
        self._services.message = await self._message(self._loaded, fold=True)
        self._warn(self.config)
        handed = self._handover or Handover()
        await self._services.start(self.config, handed)
        await self.workers.start(handed.workers)
        await self._serve_origin(handed)
        if self._envoy is not None and handed.envoy is not None:
            await self._adopt_envoy(self._envoy, handed.envoy)
        elif self._envoy is not None:
            await self._envoy.start(self.config)
        await self._services.speak()
        self._books.start()
        await self._services.checks.follow(self.config)
        await self._until_ready()
        loop = asyncio.get_running_loop()
        self._tasks += [
            loop.create_task(forever("looking for changes", _LOOK_EVERY, self._watch)),
            loop.create_task(forever("seeing how targets stand", _LOOK_EVERY, self._services.standing.step)),
            loop.create_task(forever("housekeeping", _HOUSEKEEPING_EVERY, self._housekeeping)),
        ]
        if self._handover is not None:
            self._tasks.append(loop.create_task(self._renew(self._handover)))
        self._started = True

    async def _adopt_envoy(self, envoy: Envoy, handed: HandedEnvoy) -> None:
        try:
            told = await envoy.adopt(self._addresses.seen_by_envoy(self.config), handed)
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            # It serves all the same.
            _log.error("Envoy has not been told what this version would tell it: %s", error)
        else:
            if told:
                self._tasks.append(asyncio.get_running_loop().create_task(self._prune(self.config)))

    async def _serve_origin(self, handed: Handover) -> None:
        socket_path = Path(names.origin_socket(str(self.run_dir)))
        await self._demo.open_path(socket_path, backlog=_BACKLOG, handed=handed.sockets.get("origin", ()))
        admin = self.config.admin
        await self._operator.open_port(admin.address, admin.port, handed=handed.sockets.get("admin", ()))
        self.operator_port = self._operator.port
        try:
            await self.api.start(self.config, handed.sockets.get("api", []), handed.api)
        except OSError as error:
            if self._handover is None:
                raise
            # The rest serves.
            _log.error("the admin API does not serve: %s", error)

    async def missing(self) -> list[str]:
        """Why callers should not be sent here."""
        missing = await self._starting()
        if self._feed.ignorant:
            missing.append("the store has never answered, and nothing is known of it")
        if self._ending:
            missing.append("the gateway is ending")
        return missing

    async def _starting(self) -> list[str]:
        """What does not serve yet."""
        missing = self.workers.missing()
        if self._envoy is not None and not await self._envoy.ready():
            missing.append("envoy")
        return missing

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN
        while missing := await self._starting():
            late = f"not ready after {_READY_WITHIN:g} s: {', '.join(missing)}" if asyncio.get_running_loop().time() > deadline else ""
            if self._handover is not None:
                # Whatever is missing, the rest serves.
                if late:
                    _log.error("%s", late)
                    return
            elif self._envoy is not None and self._envoy.restarts:
                raise RuntimeError(f"Envoy does not start; {self.state / 'envoy.log'} says why")
            elif failed := self.workers.failing(_STARTS):
                raise RuntimeError(f"{', '.join(failed)} cannot start, and said why")
            elif late:
                raise RuntimeError(late)
            await asyncio.sleep(_LOOK_EVERY / 10)

    async def stop(self) -> None:
        """Ends everything, and leaves nothing running. All goes on for `drain_delay` seconds, what is then under way for `drain` seconds,
        unless `hurry` is called.
        """
        loop = asyncio.get_running_loop()
        self._ending = True
        if self._started and self._running.drain_delay:
            await self._serve_on(self._running.drain_delay)
        until = loop.time() + (self._running.drain if self._started else 0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Envoy first: what it still sends its workers they can still answer.
        if self._envoy is not None:
            if self._started:
                await self._envoy.drain(until, self._hurry, self._services.finish)
            await self._envoy.stop()
        elif self._started:
            _log.info("what is under way may take %g s more; the same signal again ends it", self._running.drain)
        await self.workers.stop(max(0.0, until - loop.time()), self._hurry)
        await self.api.stop(max(0.0, until - loop.time()))
        await self._demo.close()
        await self._operator.close()
        await self._services.close()
        await self._feed.close()
        if self._books is not None:
            await self._books.close()
        if self._own_run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    async def _serve_on(self, seconds: float) -> None:
        """Time for whoever sends callers here to learn that it is to send them elsewhere."""
        _log.info("the gateway is ending: for %g s it still takes requests; the same signal again ends it", seconds)
        if self._envoy is not None:
            await self._envoy.leave()
        else:
            await self._services.ending()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def hurry(self) -> None:
        """What is under way ends now."""
        self._hurry.set()

    # Reload.

    async def reload(self) -> bool:
        """Reads the configuration again and swaps it as a whole; False, with the errors logged, if it is wrong: the old one serves on."""
        async with self._reloading:
            loaded = await asyncio.to_thread(self._source.load, faults)
            self._files = loaded.files
            was_in_force, self._in_force = self._in_force, False
            reason = "" if loaded.config is not None else "\n" + format_problems(loaded.problems, self._source.path)
            if not reason:
                try:
                    await self._take(loaded, was_in_force)
                except (OSError, RuntimeError, sqlite3.Error, aiohttp.ClientError) as error:
                    reason = str(error)
                    self._services.lead(self.config)
                    await self._services.tokens.follow(self.config)
                    await self._services.issuers.follow(self.config)
                    await self._feed.follow(_store_of(self.config))
                else:
                    return True
            _log.error("the new configuration is refused, the old one serves on: %s", reason)
            self._metrics.reloaded("refused")
            await self._take_keys()
            return False

    async def _take(self, loaded: Loaded, was_in_force: bool) -> None:
        config, before = loaded.config, self._services.message
        assert config is not None
        self._services.lead(config)
        await self._services.tokens.follow(config)
        # Requests that began with the configuration before still need the keys of its issuers.
        await self._services.issuers.follow(self.config, config)
        await self._feed.follow(_store_of(config))
        await self._swap(config, await self._message(loaded))
        await self._services.issuers.follow(config)
        notified = await self._services.notify(config)
        self._loaded, self._in_force = loaded, True
        if self._services.message != before or notified:
            self._metrics.reloaded("accepted")
            return
        # Whoever has edited the file, or sent a signal, waits for a word.
        _log.info("the configuration has been read again: " + ("nothing has changed" if was_in_force else "it is again the one in force"))
        self._metrics.reloaded("unchanged")

    async def _take_keys(self, *, fold: bool = False) -> None:
        """Keys that were made or revoked count at once, also while the file is wrong. `fold`: see `key_state`."""
        message = await self._message(self._loaded, fold=fold)
        if message != self._services.message:
            taken = await self._services.swap(message)
            _log.info("new keys in force in %d of %d workers", taken, len(self.workers))

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

    async def _swap(self, config: Config, message: bytes) -> None:
        if message == self._services.message:
            return
        old = self.config
        if self._envoy is not None and known_to_envoy(config) != known_to_envoy(old):
            # Envoy has to know a provider before a worker sends a request there, and to keep one until none is sent there any more.
            await self._envoy.follow(self._addresses.seen_by_envoy(old, config))
            loop = asyncio.get_running_loop()
            self._tasks.append(loop.create_task(self._prune(config)))
        elif self._envoy is None and (config.providers, silences(config)) != (old.providers, silences(old)):
            _log.warning("providers or timeouts have changed: give your Envoy what `headgate compile attach` prints now")
        self.config = config
        await self._services.standing.follow(config)
        self._warn(config)
        await self._services.checks.follow(config)
        taken = await self._services.swap(message)
        # Workers wait for no other process.
        self._tasks.append(asyncio.get_running_loop().create_task(self.api.follow(config)))
        if self._books is not None:
            self._books.follow(config, self._aliases(config))
        for name in needs_restart(self._running, config):
            # Another state folder is another gateway.
            sooner = "" if name == "state" else ", or, without losing a request, with `headgate upgrade`"
            _log.warning("%s has changed: it takes effect at the next start%s", name, sooner)
        level = logging.INFO if taken >= len(self.workers) else logging.ERROR
        _log.log(level, "new configuration in force in %d of %d workers", taken, len(self.workers))

    def _warn(self, config: Config) -> None:
        # Somebody else's Envoy looks elsewhere for them.
        for what in (*amazon.lacking(config), *sealed.lacking(config)) if self._with_envoy else ():
            _log.warning("%s", what)

    async def _prune(self, config: Config) -> None:
        await asyncio.sleep(_OVERLAP)
        async with self._reloading:
            if self.config is config and self._envoy is not None:
                try:
                    await self._envoy.follow(self._addresses.seen_by_envoy(config))
                except (OSError, RuntimeError) as error:
                    _log.warning("providers that are gone stay in Envoy for now: %s", error)

    async def _watch(self) -> None:
        """Reloads when a file or the keys have changed, and have then stayed the same for one look: editors write in steps."""
        now = self._look()
        settled, self._last = now == self._last, now
        if settled and now != self._seen:
            # What changes while it is read has to be read again, so what was seen is what was there before.
            only_keys = {path for path, mark in now.items() if self._seen.get(path) != mark} == {self.state}
            if only_keys and self._in_force:
                async with self._reloading:
                    await self._take_keys()
            else:
                await self.reload()
            self._seen = {path: now.get(path, mark) for path, mark in self._look().items()}

    def _look(self) -> dict[Path, object]:
        """Changes whenever one of the files or the keys do."""
        files: dict[Path, object] = dict(zip(self._files, fingerprint(self._files), strict=True))
        # Prices are the workers' business, too, where a strategy asks for them.
        identities = (*Identities(self.state, _store_of(self.config)).version(), self._feed.version)
        return files | marks(self.config, self.state) | {self.state: identities}

    def _status(self) -> dict[str, Any]:
        return self._services.status(self.config)

    async def _limits(self) -> dict[str, Any]:
        if self._books is None:
            return {"data": [], "next_cursor": None}
        told = await self._books.counters(counted.rules(self._loaded))
        identities, wanted = Identities(self.state, _store_of(self.config)), counted.ids(told)
        if not wanted or (_store_of(self.config) and not self._feed.up):
            return told
        try:
            known = await asyncio.wait_for(aside(lambda: identities.named(wanted), "names of limits"), _NAMES_WITHIN)
        except (OSError, TimeoutError) as error:
            _log.warning("limits are shown without names: %s", error)
            return told
        return counted.with_names(told, known)

    # Upgrade.

    async def upgrade(self) -> None:
        """The program that is installed now takes this one's place, if it could start; else all goes on, and the reason is told."""
        number = status(self.state).number + 1
        report(self.state, Status(number, "checking"))
        # What has changed in the configuration first, while there is an old one beside it.
        await self.reload()
        async with self._reloading:
            if reason := await trial(self._checking):
                _log.error("no upgrade: %s", reason)
                report(self.state, Status(number, "refused", (reason,), VERSION))
                return
            if self._ending:
                return
            report(self.state, Status(number, "replacing"))
            hold_signals()
            try:
                become(await self._leave(number))
            except Exception:  # noqa: BLE001 - whatever it is, there is no way back
                _log.exception("half of this gateway has been left to one that does not start: it ends")
                listen_to_signals()
                os.kill(os.getpid(), signal.SIGTERM)

    async def _leave(self, number: int) -> Handover:
        """Lets go of everything that the next program needs, and says what that is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        sockets = {"origin": self._demo.keep(), "admin": self._operator.keep(), "api": self.api.keep()}
        await self._demo.close()
        await self._operator.close()
        await self._feed.close()
        kept, standing = await self._services.leave()
        sockets["link"] = [kept]
        if self._books is not None:
            await self._books.close()
        envoy, asked = self._envoy.handed() if self._envoy is not None else None, self._services.standing.asked
        return Handover(
            VERSION, number, self._lock, sockets, self.workers.handed(), envoy, self._addresses.first, standing, asked, self.api.handed()
        )  # fmt: skip

    async def _renew(self, handed: Handover) -> None:
        """Replaces, one after another, what still runs as it was: workers, and Envoy where it would be another one."""
        async with self._reloading:
            failed = [f"{name} goes on as it was: its successor does not serve" for name in await self.workers.renew()]
            if self._envoy is not None and (reason := await self._envoy.renew()):
                # Which may still ask workers that are too many.
                failed.append(f"Envoy goes on as it was: {reason}")
            else:
                self.workers.dismiss()
            failed += filter(None, [await self.api.renew()])
            for what in failed:
                _log.error("%s", what)
        _log.info("upgraded from %s to %s", handed.version, VERSION)
        report(self.state, Status(handed.number, "partly" if failed else "done", tuple(failed), VERSION))

    # Metrics.

    async def _render(self) -> bytes:
        for name, restarts in self.workers.restarts().items():
            self._metrics.restarts(name, restarts)
        self._metrics.restarts("admin-api", self.api.restarts)
        if self._envoy is not None:
            self._metrics.restarts("envoy", self._envoy.restarts)
            self._metrics.under_way(await self._envoy.admin.active())
            self._metrics.websockets(await self._envoy.admin.websockets())
            for provider, is_open in (await self._envoy.admin.open_breakers()).items():
                self._metrics.providers.full(provider, is_open)
        await self._services.show()
        if self._books is not None:
            await self._books.show_limits(counted.rules(self._loaded))
        return self._metrics.render()

    async def _housekeeping(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        if self._envoy is not None:
            await self._envoy.rotate_logs()
        await self._services.sweep()
        await self._moved.look(_store_of(self.config), up=self._feed.up)
        async with self._reloading:
            await self._take_keys(fold=True)


def keys_required(loaded: Loaded, state: Path) -> bool:
    """Whether callers need a key, as far as the configuration and the key store can tell."""
    configured = any(getattr(settings, "keys", ()) or getattr(settings, "required", False) for settings in loaded.filters)
    known = loaded.config is not None and (loaded.config.callers.known or loaded.config.certified)
    return configured or known or declares_keys(loaded.config) or Identities(state, _store_of(loaded.config)).exist()


def _store_of(config: Config | None) -> str:
    """The URL of the store; empty where that is in the state folder."""
    return config.store.url if config is not None and config.store is not None else ""


def _cache_size(loaded: Loaded) -> tuple[int, int]:
    for settings in loaded.filters:
        most, entry = getattr(settings, "max_bytes", None), getattr(settings, "max_entry", None)
        if isinstance(most, int) and isinstance(entry, int):
            return most, entry
    return 1, 1
