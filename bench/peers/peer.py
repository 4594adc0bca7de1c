"""What all peers are: somebody else's gateway in an environment of its own, one process (tree) in front of the mock provider."""

from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.children import end, spawn, tail
from bench.peers.environments import Environment, NodeEnvironment, node, node_version
from bench.ready import until_answers
from bench.system import Target

HOST = "127.0.0.1"
KEY = "sk-provider-bench"
"""The provider's key, for those that want one."""


class Peer:
    """A `System` that has to be installed. Subclasses say with what, and how it is started."""

    name: str
    version: ClassVar[str]
    environment: ClassVar[Environment]
    size: ClassVar[str]
    """What it takes on the disk, in words."""

    def __init__(self, home: Path) -> None:
        """`home`: where its environment is."""
        self.home = home.resolve()
        self._process: Process | None = None

    @property
    def versions(self) -> str:
        """Its version, and that of what runs it where that is not Python; for the report."""
        return f"{self.version} (Node.js {node_version(node())})" if isinstance(self.environment, NodeEnvironment) else self.version

    async def start(self, provider: str, folder: Path) -> Target:
        """See `System`."""
        raise NotImplementedError

    async def stop(self) -> None:
        """See `System`."""
        if self._process is not None:
            await end([self._process])
            self._process = None

    async def spawn(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Process:
        """Starts its process, which finds no configuration in the home folder but its own."""
        self._process = await spawn(command, folder, self._log, env={"HOME": str(folder), **env})
        return self._process

    async def ready(self, target: Target, folder: Path, seconds: float) -> Target:
        """Waits until the started process answers; `target` with that process in it."""
        process = self._process
        assert process is not None
        try:
            await until_answers(target, seconds=seconds, alive=lambda: process.returncode is None)
        except RuntimeError as error:
            raise self.silent(str(error), folder) from None
        return Target(
            host=target.host,
            port=target.port,
            path=target.path,
            model=target.model,
            headers=target.headers,
            pids={"gateway": [process.pid]},
        )

    def silent(self, why: str, folder: Path) -> RuntimeError:
        """The error of one that does not start."""
        return RuntimeError(f"{self.name} {self.version} does not start: {why}\n{tail(folder / self._log)}")

    @property
    def _log(self) -> str:
        return f"{self.name}.log"
