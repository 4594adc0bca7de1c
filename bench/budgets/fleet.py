"""Gateways that share one Redis, as a bench has them."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.children import end, free_port, spawn, tail
from bench.procs import parents
from extproc.limits.limit import LimitsDown, Look
from extproc.limits.redis import RedisLimits
from extproc.limits.window import UNDER_WAY, Window

_READY_WITHIN = 180.0
DOLLARS = Decimal("0.001")
"""Of a token."""


class Scene(Struct, frozen=True):
    """A model with a budget of its own."""

    name: str
    what: str
    lease: bool = False
    kills: bool = False


class Fleet:
    """All of them, and their Redis."""

    def __init__(self, folder: Path, gateways: int, workers: int, budget: Decimal, scenes: Sequence[Scene]) -> None:
        self._folder = folder
        self._workers = workers
        self._budget = budget
        self._scenes = scenes
        self.ports = [free_port() for _ in range(gateways)]
        self._processes: list[Process] = []
        self._redis: Process | None = None
        self._url = f"unix://{folder}/r.sock"
        self._counters: RedisLimits | None = None

    async def start(self, provider: int) -> None:
        """Returns when all are ready. Raises `RuntimeError` where one does not get so far."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self._folder / "r.sock"), "--save", "", "--appendonly", "no"]
        self._redis = await spawn(command, self._folder, "redis.log")
        for port in self.ports:
            folder = self._folder / str(port)
            folder.mkdir()
            (folder / "gateway.yaml").write_text(json.dumps(self._document(provider, port)))
            self._processes.append(await spawn([sys.executable, "-m", "extproc.cli", "up", "gateway.yaml"], folder, "headgate.log"))
        for port, process in zip(self.ports, self._processes, strict=True):
            await self._ready(self._folder / str(port) / "headgate.log", process)
        self._counters = RedisLimits(self._url, timeout=5)

    async def close(self) -> None:
        """Ends all of them."""
        if self._counters is not None:
            await self._counters.close()
        await end(self._processes)
        await end([self._redis] if self._redis is not None else [])

    async def look(self, scene: Scene) -> tuple[Look, Look]:
        """What the budget holds, and the slots."""
        assert self._counters is not None
        while True:
            with contextlib.suppress(LimitsDown):
                return (
                    await self._counters.look(_budget(scene), _budget(scene), Window("month"), time.time()),
                    await self._counters.look(_slots(scene), _slots(scene), UNDER_WAY, time.time()),
                )
            await asyncio.sleep(0.1)

    def spent(self, scene: Scene) -> Decimal:
        """What the ledgers say."""
        found = Decimal(0)
        for port in self.ports:
            path = self._folder / str(port) / "state" / "ledger.sqlite3"
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as ledger:
                costs = ledger.execute("SELECT cost FROM entries WHERE route = ? AND cost IS NOT NULL", (scene.name,))
                found += sum((Decimal(cost) for (cost,) in costs), Decimal(0))
        return found

    def kill_workers(self) -> int:
        """SIGKILL of one worker of each gateway. How many."""
        tree = parents()
        victims = [next(pid for pid in sorted(tree) if tree[pid] == process.pid and _is_worker(pid)) for process in self._processes]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        return len(victims)

    def _document(self, provider: int, port: int) -> dict[str, Any]:
        return {
            "providers": {"p": {"dialect": "openai", "base_url": f"http://127.0.0.1:{provider}/v1", "auth": "none"}},
            "models": [{"name": scene.name, "targets": [f"p/{scene.name}"]} for scene in self._scenes],
            "prices": [{"model": "p/*", "input": str(DOLLARS * 10**6), "output": str(DOLLARS * 10**6)}],
            "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}, {"limits": {"rules": list(self._rules())}}],
            "redis": {"url": self._url, "timeout": 5, "machines": len(self.ports)},
            # What the bench makes of a small machine is no reason to refuse anybody.
            "shedding": {"enabled": False},
            "breaker": "off",
            "listener": {"port": port},
            "admin": {"port": free_port()},
            "api": {"address": "off"},
            "workers": self._workers,
            "state": "state",
            "drain": 1,
        }

    def _rules(self) -> Any:
        for scene in self._scenes:
            only = {"model": [scene.name]}
            yield {
                "name": _budget(scene), "cost": str(self._budget), "window": "month", "only": only, "on_outage": "closed",
                "lease": "auto" if scene.lease else "off",
            }  # fmt: skip
            if not scene.lease:  # slots are always asked for, and so would all else be
                yield {"name": _slots(scene), "concurrency": 1_000_000, "only": only, "on_outage": "closed"}

    async def _ready(self, log: Path, process: Process) -> None:
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN
        while "is ready" not in log.read_text(errors="replace"):
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"a gateway does not start: {tail(log)}")
            await asyncio.sleep(0.2)


def _budget(scene: Scene) -> str:
    return f"budget of {scene.name}"


def _slots(scene: Scene) -> str:
    return f"slots of {scene.name}"


def _is_worker(pid: int) -> bool:
    try:
        return b"extproc.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
