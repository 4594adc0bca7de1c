"""Runs it: see the package."""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from bench.children import end, free_port, spawn, tail
from bench.neighbours.client import Ask, closed_loop, request
from bench.neighbours.table import Round, markdown, outcome

_READY_WITHIN = 120.0
_CONNECTIONS = 4
"""Of the quiet tenant."""
_BODY = json.dumps(
    {
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
).encode()  # fmt: skip
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class _Provider(asyncio.Protocol):
    """Answers each request after the same time."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._transport: Any = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if found and len(body) >= lengths[0]:
            self._buffer = b""
            asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


def _document(arguments: argparse.Namespace, provider: int, port: int) -> dict[str, Any]:
    keys = [{"name": name, "hash": f"sha256:{hashlib.sha256(_key(name).encode()).hexdigest()}"} for name in ("noisy", "quiet")]
    return {
        "providers": {"p": {"dialect": "openai", "base_url": f"http://127.0.0.1:{provider}/v1", "auth": "none"}},
        "models": [{"name": "shared", "targets": ["p/m"]}],
        "filters": [{"meter": {}}, {"auth": {"keys": keys}}, {"load": {"tenants": {"noisy": arguments.slots}}}, {"route": {}}],
        "listener": {"port": port},
        "admin": {"port": free_port()},
        "api": {"address": "off"},
        "workers": arguments.workers,
        "state": "state",
    }


def _key(tenant: str) -> str:
    return f"hg-{tenant}"


async def _until_ready(ask: Ask, gateway: Process, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _READY_WITHIN
    while True:
        try:
            if (await closed_loop(ask, 1, 0)).statuses[200]:
                return
        except OSError:
            pass
        if gateway.returncode is not None or asyncio.get_running_loop().time() > deadline:
            raise RuntimeError(f"the gateway does not start: {tail(log)}")
        await asyncio.sleep(0.1)


async def _round(ask: Ask, noise: Process | None, seconds: float) -> Round:
    assert noise is None or (noise.stdin is not None and noise.stdout is not None)
    if noise is not None and noise.stdin is not None:
        # It begins before the quiet tenant does, and ends after it.
        noise.stdin.write(b"%f\n" % (seconds + 0.4))
        await asyncio.sleep(0.2)
    seen = await closed_loop(ask, _CONNECTIONS, seconds)
    told: dict[str, int] = {}
    if noise is not None and noise.stdout is not None:
        told = json.loads(await noise.stdout.readline())
    return Round(noise is not None, tuple(seen.took), Counter(seen.statuses), told, seconds + 0.4 * (noise is not None))


async def _measure(arguments: argparse.Namespace, folder: Path) -> bool:
    server = await asyncio.get_running_loop().create_server(lambda: _Provider(arguments.delay), "127.0.0.1", 0)
    port, provider = free_port(), server.sockets[0].getsockname()[1]
    (folder / "gateway.yaml").write_text(json.dumps(_document(arguments, provider, port)))
    allowed = arguments.slots / arguments.delay
    rate = str(allowed * arguments.times)
    quiet = Ask(port, request(port, _key("quiet"), arguments.size))
    gateway = await spawn([sys.executable, "-m", "extproc.cli", "up", "gateway.yaml"], folder, "headgate.log")
    running = [gateway]
    try:
        await _until_ready(quiet, gateway, folder / "headgate.log")
        command = [sys.executable, "-m", "bench.neighbours.noise", str(port), _key("noisy"), rate, str(arguments.size)]
        noise = await spawn(command, folder, "noise.log", talk=True)
        running.append(noise)
        await _round(quiet, noise, 1.0)  # warms up, and is not kept
        rounds: list[Round] = []
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds} ...", file=sys.stderr)
            # Quiet and noisy, noisy and quiet: neither always comes after the other.
            for loud in (number % 2 == 1, number % 2 == 0):
                rounds.append(await _round(quiet, noise if loud else None, arguments.seconds))
                await asyncio.sleep(0.3)
    finally:
        await end(running)
        server.close()
    found = outcome(rounds, allowed)
    print(f"Load of the machine: {' '.join(f'{load:.2f}' for load in os.getloadavg())}, {os.cpu_count()} processors\n")
    print(markdown(rounds, found))
    return found.holds


def main() -> None:
    """Entry of the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description="What a noisy tenant costs another one.")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of each kind")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    parser.add_argument("--slots", type=int, default=1, help="of the noisy tenant")
    parser.add_argument("--times", type=float, default=100.0, help="how many times its limit the noisy tenant asks for")
    parser.add_argument("--delay", type=float, default=0.25, help="seconds that the provider takes")
    parser.add_argument("--size", type=int, default=1000, help="bytes of each request's text")
    parser.add_argument("--workers", type=int, default=2, help="of the gateway")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hg-neighbours-") as folder:
        sys.exit(0 if uvloop.run(_measure(arguments, Path(folder))) else 1)


if __name__ == "__main__":
    main()
