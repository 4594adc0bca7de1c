"""Scenarios of providers: each fault, alone and with a good target behind it, asked in every dialect, while other load goes on."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bench.faults import checks
from bench.faults.expected import FATES, Fate, fits
from bench.faults.load import KINDS, Load, Told
from bench.faults.setting import GOOD, PAIR, Setting, alone, helped
from bench.faults.site import Entry

_AT_ONCE = 6
"""Faults that are tried at a time."""
_HEAVY = "endless"
"""Beginning of those which keep everybody busy, and so are tried one by one."""


class Row(Struct, kw_only=True):
    """What came of one fault."""

    name: str
    what: str
    told: list[Told]
    attempts: int = 0
    """Requests that reached a provider."""
    entries: dict[str, Entry] = {}
    """Its requests' entries in the ledger."""
    problems: list[str] = []

    def of(self, *, stream: bool, second: bool) -> list[Told]:
        """Requests of one form. `second`: those for which there was a second target."""
        model = helped(self.name) if second else alone(self.name)
        return [one for one in self.told if one.model == model and one.kind.stream == stream]


class Swept(Struct, kw_only=True):
    """What came of all."""

    rows: list[Row]
    steady: list[Told]
    refused: list[Told]
    problems: list[str]
    """What was wrong with the load beside them, or with the whole."""


async def sweep(setting: Setting, faults: Sequence[str], *, each: int = 1) -> Swept:
    """Tries them all; `each`: how often every kind of request is sent."""
    family, since = setting.site.family(), len(setting.hostile.heard)
    turns = asyncio.Semaphore(_AT_ONCE)
    models = [GOOD, PAIR, *map(alone, faults)]
    async with Load(setting.caller, [GOOD, PAIR], steady=3, intruders=0) as load, Load(setting.caller, models, steady=0) as intruders:
        light = [fault for fault in faults if not fault.startswith(_HEAVY)]
        tried = await asyncio.gather(*[_try(setting, fault, turns, each) for fault in light])
        tried += [await _try(setting, fault, turns, each) for fault in faults if fault.startswith(_HEAVY)]
    rows = sorted(tried, key=lambda row: faults.index(row.name))
    heard = setting.hostile.heard[since:]
    entries = await setting.site.collected([one.id for one in heard])
    for row in rows:
        _judge(row, FATES[row.name], entries)
        row.attempts = sum(one.fault == row.name for one in heard)
    told = [one for row in rows for one in row.told]
    problems = checks.kept_out(intruders.refused, heard) + checks.credentials(heard) + checks.booked(heard, entries)
    problems += [f"while providers failed, another request got {one.word!r}" for one in load.told if one.word != "200"][:5]
    problems += checks.mixed(load.told) + checks.charged(load.told, entries)
    if setting.site.family() != family:
        problems.append(f"a process of the gateway has died: there were {family}, now there are {setting.site.family()}")
    if not intruders.refused or not load.told:
        problems.append("there was no load")
    return Swept(rows=rows, steady=load.told, refused=intruders.refused, problems=problems + _bugs(setting) + _lost(told, entries))


async def _try(setting: Setting, fault: str, turns: asyncio.Semaphore, each: int) -> Row:
    async with turns:
        # No sign may stand in a marker's middle part.
        tag = "".join(filter(str.isalnum, fault))
        asked = [setting.caller.ask(kind, model(fault), tag=tag) for model in (alone, helped) for kind in KINDS * each]
        return Row(name=fault, what=FATES[fault].what, told=await asyncio.gather(*asked))


def _judge(row: Row, fate: Fate, entries: Mapping[str, Entry]) -> None:
    row.entries = {one.id: entries[one.id] for one in row.told if one.id in entries}
    wrong = []
    for one in row.told:
        due = fate.of(stream=one.kind.stream, helped=one.model == helped(row.name))
        if not fits(one.word, due):
            wrong.append(
                f"{one.model}, {one.kind.dialect}{' stream' if one.kind.stream else ''}: {one.word!r}, due {'|'.join(sorted(due))}"
            )
    row.problems = [
        *checks.some(wrong),
        *checks.mixed(row.told),
        *checks.charged(row.told, entries),
        *checks.refusals_free(row.told, entries),
    ]


def _lost(told: Sequence[Told], entries: Mapping[str, Entry]) -> list[str]:
    """Whoever was answered by a provider, or told that one has failed, is in the books."""
    return checks.some([f"{one.id} ({one.model}, {one.word}) is not in the ledger" for one in told if one.id and one.id not in entries])


def _bugs(setting: Setting) -> list[str]:
    """A bug of ours is logged with its trace, and so found."""
    return ["the gateway's log has a trace of a bug"] if "Traceback" in setting.site.said() else []
