"""A soak: hours of requests whose clients hang up in all the ways that clients do, and memory that has to stay flat.

    python -m bench.soak --minutes 60

One gateway, the mock provider, and clients at a steady rate. Of ten requests five are asked and heard to the end (three of them streams),
and five are broken off: before the body is whole, after it, at the head of the answer, in mid-stream, or without reading at all. A tenth
of each is for a model with two targets, so it passes the adapter. Every minute a line says what each part holds (anonymous memory) and how
many descriptors are open. At the end the second half is compared with the first: a leak of one object a request would show.
"""

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from bench.body import Payload, payload
from bench.children import end, spawn_provider
from bench.gateway import SEVERAL
from bench.procs import anonymous
from bench.system import Target
from bench.systems import Headgate

_EVENTS = 20
_SEVERAL = 0.1
"""Requests for a model with several targets, as a share."""
_MIB = 1024 * 1024
_CACHE = 4 * _MIB
"""So small that it is full within minutes: what it still takes later would look like a leak."""
_FLAT = 0.05
"""By how much a part's memory may have grown from the first half's median to the second's."""


class Reading(Struct, frozen=True):
    """What was seen at one moment."""

    seconds: float
    requests: int
    held: dict[str, int]
    """Bytes of memory that is no file's, by part: a part's share of the program's own pages changes with who else runs it."""
    descriptors: dict[str, int]
    """Open ones, by part."""


class Payloads(NamedTuple):
    """What is asked of a model."""

    plain: Payload
    stream: Payload


def _payloads(target: Target) -> Payloads:
    return Payloads(payload(target, size=4_000), payload(target, size=4_000, events=_EVENTS))


