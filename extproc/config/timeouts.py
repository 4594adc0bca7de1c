"""How long to wait: for a provider, for a model or a target of it, and how long a client may say that it wants to wait."""

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import NamedTuple

import msgspec

from extproc.config.section import Seconds, Section


class Timeouts(Section, frozen=True):
    """How long to wait for a provider."""

    connect: Seconds = 5.0
    """To connect, TLS included."""
    first_byte: Seconds = 120.0
    """From the request to the response headers (or a stream's first event, where there are several targets)."""
    idle: Seconds = 120.0
    """Silence in the middle of a response."""
    total: Seconds | None = None
    """The whole, all attempts and the last byte of a stream included; no bound unless given. A client's `x-headgate-timeout` takes its
    place, up to `timeouts.most`."""


class Patience(Section, frozen=True):
    """How long to wait for a model, or for one target of it: what is not said is the provider's. Where several targets may answer a
    request, the most patient of them counts.
    """

    first_byte: Seconds | None = None
    """See the provider's `timeouts.first_byte`."""
    idle: Seconds | None = None
    """See the provider's `timeouts.idle`."""
    total: Seconds | None = None
    """See the provider's `timeouts.total`."""


class Waiting(Section, frozen=True):
    """What a client may say of how long it waits."""

    most: Seconds = 3600.0
    """Longest whole that a client gets by saying `x-headgate-timeout` (seconds). Whoever asks for more gets this."""


NONE_SAID = Patience()


class Longest(NamedTuple):
    """How long a request waits, whose targets may be several. Seconds."""

    idle: float
    """Silence in mid-answer."""
    opening: float
    """Silence before the first of an answer's body."""
    total: float
    """The whole; infinite where it has no bound."""


def longest(timeouts: Sequence[Timeouts]) -> Longest:
    """Of these targets, the most patient one counts for each of the times."""
    idle = max(one.idle for one in timeouts)
    opening = max(idle, *(one.first_byte for one in timeouts))
    return Longest(idle, opening, max(inf if one.total is None else one.total for one in timeouts))


def joined(model: Patience, target: Patience) -> Patience:
    """A model's and its target's: what the target says goes first."""
    said = {name: value for name, value in msgspec.structs.asdict(target).items() if value is not None}
    return msgspec.structs.replace(model, **said)


@lru_cache(maxsize=1024)
def patient(provider: Timeouts, said: Patience) -> Timeouts:
    """A provider's, with what a model and a target say in its place."""
    own = {name: value for name, value in msgspec.structs.asdict(said).items() if value is not None}
    return msgspec.structs.replace(provider, **own)
