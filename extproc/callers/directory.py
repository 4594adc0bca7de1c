"""Who is meant by what a token says, and which teams somebody is in: known to whoever can ask the store."""

from typing import Protocol

from extproc.identity.claimed import Claimed, Resolved, TeamName
from extproc.identity.record import Owner


class Directory(Protocol):
    """Who there is. Raises `Reject` 503 where nobody can tell."""

    async def resolve(self, said: Claimed) -> Resolved:
        """Who is meant."""

    async def teams(self, owner: Owner) -> list[TeamName]:
        """The teams of a caller."""


class NoDirectory:
    """Nobody is known."""

    async def resolve(self, said: Claimed) -> Resolved:
        """See `Directory`."""
        return Resolved(missing="anybody")

    async def teams(self, owner: Owner) -> list[TeamName]:
        """See `Directory`."""
        return []
