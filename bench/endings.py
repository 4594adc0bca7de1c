"""Streams that the gateway ends before their providers do, by the hundred, while everything else ends as well: Envoy must not crash, nobody
may wait for ever, and nothing of a stream may be left.

    python -m bench.endings --seconds 15
    HEADGATE_ENVOY=/elsewhere/envoy python -m bench.endings --envoy 1.36

Envoy lets ext_proc end an answer before its provider (docs/envoy.md, "The last word of a stream"), which is seldom done, so it is tried
here in all the company that it may have: providers that go on, flood, fall silent, end, close or reset at that very moment; clients that
read, do not read, or hang up at that moment; one target and several, in the client's dialect and in another. Exit status 1: something
does not hold.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from bench.faults import words
from bench.faults.hostile import Deed, Hostile, Peer
from bench.faults.site import KEY, Site
from extproc.control.run_dir import sockets_folder
from extproc.envoy import names

TOTAL, IDLE = 1.0, 0.6
"""Seconds after which streams are ended."""
PATIENCE = 12.0
"""Seconds after which a stream hangs."""
_ABOUT = (TOTAL - 0.1, TOTAL + 0.4)
"""Seconds within which a stream is ended here, and its provider and its client do what they do."""
_PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
_GAUGES = (
    "downstream_rq_active",
    f"cluster.{names.GATE_CLUSTER}.upstream_rq_active",
    f"cluster.{names.ADAPTER_CLUSTER}.upstream_rq_active",
)
_BIG = b"data: %b\n\n" % words.encoded({"id": "c", "choices": [{"index": 0, "delta": {"content": "x" * 3000}}]})
_CLEAN, _CUT, _HUNG, _LEFT, _REFUSED = "ended", "cut", "HANGS", "hung up", "refused"


async def _begun(peer: Peer) -> float:
    """A stream has begun; when it is to do what it does."""
    until = time.monotonic() + random.uniform(*_ABOUT)  # noqa: S311 - no secret
    marker = await peer.marker()
    await peer.begin_stream()
    for event in words.stream(peer.dialect, marker)[:3]:
        await peer.chunk(event)
    return until


async def _told(peer: Peer, until: float, *, gap: float = 0.01) -> None:
    while time.monotonic() < until:
        await peer.chunk(words.endless(peer.dialect))
        await asyncio.sleep(gap)


async def _goes_on(peer: Peer) -> bool:
    await _told(peer, await _begun(peer) + PATIENCE)
    return False


async def _floods(peer: Peer) -> bool:
    until = await _begun(peer) + PATIENCE
    event = (_BIG if peer.dialect == "openai" else words.endless(peer.dialect) * 20) * 5
    while time.monotonic() < until:
        await peer.chunk(event)
        # As fast as it goes, it would keep everybody here from being heard.
        await asyncio.sleep(0.002)
    return False


async def _falls_silent(peer: Peer) -> bool:
    await _begun(peer)
    await peer.gone()
    return False


def _then(last: Callable[[Peer], Awaitable[object]]) -> Deed:
    async def deed(peer: Peer) -> bool:
        await _told(peer, await _begun(peer))
        await last(peer)
        return False

    return deed


async def _ends(peer: Peer) -> None:
    for event in words.stream(peer.dialect, "m")[-2:]:
        await peer.chunk(event)
    await peer.chunk(b"")


async def _ends_late(peer: Peer) -> None:
    await asyncio.sleep(0)
    await peer.write(b"0\r\n")
    await asyncio.sleep(0.1)
    await peer.write(b"\r\n")


async def _resets(peer: Peer) -> None:
    peer.reset()


async def _closes(peer: Peer) -> None:
    peer.writer.close()


DEEDS: dict[str, Deed] = {
    "goes-on": _goes_on,
    "floods": _floods,
    "falls-silent": _falls_silent,
    "ends": _then(_ends),
    "ends-late": _then(_ends_late),
    "resets": _then(_resets),
    "closes": _then(_closes),
}
CLIENTS = ("reads", "late", "never", "hangs-up")


def config(port: int, envoy: str) -> dict[str, Any]:
    """A provider for each deed in two dialects, and a model for each with one target and with two. `envoy`: the version that it is."""
    timeouts = {"connect": 2, "first_byte": 5, "idle": IDLE, "total": TOTAL}
    providers, models = {}, []
    for deed in DEEDS:
        for dialect in ("openai", "anthropic"):
            base = f"http://127.0.0.1:{port}/{deed}" + ("/v1" if dialect == "openai" else "")
            providers[f"{deed}-{dialect}"] = {"dialect": dialect, "base_url": base, "key": "k", "timeouts": timeouts}
            own, other = f"{deed}-{dialect}/m", f"{deed}-{'anthropic' if dialect == 'openai' else 'openai'}/m"
            models += [{"name": f"{deed}-{dialect}-one", "targets": [own]}, {"name": f"{deed}-{dialect}-two", "targets": [own, other]}]
    return {"providers": providers, "models": models, "breaker": "off", "workers": 2, "envoy_version": envoy}


class Company:
    """Clients, and what came of their streams."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.found: Counter[tuple[str, str]] = Counter()
        self.worst = 0.0

    async def one(self) -> None:
        """A stream."""
        deed, way, client = random.choice([*DEEDS]), random.choice(("one", "two")), random.choice(CLIENTS)  # noqa: S311 - no secret
        spoken, heard = random.choice([*_PATHS]), random.choice([*_PATHS])  # noqa: S311 - no secret
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                came = await self._ask(f"{deed}-{spoken}-{way}", heard, client)
        except TimeoutError:
            came = _HUNG
        self.worst = max(self.worst, time.monotonic() - began)
        self.found[f"{deed}, {way}", f"{client}: {came}"] += 1

    async def _ask(self, model: str, heard: str, client: str) -> str:
        sock = socket.socket()
        if client in ("late", "never"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
        try:
            asked = {"model": model, "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": "marker-a-1"}]}
            body = json.dumps(asked).encode()
            head = f"POST {_PATHS[heard]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            if client == "hangs-up":
                await self._hear(reader, time.monotonic() + random.uniform(*_ABOUT))  # noqa: S311 - no secret
                return _LEFT
            if client != "reads":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(2.5 if client == "late" else 4)
                if client == "never":
                    return _LEFT
                writer.transport.resume_reading()  # type: ignore[attr-defined]
            return await self._hear(reader, time.monotonic() + PATIENCE)
        finally:
            writer.transport.abort()

    async def _hear(self, reader: asyncio.StreamReader, until: float) -> str:
        """What the client gets until then."""
        told = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                while piece := await reader.read(65536):
                    if not told and not piece.startswith(b"HTTP/1.1 200 "):
                        return _REFUSED
                    told = told[-8192:] + piece
                    if told.endswith(b"\r\n0\r\n\r\n"):
                        return _CLEAN + (" with an error event" if b'"error"' in told else "")
        return _CUT


