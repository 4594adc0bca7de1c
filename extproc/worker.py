"""A worker process: one engine, served to Envoy on sockets of its own, fed with snapshots by the control process.

    python -m extproc.worker INDEX RUN_DIR STATE [SETUP]

It imports no price list, no YAML and no Envoy configuration, so that it stays small and starts at once. It ends with the control
process; while the link to that is lost, it goes on with the snapshot that it has, and connects again.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
import uvloop

from extproc.adapter import AdapterSession
from extproc.cachestore.entry import Store
from extproc.cachestore.local import LocalStore
from extproc.cachestore.shared import RemoteStore
from extproc.cachestore.shelf import Shelf
from extproc.config.model import Redis
from extproc.engine import Engine
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.link.client import Link
from extproc.listening import Setup, listen
from extproc.transport.health import CHECK, Health
from extproc.transport.seam import Methods, Server

LINK = "control.sock"
"""The control process's socket, in the run folder."""
SNAPSHOT = "snapshot"
"""The push that carries a snapshot."""

JOURNAL = "journal"
"""The notice that tells how the journal fares."""


class JournalState(msgspec.Struct, frozen=True, array_like=True):
    """What a worker tells of its journal, about once a second."""

    worker: str
    failures: int
    lost: int
    waiting: int


# What a worker that is asked to end still gives the requests that it has.
_GRACE = 1.0
_FLUSH_EVERY = 1.0
# Objects that live longer than others were made before the collector looks at them: those of about a thousand requests under way.
_YOUNG = 10_000
_SETUP = Setup()

_log = logging.getLogger("headgate.worker")


def open_redis(settings: Redis) -> Store:
    """The cache of the fleet."""
    # Optional: only a configuration that names a Redis needs the client.
    from extproc.cachestore.redis import RedisStore  # noqa: PLC0415

    return RedisStore(settings.url, timeout=settings.timeout)


def spare_collector() -> None:
    """Has Python's cyclic garbage collector look at requests rarely, and never again at what stands by now.

    A request leaves no cycles behind, whichever way it ends (a test holds that); what is under way is all that is ever found, and the
    modules and the snapshot were gone through again and again: 6 % of a busy worker's CPU. What of a later snapshot or of somebody else's
    filter does hang in a cycle is still collected, ten thousand objects later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)


async def serve(index: int, run_dir: str, state: Path, stop: asyncio.Event, setup: Setup = _SETUP) -> None:
    """Serves until `stop`. Raises `OSError` where it cannot listen."""
    journal = Journal(places(state).journal, f"worker-{index}")
    loaded = asyncio.Event()

    def take(data: bytes) -> None:
        engine.load(data)
        loaded.set()

    link = Link(f"{run_dir}/{LINK}", {SNAPSHOT: take})
    engine = Engine(journal, RemoteStore(link) if setup.cache is None else LocalStore(Shelf(*setup.cache)), open_redis)
    link.start()
    waiting = asyncio.ensure_future(stop.wait())
    first = asyncio.ensure_future(loaded.wait())
    await asyncio.wait({waiting, first}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        spare_collector()
        health = Health({names.SERVICE})
        servers = _servers(engine, health, setup, index, run_dir)
        # First: whoever finds a socket may ask at once.
        health.serving = True
        for server in servers:
            await server.start()
        flushing = asyncio.ensure_future(_flush(journal, link, f"worker-{index}"))
        await waiting
        health.serving = False
        flushing.cancel()
        await asyncio.gather(*(server.stop(_GRACE) for server in servers))
    first.cancel()
    await link.close()
    journal.close()


def _servers(engine: Engine, health: Health, setup: Setup, index: int, run_dir: str) -> list[Server]:
    asked: Methods = {CHECK: health}
    gate: Methods = {names.PROCESS: lambda: GateSession(engine), **asked}
    adapter: Methods = {names.PROCESS: lambda: AdapterSession(engine), **asked}
    return listen(setup, index, run_dir, gate=gate, adapter=adapter, health=asked)


async def _flush(journal: Journal, link: Link, name: str) -> None:
    """Records that a full disk refused are tried again, also when no request comes along."""
    while True:
        await asyncio.sleep(_FLUSH_EVERY)
        journal.flush()
        link.notify(JOURNAL, msgspec.msgpack.encode(JournalState(name, journal.failures, journal.lost, journal.waiting)))


async def _main(index: int, run_dir: str, state: Path, setup: Setup) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(index, run_dir, state, stop, setup)


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
