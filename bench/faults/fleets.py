"""Two gateways that tell one another through Redis how their targets stand: what becomes of breakers where that is gone, slow, stopped,
emptied or another one, while they are open and while they open and close.

A request to a target that is left alone is answered by the next one at once: nobody waits for Redis, and the target is spared all the same.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bench.faults import words
from bench.faults.hostile import Hostile, Peer
from bench.faults.load import Load
from bench.faults.play import Part, Play, rest
from bench.faults.setting import GOOD, PAIR, Setting, gateway, helped
from bench.faults.site import KEY, Site, SiteError
from bench.faults.stores import Servers, servers

SICK = "sick"
"""A provider that is well, unless a scenario says otherwise."""
FAILURES, OPEN = 5, 1.5
BREAKER = {"failures": FAILURES, "open": OPEN}
_WHILE = 3.0
_MACHINES = 2
_WITHIN = 15.0
_PATIENT = 2.0
"""Seconds that a request takes at most: on a busy machine a fraction of one."""
NAMES = ("fleet-redis-gone", "fleet-redis-slow", "fleet-redis-stopped", "fleet-redis-flushed", "fleet-redis-failed-over")
"""Of the scenarios; the last leaves one Redis of two."""


async def _refuses(peer: Peer) -> bool:
    await peer.body()
    await peer.send(words.error(peer.dialect, 503), status=b"503 Service Unavailable")
    return True


async def _state(session: aiohttp.ClientSession, site: Site) -> str:
    """How the provider stands there, as callers are told."""
    async with session.get(f"{site.url}/v1/providers/status", headers={"authorization": f"Bearer {KEY}"}) as answer:
        document = await answer.json()
    return next(str(target["state"]) for one in document["providers"] if one["provider"] == SICK for target in one["targets"])


async def _stands(sites: list[Site], *states: str) -> None:
    """Waits until it stands so for all of them. Raises `SiteError`."""
    async with aiohttp.ClientSession() as session:
        deadline = time.monotonic() + _WITHIN
        while not all([await _state(session, site) in states for site in sites]):
            if time.monotonic() > deadline:
                found = [await _state(session, site) for site in sites]
                raise SiteError(f"the breakers are {found} after {_WITHIN:g} s, and not {states}")
            await asyncio.sleep(0.1)


class Fleet:
    """Both gateways, and what their targets do."""

    def __init__(self, other: Setting, hostile: Hostile) -> None:
        self._other, self._hostile = other, hostile

    def fall_ill(self) -> None:
        """From now on it answers 503."""
        self._hostile.deeds[SICK] = _refuses

    def get_well(self) -> None:
        """From now on it answers."""
        self._hostile.deeds.pop(SICK, None)

    def asked(self) -> int:
        """Requests that have reached it."""
        return sum(one.fault == SICK for one in self._hostile.heard)

    async def play(self, play: Play, broken: Callable[[], object], mended: Callable[[], object]) -> None:
        """Breaks Redis while breakers are open, and has them close and open again meanwhile."""
        sites = [play.site, self._other.site]
        async with Load(self._other.caller, [helped(SICK)], steady=4, intruders=0, tag="other") as load:
            try:
                self.fall_ill()
                await _stands(sites, "open", "half_open")
                with play.broken():
                    await _done(broken())
                    await self._spared()
                    self.get_well()
                    await _stands(sites, "closed")
                    self.fall_ill()
                    await _stands(sites, "open", "half_open")
                    await self._spared()
                    await _done(mended())
                await self._spared()
            finally:
                self.get_well()
            await _stands(sites, "closed")
        play.load.told += load.told
        if slow := [one for one in play.load.told if one.seconds > _PATIENT]:
            raise SiteError(f"{len(slow)} requests waited for more than {_PATIENT:g} s")

    async def _spared(self) -> None:
        """While it is open it is asked by probes alone: one a machine at a time, and each opens it again."""
        await rest(0.3)
        before, most = self.asked(), _MACHINES * (int(_WHILE / OPEN) + 2)
        await rest(_WHILE)
        if self.asked() - before > most:
            raise SiteError(f"while its breakers were open it was asked {self.asked() - before} times, not {most}")


async def _done(what: object) -> None:
    if asyncio.iscoroutine(what):
        await what


def parts(fleet: Fleet, redis: Servers) -> dict[str, Part]:
    """The scenarios, by name."""

    def slow(seconds: float) -> None:
        redis.between.delay = seconds

    async def failed_over() -> None:
        await redis.between.close()
        await redis.kill_first()

    async def back() -> None:
        await redis.switch()
        await redis.between.open()

    ways: dict[str, tuple[str, Callable[[], object], Callable[[], object]]] = {
        "fleet-redis-gone": ("Redis is gone", redis.between.close, redis.between.open),
        "fleet-redis-slow": ("Redis takes a second for everything", lambda: slow(1.0), lambda: slow(0.0)),
        "fleet-redis-stopped": ("Redis is stopped (SIGSTOP)", redis.pause, redis.resume),
        "fleet-redis-flushed": ("Redis forgets all", redis.flush, redis.flush),
        "fleet-redis-failed-over": ("Redis is killed, and its copy takes its place", failed_over, back),
    }

    def part(what: str, broken: Callable[[], object], mended: Callable[[], object]) -> Part:
        async def act(play: Play) -> None:
            await fleet.play(play, broken, mended)

        return Part(f"two gateways, breakers open, close and open: {what}", act, models=(GOOD, PAIR, helped(SICK)))

    return {name: part(*way) for name, way in ways.items()}


@asynccontextmanager
async def standing(folder: Path, hostile: Hostile) -> AsyncIterator[tuple[Setting, dict[str, Part]]]:
    """Both gateways, and the scenarios that are played on them."""
    async with servers(folder) as redis:
        more: dict[str, Any] = {"hasty": False, "breaker": BREAKER, "redis": {"url": redis.url}}
        async with gateway(folder, hostile, [SICK], **more) as setting, gateway(folder, hostile, [SICK], **more) as other:
            setting.site.others.append(other.site)
            yield setting, parts(Fleet(other, hostile), redis)
