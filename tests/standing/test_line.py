"""A worker's line to the control process: what is granted to somebody who has gone is given back."""

import asyncio

import pytest

from extproc.link.client import Link
from extproc.link.server import LinkServer, Peer
from extproc.standing.cooling import Name
from extproc.standing.line import LinkLine
from extproc.standing.told import BACK, NONE, PROBE, Lease, decode_lease

pytestmark = pytest.mark.asyncio

NAME = Name("openai", "gpt")


class Control:
    """One that takes its time to answer."""

    def __init__(self) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.answer = 7
        self.back: asyncio.Queue[Lease] = asyncio.Queue()

    async def probe(self, _: Peer, __: bytes) -> bytes:
        answer = b"%d" % self.answer
        self.asked.set()
        await self.answers.wait()
        return answer

    def give_back(self, _: Peer, payload: bytes) -> bytes:
        self.back.put_nowait(decode_lease(payload))
        return b""


async def test_who_asks_may_go_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    control, path = Control(), str(tmp_path_factory.mktemp("l") / "c.sock")
    server = LinkServer(path, {PROBE: control.probe, BACK: control.give_back})
    await server.start()
    link = await Link.connect(path)
    line = LinkLine(link)

    async def gone(answer: int) -> None:
        control.answer = answer
        control.asked.clear()
        control.answers.clear()
        asking = asyncio.create_task(line.probe(NAME))
        await control.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        control.answers.set()

    await gone(0)
    await gone(NONE)
    await gone(7)
    assert await asyncio.wait_for(control.back.get(), 5) == Lease(NAME, 7)
    control.answer = 8
    assert await line.probe(NAME) == 8
    await link.close()
    await server.close()
    assert await line.probe(NAME) == NONE
    assert control.back.empty(), "nothing was given back that had not been granted, or that somebody has"
