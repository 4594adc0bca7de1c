"""What the gate is told of a mirrored request, beside its body: which request it repeats, whose that was, and whom to ask.

It travels in a header (`names.MIRROR_HEADER`) from the worker that copied the request to the one that takes the copy. It is believed on
the mirrors' own listener alone, which only this machine's user can reach, and never leaves the gateway.
"""

from base64 import b64decode, b64encode
from collections.abc import Container, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from extproc.values import Identity, Target


class Copies(Protocol):
    """Where copies of requests are sent off: `mirrors.Mirrors`."""

    dropped: int
    """So many were not sent, since the worker began."""

    def send(self, mirror: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Sends a request off to a mirror, or drops it. Returns at once."""

    def keep(self, mirrors: Container[str]) -> None:
        """These are the mirrors from now on: what is under way to others is given up."""


class MirrorIdentity(Identity, frozen=True):
    """Whose request is mirrored. What is done aside for the copy does not wait in the caller's own line."""

    @property
    def lane(self) -> str:
        """See `Identity.lane`."""
        return "mirror"


class Mirrored(Struct, frozen=True):
    """A copy of a request."""

    of: str
    """Id of the request that it repeats."""
    generation: str
    """The snapshot that this one began with."""
    target: Target
    """Who is asked."""
    identity: Identity
    """Whose request it is."""
    model: str
    """What the client asked for."""
    route: str
    """The configured model that this meant."""

    def encode(self) -> str:
        """As the header carries it: names may be of any script, a header may not."""
        return b64encode(msgspec.json.encode(self)).decode()


_decode = msgspec.json.Decoder(Mirrored).decode


def decode(text: str) -> Mirrored:
    """What the header carries. Raises `ValueError`."""
    return _decode(b64decode(text))
