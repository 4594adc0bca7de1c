"""Scenarios of the gateway's own parts: something of it breaks while requests come steadily, and is well again."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from msgspec import Struct

from bench.faults import checks
from bench.faults.expected import fits
from bench.faults.load import KINDS, Caller, Load, Told
from bench.faults.setting import GOOD, PAIR, Setting, alone, helped
from bench.faults.site import Entry

SLOW = "unhurried"
"""A fault that is none: some answers take seconds, so that there always are some under way."""
MODELS = (GOOD, PAIR, alone(SLOW), helped(SLOW))
_WARM, _AFTER = 12, 30
"""Requests that are answered before anything breaks, and once all is well again."""
_STEADY = 8
_AGAIN_WITHIN = 30.0


class Window(NamedTuple):
    """While something was broken."""

    begin: float
    end: float


class Play:
    """One scenario under way."""

    def __init__(self, setting: Setting, load: Load) -> None:
        self.site, self.hostile, self.load = setting.site, setting.hostile, load
        self.windows: list[Window] = []

    @contextmanager
    def broken(self) -> Iterator[None]:
        """While this lasts, and of what is under way meanwhile, requests may fail as the scenario says."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.windows.append(Window(begin, time.monotonic()))

    async def answered(self, count: int, since: float | None = None) -> None:
        """Waits until so many requests that were sent from now on have been answered."""
        moment = time.monotonic() if since is None else since

        def they_are() -> bool:
            return sum(one.word == "200" for one in self.load.since(moment)) >= count

        await self.site.until(they_are, f"{count} requests are answered again", _AGAIN_WITHIN)

    async def burst(self, count: int) -> None:
        """So many more at once, each on a connection of its own."""
        caller = Caller(self.site.url, anew=True)
        try:
            self.load.told += await asyncio.gather(*[caller.ask(KINDS[at % len(KINDS)], alone(SLOW), tag="burst") for at in range(count)])
        finally:
            await caller.close()

    def touched(self, told: Told) -> bool:
        """Whether that was under way while something was broken."""
        return any(told.began < window.end and told.ended > window.begin for window in self.windows)


class Part(NamedTuple):
    """A scenario."""

    what: str
    """What breaks, in words."""
    act: Callable[[Play], Awaitable[None]]
    """Breaks it, and makes it well again."""
    may: str = ""
    """What may become of requests that were under way meanwhile, as in `Fate`; nothing: all are answered."""
    again: int = 0
    """See `Load`."""
    models: Sequence[str] = MODELS
    """What is asked for."""
    log: str = ""
    """What the gateway's log has to tell of it."""


class Played(Struct, kw_only=True):
    """What came of a scenario."""

    name: str
    what: str
    told: list[Told]
    refused: list[Told]
    gap: float
    """The longest time in which nobody was answered, in seconds."""
    reached: int
    """Requests that reached a provider."""
    booked: dict[str, int]
    """Entries of the ledger, by outcome."""
    problems: list[str]
    untried: str = ""
    """Why it could not be played here."""

    @staticmethod
    def none(name: str, why: str) -> "Played":
        """It could not be played."""
        return Played(name=name, what="", told=[], refused=[], gap=0.0, reached=0, booked={}, problems=[], untried=why)


async def play(setting: Setting, name: str, part: Part) -> Played:
    """Plays one scenario on a gateway that is well, and holds it to what must hold."""
    since, logged = len(setting.hostile.heard), len(setting.site.said())
    problems = []
    async with Load(setting.caller, part.models, steady=_STEADY, tag=name.replace("-", ""), again=part.again) as load:
        acting = Play(setting, load)
        try:
            await acting.answered(_WARM)
            await part.act(acting)
            await acting.answered(_AFTER)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other scenarios are played, and this one has failed
            problems.append(f"{type(error).__name__}: {error}")
    heard = setting.hostile.heard[since:]
    entries = await setting.site.collected([one.id for one in heard])
    mine = {id: entries[id] for id in {one.id for one in heard} | {one.id for one in load.told} if id in entries}
    problems += _explained(acting, part, load.told)
    problems += checks.mixed(load.told) + checks.credentials(heard) + checks.booked(heard, entries)
    problems += _kept_out(acting, part, load.refused, [one.id for one in heard])
    problems += checks.charged([one for one in load.told if not acting.touched(one)], entries, cached=part.again > 0)
    problems += checks.not_twice([one for one in load.told if acting.touched(one)], entries)
    problems += checks.refusals_free(load.told, entries)
    if part.log and part.log not in setting.site.said()[logged:]:
        problems.append(f"the log says nothing of {part.log!r}")
    return Played(
        name=name, what=part.what, told=load.told, refused=load.refused, gap=_gap(load.told), reached=len({one.id for one in heard}),
        booked=_outcomes(mine), problems=problems,
    )  # fmt: skip


def _explained(acting: Play, part: Part, told: Sequence[Told]) -> list[str]:
    may = {"200", *part.may.split("|")} - {""}
    wrong = [one for one in told if one.word != "200" and not (acting.touched(one) and fits(one.word, may))]
    began = min((window.begin for window in acting.windows), default=0.0)
    return checks.some(
        [f"{one.model}, {one.kind.dialect}: {one.word!r} after {one.seconds:.1f} s, sent at {one.began - began:+.1f} s" for one in wrong]
    )


def _kept_out(acting: Play, part: Part, refused: Sequence[Told], reached: Sequence[str]) -> list[str]:
    may = {"401", *part.may.split("|")} - {"", "200"}
    wrong = [one for one in refused if not fits(one.word, may if acting.touched(one) else {"401"})]
    problems = [f"a caller without a key got {one.word!r} of {one.model}" for one in wrong]
    problems += [f"a caller without a key reached a provider: {one.id}" for one in refused if one.id and one.id in reached]
    if not any(one.word.startswith("401") for one in refused):
        problems.append("nobody without a key was refused")
    return checks.some(problems)


def _gap(told: Sequence[Told]) -> float:
    ends = sorted(one.ended for one in told if one.word == "200")
    return max((after - before for before, after in itertools.pairwise(ends)), default=0.0)


def _outcomes(entries: Mapping[str, Entry]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in entries.values():
        found[entry["outcome"]] = found.get(entry["outcome"], 0) + 1
    return found


async def rest(seconds: float) -> None:
    """Lets the load go on for a while."""
    await asyncio.sleep(seconds)
