"""A kept answer, and what a store of them must do."""

import itertools
import secrets
from typing import Protocol

import msgspec
from msgspec import Struct

from extproc.usage import Usage


class Entry(Struct, frozen=True, array_like=True, kw_only=True):
    """A whole answer. New fields go to the end, with a default: other versions of Headgate may share the Redis."""

    status: int
    """HTTP status."""
    headers: tuple[tuple[str, str], ...]
    """Response headers that are replayed, names in lower case."""
    body: bytes
    """The body as the client got it, not compressed; all events of a stream."""
    usage: Usage
    """What the answer cost when it was made."""
    provider: str
    """Who made it."""
    target: str
    """Model name that the provider was sent."""
    answered: str
    """Model name in the answer."""
    created: int
    """When it was made, Unix seconds."""
    stream: bool
    """True: the body is a stream of events."""


class Lead(Struct, frozen=True):
    """The right, and the duty, to fetch an entry for everybody who waits for it: ends with `put` or `abandon`."""

    token: bytes
    """16 bytes like no others: whose lead it is."""


class Store(Protocol):
    """Keeps entries by key, and lets one caller at a time fetch what is missing. A fault of the store is never the caller's: it reads
    as "not there". Keys are 32 bytes. May be awaited outside of a task.
    """

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """Looks for an entry.

        An `Entry` was found. A `Lead` makes this caller the one to fetch it; only with `lead`. None: there is no entry. With `lead`,
        while somebody else fetches it, waits for the entry, at most `wait` seconds; None then means to go on alone.
        """

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """Keeps an entry for `ttl` seconds, gives it to all who wait for it, and ends the lead, if there was one."""

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """Nothing came of it: ends the lead, and those who wait go on alone."""


# A token has to be unlike all others, not hard to guess: whoever can speak to a store may do there what he likes. So the kernel is asked
# for randomness once a process, not once a request.
_process = secrets.token_bytes(10)
_numbers = itertools.count()


def new_lead() -> Lead:
    """A lead like no other."""
    return Lead(_process + next(_numbers).to_bytes(6, "big"))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The entry as it is kept."""
    return _encoder.encode(entry)


def decode(data: bytes) -> Entry | None:
    """A kept entry. None if it is not one that this version can read."""
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None