class Client:
    """Asks, and behaves as badly as it is told to."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._one = _payloads(target)
        self._several = _payloads(msgspec.structs.replace(target, model=SEVERAL))
        self._number = 0
        self.counts: Counter[str] = Counter()
        self._ways = (
            self._whole, self._whole, self._whole_stream, self._whole_stream, self._whole_stream,
            self._half_a_request, self._no_answer, self._head_only, self._half_a_stream, self._deaf,
        )  # fmt: skip

    async def ask(self) -> None:
        """One request, in one of the ways."""
        way = random.choice(self._ways)  # noqa: S311 - a mixture, not a secret
        several = random.random() < _SEVERAL  # noqa: S311 - as above
        name = way.__name__.strip("_") + (", two targets" if several else "")
        try:
            async with asyncio.timeout(30):
                await way(self._several if several else self._one)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            name = f"{name}: {type(error).__name__}"
        self.counts[name] += 1

    def _request(self, kind: Payload) -> bytes:
        self._number += 1
        return b"".join(kind.with_number(self._number))

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self._target.host, self._target.port)
        try:
            yield reader, writer
        finally:
            # At once, with whatever is still under way: what a killed client does.
            writer.transport.abort()

    async def _whole(self, asked: Payloads) -> None:
        async with self._connected() as (reader, writer):
            writer.write(self._request(asked.plain))
            head = await reader.readuntil(b"\r\n\r\n")
            _check(head)
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)

    async def _whole_stream(self, asked: Payloads) -> None:
        async with self._connected() as (reader, writer):
            writer.write(self._request(asked.stream))
            _check(await reader.readuntil(b"\r\n\r\n"))
            await reader.readuntil(b"data: [DONE]")
            await reader.readuntil(b"0\r\n\r\n")

    async def _half_a_request(self, asked: Payloads) -> None:
        async with self._connected() as (_, writer):
            writer.write(self._request(asked.plain)[:-1_000])
            await writer.drain()
            await asyncio.sleep(0.01)

    async def _no_answer(self, asked: Payloads) -> None:
        async with self._connected() as (_, writer):
            writer.write(self._request(asked.plain))
            await writer.drain()

    async def _head_only(self, asked: Payloads) -> None:
        async with self._connected() as (reader, writer):
            writer.write(self._request(asked.stream))
            await reader.readuntil(b"\r\n\r\n")

    async def _half_a_stream(self, asked: Payloads) -> None:
        async with self._connected() as (reader, writer):
            writer.write(self._request(asked.stream))
            for _ in range(_EVENTS // 2):
                await reader.readuntil(b"\n\n")

    async def _deaf(self, asked: Payloads) -> None:
        async with self._connected() as (_, writer):
            writer.write(self._request(asked.stream))
            await writer.drain()
            await asyncio.sleep(0.05)


def _check(head: bytes) -> None:
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head.split(b"\r\n", 1)[0].decode())


def _read(since: float, client: Client, target: Target) -> Reading:
    descriptors = {name: sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids) for name, pids in target.pids.items()}  # noqa: PTH208
    held = {name: sum(map(anonymous, pids)) for name, pids in target.pids.items()}
    return Reading(time.monotonic() - since, client.counts.total(), held, descriptors)


async def _drive(client: Client, target: Target, *, rate: float, seconds: float, every: float) -> list[Reading]:
    began = time.monotonic()
    asked: set[asyncio.Task[None]] = set()
    readings: list[Reading] = []
    due = 0.0
    while (now := time.monotonic() - began) < seconds:
        if now >= due:
            readings.append(_read(began, client, target))
            print(_line(readings[-1]), flush=True)
            due += every
        task = asyncio.create_task(client.ask())
        asked.add(task)
        task.add_done_callback(asked.discard)
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*asked)
    # What the last clients have left behind ends in a moment.
    await asyncio.sleep(2)
    readings.append(_read(began, client, target))
    return readings


def _line(reading: Reading) -> str:
    parts = "  ".join(f"{name} {size / _MIB:6.1f} MiB {reading.descriptors[name]:4} fds" for name, size in reading.held.items())
    return f"{reading.seconds / 60:6.1f} min  {reading.requests:8,} requests  {parts}"


def growth(readings: Sequence[Reading], part: str) -> float:
    """By how much the median of the second half is above the first half's, as a share. The first tenth is warming up, and left out."""
    steady = [reading.held[part] for reading in readings[len(readings) // 10 + 1 :]]
    if len(steady) < 4:
        raise ValueError("too few readings for two halves")
    half = len(steady) // 2
    return statistics.median(steady[half:]) / statistics.median(steady[:half]) - 1


async def soak(*, minutes: float, rate: float, every: float) -> bool:
    """Runs it; whether memory was flat and every client that listened was answered."""
    gateway = Headgate(cache=_CACHE, several=True)
    with tempfile.TemporaryDirectory(prefix="hg-soak-") as name:
        folder = Path(name)
        provider, url = await spawn_provider(folder)
        try:
            (folder / "gateway").mkdir()
            target = await gateway.start(url, folder / "gateway")
            client = Client(target)
            readings = await _drive(client, target, rate=rate, seconds=minutes * 60, every=every)
        finally:
            await gateway.stop()
            await end([provider])
    print(_line(readings[-1]), "at rest", sep="  ")
    print("\n".join(f"  {count:8,}  {way}" for way, count in sorted(client.counts.items())))
    flat = True
    for part in target.pids:
        grown = growth(readings, part)
        flat = flat and grown <= _FLAT
        print(f"  {part}: {grown:+.1%} from the first half's median to the second's")
    failed = {way: count for way, count in client.counts.items() if ":" in way}
    return flat and not failed


def main() -> int:
    """Entry of the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second (default: %(default)s)")
    parser.add_argument("--every", type=float, default=60.0, help="seconds from one line to the next (default: %(default)s)")
    given = parser.parse_args()
    fine = asyncio.run(soak(minutes=given.minutes, rate=given.rate, every=given.every))
    print("flat, and nobody who listened was left without an answer" if fine else "NOT flat, or somebody was left without an answer")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
