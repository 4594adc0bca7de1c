"""Thousands of silent streams through reloads, an upgrade of Headgate and one of Envoy: none is cut, and memory does not grow.

    python -m bench.reloads --streams 10000 --reloads 10

Each stream has had its first event, and is silent from then on: what an idle chat or agent looks like. Each reload changes the provider
that all of them are at. Requests of all kinds go on beside (two dialects, streamed and not, on connections that are kept and on new ones).
A line says, after each step, how many streams have been cut and requests have failed since the start, how long the slowest request of the
step took, and what the processes hold (anonymous memory; of those that only finish what they have, too).
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.procs import GoneError, anonymous
from tests.e2e.crowd import Client, Provider
from tests.e2e.gateway import Gateway
from tests.e2e.ports import free_port
from tests.e2e.steady import Steady
from tests.e2e.upstream import Demo

_WAVE = 250
"""Streams that are opened at once, on one connection: no more than a busy machine takes in within a second, or its worker refuses some."""
_DRAIN = 600
_MIB = 1024 * 1024
_HEAD = (
    "step                            seconds  streams     cut  answered  failed  slowest s  workers MiB  Envoy MiB  control MiB",
    "-----------------------------  --------  -------  ------  --------  ------  ---------  -----------  ---------  -----------",
)


class Row(Struct, frozen=True):
    """What was seen after a step."""

    step: str
    seconds: float
    streams: int
    cut: int
    answered: int
    failed: int
    slowest: float
    workers: int
    envoy: int
    control: int

    def __str__(self) -> str:
        held = f"{self.workers / _MIB:11.1f}  {self.envoy / _MIB:9.1f}  {self.control / _MIB:11.1f}"
        counts = f"{self.streams:7d}  {self.cut:6d}  {self.answered:8d}  {self.failed:6d}"
        return f"{self.step:29s}  {self.seconds:8.1f}  {counts}  {self.slowest:9.2f}  {held}"


class Scene:
    """A gateway with its streams, and the requests beside them."""

    def __init__(self, gateway: Gateway, steady: Steady, clients: list[Client]) -> None:
        self.gateway = gateway
        self._steady = steady
        self._clients = clients

    def row(self, step: str, began: float) -> Row:
        """What is to be seen now."""
        slowest, self._steady.slowest = self._steady.slowest, 0.0
        begun, whole = sum(each.begun for each in self._clients), sum(each.whole for each in self._clients)
        cut = sum(len(each.failed) for each in self._clients)
        held = [sum(map(_held, pids)) for pids in (self.gateway.workers(), self.gateway.children("--config-path"), [self.gateway.pid])]
        return Row(
            step, time.monotonic() - began, begun - whole - cut, cut, self._steady.answered, len(self._steady.failed), slowest, *held
        )  # fmt: skip

    async def reload(self, document: dict[str, Any], number: int) -> None:
        """Has the gateway take another configuration, its `number`-th since the start."""
        self.gateway.write(document)
        await self.until(lambda: self.gateway.log.read_text().count("new configuration in force") >= number)

    async def upgrade(self) -> None:
        """`headgate upgrade`. Raises `RuntimeError` where it is refused."""
        done = await asyncio.to_thread(self.gateway.run, "upgrade", str(self.gateway.path))
        if done.returncode:
            raise RuntimeError(done.stderr)

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for it; ten minutes at most."""
        async with asyncio.timeout(600):
            while not true():  # noqa: ASYNC110 - other processes' doing, of which no event tells
                await asyncio.sleep(0.05)


def _held(pid: int) -> int:
    """Bytes; none of a process that has ended since it was found."""
    try:
        return anonymous(pid)
    except GoneError:
        return 0


def _settings(crowd: int, demo: Demo, connect: float = 5.0, **more: Any) -> dict[str, Any]:
    silent = {"dialect": "openai", "base_url": f"http://127.0.0.1:{crowd}/v1", "key": "k", "timeouts": {"connect": connect, "idle": 3600}}
    return {
        "providers": {"silent": silent, "demo": {"dialect": "openai", "base_url": f"{demo.url}/v1", "key": "k"}},
        "models": [{"name": "long", "targets": ["silent"]}, {"name": "short", "targets": ["demo/demo"]}],
        "drain": _DRAIN,
        **more,
    }


async def _measure(scene: Scene, clients: list[Client], provider: Provider, demo: Demo, given: argparse.Namespace, crowd: int) -> list[Row]:
    rows: list[Row] = []
    began = time.monotonic()

    def note(step: str) -> None:
        rows.append(scene.row(step, began))
        print(rows[-1], flush=True)

    print("\n".join(_HEAD), flush=True)
    note("ready")
    while sum(each.begun for each in clients) < given.streams:
        clients.append(Client(f"127.0.0.1:{scene.gateway.port}", "long", min(_WAVE, given.streams - len(clients) * _WAVE)))
        await asyncio.get_running_loop().create_connection(lambda: clients[-1], "127.0.0.1", scene.gateway.port)
        wanted = min(given.streams, len(clients) * _WAVE)
        await scene.until(lambda wanted=wanted: sum(each.begun + len(each.failed) for each in clients) >= wanted)  # type: ignore[misc]
    note("all streams have begun")
    for number in range(1, given.reloads + 1):
        await scene.reload(_settings(crowd, demo, 5 + number / 10), number)
        note(f"reload {number}")
    await scene.upgrade()
    note("Headgate is another one")
    connect = 5 + given.reloads / 10
    await scene.reload(_settings(crowd, demo, connect, envoy_threads=1), given.reloads + 1)
    await scene.upgrade()
    note("Envoy is another one")
    provider.release()
    await scene.until(lambda: sum(each.whole + len(each.failed) for each in clients) >= given.streams)
    note("all streams have ended")
    return rows


async def _run(given: argparse.Namespace) -> bool:
    crowd, provider = free_port(), Provider()
    await provider.start(crowd)
    with Demo() as demo, tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        gateway = Gateway(Path(folder), _settings(crowd, demo), by_itself=True)
        await asyncio.to_thread(gateway.__enter__)
        clients: list[Client] = []
        steady = Steady(gateway.url, "short")
        try:
            rows = await _measure(Scene(gateway, steady, clients), clients, provider, demo, given, crowd)
            await asyncio.to_thread(steady.end)
            entries = await asyncio.to_thread(gateway.ledger, requests=given.streams + steady.answered)
            billed = sum(entry["requests"] for entry in entries)
            print(f"\nasked: {given.streams + steady.answered}, in the ledger: {billed}")
            for what in [*steady.failed, *(what for client in clients for what in client.failed)][:10]:
                print(f"failed: {what}")
            return not rows[-1].cut and not rows[-1].failed and billed == given.streams + steady.answered
        finally:
            for client in clients:
                client.close()
            await asyncio.to_thread(_end, gateway)
            provider.close()


def _end(gateway: Gateway) -> None:
    # The second signal: the Envoy that only finishes what it has would be given its time, and has nothing any more.
    os.kill(gateway.pid, signal.SIGINT)
    time.sleep(1)
    gateway.stop()


def main() -> int:
    """Runs it; 1 if a stream was cut, a request failed, or the ledger does not add up."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reloads", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=10_000, metavar="N", help="silent streams (default: %(default)s)")
    parser.add_argument("--reloads", type=int, default=10, metavar="N", help="default: %(default)s")
    return 0 if asyncio.run(_run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
