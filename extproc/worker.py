"""A worker process: one engine, served to Envoy on sockets of its own, fed with snapshots by the control process.

    python -m extproc.worker INDEX RUN_DIR STATE [SETUP]

It imports no price list, no YAML and no Envoy configuration, so that it stays small and starts at once. It ends with the control
process; while the link to that is lost, it goes on with the snapshot that it has, and connects again.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import uvloop

from extproc.adapter import AdapterSession
from extproc.beside import Beside
from extproc.cachestore.entry import Store
from extproc.cachestore.local import LocalStore
from extproc.cachestore.shared import RemoteStore
from extproc.cachestore.shelf import Shelf
from extproc.callers.asked import RemoteDirectory
from extproc.callers.issuers import ISSUERS, RemoteSets
from extproc.checked import HEALTH, decode_ill
from extproc.clock import LAST_WORDS, TICK, Clock
from extproc.config.model import Redis
from extproc.engine import Engine
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.heap import spare_collector
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.limits import messages as limits
from extproc.limits.counters import Counters
from extproc.limits.enquiry import RemoteQuotes
from extproc.limits.limit import Source
from extproc.limits.news import Exhausted
from extproc.limits.remote import RemoteLimits
from extproc.limits.shared import RENEW, SharedLimits
from extproc.link.client import Link
from extproc.listening import Setup, listen
from extproc.lookout import Load, Lookout
from extproc.loops import forever
from extproc.mirrors import Mirrors
from extproc.pressure import LOOK_EVERY
from extproc.slots.local import LocalSlots
from extproc.slots.remote import RemoteSlots
from extproc.standing.ear import SUMS_EVERY, Ear
from extproc.standing.line import LinkLine
from extproc.standing.told import STANDING
from extproc.standing.view import View
from extproc.tokens import TOKENS
from extproc.transport.health import CHECK, Health
from extproc.transport.seam import Methods, Server
from extproc.turns.remote import RemoteTurns
from extproc.turns.turn import Turns

LINK = "control.sock"
"""The control process's socket, in the run folder."""
SNAPSHOT = "snapshot"
"""The push that carries a snapshot."""
ENDING = "ending"
"""The push by which a worker says that it is not well, and serves all the same: the gateway is about to end."""
FINISH = "finish"
"""The push that ends all streams with their last words: Envoy is about to be stopped."""

NOTICE = "notice"
"""The notice by which a worker says that it serves, and how it fares: when it begins to serve, and then every `NOTICE_EVERY` seconds."""
NOTICE_EVERY = 1.0


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """What a worker tells of itself, and of its journal."""

    worker: str
    pid: int
    leaving: bool
    """It has been asked to end: it takes no new streams, and those that it has go on for a while."""
    failures: int
    lost: int
    waiting: int
    handshakes: int
    """TLS handshakes with it that failed."""
    load: Load = Load()
    """Slots, and whether it keeps up."""
    over_limit: dict[str, int] = {}
    """Requests that limits have refused, since the worker began, by the rule's label."""
    counted_alone: dict[str, int] = {}
    """How often nobody could be asked, since then: `granted`, `refused`."""


_GIVE_BACK_EVERY = 10.0
# What a worker that is to end at once still gives its streams.
_AT_ONCE = 0.5
_SETUP = Setup()

_log = logging.getLogger("headgate.worker")


def open_redis(settings: Redis) -> Store:
    """The cache of the fleet."""
    # Optional: only a configuration that names a Redis needs the client.
    from extproc.cachestore.redis import RedisStore  # noqa: PLC0415

    return RedisStore(settings.url, timeout=settings.timeout)


def open_redis_turns(settings: Redis) -> Turns:
    """The conversations of the fleet."""
    from extproc.turns.redis import RedisTurns  # noqa: PLC0415 - as above

    return RedisTurns(settings.url, timeout=settings.timeout)


def open_redis_limits(settings: Redis) -> Source:
    """The limits of the fleet."""
    from extproc.limits.redis import RedisLimits  # noqa: PLC0415 - as above

    return RedisLimits(settings.url, timeout=settings.timeout)