def _stats(site: Site) -> dict[str, int]:
    path = names.admin_socket(str(sockets_folder(site.state)))
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        lines = client.get("http://envoy/stats?filter=rq_active").text.splitlines()
    return {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}


async def run(seconds: float, rate: float, envoy: str) -> int:
    """So long, and so many streams a second, on an Envoy of that version. The exit status."""
    hostile = Hostile(DEEDS)
    await hostile.start({})
    with tempfile.TemporaryDirectory(prefix="hg-e-") as name:
        site = Site(Path(name), config(hostile.port, envoy))
        await site.start()
        try:
            return await _run(site, seconds, rate)
        finally:
            await site.stop()
            await hostile.stop()


async def _run(site: Site, seconds: float, rate: float) -> int:
    family, company = site.family(), Company(site.port)
    tasks, until = set(), time.monotonic() + seconds
    while time.monotonic() < until:
        tasks.add(asyncio.create_task(company.one()))
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*tasks)
    wrong = []
    if site.family() != family:
        wrong.append("a process has died:\n" + site.said()[-6000:])
    left: dict[str, int] = {}
    for _ in range(60):
        found = _stats(site).items()
        left = {gauge: value for gauge, value in found if value and (gauge.endswith(_GAUGES) or "provider_" in gauge)}
        left.pop("http.admin.downstream_rq_active", None)
        if not left:
            break
        await asyncio.sleep(0.5)
    else:
        wrong.append(f"left behind: {left}")
    wrong += [f"{what}: {came}" for what, came in company.found if came.endswith(_HUNG)]
    for (what, came), count in sorted(company.found.items()):
        print(f"{what:24} {came:40} {count:5}")
    print(f"{sum(company.found.values())} streams, the longest {company.worst:.1f} s")
    print("\n".join(wrong) or "all of it holds")
    return 1 if wrong else 0


def main() -> int:
    """Entry of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.endings", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long streams begin")
    parser.add_argument("--rate", type=float, default=40.0, help="streams a second")
    parser.add_argument("--envoy", default="1.40", help="`envoy_version`, where HEADGATE_ENVOY is an older one")
    given = parser.parse_args()
    return asyncio.run(run(given.seconds, given.rate, given.envoy))


if __name__ == "__main__":
    sys.exit(main())
