"""A worker process: one engine, served to Envoy on two Unix sockets, fed with snapshots by the control process.

    python -m extproc.worker INDEX RUN_DIR STATE

It imports no price list, no YAML and no Envoy configuration, so that it stays small and starts at once. It ends with the control
process; while the link to that is lost, it goes on with the snapshot that it has, and connects again.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
import uvloop

from extproc.adapter import AdapterSession
from extproc.cachestore.entry import Store
from extproc.cachestore.shared import RemoteStore
from extproc.config.model import Redis
from extproc.engine import Engine
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.ledger.journal import Journal
from extproc.ledger.places import places
from extproc.link.client import Link
from extproc.transport.grpcio import Server
from extproc.transport.seam import Opener

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

_log = logging.getLogger("headgate.worker")


def open_redis(settings: Redis) -> Store:
    """The cache of the fleet."""
    # Optional: only a configuration that names a Redis needs the client.
    from extproc.cachestore.redis import RedisStore  # noqa: PLC0415

    return RedisStore(settings.url, timeout=settings.timeout)


async def serve(index: int, run_dir: str, state: Path, stop: asyncio.Event) -> None:
    """Serves until `stop`."""
    journal = Journal(places(state).journal, f"worker-{index}")
    loaded = asyncio.Event()

    def take(data: bytes) -> None:
        engine.load(data)
        loaded.set()

    link = Link(f"{run_dir}/{LINK}", {SNAPSHOT: take})
    engine = Engine(journal, RemoteStore(link), open_redis)
    link.start()
    waiting = asyncio.ensure_future(stop.wait())
    first = asyncio.ensure_future(loaded.wait())
    await asyncio.wait({waiting, first}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        servers = [
            _open(names.gate_socket(run_dir, index), lambda: GateSession(engine)),
            _open(names.adapter_socket(run_dir, index), lambda: AdapterSession(engine)),
        ]
        for server in servers:
            await server.start()
        flushing = asyncio.ensure_future(_flush(journal, link, f"worker-{index}"))
        await waiting
        flushing.cancel()
        await asyncio.gather(*(server.stop(_GRACE) for server in servers))
    first.cancel()
    await link.close()
    journal.close()


def _open(path: str, opener: Opener) -> Server:
    # What a killed worker left behind; nobody listens on it, because only one worker has this number.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return Server(f"unix:{path}", opener)


async def _flush(journal: Journal, link: Link, name: str) -> None:
    """Records that a full disk refused are tried again, also when no request comes along."""
    while True:
        await asyncio.sleep(_FLUSH_EVERY)
        journal.flush()
        link.notify(JOURNAL, msgspec.msgpack.encode(JournalState(name, journal.failures, journal.lost, journal.waiting)))


async def _main(index: int, run_dir: str, state: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(index, run_dir, state, stop)


def main() -> None:
    """Entry of the process."""
    index, run_dir, state = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s worker-{index} %(name)s: %(message)s", stream=sys.stderr)
    # Sockets are for the owner alone.
    os.umask(0o077)
    uvloop.run(_main(int(index), run_dir, Path(state)))


if __name__ == "__main__":
    main()
