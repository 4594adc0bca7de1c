"""Recorded answers on their way to clients: who is asked for what by whom, all at once, and what came of it."""

import asyncio
import re
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import NamedTuple

from tests.e2e.losses import ALL, fault, parts, unreadable
from tests.e2e.recorded import RECORDINGS, Ask
from tests.e2e.sdks import Sdk
from tests.e2e.sdks.known import CLIENTS

_AT_ONCE = 8
"""Requests, on a machine of two processors."""
_SHOWN = 300
"""Characters of an error."""


class Crossing(NamedTuple):
    """What a client made of an answer."""

    ask: Ask
    faults: dict[str, str]
    """What went wrong, by the part of the answer that it went wrong with; of an answer that could not be read, by all of them."""

    def told(self) -> list[str]:
        """Its faults, with all that one has to know of them."""
        recording, client, cut, twice = self.ask
        where = f"{recording.name} ({recording.dialect}) to {client}{f', cut {cut}' if cut else ''}{', two targets' if twice else ''}"
        whats: dict[str, list[str]] = {}
        for what, wrong in self.faults.items():
            whats.setdefault(wrong, []).append(what)
        return [f"{where}: {', '.join(what) if len(what) < len(ALL) else 'all'}: {wrong}" for wrong, what in whats.items()]


def everything() -> list[Ask]:
    """Each recording to each client; and with a second target, and cut in each way, to one of them, by turns."""
    asks, turn = [], 0
    for recording in RECORDINGS:
        names = [name for name, client in CLIENTS.items() if client.can_get(recording)]
        asks += [Ask(recording, name) for name in names]
        names = [name for name in names if not unreadable(name, recording)]
        for cut in ("", *recording.cuts()):
            asks.append(Ask(recording, names[turn % len(names)], cut, twice=not cut or turn % 2 == 0))
            turn += 1
    return asks


def cross(url: str, asks: Iterable[Ask]) -> list[Crossing]:
    """Asks a gateway all that."""
    return asyncio.run(_cross(url, asks))


async def _cross(url: str, asks: Iterable[Ask]) -> list[Crossing]:
    async with AsyncExitStack() as stack:
        sdks = {name: await stack.enter_async_context(client.open(url)) for name, client in CLIENTS.items()}
        room = asyncio.Semaphore(_AT_ONCE)
        return await asyncio.gather(*(_ask(sdks[ask.client], ask, room) for ask in asks))


async def _ask(sdk: Sdk, ask: Ask, room: asyncio.Semaphore) -> Crossing:
    recording = ask.recording
    ours = CLIENTS[ask.client].dialect != recording.dialect
    wrong = unreadable(ask.client, recording)
    async with room:
        try:
            said = await (sdk.streamed if recording.stream else sdk.whole)(ask.model, ours=ours)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what came of it
            told = re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")[:_SHOWN]
            return Crossing(ask, {} if wrong else dict.fromkeys(ALL, told))
    if wrong:
        return Crossing(ask, dict.fromkeys(ALL, f"should not be readable ({wrong}), but is"))
    got = parts(said)
    return Crossing(ask, {what: told for what in ALL if (told := fault(ask.client, what, recording, got[what]))})