class End:
    """That a worker is asked to end, and how soon."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """New streams go elsewhere; those under way may go on for `Setup.drain` seconds."""
        self.hurry = asyncio.Event()
        """At once."""

    def ask(self) -> None:
        """The first time it asks, the second time it hurries."""
        if self.asked.is_set():
            self.hurry.set()
        self.asked.set()

    def insist(self) -> None:
        """Asks and hurries."""
        self.hurry.set()
        self.asked.set()


class Worker:
    """Everything that one has: what it is told, what it tells, and the engine between."""

    def __init__(self, index: int, run_dir: str, state: Path, end: End, setup: Setup = _SETUP) -> None:
        """Raises `OSError` where its journal cannot be written."""
        self._name = f"worker-{index}"
        self._where = index, run_dir
        self._end = end
        self._setup = setup
        self._loaded = asyncio.Event()
        self._health = Health({names.SERVICE})
        self._servers: list[Server] = []
        self._journal = Journal(places(state).journal, self._name)
        pushes = {
            SNAPSHOT: self._load,
            TOKENS: self._renew,
            STANDING: self._heed,
            HEALTH: self._check,
            ISSUERS: self._trust,
            ENDING: self._ending,
            FINISH: self._finish,
        }
        self._link = link = Link(f"{run_dir}/{LINK}", pushes, self._up)
        line = LinkLine(link)
        self._issuers = RemoteSets(link)
        self._beside = Beside()
        memory = RemoteStore(link) if setup.cache is None else LocalStore(Shelf(*setup.cache))
        # As for the cache: the only worker needs to ask nobody.
        self._slots = RemoteSlots(link, lambda: self._engine.current.config.workers) if setup.cache is None else LocalSlots()
        self._mirrors = Mirrors(
            names.mirror_socket(run_dir), lambda: bool(self._engine.pressure.limit) or end.asked.is_set()
        )  # fmt: skip
        self._engine = Engine(
            self._journal, memory, open_redis, self._beside, RemoteTurns(link), open_redis_turns,
            pause=asyncio.sleep, standing=View(line), slots=self._slots, mirrors=self._mirrors,
            issuers=self._issuers,
        )  # fmt: skip
        self._counters: Counters[Redis] = Counters(
            SharedLimits(RemoteLimits(link), lambda: self._sharers(None), self._used_up),
            lambda redis: SharedLimits(open_redis_limits(redis), lambda: self._sharers(redis), self._used_up),
        )
        self._engine.counters, self._engine.leased = self._counters.of, self._counters.leased
        self._engine.quotes = RemoteQuotes(link)
        self._engine.directory = RemoteDirectory(link)
        self._ear, self._lookout = Ear(self._engine.standing, line), Lookout(self._engine, self._late)

    # What the control process pushes.

    def _load(self, data: bytes) -> None:
        engine, ear = self._engine, self._ear
        engine.load(data)
        hear, other = (ear.hear, ear.hear_failure) if engine.current.config.breaks else (ear.hear_failure, ear.hear)
        if other in engine.ears:
            engine.ears.remove(other)
        if hear not in engine.ears:
            engine.ears.append(hear)
        self._loaded.set()

    def _renew(self, data: bytes) -> None:
        self._engine.purse.take(data)

    def _heed(self, data: bytes) -> None:
        self._engine.standing.take(data)

    def _trust(self, data: bytes) -> None:
        self._issuers.take(data)

    def _check(self, data: bytes) -> None:
        self._engine.standing.ill(decode_ill(data))

    def _ending(self, _: bytes) -> None:
        self._health.serving = False

    def _finish(self, _: bytes) -> None:
        self._engine.clock.finish()

    def _late(self) -> float:
        return max((server.late() for server in self._servers), default=0.0)

    def _up(self) -> None:
        """The link is there, again perhaps."""
        if isinstance(self._slots, RemoteSlots):
            self._slots.told()
        self._counters.told()

    def _sharers(self, redis: Redis | None) -> int:
        """Workers that share what is counted."""
        return self._engine.current.config.workers * (redis.machines if redis is not None else 1)

    # What it tells.

    def _used_up(self, told: Exhausted) -> None:
        self._link.notify(limits.EXHAUSTED, limits.encode(told), hold=True)

    def _tell(self) -> None:
        journal = self._journal
        # Records that a full disk refused are tried again, also when no request comes along.
        journal.flush()
        notice = Notice(
            self._name,
            os.getpid(),
            self._end.asked.is_set(),
            journal.failures,
            journal.lost,
            journal.waiting,
            sum(each.handshakes_failed for each in self._servers),
            self._lookout.load(),
            self._counters.refusals(),
            self._counters.alone(),
        )
        self._link.notify(NOTICE, msgspec.msgpack.encode(notice))

    async def serve(self) -> None:
        """Serves until the end. Raises `OSError` where it cannot listen."""
        self._link.start()
        await _first(self._end.asked, self._loaded)
        if not self._end.asked.is_set():
            await self._serve()
        await self._counters.close()
        await self._beside.close()
        await self._link.close()
        self._journal.close()

    async def _serve(self) -> None:
        spare_collector()
        self._servers += _servers(self._engine, self._health, self._setup, *self._where)
        # First: whoever finds a socket may ask at once.
        self._health.serving = True
        for server in self._servers:
            await server.start()
        steps: tuple[tuple[str, float, Callable[[], None]], ...] = (
            ("telling how we fare", NOTICE_EVERY, self._tell),
            ("telling what was heard", SUMS_EVERY, self._ear.flush),
            ("saying what is under way", RENEW, self._counters.renew),
            ("giving memory back", _GIVE_BACK_EVERY, self._engine.leftovers.give_back),
            ("seeing whether we keep up", LOOK_EVERY, self._lookout.step),
            ("ending streams whose time is over", TICK, self._engine.clock.step),
        )
        regular = [asyncio.ensure_future(forever(*step)) for step in steps]
        await self._end.asked.wait()
        self._health.serving = False
        # At once, so that another one takes our place.
        self._tell()
        # Nobody waits for those, so nothing of ours does.
        await self._mirrors.close()
        await _stop(self._servers, self._setup.drain, self._end, self._engine.clock)
        for each in regular:
            each.cancel()
        self._ear.flush()


async def _stop(servers: Sequence[Server], drain: float, end: End, clock: Clock) -> None:
    """Envoy is told to go elsewhere, and finds nobody listening here; what it has begun here ends here, if there is time enough. Streams
    that have not ended by then get their last words.
    """

    async def cut_short() -> None:
        await end.hurry.wait()
        await asyncio.gather(*(server.stop(_AT_ONCE) for server in servers))

    async def finish() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, drain - LAST_WORDS)):
                await end.hurry.wait()
        clock.finish()

    others = [asyncio.ensure_future(each) for each in (cut_short(), finish())]
    await asyncio.gather(*(server.stop(drain) for server in servers))
    for other in others:
        other.cancel()


async def _first(*events: asyncio.Event) -> None:
    """Returns when one of them is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


def _servers(engine: Engine, health: Health, setup: Setup, index: int, run_dir: str) -> list[Server]:
    asked: Methods = {CHECK: health}
    gate: Methods = {names.PROCESS: lambda: GateSession(engine), **asked}
    adapter: Methods = {names.PROCESS: lambda: AdapterSession(engine), **asked}
    return listen(setup, index, run_dir, gate=gate, adapter=adapter, health=asked)


async def _main(index: int, run_dir: str, state: Path, setup: Setup) -> None:
    end = End()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end.ask)
    loop.add_signal_handler(signal.SIGINT, end.insist)
    await Worker(index, run_dir, state, end, setup).serve()


def main() -> None:
    """Entry of the process."""
    index, run_dir, state, *more = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s worker-{index} %(name)s: %(message)s", stream=sys.stderr)
    # Sockets are for the owner alone.
    os.umask(0o077)
    setup = msgspec.json.decode(more[0], type=Setup) if more else _SETUP
    try:
        uvloop.run(_main(int(index), run_dir, Path(state), setup))
    except (OSError, ModuleNotFoundError) as error:
        # A port that is taken, a certificate that cannot be read, a transport that is not installed: no trace says more.
        _log.error("cannot serve: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
