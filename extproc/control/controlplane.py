"""`headgate fleet serve`: the control plane of a fleet as a process. It follows the configuration, and tells who asks how its nodes are."""

import asyncio
import logging
import signal
from pathlib import Path

import msgspec
from aiohttp import web

from extproc.config.fleet import Fleet
from extproc.config.load import Loaded, format_problems
from extproc.config.model import Config
from extproc.control.aside import aside
from extproc.control.run_dir import fleet_socket
from extproc.control.source import Source, fingerprint
from extproc.envoy.binary import find_envoy
from extproc.ledger.metrics import CONTENT_TYPE
from extproc.loops import forever
from extproc.xds.canaries import Canaries
from extproc.xds.descriptors import Types, types_of
from extproc.xds.kept import Kept
from extproc.xds.metrics import render
from extproc.xds.offered import Offer, offered
from extproc.xds.plane import Plane
from extproc.xds.rollout import Rollout
from extproc.xds.server import Server

_TICK = 0.25
_LOOK_EVERY = 0.5
_COMPILES = "compiles for the fleet"

Marks = dict[Path, object]
_log = logging.getLogger(__name__)


class ControlPlane:
    """One process."""

    def __init__(self, source: Source, loaded: Loaded) -> None:
        config = loaded.config
        assert config is not None
        assert config.fleet is not None
        self._source = source
        self._fleet: Fleet = config.fleet
        self._config: Config = config
        self._state = source.state_folder(config)
        self._files = loaded.files
        self._more: tuple[Path, ...] = ()
        self._seen: Marks = {}
        self._last: Marks = {}
        kept = Kept(self._state / "fleet")
        state, versions = kept.load()
        rollout = Rollout(Canaries(self._fleet.canary), self._fleet.settle, self._fleet.keep, state)
        self._plane = Plane(rollout, versions, kept)
        self._types: Types | None = None
        self._server = Server(self._plane, self._fleet)
        self._runners: list[web.AppRunner] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises `OSError` where it cannot listen, or a file of the configuration cannot be read, and `ValueError` where
        nothing can be made of it.
        """
        self._take(await aside(self._first, _COMPILES))
        self._seen = self._last = self._look()
        loops: list[asyncio.Task[None]] = []
        try:
            await self._listen()
            await self._server.start()
            create = asyncio.get_running_loop().create_task
            loops += [
                create(forever("letting time pass", _TICK, self._tick)),
                create(forever("looking for changes", _LOOK_EVERY, self._watch)),
            ]
            print(f"the control plane is ready: {self._fleet.address}:{self._fleet.port}", flush=True)  # noqa: T201 - for people
            await stop.wait()
        finally:
            for one in loops:
                one.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._server.stop()
            for runner in self._runners:
                await runner.cleanup()

    def _first(self) -> Offer:
        self._types = types_of(find_envoy())
        return offered(self._config, self._fleet, self._types)

    def _take(self, offer: Offer) -> None:
        self._more = offer.files
        self._plane.offer(offer.version)

    async def _tick(self) -> None:
        self._plane.tick()

    def _look(self) -> Marks:
        files = (*self._files, *self._more)
        return dict(zip(files, fingerprint(files), strict=True))

    async def _watch(self) -> None:
        """Reads the configuration again when one of its files has changed, and has then stayed the same for one look."""
        now = self._look()
        settled, self._last = now == self._last, now
        if settled and now != self._seen:
            await self.reload()
            # What changes while it is read has to be read again, so what was seen is what was there before.
            self._seen = {path: now.get(path, mark) for path, mark in self._look().items()}

    async def reload(self) -> None:
        """Reads the configuration. One that is wrong changes nothing."""
        loaded = await aside(self._source.load, _COMPILES)
        if loaded.config is None or loaded.config.fleet is None:
            told = format_problems(loaded.problems, self._source.path) if loaded.problems else "there is no section `fleet` any more"
            _log.error("the configuration cannot be used, and the one before stays in force:\n%s", told)
            return
        if loaded.config.fleet != self._fleet:
            _log.warning("what has changed in `fleet` takes effect when the control plane is started again")
        config, types = loaded.config, self._types
        assert types is not None
        try:
            offer = await aside(lambda: offered(config, self._fleet, types), _COMPILES)
        except (OSError, ValueError) as error:
            _log.error("the configuration cannot be told to nodes, and the one before stays in force: %s", error)
            return
        self._files = loaded.files
        self._take(offer)

    async def _listen(self) -> None:
        path = fleet_socket(self._state)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        runner = await self._serve(self._local())
        await web.UnixSite(runner, str(path)).start()
        path.chmod(0o600)
        if self._fleet.metrics is not None:
            address, _, port = self._fleet.metrics.rpartition(":")
            runner = await self._serve(self._operator())
            await web.TCPSite(runner, address.strip("[]"), int(port)).start()

    async def _serve(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        return runner

    def _local(self) -> web.Application:
        async def status(_: web.Request) -> web.Response:
            return web.json_response(self._plane.status(), dumps=lambda value: msgspec.json.encode(value).decode())

        async def promote(_: web.Request) -> web.Response:
            return web.json_response({"done": self._plane.promote()})

        async def roll_back(_: web.Request) -> web.Response:
            return web.json_response({"done": self._plane.roll_back()})

        app = web.Application()
        app.add_routes([web.get("/status", status), web.post("/promote", promote), web.post("/rollback", roll_back)])
        return app

    def _operator(self) -> web.Application:
        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=render(self._plane.status()), headers={"content-type": CONTENT_TYPE})

        async def well(_: web.Request) -> web.Response:
            return web.json_response({"status": "ok"})

        app = web.Application()
        # It answers when it serves, and not before.
        app.add_routes([web.get("/metrics", metrics), web.get("/healthz", well), web.get("/readyz", well)])
        return app


async def serve(source: Source, loaded: Loaded) -> None:
    """Until SIGINT or SIGTERM; SIGHUP reads the configuration again. Raises as `ControlPlane.run` does."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    plane = ControlPlane(source, loaded)
    tasks: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = loop.create_task(plane.reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    await plane.run(stop)
