"""The systems that need nothing but this repository: the provider itself, Envoy, a no-op behind it, and Headgate."""

import asyncio
import json
import re
import sys
import tempfile
from asyncio.subprocess import Process
from pathlib import Path
from urllib.parse import urlsplit

from bench.children import end, free_port, spawn, tail
from bench.envoy import bootstrap
from bench.gateway import document, fill_keys
from bench.noop import TRANSPORTS
from bench.procs import children
from bench.ready import until_answers
from bench.system import System, Target
from extproc.envoy.binary import arguments, find_envoy

HOST = "127.0.0.1"
_CACHE = 8 * 1024 * 1024
"""So small that it is full soon: a cache that still grows is slower, and what it holds is not the worker's own."""
_STARTS_WITHIN = 30.0
_BOOKS = 1.1
"""The control process collects once a second what the workers have written down."""


class Direct:
    """Nothing: what the load generator and the provider reach by themselves."""

    name = "direct"

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        return Target(host=HOST, port=_port(provider))

    async def stop(self) -> None:
        """See `System`."""


class Envoy:
    """Envoy, straight to the provider: the floor."""

    name = "envoy"

    def __init__(self) -> None:
        self._processes: list[Process] = []

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        return await self._envoy(provider, folder, "", {})

    async def _envoy(self, provider: str, folder: Path, socket: str, parts: dict[str, list[int]]) -> Target:
        port = free_port()
        path = folder / "envoy.json"
        path.write_text(json.dumps(bootstrap(port, _port(provider), socket)))
        command = [find_envoy(), *arguments(str(path), threads=1), "--log-level", "error"]
        process = await spawn(command, folder, "envoy.log")
        self._processes.append(process)
        target = Target(host=HOST, port=port, pids={"envoy": [process.pid], **parts})
        await _until_ready(self.name, target, process, folder / "envoy.log")
        return target

    async def stop(self) -> None:
        """See `System`."""
        await end(self._processes)
        self._processes.clear()


class Noop(Envoy):
    """Envoy and an ext_proc server that is shown all four phases, bodies buffered, and changes nothing."""

    def __init__(self, transport: str) -> None:
        super().__init__()
        self.name = f"noop-{transport}"
        self._transport = transport
        self._sockets: tempfile.TemporaryDirectory[str] | None = None

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        # A socket's path has to be short, whatever the folder's is.
        self._sockets = tempfile.TemporaryDirectory(prefix="hg-bench-")
        socket = f"{self._sockets.name}/ext_proc.sock"
        command = [sys.executable, "-m", "bench.noop", self._transport, f"unix:{socket}"]
        server = await spawn(command, folder, "noop.log")
        self._processes.append(server)
        deadline = asyncio.get_running_loop().time() + _STARTS_WITHIN
        while not Path(socket).exists():
            if server.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"{self.name} does not start: {tail(folder / 'noop.log')}")
            await asyncio.sleep(0.02)
        return await self._envoy(provider, folder, socket, {"workers": [server.pid]})

    async def stop(self) -> None:
        """See `System`."""
        await super().stop()
        if self._sockets is not None:
            self._sockets.cleanup()
            self._sockets = None


class Headgate:
    """`headgate up`: Envoy with one thread, one worker, the control process."""

    def __init__(
        self, name: str = "headgate", *, features: bool = True, keys: int = 10, routes: int = 100, cache: int = _CACHE,
        several: bool = False,
    ) -> None:  # fmt: skip
        """`features`: callers' keys, header rules and the cache, beside routing and metering. `cache`, `several`: see `document`."""
        self.name = name
        self._features = features
        self._keys = keys
        self._routes = routes
        self._cache = cache
        self._several = several
        self._process: Process | None = None

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        port = free_port()
        config = document(
            provider, port, free_port(), routes=self._routes, features=self._features, cache=self._cache, several=self._several
        )
        (folder / "gateway.yaml").write_text(json.dumps(config))
        headers = {}
        if self._features:
            headers = {"authorization": f"Bearer {fill_keys(folder / 'state', self._keys)}"}
        command = [sys.executable, "-m", "extproc.cli", "up", "gateway.yaml"]
        process = self._process = await spawn(command, folder, "headgate.log")
        target = Target(host=HOST, port=port, headers=headers)
        await _until_ready(self.name, target, process, folder / "headgate.log", seconds=120)
        return Target(host=HOST, port=port, headers=headers, pids=_parts(process.pid), later={"control": _BOOKS})

    async def stop(self) -> None:
        """See `System`."""
        if self._process is not None:
            await end([self._process])
            self._process = None


def _parts(control: int) -> dict[str, list[int]]:
    """The gateway's processes. The control process starts the others, which are found by what they run."""
    found = children(control)
    workers = [pid for pid, line in found.items() if re.search(r"extproc\.worker", line)]
    envoy = [pid for pid, line in found.items() if "--config-path" in line]
    if not workers or len(envoy) != 1:
        raise RuntimeError(f"the gateway's processes are not what was expected: {found}")
    return {"envoy": envoy, "workers": workers, "control": [control]}


async def _until_ready(name: str, target: Target, process: Process, log: Path, seconds: float = 30.0) -> None:
    try:
        await until_answers(target, seconds=seconds, alive=lambda: process.returncode is None)
    except RuntimeError as error:
        raise RuntimeError(f"{name} does not start: {error}\n{tail(log)}") from None


def _port(provider: str) -> int:
    port = urlsplit(provider).port
    if port is None:
        raise ValueError(f"a provider without a port: {provider}")
    return port


def own() -> list[System]:
    """All of them, in the order of the tables."""
    return [Direct(), Envoy(), *map(Noop, TRANSPORTS), Headgate("headgate-bare", features=False), Headgate()]
