"""Callers who are known by a token or a certificate, and belong to organizations, teams and users of the store: what is set for these is in
force for them as for keys.

Who is meant is asked once, and again when something has changed in the store; while nobody can tell, it is as it was.
"""

from typing import NamedTuple

from msgspec.structs import replace

from extproc.callers.directory import Directory
from extproc.errors import Reject
from extproc.identity.claimed import Claimed, Resolved
from extproc.keys import StoredKeys
from extproc.values import Identity

_REMEMBERED = 8192


class Claim(NamedTuple):
    """What is said of a caller, and what follows."""

    said: Claimed
    tenant: bool
    """The caller's tenant is said as well; else it is the organization."""
    refuse: bool
    """Whom the store does not know is refused."""


class Joined:
    """Those of one snapshot."""

    __slots__ = ("_directory", "_keys", "_known")

    def __init__(self, directory: Directory, keys: StoredKeys) -> None:
        self._directory = directory
        self._keys = keys
        self._known: dict[Claimed, tuple[int, Resolved]] = {}

    async def join(self, identity: Identity, claim: Claim) -> Identity:
        """The same caller with what is set for him. Raises `Reject`: 403 where the store does not know him, or he is suspended; 503."""
        known = self._known.get(claim.said)
        if known is None or known[0] != self._keys.version:
            known = await self._ask(claim.said, known)
        resolved = known[1]
        if resolved.owner is None:
            if claim.refuse:
                message = f"The {resolved.missing} that the caller is said to belong to is not known here."
                raise Reject(403, "unknown_identity", message)
            return identity
        tenant = identity.tenant if claim.tenant else resolved.tenant or identity.tenant
        return replace(identity, tenant=tenant, owner=resolved.owner, grant=self._keys.grant_of(resolved.owner))

    async def _ask(self, said: Claimed, before: tuple[int, Resolved] | None) -> tuple[int, Resolved]:
        version = self._keys.version
        try:
            found = version, await self._directory.resolve(said)
        except Reject:
            if before is None:
                raise
            return before
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[said] = found
        return found
