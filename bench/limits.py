"""What a limit costs: reserving and settling, with few and with many requests under way. `python -m bench.limits`

One step is a request's: something is reserved of three counters (a budget by month, tokens by minute, requests in the last hour), and
settled. It is timed with 10 and with 100,000 other reservations of the same counters that nobody settles: in the table of the control
process, and in Redis, over a Unix socket with one command at a time, which is its worst case. Two numbers are told of each: the time that
a step takes (the median of its round), and the CPU that it costs those who count, which is this process for the table, and else Redis.
Few and many are measured in each round, in turns; what is printed is the median of the rounds with the quartiles, and the ratio within
rounds: what drifts, drifts for both.

Then the same three rules, by windows of a calendar, are reserved in Redis as a worker does, one request after the other, with leases and
without: what of it is asked of Redis, and the CPU that it costs here and there.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

from redis.asyncio import Redis

from bench.children import end, spawn
from bench.figures import Spread, paired, percentile, ratio, spread
from extproc.limits.leased import LeasedLimits
from extproc.limits.limit import Charge, Granted, Limits, Settlement
from extproc.limits.redis import RedisLimits
from extproc.limits.rule import MOST, Terms, Want
from extproc.limits.shared import SharedLimits
from extproc.limits.table import Table
from extproc.limits.window import Window

FEW, MANY = 10, 100_000
"""Other reservations."""
MOST_RATIO = 1.25
"""What must hold: many cost no more than few, but for noise."""
_TTL = 3600.0
_TERMS = {
    "organization acme: 1000 USD a month": Terms(MOST, Window("month", zone="Europe/Berlin")),
    "team a: 1000000 tokens a minute": Terms(MOST, Window("minute")),
    "key k: 1000 requests in 3600 s": Terms(MOST, Window("sliding", 3600)),
}
WANTS = tuple(Want(name, terms, 1000, "acme") for name, terms in _TERMS.items())
_LEASABLE = tuple(
    Want(window.length, Terms(MOST, window), 1000, "acme", lease=True) for window in (Window("month"), Window("minute"), Window("day"))
)
_CHARGES = tuple(Charge(name, terms, 900, "acme") for name, terms in _TERMS.items())


class Cost(NamedTuple):
    """Of a step, in microseconds."""

    time: float
    cpu: float


Found = dict[int, list[Cost]]
"""Of each round, by how many are under way."""


class Counting(Protocol):
    """Who counts."""

    async def fill(self, count: int) -> None:
        """So many more are under way."""

    async def step(self) -> None:
        """Reserves and settles."""

    async def cpu(self) -> float:
        """Seconds of CPU that it has taken."""


class InTable:
    """The control process's."""

    def __init__(self) -> None:
        self._table = Table()
        self._number = 0

    async def fill(self, count: int) -> None:
        """So many more are under way."""
        for _ in range(count):
            self._number += 1
            self._table.reserve(b"other %d" % self._number, WANTS, time.time(), _TTL)

    async def step(self) -> None:
        """Reserves and settles."""
        self._number += 1
        now, ticket = time.time(), b"%d" % self._number
        assert isinstance(self._table.reserve(ticket, WANTS, now, _TTL), Granted)
        self._table.settle("bench", [Settlement(self._number, ticket, now, _CHARGES)], now)

    async def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        return time.process_time()


class InRedis:
    """A Redis's."""

    def __init__(self, url: str) -> None:
        self._limits = RedisLimits(url, timeout=10, ttl=_TTL)
        self._redis = Redis.from_url(url)
        self._number = 0

    async def fill(self, count: int) -> None:
        """So many more are under way."""
        for begin in range(0, count, 1000):
            tickets = [b"other %d" % (self._number + number) for number in range(begin, min(count, begin + 1000))]
            await asyncio.gather(*(self._limits.reserve(ticket, WANTS, time.time()) for ticket in tickets))
        self._number += count

    async def step(self) -> None:
        """Reserves and settles."""
        self._number += 1
        now, ticket = time.time(), b"%d" % self._number
        assert isinstance(await self._limits.reserve(ticket, WANTS, now), Granted)
        await self._limits.settle("bench", [Settlement(self._number, ticket, now, _CHARGES)])

    async def cpu(self) -> float:
        """Seconds of CPU that it has taken."""
        return await _cpu(self._redis)

    async def close(self) -> None:
        """Hangs up."""
        await self._limits.close()
        await self._redis.aclose()


