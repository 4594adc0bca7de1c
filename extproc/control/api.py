"""The admin API: a process of its own, started again when it ends, on sockets that stay with the control process, so that nobody is refused
while one takes the place of another.
"""

import asyncio
import importlib.util
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from extproc.admin import operator_keys
from extproc.admin.setup import READY, Setup, ready_file
from extproc.config.model import Config
from extproc.control.children import Child, Handed
from extproc.control.ports import obstacle
from extproc.envoy import names

MISSING = "off: it needs packages that are not installed (pip install 'headgate[admin]')"
"""What is said where it cannot be."""
_START = 60.0
"""Seconds that it may take to serve."""
_GRACE = 2.0
"""Beyond `drain`, for its end."""
_BACKLOG = 128

_log = logging.getLogger(__name__)


def installed() -> bool:
    """Whether there is what it needs."""
    return importlib.util.find_spec("fastapi") is not None and importlib.util.find_spec("uvicorn") is not None


class AdminApi:
    """The process, and where it listens. It follows the configuration; address and port are those of the start."""

    def __init__(self, config: Config, state: Path, run_dir: Path) -> None:
        self._place = config.api.place if installed() else None
        self._state, self._run_dir = state, run_dir
        self._drain = config.drain
        self._sockets: list[socket.socket] = []
        self._child: Child | None = None
        self._told = b""
        self._adopted = False
        self._replacing = asyncio.Lock()

    @property
    def restarts(self) -> int:
        """How often it has been started again."""
        return self._child.restarts if self._child is not None else 0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child is not None else None

    async def start(self, config: Config, sockets: list[int], handed: Handed | None) -> None:
        """Begins to serve, if it is to. `sockets`, `handed`: what the control process before has left. Raises `OSError`."""
        given = [socket.socket(fileno=descriptor) for descriptor in sockets]
        if self._place is None:
            for one in given:
                one.close()
            return
        operator_keys.ensure(self._state, time.time_ns() // 1_000_000)
        self._sockets = self._listen(given)
        descriptors = [one.fileno() for one in self._sockets]
        self._write(config)
        command = [sys.executable, "-m", "extproc.admin", str(self._setup_file), *map(str, descriptors)]
        self._child = Child("admin-api", command, sockets=descriptors)
        if handed is not None:
            self._child.adopt(handed, self._drain + _GRACE)
            self._adopted = True
        else:
            await self._child.start()

    def _listen(self, given: list[socket.socket]) -> list[socket.socket]:
        """Where callers come in: the port, and the socket for Envoy. Those that the control process before had are gone on with."""
        assert self._place is not None
        found = [one for one in given if one.family == socket.AF_UNIX]
        ports = [one for one in given if one.family != socket.AF_UNIX and one.getsockname()[:2] == self._place]
        for one in given:
            if one not in found and one not in ports:
                one.close()
        return [ports[0] if ports else _port(*self._place), found[0] if found else _path(names.api_socket(str(self._run_dir)))]

    @property
    def _setup_file(self) -> Path:
        return self._run_dir / "api.json"

    def _setup(self, config: Config) -> bytes:
        issuers = tuple(one for one in config.callers.jwt if one.verify == "gateway")
        store = config.store.url if config.store is not None else ""
        ledger = config.ledger.url if config.ledger is not None else ""
        setup = Setup(
            state=str(self._state), run_dir=str(self._run_dir), store=store, ledger=ledger, issuers=issuers, drain=self._drain
        )  # fmt: skip
        return msgspec.json.encode(setup)

    def _write(self, config: Config) -> None:
        self._told = self._setup(config)
        fresh = self._setup_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(self._told)
        fresh.replace(self._setup_file)

    async def follow(self, config: Config) -> None:
        """The configuration has changed: where it is told of what has, another process takes its place."""
        if self._child is None:
            return
        async with self._replacing:
            if self._setup(config) != self._told:
                self._write(config)
                await self._succeed()

    async def renew(self) -> str:
        """Replaces one that a control process before this one has started. Why it could not, if so; else nothing."""
        if self._child is None or not self._adopted:
            return ""
        self._adopted = False
        async with self._replacing:
            serves = await self._succeed()
        return "" if serves else "the admin API goes on as it was: its successor does not serve"

    async def _succeed(self) -> bool:
        assert self._child is not None
        for old in self._run_dir.glob(READY.format("*")):
            old.unlink(missing_ok=True)
        return await self._child.succeed(self._serves, within=_START, leave=signal.SIGTERM, grace=self._drain + _GRACE)

    async def _serves(self, pid: int) -> bool:
        return ready_file(str(self._run_dir), pid).exists()

    def handed(self) -> Handed | None:
        """What another control process needs in order to adopt it."""
        return self._child.handed() if self._child is not None else None

    def keep(self) -> list[int]:
        """Its sockets for the next control process: descriptors of their own."""
        return [os.dup(one.fileno()) for one in self._sockets]

    async def stop(self, within: float) -> None:
        """Ends it. What is under way may take `within` seconds."""
        if self._child is not None:
            await self._child.stop(within + _GRACE)
        self.close()

    def close(self) -> None:
        """Lets go of the sockets: the process has its own."""
        for one in self._sockets:
            one.close()


def _port(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        return _bound(listening, (address, port))
    except OSError as error:
        # It may have been taken since the start has looked; and an upgrade looks nowhere else.
        raise OSError(f"the admin API: {obstacle(address, port) or error}. Set another one: `api: {{address: ...}}`.") from None


def _path(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    return _bound(socket.socket(socket.AF_UNIX), path)


def _bound(listening: socket.socket, where: tuple[str, int] | str) -> socket.socket:
    try:
        listening.bind(where)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
