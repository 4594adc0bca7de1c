"""A worker with more to do than its processor can: whom it refuses, what it holds, and what a steady caller notices of it.

    python -m bench.overload [--seconds S] [--callers N] [--turns N] [--without]

One worker, whose requests go to a provider of another dialect, so that each body is read and written anew. The noisy tenant has many
callers, each asking again as soon as it has its answer, with conversations of many turns; who is refused comes again after `Retry-After`,
as SDKs do. The quiet one asks short questions, one after another. A line for each phase says what became of both, and what the worker held
at most. Exit code 1: the quiet tenant was refused, nobody was, one of them got anything else than an answer or a refusal, or the
worker does not keep up again within 10 seconds. `--without`: the same without shedding, to compare; exit code 0.
"""

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from bench.children import end, free_port, spawn, tail
from bench.neighbours.client import Ask, Connection, connect
from bench.procs import anonymous, children

_READY_WITHIN = 120.0
_QUIET = 2
"""Callers of the quiet tenant."""
_CALM, RECOVERY = 3.0, 10.0
"""Seconds before the flood, and after it."""
_DELAY = 0.05
_BODY = json.dumps(
    {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Yes."}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 2},
    }
).encode()  # fmt: skip
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_BEGINS, _ENDS = "does not keep up", "keeps up again"
_HEAD = "| phase | tenant | answered | refused | else | median | slowest | worker |\n| --- | --- | --- | --- | --- | --- | --- | --- |"