async def fill(those: dict[int, Counting]) -> None:
    """At the same pace: so they are in the same windows and parts of them, which is what the cost of a look goes by."""
    for _ in range(FEW):
        for number, one in those.items():
            await one.fill(number // FEW)


async def rounds(those: dict[int, Counting], count: int, each: int) -> Found:
    """Times `each` steps of each in turns, in `count` rounds; who comes first changes."""
    found: Found = {number: [] for number in those}
    for turn in range(-1, count):
        for number in sorted(those, reverse=bool(turn % 2)):
            one, times = those[number], []
            cpu = await one.cpu()
            for _ in range(each):
                began = time.perf_counter()
                await one.step()
                times.append((time.perf_counter() - began) * 1e6)
            # The first round warms up.
            if turn >= 0:
                found[number].append(Cost(percentile(times, 50), (await one.cpu() - cpu) / each * 1e6))
    return found


async def table(many: int, count: int, each: int) -> Found:
    """In the table."""
    tables: dict[int, Counting] = {number: InTable() for number in (FEW, many)}
    await fill(tables)
    gc.freeze()  # how long a collection of all that takes is not what is asked
    return await rounds(tables, count, each)


async def redis(folder: Path, many: int, count: int, each: int) -> Found:
    """In Redis, one of its own for each."""
    processes, stores = [], dict[int, InRedis]()
    try:
        for number in (FEW, many):
            path = folder / f"{number}.sock"
            command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
            processes.append(await spawn(command, folder, "redis.log"))
            await _appears(path)
            stores[number] = InRedis(f"unix://{path}")
        await fill(dict(stores))
        found = await rounds(dict(stores), count, each)
        for one in stores.values():
            await one.close()
        return found
    finally:
        await end(processes)


class Lease(NamedTuple):
    """Of a request that is reserved, in microseconds of CPU."""

    asked: float
    """Scripts in Redis, for a thousand requests."""
    here: float
    there: float


async def leases(folder: Path, count: int, each: int) -> dict[str, list[Lease]]:
    """In `count` rounds of `each` requests, without leases and with them in turns."""
    path = folder / "leases.sock"
    processes = [await spawn(["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""], folder, "redis.log")]
    found: dict[str, list[Lease]] = {"exact": [], "leases": []}
    try:
        await _appears(path)
        redis, source = Redis.from_url(f"unix://{path}"), RedisLimits(f"unix://{path}", timeout=10, ttl=_TTL)
        shared = SharedLimits(source, lambda: 1)
        leased = LeasedLimits(shared, lambda: 1)
        for turn in range(-1, count):
            for name, limits in (("exact", shared), ("leases", leased)):
                cost = await _reserving(redis, limits, f"{name}{turn}", each)
                if turn >= 0:
                    found[name].append(cost)
        leased.close()
        await source.close()
        await redis.aclose()
    finally:
        await end(processes)
    return found


async def _reserving(redis: Redis, limits: Limits, name: str, count: int) -> Lease:
    await redis.config_resetstat()
    cpu, here = await _cpu(redis), time.process_time()
    for number in range(count):
        await asyncio.sleep(0)  # as a worker has other things to do
        assert isinstance(await limits.reserve(f"{name}-{number}".encode(), _LEASABLE, time.time()), Granted)
    here, there = time.process_time() - here, await _cpu(redis) - cpu
    stats = await redis.info("commandstats")
    return Lease(stats.get("cmdstat_evalsha", {"calls": 0})["calls"] / count * 1000, here / count * 1e6, there / count * 1e6)


async def _cpu(redis: Redis) -> float:
    told = await redis.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def _appears(path: Path) -> None:
    for _ in range(500):
        if path.exists():
            return
        await asyncio.sleep(0.02)


def leased_lines(found: dict[str, list[Lease]]) -> Iterator[str]:
    """What is printed of it."""
    for what, unit in zip(Lease._fields, ("in 1,000", "us", "us"), strict=True):
        for name, costs in found.items():
            yield f"{name:<6} {what:<5} {_text(spread(getattr(cost, what) for cost in costs), unit)}"


def lines(name: str, found: Found) -> Iterator[str]:
    """What is printed of one."""
    for what in range(len(Cost._fields)):
        for number, costs in found.items():
            yield f"{name:<6} {Cost._fields[what]:<4} {number:>8,} under way {_text(spread(cost[what] for cost in costs), 'us')}"
        yield f"{name:<6} {Cost._fields[what]:<4} {'ratio':>18} {_text(compared(found, what), '')}"


def compared(found: Found, what: int) -> Spread:
    """How many times many cost what few do: time or CPU."""
    few, many = (dict(enumerate(cost[what] for cost in found[number])) for number in sorted(found))
    return paired(many, few, ratio)


def _text(found: Spread, unit: str) -> str:
    return f"{found.median:8.2f} {unit:<2} ({found.low:.2f} to {found.high:.2f}, {found.rounds} rounds)"


async def _main(many: int, count: int, each: int) -> bool:
    with TemporaryDirectory(prefix="hg-bench-") as folder:
        with_leases = await leases(Path(folder), count, 5 * each)
        both = {"table": await table(many, count, each), "redis": await redis(Path(folder), many, count, max(1, each // 4))}
    for name, found in both.items():
        print("\n".join(lines(name, found)))
    print("\n".join(leased_lines(with_leases)))
    return all(compared(found, 1).median <= MOST_RATIO for found in both.values())


def main() -> None:
    """The command: 1 where many requests under way cost more CPU than few."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--many", type=int, default=MANY, metavar="N", help="other reservations; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=11, metavar="N", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="of a round, and a quarter in Redis; default: %(default)s")
    given = parser.parse_args()
    raise SystemExit(0 if asyncio.run(_main(given.many, given.rounds, given.steps)) else 1)


if __name__ == "__main__":
    main()
