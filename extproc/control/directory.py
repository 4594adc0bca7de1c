"""Tells workers who is meant by what a token says, and which teams somebody is in. It asks the store once for each question and change.

While the store does not answer, what was answered before is still so; of the rest nobody can tell.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from pathlib import Path

import msgspec

from extproc.callers.asked import RESOLVE, TEAMS
from extproc.control.feed import Feed
from extproc.control.identities import Identities
from extproc.identity.claimed import Claimed
from extproc.identity.record import Owner

_REMEMBERED = 65_536


class Directory:
    """`handlers` go to the `LinkServer`."""

    def __init__(self, state: Path, feed: Feed, where: Callable[[], str]) -> None:
        """`where`: URL of the store; empty for that of the state folder."""
        self._state = state
        self._feed = feed
        self._where = where
        self._known: dict[tuple[str, bytes], tuple[Hashable, bytes]] = {}

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], Awaitable[bytes]]]:
        """What workers may call."""
        return {RESOLVE: self._resolve, TEAMS: self._teams}

    async def _resolve(self, _: object, payload: bytes) -> bytes:
        return await self._answer(RESOLVE, payload, lambda store: store.resolve(msgspec.msgpack.decode(payload, type=Claimed)))

    async def _teams(self, _: object, payload: bytes) -> bytes:
        return await self._answer(TEAMS, payload, lambda store: store.teams(msgspec.msgpack.decode(payload, type=Owner)))

    async def _answer(self, method: str, payload: bytes, ask: Callable[[Identities], object]) -> bytes:
        url = self._where()
        store = Identities(self._state, url)
        version = (store.version(), self._feed.version)
        known = self._known.get((method, payload))
        if known is not None and known[0] == version:
            return known[1]

        def look(up: bool) -> object:
            if url and not up:
                raise ConnectionError("the store does not answer")
            return ask(store)

        try:
            answer = msgspec.msgpack.encode(await self._feed.ask(look))
        except OSError:
            return known[1] if known is not None else b""
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[method, payload] = version, answer
        return answer
