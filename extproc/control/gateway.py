"""The control process: it keeps the workers, Envoy, the ledger, the shared cache, the metrics and the local origin together.

Nothing of it lies on the path of a request but the shared cache, and workers go on without that.
"""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from extproc.cachestore.shelf import Shelf
from extproc.config.load import Loaded
from extproc.config.model import Config
from extproc.config.urls import is_loopback
from extproc.control import operator
from extproc.control.addresses import Addresses
from extproc.control.api import AdminApi
from extproc.control.bookkeeper import Bookkeeper
from extproc.control.directory import Directory
from extproc.control.door import Door
from extproc.control.envoy import Envoy
from extproc.control.feed import Feed
from extproc.control.handover import Handover
from extproc.control.in_force import InForce
from extproc.control.moved import Moved
from extproc.control.readings import Readings
from extproc.control.run_dir import sockets_folder
from extproc.control.services import Services
from extproc.control.source import Source, keys_required, store_of
from extproc.control.tasks import Tasks
from extproc.control.trust import ca_file
from extproc.control.upgrade import renew, upgrade
from extproc.control.workers import PATIENCE, Workers
from extproc.demo.app import build_app as build_demo
from extproc.envoy import names
from extproc.envoy.places import Places, below
from extproc.ledger.metrics import Metrics
from extproc.ledger.places import places as ledger_places
from extproc.listening import setup_of
from extproc.loops import forever
from extproc.version import VERSION

_LOOK_EVERY = 0.25
_READY_WITHIN = 30.0
# So often a worker may have ended before the gateway is ready; more, and it will not get there.
_STARTS = 2
_HOUSEKEEPING_EVERY = 10.0
# Connections that may wait for the demo provider: as many as the kernel allows by default.
_BACKLOG = 4096
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
        self._running = config
        self._handover = handover
        self._lock, self._checking = lock, tuple(checking)
        self._addresses = Addresses(handover.addresses if handover is not None else None)
        self.state = source.state_folder(config)
        self.run_dir = run_dir or sockets_folder(self.state)
        self._own_run_dir = run_dir is None
        self._feed, self._moved, self._tasks = Feed(self.state), Moved(self.state), Tasks()
        self._with_envoy = with_envoy
        metrics = self._metrics = Metrics(VERSION)
        setup = msgspec.json.encode(setup_of(config, _cache_size(loaded))).decode()
        self.workers = Workers(self.run_dir, self.state, setup, many=config.workers, drain=config.drain, patience=patience)
        self._services = Services(
            self.run_dir, self.state, Shelf(*_cache_size(loaded)), metrics, Path(self._places().attempts_log),
            self.workers.heard, Directory(self.state, self._feed, lambda: store_of(self.config)),
            silent=handover is not None,
        )  # fmt: skip
        self._envoy = Envoy(self._places(), self.state / "envoy.log") if with_envoy else None
        self._books: Bookkeeper | None = None
        self._demo = Door(build_demo(), patience=config.drain)
        self.api = AdminApi(config, self.state, self.run_dir)
        self._in_force = InForce(
            source, loaded, addresses=self._addresses, feed=self._feed, services=self._services, workers=self.workers, envoy=self._envoy,
            api=self.api, metrics=metrics, tasks=self._tasks,
        )  # fmt: skip
        self._readings = Readings(
            self.state, self._in_force, feed=self._feed, services=self._services, workers=self.workers, envoy=self._envoy, api=self.api,
            metrics=metrics,
        )  # fmt: skip
        read, private = self._readings, is_loopback(config.admin.address)
        app = operator.build_app(read.render, self.missing, read.status, read.limits, private=private)
        self._operator = Door(app, patience=_LAST_WORDS)
        self._started = False
        self._ending, self._hurry = asyncio.Event(), asyncio.Event()
        self.operator_port = 0

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._in_force.config

    @property
    def keys_required(self) -> bool:
        """Whether callers need a key, as far as a banner can tell."""
        return keys_required(self._in_force.loaded, self.state)

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
        books = self._books = self._in_force.books = self._readings.books = Bookkeeper(
            self.state, self.config, self._metrics, Path(self._places().access_log), self._services.settling
        )
        self._services.quote = books.quote
        await books.resume()
        await self._in_force.begin()
        handed = self._handover or Handover()
        await self._services.start(self.config, handed)
        await self.workers.start(handed.workers)
        await self._serve_origin(handed)
        if self._envoy is not None and handed.envoy is not None:
            await self._in_force.adopt(self._envoy, handed.envoy)
        elif self._envoy is not None:
            await self._envoy.start(self.config)
        await self._services.speak()
        books.start()
        await self._services.checks.follow(self.config)
        await self._until_ready()
        self._tasks.begin(forever("looking for changes", _LOOK_EVERY, self._in_force.watch))
        self._tasks.begin(forever("seeing how targets stand", _LOOK_EVERY, self._services.standing.step))
        self._tasks.begin(forever("housekeeping", _HOUSEKEEPING_EVERY, self._housekeeping))
        if self._handover is not None:
            self._tasks.begin(renew(self.state, self._in_force, self._handover, self.workers, self._envoy, self.api))
        self._started = True

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
        if self._ending.is_set():
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
        self._ending.set()
        if self._started and self._running.drain_delay:
            await self._serve_on(self._running.drain_delay)
        until = loop.time() + (self._running.drain if self._started else 0.0)
        await self._tasks.close()
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

    async def reload(self) -> bool:
        """Reads the configuration again, see `InForce.reload`."""
        return await self._in_force.reload()

    async def upgrade(self) -> None:
        """The program that is installed now takes this one's place, see `upgrade.upgrade`."""
        await upgrade(self.state, self._in_force, self._checking, self._leave, self._ending)

    async def _leave(self, number: int) -> Handover:
        """Lets go of everything that the next program needs, and says what that is."""
        await self._tasks.close()
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

    async def _housekeeping(self) -> None:
        self._tasks.sweep()
        if self._envoy is not None:
            await self._envoy.rotate_logs()
        await self._services.sweep()
        await self._moved.look(store_of(self.config), up=self._feed.up)
        await self._in_force.renew_keys(fold=True)


def _cache_size(loaded: Loaded) -> tuple[int, int]:
    for settings in loaded.filters:
        most, entry = getattr(settings, "max_bytes", None), getattr(settings, "max_entry", None)
        if isinstance(most, int) and isinstance(entry, int):
            return most, entry
    return 1, 1
