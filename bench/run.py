"""One run: everything is started, measured in rounds, weighed, and stopped."""

import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bench import machine, translation
from bench.cells import Cell
from bench.outcome import Outcome
from bench.rounds import rounds
from bench.stage import Stage
from bench.system import System

_NONE: Mapping[str, str] = {}
FEW = 10
"""Keys and routes of the smaller of the two gateways that growth is told from."""
WEIGHED = "headgate"
"""The system whose memory is also read with nothing else running."""


class Settings(Struct, frozen=True, kw_only=True):
    """How a run is made."""

    rounds: int
    seconds: float
    """Length of a turn."""
    gap: float
    """Seconds between a stream's events."""
    keys: int
    """Of the larger of the two gateways that growth is told from."""
    routes: int
    """Likewise."""
    translation: bool = True
    """What translation takes is measured, too."""

    def figures(self) -> dict[str, float]:
        """As the report shows them."""
        names = [name for name in self.__struct_fields__ if name != "translation"]
        return {**{name: float(getattr(self, name)) for name in names}, "few": float(FEW)}


async def measure(
    plan: Sequence[Cell], systems: Mapping[str, System], settings: Settings, *,
    command: str, tell: Callable[[str], None], peers: Mapping[str, str] = _NONE,
) -> Outcome:  # fmt: skip
    """The run. `peers`: versions of the systems that are not ours, by name; one that does not start is left out.

    Raises `RuntimeError` for whatever else does not start, and for any answer that was not as it should be.
    """
    facts = {**machine.facts(), **peers}
    began, clock = dt.datetime.now(dt.UTC), time.monotonic()
    wanted = [name for name in systems if any(name in cell.systems for cell in plan)]
    with tempfile.TemporaryDirectory(prefix="headgate-bench-", ignore_cleanup_errors=True) as folder:
        async with Stage(Path(folder), gap=settings.gap, tell=tell) as stage:
            for name in wanted:
                try:
                    await stage.start(systems[name])
                except RuntimeError as error:
                    if name not in peers:
                        raise
                    tell(f"left out: {error}")
                    await stage.stop(name)
                    plan = [replace(cell, systems=tuple(one for one in cell.systems if one != name)) for cell in plan]
            turns = await rounds(stage, plan, count=settings.rounds, seconds=settings.seconds, tell=tell)
            memory = stage.memory()
            alone = await stage.memory_alone(WEIGHED) if WEIGHED in wanted else {}
            tell("stopping ...")
    translated: translation.Found = {}
    if settings.translation:
        tell("measuring what translation takes, for every two dialects")
        for found in translation.measure(settings.rounds):
            translated = found
            await asyncio.sleep(0)  # Ctrl-C
    return Outcome(
        began=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        command=command,
        facts=facts,
        settings=settings.figures(),
        cells=list(plan),
        turns=turns,
        memory=memory,
        alone=alone,
        translation=translated,
    )
