"""What a worker asks the control process of identities (`directory.py`)."""

import msgspec

from extproc.errors import Reject
from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.record import Owner
from extproc.link.client import Link, LinkDown, LinkFailed

RESOLVE = "directory.resolve"
"""The call that takes a `Claimed` and gives a `Resolved`, in msgpack; nothing where nobody can tell at the moment."""
TEAMS = "directory.teams"
"""The call that takes an `Owner` and gives a list of `TeamName`; likewise."""

_TIMEOUT = 5.0

_resolved = msgspec.msgpack.Decoder(Resolved).decode
_teams = msgspec.msgpack.Decoder(list[TeamName]).decode


class RemoteDirectory:
    """The control process's, over the link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def resolve(self, said: Claimed) -> Resolved:
        """See `Directory`."""
        return _resolved(await self._ask(RESOLVE, said))

    async def teams(self, owner: Owner) -> list[TeamName]:
        """See `Directory`."""
        return _teams(await self._ask(TEAMS, owner))

    async def _ask(self, method: str, what: Claimed | Owner) -> bytes:
        try:
            answer = await self._link.call(method, msgspec.msgpack.encode(what), timeout=_TIMEOUT)
        except (LinkDown, LinkFailed):
            answer = b""
        if not answer:
            message = "The gateway cannot find out at the moment whom this caller belongs to. Try again."
            raise Reject(503, "identities_unavailable", message, headers=(("retry-after", "1"),))
        return answer
