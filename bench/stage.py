"""The stage: the mock provider, the load generator and the started systems, and one turn of load on one of them."""

import asyncio
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from bench.cells import KB, Cell
from bench.children import end, spawn, spawn_provider, tail
from bench.load import Job, LoadError, Result
from bench.procs import GoneError, Parts, busy, mapped, memory, sample, used
from bench.system import System, Target
from extproc.keyfile import SUFFIX as KEY_FILE

_PATIENCE = 60.0
"""Longest that a turn may take beyond its time."""


class Turn(Struct, frozen=True, kw_only=True):
    """What one turn of one system in one cell gave."""

    round: int
    cell: str
    system: str
    result: Result
    cpu: dict[str, float]
    """Seconds of CPU, by part of the system."""
    rig: dict[str, float] = {}
    """The same of the load generator and the provider."""
    others: float = 0.0
    """Processors that everybody else on the machine kept busy meanwhile."""

    @property
    def cpu_us(self) -> float:
        """CPU of the system's whole process tree, in microseconds a request."""
        return sum(self.cpu.values()) * 1e6 / self.result.count

    def part_us(self, *parts: str) -> float:
        """CPU of these parts, in microseconds a request."""
        return sum(self.cpu.get(part, 0.0) for part in parts) * 1e6 / self.result.count


class _Reading:
    """All clocks at one moment."""

    def __init__(self, system: Parts, rig: Parts) -> None:
        self.at = time.monotonic()
        self.busy = busy()
        self.system = sample(system)
        self.rig = sample(rig)


def _strangers(before: _Reading, after: _Reading) -> float:
    """Processors that were busy with neither the system nor the rig."""
    ours = sum(used(before.system, after.system).values()) + sum(used(before.rig, after.rig).values())
    return max(0.0, (after.busy - before.busy - ours) / (after.at - before.at))


class Stage:
    """Everything that runs while the benchmark measures, from `async with` to its end."""

    def __init__(self, folder: Path, *, gap: float, tell: Callable[[str], None]) -> None:
        """`gap`: seconds between a stream's events. `tell` takes lines of progress."""
        self._folder = folder
        self._gap = gap
        self._tell = tell
        self._provider: Process
        self._load: Process
        self._rig: list[Process] = []
        self._url = ""
        self._systems: dict[str, System] = {}
        self.targets: dict[str, Target] = {}

    async def __aenter__(self) -> Self:
        try:
            self._provider, self._url = await spawn_provider(self._folder, "--gap", str(self._gap))
            self._rig.append(self._provider)
            self._load = await spawn([sys.executable, "-m", "bench.load"], self._folder, "load.log", talk=True)
            self._rig.append(self._load)
        except BaseException:
            await end(self._rig)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in list(self._systems):
            await self.stop(name)
        await end(self._rig)

    async def start(self, system: System) -> None:
        """Starts a system. Raises `RuntimeError` where it does not come up."""
        folder = self._folder / system.name
        folder.mkdir()
        self._tell(f"starting {system.name} ...")
        self._systems[system.name] = system
        self.targets[system.name] = await system.start(self._url, folder)

    async def stop(self, name: str) -> None:
        """Stops a system."""
        self.targets.pop(name, None)
        await self._systems.pop(name).stop()

    async def turn(self, number: int, cell: Cell, name: str, seconds: float) -> Turn:
        """One turn. Raises `LoadError` for any answer that was not as it should be."""
        target = self.targets[name]
        job = Job(
            target=target,
            size=cell.kb * KB,
            concurrency=cell.concurrency,
            seconds=seconds,
            events=cell.events,
            unique=cell.unique,
        )
        rig: Parts = {"load": [self._load.pid], "provider": [self._provider.pid]}
        try:
            async with asyncio.timeout(seconds + _PATIENCE):
                await self._ask(msgspec.json.encode(job) + b"\n")
                before = _Reading(target.pids, rig)
                result = msgspec.json.decode(await self._ask(b"\n"), type=Result)
                after = _Reading(target.pids, rig)
                strangers = _strangers(before, after)
                await self._settle(target, after)
        except TimeoutError:
            raise LoadError(f"{name} in {cell.name}: no end of it after {_PATIENCE:g} s{self._log(name)}") from None
        except (LoadError, GoneError) as error:
            raise LoadError(f"{name} in {cell.name}: {error}{self._log(name)}") from None
        cpu, own = used(before.system, after.system), used(before.rig, after.rig)
        return Turn(round=number, cell=cell.name, system=name, result=result, cpu=cpu, rig=own, others=strangers)

    async def _settle(self, target: Target, after: _Reading) -> None:
        """Lets those finish who still work for requests that have their answer: what they use belongs to this turn, not to the next."""
        if target.later:
            await asyncio.sleep(max(target.later.values()))
            # Of all parts: whose child a process is depends on who is named.
            settled = sample(target.pids)
            after.system |= {part: settled[part] for part in target.later}

    async def _ask(self, line: bytes) -> bytes:
        assert self._load.stdin is not None
        assert self._load.stdout is not None
        self._load.stdin.write(line)
        answer = await self._load.stdout.readline()
        if not answer:
            raise LoadError(f"the load generator has ended: {tail(self._folder / 'load.log')}")
        if answer.startswith(b"{"):
            found = msgspec.json.decode(answer, type=Result)
            if found.error:
                raise LoadError(found.error)
        return answer

    def _log(self, name: str) -> str:
        logs = [f"\n--- {path.name}\n{tail(path)}" for path in sorted((self._folder / name).glob("*.log")) if path.stat().st_size]
        return "".join(logs)

    def memory(self) -> dict[str, dict[str, int]]:
        """Bytes of PSS of each started system, by part; and the whole of the key file that its workers share, if they do."""
        found = {}
        for name, target in self.targets.items():
            found[name] = memory(target.pids)
            if size := max((mapped(pid, KEY_FILE) for pid in target.pids.get("workers", ())), default=0):
                found[name]["key file"] = size
        return found

    async def memory_alone(self, name: str) -> dict[str, int]:
        """The same of one system after all others, the provider and the load generator have been stopped: nothing is shared with those."""
        for other in [other for other in self._systems if other != name]:
            await self.stop(other)
        await end(self._rig)
        return memory(self.targets[name].pids)
