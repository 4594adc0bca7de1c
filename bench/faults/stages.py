"""All scenarios, and the gateways that they are played on: one for those that need nothing of their own."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from bench.faults import stores
from bench.faults.expected import FATES
from bench.faults.hostile import Hostile
from bench.faults.play import SLOW, Part, Played, play
from bench.faults.processes import PROCESSES
from bench.faults.reloads import RELOADS
from bench.faults.resources import CLOCKS, DESCRIPTORS, DISK, jumping_clock, small_disk
from bench.faults.setting import Setting, gateway, providers
from bench.faults.sweep import Swept, sweep

Parts = Mapping[str, Part]
Ready = AbstractAsyncContextManager[tuple[Setting, Parts] | str]
"""A gateway and the scenarios to be played on it, or why there can be none."""


@asynccontextmanager
async def _plain(folder: Path, hostile: Hostile) -> AsyncIterator[tuple[Setting, Parts] | str]:
    async with gateway(folder, hostile, [SLOW], hasty=False) as setting:
        yield setting, {**RELOADS, **DESCRIPTORS, **PROCESSES}


@asynccontextmanager
async def _on_a_small_disk(folder: Path, hostile: Hostile) -> AsyncIterator[tuple[Setting, Parts] | str]:
    if not (before := small_disk()):
        yield "this machine lets nobody mount a disk (unshare(1))"
        return
    async with gateway(folder, hostile, [SLOW], hasty=False, before=before) as setting:
        yield setting, DISK


@asynccontextmanager
async def _with_a_clock(folder: Path, hostile: Hostile) -> AsyncIterator[tuple[Setting, Parts] | str]:
    with jumping_clock(folder) as environ:
        if not environ:
            yield "there is no C compiler, which makes the clock"
            return
        async with gateway(folder, hostile, [SLOW], hasty=False, environ=environ) as setting:
            yield setting, CLOCKS


@asynccontextmanager
async def _on_redis(folder: Path, hostile: Hostile) -> AsyncIterator[tuple[Setting, Parts] | str]:
    async with (
        stores.servers(folder) as servers,
        gateway(folder, hostile, [SLOW], hasty=False, redis={"url": servers.url}, filters=[{"cache": {}}]) as setting,
    ):
        yield setting, stores.parts(servers)


_STAGES: tuple[tuple[Sequence[str], Callable[[Path, Hostile], Ready]], ...] = (
    (tuple({**RELOADS, **DESCRIPTORS, **PROCESSES}), _plain),
    (tuple(DISK), _on_a_small_disk),
    (tuple(CLOCKS), _with_a_clock),
    (stores.NAMES, _on_redis),
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
        for own, stage in _STAGES:
            if wanted := [name for name in own if name in names]:
                async with stage(folder, hostile) as ready:
                    played += [Played.none(name, ready) for name in wanted] if isinstance(ready, str) else [
                        await _play(ready[0], name, ready[1][name], tell) for name in wanted
                    ]  # fmt: skip
    return swept, played


async def _play(setting: Setting, name: str, part: Part, tell: Callable[[str], None]) -> Played:
    tell(f"{name}: {part.what}")
    return await play(setting, name, part)
