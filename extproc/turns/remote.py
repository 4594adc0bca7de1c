"""A worker's part: turns over the link."""

import logging

import msgspec

from extproc.link.client import Link, LinkDown, LinkFailed
from extproc.turns import messages
from extproc.turns.turn import Chain, Keep, Turn, TurnsDown

TIMEOUT = 5.0
"""Seconds that the control process may take. Who names a response before his own cannot be answered without it."""

_log = logging.getLogger(__name__)


class RemoteTurns:
    """`Turns` over the link."""

    def __init__(self, link: Link, *, timeout: float = TIMEOUT) -> None:
        self._link = link
        self._timeout = timeout

    async def chain(self, owner: str, id: str, most: int) -> Chain:
        """See `Turns`."""
        return messages.read_chain(await self._call(messages.CHAIN, messages.Wanted(owner, id, most)))

    async def put(self, owner: str, turn: Turn, keep: Keep) -> None:
        """See `Turns`. Does not wait: what is written to the link is read there before anything that a client asks because of it, or is
        waited for there.
        """
        if not self._link.notify(messages.PUT, messages.encode(messages.Made(owner, turn, keep)), hold=True):
            _log.error("response %s is not kept: the control process cannot be reached", turn.id)

    async def delete(self, owner: str, id: str) -> bool:
        """See `Turns`."""
        return messages.read_truth(await self._call(messages.DELETE, messages.Unwanted(owner, id)))

    async def _call(self, method: str, what: msgspec.Struct) -> bytes:
        try:
            return await self._link.call(method, messages.encode(what), timeout=self._timeout, hold=True)
        except (LinkDown, LinkFailed) as error:
            raise TurnsDown(str(error)) from None