class _Provider(asyncio.Protocol):
    """Answers each request after the same time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, _ = bytes(self._buffer[:4096]).lower().partition(b"\r\n\r\n")
        if found and len(self._buffer) >= len(head) + 4 + int(head.partition(b"content-length:")[2].split(b"\r\n")[0]):
            self._buffer.clear()
            asyncio.get_running_loop().call_later(_DELAY, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


class Told(NamedTuple):
    """What came of a request."""

    tenant: str
    status: int
    ended: float
    took: float


class Tenant:
    """Callers of one, each asking again when it has its answer."""

    def __init__(self, name: str, port: int, turns: int, pause: float, told: list[Told]) -> None:
        self._name, self._pause, self._all = name, pause, told
        said = [{"role": ("user", "assistant")[at % 2], "content": "Yes."} for at in range(turns | 1)]
        body = json.dumps({"model": "shared", "messages": said}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {_key(name)}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._ask = Ask(port, head.encode() + body)
        self._over = False
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, callers: int) -> None:
        """So many begin."""
        await asyncio.gather(*[self._one() for _ in range(callers)])

    async def end(self) -> None:
        """Nobody asks again; returns when all have their answers."""
        self._over = True
        while self._busy:  # noqa: ASYNC110 - counted by callbacks, of which no event tells
            await asyncio.sleep(0.05)

    async def _one(self) -> None:
        connection = await connect(self._ask, self._told)
        self._busy += 1
        connection.send()

    def _told(self, connection: Connection, status: int, took: float) -> None:
        self._busy -= 1
        self._all.append(Told(self._name, status, time.monotonic(), took))
        if self._over:
            connection.close()
        else:
            asyncio.get_running_loop().call_later(connection.retry_after or self._pause, self._again, connection)

    def _again(self, connection: Connection) -> None:
        if self._over:
            connection.close()
        elif connection.open:
            self._busy += 1
            connection.send()
        else:
            task = asyncio.get_running_loop().create_task(self._one())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _key(tenant: str) -> str:
    return f"hg-{tenant}"


def _document(provider: int, port: int, *, without: bool) -> dict[str, Any]:
    keys = [{"name": name, "hash": f"sha256:{hashlib.sha256(_key(name).encode()).hexdigest()}"} for name in ("noisy", "quiet")]
    return {
        "providers": {"p": {"dialect": "anthropic", "base_url": f"http://127.0.0.1:{provider}/v1", "auth": "none"}},
        "models": [{"name": "shared", "targets": ["p/m"]}],
        "filters": [{"meter": {}}, {"auth": {"keys": keys}}, {"route": {}}],
        "shedding": {"enabled": not without},
        "listener": {"port": port},
        "admin": {"port": free_port()},
        "api": {"address": "off"},
        "workers": 1,
        "state": "state",
    }


def _rows(phase: str, told: Sequence[Told], held: int) -> list[str]:
    rows = []
    for tenant in ("quiet", "noisy"):
        mine = [one for one in told if one.tenant == tenant]
        statuses, took = Counter(one.status for one in mine), [one.took for one in mine if one.status == 200]
        other = ", ".join(f"{count} x {status or 'no answer'}" for status, count in statuses.items() if status not in (200, 503))
        times = f"{statistics.median(took):.2f} s | {max(took):.2f} s" if took else " | "
        if mine:
            rows.append(f"| {phase} | {tenant} | {statuses[200]} | {statuses[503]} | {other} | {times} | {held / 2**20:.0f} MiB |")
    return rows


async def _sampled(worker: int, held: list[tuple[float, int]]) -> None:
    while True:
        held.append((time.monotonic(), anonymous(worker)))
        await asyncio.sleep(0.1)


async def _flood(given: argparse.Namespace, port: int, worker: int, log: Path) -> bool:
    told: list[Told] = []
    held: list[tuple[float, int]] = []
    sampling = asyncio.create_task(_sampled(worker, held))
    quiet, noisy = Tenant("quiet", port, 1, 0.05, told), Tenant("noisy", port, given.turns, 0.0, told)
    moments = [time.monotonic()]
    await quiet.begin(_QUIET)
    await asyncio.sleep(_CALM)
    moments.append(time.monotonic())
    await noisy.begin(given.callers)
    await asyncio.sleep(given.seconds)
    moments.append(time.monotonic())
    await noisy.end()
    deadline = time.monotonic() + RECOVERY
    await asyncio.sleep(_CALM)
    while log.read_text().count(_BEGINS) > log.read_text().count(_ENDS) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process'
        await asyncio.sleep(0.1)
    await quiet.end()
    sampling.cancel()
    moments.append(time.monotonic() + 1)
    print(_HEAD)
    for phase, since, until in zip(("before", "flood", "after"), moments[:-1], moments[1:], strict=True):
        most = max((bytes_ for at, bytes_ in held if since <= at < until), default=0)
        print("\n".join(_rows(phase, [one for one in told if since <= one.ended < until], most)))
    said = log.read_text()
    refused = {one.tenant for one in told if one.status == 503}
    return refused == {"noisy"} and {one.status for one in told} == {200, 503} and said.count(_BEGINS) == said.count(_ENDS) > 0


async def _measure(given: argparse.Namespace, folder: Path) -> bool:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", 0, backlog=4096)
    port, provider, log = free_port(), server.sockets[0].getsockname()[1], folder / "headgate.log"
    (folder / "gateway.yaml").write_text(json.dumps(_document(provider, port, without=given.without)))
    gateway = await spawn([sys.executable, "-m", "extproc.cli", "up", "gateway.yaml"], folder, log.name)
    try:
        deadline = time.monotonic() + _READY_WITHIN
        while "is ready" not in log.read_text():
            if gateway.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not start: {tail(log)}")
            await asyncio.sleep(0.1)
        (worker,) = [pid for pid, line in children(gateway.pid).items() if "extproc.worker" in line]
        return await _flood(given, port, worker, log)
    finally:
        await end([gateway])
        server.close()


def main() -> int:
    """Entry of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.overload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the flood lasts")
    parser.add_argument("--callers", type=int, default=200, help="of the noisy tenant")
    parser.add_argument("--turns", type=int, default=700, help="of its conversations")
    parser.add_argument("--without", action="store_true", help="without shedding")
    given = parser.parse_args()
    print(f"Load of the machine: {' '.join(f'{load:.2f}' for load in os.getloadavg())}, {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory(prefix="headgate-overload-") as folder:
        holds = uvloop.run(_measure(given, Path(folder)))
    return 0 if holds or given.without else 1


if __name__ == "__main__":
    sys.exit(main())
