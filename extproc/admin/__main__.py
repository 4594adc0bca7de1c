"""The process of the admin API: `python -m extproc.admin SETUP DESCRIPTOR...`, on sockets that its parent listens on."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from extproc.admin.app import build_app
from extproc.admin.credentials import Credentials
from extproc.admin.opened import Opened
from extproc.admin.setup import LINK, Setup, read, ready_file
from extproc.callers.issuers import ISSUERS, RemoteSets
from extproc.callers.tokens import Tokens
from extproc.ledger.books import Ledgers
from extproc.link.client import Link
from extproc.store.database import url_of
from extproc.store.store import Store

_KEEP_ALIVE = 30
"""Seconds for which a connection stays open that nobody uses."""
_ASK_EVERY = 0.02

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    """Serves until it is told to end."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    setup = read(Path(arguments[0]))
    asyncio.run(_serve(setup, [socket.socket(fileno=int(descriptor)) for descriptor in arguments[1:]]))


async def _serve(setup: Setup, sockets: list[socket.socket]) -> None:
    link = Link(f"{setup.run_dir}/{LINK}", {ISSUERS: lambda keys: sets.take(keys)})  # noqa: PLW0108 - each is made with the other
    sets = RemoteSets(link)
    store, ledgers = Opened(lambda: _store(setup)), Ledgers(Path(setup.state), setup.ledger)
    tokens = Tokens(setup.issuers, sets) if setup.issuers else None
    app = build_app(store, Credentials(Path(setup.state), store, tokens), ledgers)
    server = _Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", proxy_headers=False, server_header=False, http="h11", ws="none",
            timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=round(setup.drain),
        )
    )  # fmt: skip
    if tokens:
        link.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.end)
    telling = asyncio.ensure_future(_tell(server, setup.run_dir))
    await server.serve(sockets)
    telling.cancel()
    await link.close()
    store.close()
    ledgers.close()


class _Server(uvicorn.Server):
    """One that ends by its end, and not by the signal that asked for it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes none."""
        yield

    def end(self) -> None:
        """The first time it lets nobody new in, and gives the others their time; the second time it ends at once."""
        self.force_exit, self.should_exit = self.should_exit, True


async def _tell(server: uvicorn.Server, run_dir: str) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(_ASK_EVERY)
    ready_file(run_dir, os.getpid()).touch()


def _store(setup: Setup) -> Store:
    return Store.open(url_of(setup.store) if setup.store else Path(setup.state))


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    main(sys.argv[1:])
