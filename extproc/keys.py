"""Callers' virtual keys: how one is made, hashed, and found again.

A key is 32 random bytes, so a plain SHA-256 of it can be stored: there is nothing to guess. It is looked up by that digest, which a
caller cannot steer byte by byte, so the time of a look-up tells nothing of the keys that exist.
"""

import hashlib
import secrets
from collections.abc import Iterable

from msgspec import Struct

from extproc.values import Identity

PREFIX = "hg-"


class StoredKey(Struct, frozen=True):
    """A key as it is kept: never the key itself."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes."""
    tenant: str = ""


def make_key() -> str:
    """A new key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class KeyTable:
    """All keys of a snapshot. Looking one up costs the same for ten keys and for a million."""

    __slots__ = ("_identities", "required")

    def __init__(self, keys: Iterable[StoredKey], *, required: bool) -> None:
        self._identities = {key.digest: Identity(key.tenant or key.name, key.name) for key in keys}
        self.required = required
        """True: a request without a key is refused. False only for a gateway that has none and that strangers cannot reach."""

    def find(self, key: str) -> Identity | None:
        """Whose key it is, or None."""
        return self._identities.get(digest(key))

    def __len__(self) -> int:
        return len(self._identities)
