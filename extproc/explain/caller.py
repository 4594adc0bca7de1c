"""Who calls, where somebody says so by name: a key is found by what it is called, and stands for a moment under a secret that is known."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extproc.identity.record import StoredKey
from extproc.keys import digest, make_key
from extproc.snapshot import Message

ASSUMED = "assumed"
"""The name of a key that there is not."""


class Stood(Struct, frozen=True):
    """A snapshot in which the caller is known by a secret that was made for this."""

    data: bytes
    secret: str


def as_tenant(data: bytes, tenant: str) -> Stood:
    """Somebody with a key of this tenant's, of which nothing else is set."""
    return _standing(data, StoredKey(ASSUMED, b"", tenant))


def as_key(data: bytes, name: str, stored: Iterable[StoredKey]) -> Stood:
    """The key with this name or id, of `stored`. Raises `ValueError` where there is none, or several."""
    found = {key.id or key.name: key for key in stored if name in (key.id, key.name)}
    if not found:
        raise ValueError(f"there is no key {name!r}; `headgate keys list` lists them")
    if len(found) > 1:
        raise ValueError(f"several keys are called {name!r}; say which one by its id: {', '.join(sorted(found))}")
    (key,) = found.values()
    return _standing(data, key)


def _standing(data: bytes, key: StoredKey) -> Stood:
    secret = make_key()
    message = msgspec.msgpack.decode(data, type=Message)
    keys = replace(message.keys, added=(*message.keys.added, replace(key, digest=digest(secret))))
    return Stood(msgspec.msgpack.encode(replace(message, keys=keys, keys_exist=True)), secret)
