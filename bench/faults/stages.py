"""All scenarios, and the gateways that they are played on: one for those that need nothing of their own."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from bench.faults import fleets, stores
from bench.faults.expected import FATES
from bench.faults.hostile import Hostile
from bench.faults.play import SLOW, Part, Played, play
from bench.faults.processes import PROCESSES
from bench.faults.reloads import RELOADS
from bench.faults.resources import CLOCKS, DESCRIPTORS, DISK, jumping_clock, small_disk
from bench.faults.setting import Setting, gateway, providers
from bench.faults.sweep import Swept, sweep


class Stage(NamedTuple):
    """A gateway that runs, and what is played on it."""

    setting: Setting
    parts: Mapping[str, Part]
    untried: Mapping[str, str]
    """Those among them that cannot be played on this machine, and why."""


@asynccontextmanager
async def _plain(folder: Path, hostile: Hostile) -> AsyncIterator[Stage]:
    async with gateway(folder, hostile, [SLOW], hasty=False) as setting:
        yield Stage(setting, {**RELOADS, **DESCRIPTORS, **PROCESSES}, {})


@asynccontextmanager
async def _furnished(folder: Path, hostile: Hostile) -> AsyncIterator[Stage]:
    """With a small disk, a clock and a Redis of its own."""
    before = small_disk()
    with jumping_clock(folder) as environ:
        untried = {} if before else dict.fromkeys(DISK, "this machine lets nobody mount a disk (unshare(1))")
        untried |= {} if environ else dict.fromkeys(CLOCKS, "there is no C compiler, which makes the clock")
        async with (
            stores.servers(folder) as servers,
            gateway(
                folder, hostile, [SLOW], hasty=False, before=before, environ=environ, redis={"url": servers.url}, filters=[{"cache": {}}]
            ) as setting,
        ):
            yield Stage(setting, {**DISK, **CLOCKS, **stores.parts(servers)}, untried)


@asynccontextmanager
async def _fleet(folder: Path, hostile: Hostile) -> AsyncIterator[Stage]:
    """One of two, which share a Redis."""
    async with fleets.standing(folder, hostile) as (setting, parts):
        yield Stage(setting, parts, {})


_STAGES: tuple[tuple[Sequence[str], Callable[[Path, Hostile], AbstractAsyncContextManager[Stage]]], ...] = (
    (tuple({**RELOADS, **DESCRIPTORS, **PROCESSES}), _plain),
    ((*DISK, *CLOCKS, *stores.NAMES), _furnished),
    (fleets.NAMES, _fleet),
)
NEVER_OPEN = {"failures": 10_000, "cool": 0, "when_all_open": "ask"}
"""So that each request to a faulty provider gets there."""
NAMES = (*FATES, *(name for names, _ in _STAGES for name in names))
"""Of all scenarios, in the order in which they are played."""


def chosen(patterns: Sequence[str]) -> list[str]:
    """Names that match one of these; `*` stands for anything."""
    return [name for name in NAMES if any(fnmatchcase(name, pattern) for pattern in patterns)]


async def run(names: Sequence[str], tell: Callable[[str], None], *, each: int = 1) -> tuple[Swept | None, list[Played]]:
    """Plays these. `each`: how often every kind of request is sent to each faulty provider."""
    swept, played = None, []
    async with providers() as (folder, hostile):
        if faults := [name for name in names if name in FATES]:
            tell(f"{len(faults)} ways in which a provider fails")
            async with gateway(folder, hostile, faults, breaker=NEVER_OPEN) as setting:
                swept = await sweep(setting, faults, each=each)
        for own, begin in _STAGES:
            if wanted := [name for name in own if name in names]:
                async with begin(folder, hostile) as stage:
                    played += [await _play(stage, name, tell) for name in wanted]
    return swept, played


async def _play(stage: Stage, name: str, tell: Callable[[str], None]) -> Played:
    part = stage.parts[name]
    if why := stage.untried.get(name):
        return Played.none(name, why)
    tell(f"{name}: {part.what}")
    return await play(stage.setting, name, part)
