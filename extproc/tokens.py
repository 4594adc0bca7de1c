"""Access tokens that end: fetched and renewed by the control process, pushed to the workers, and sent to providers by these.

They are no part of a snapshot: a fresh token changes no configuration, and counts for requests of every snapshot at once.
"""

import hashlib
import time
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from extproc.config.model import Google, Provider
from extproc.errors import Reject

TOKENS = "tokens"
"""The push that carries them: a `Tokens`."""


class Token(Struct, frozen=True, array_like=True):
    """One of them."""

    text: str
    until: float
    """When it ends, in seconds since the epoch."""


Tokens = dict[str, Token]
"""By what they are for, see `purpose`."""

_decode = msgspec.msgpack.Decoder(Tokens).decode


def veiled(google: Google) -> Google:
    """Credentials as workers are told of them: a digest, which tells one from another."""
    return Google(credentials=_digest([google.credentials, google.scope]))


def purpose(name: str, google: Google, base_url: str) -> str:
    """What a token is for: the provider `name`, at that place, with those credentials (`veiled`). A configuration that changes one of them
    has another token, so that none goes where it was not made for.
    """
    return _digest([name, google.credentials, base_url])


def purpose_of(name: str, provider: Provider) -> str:
    """`purpose` of a provider as workers are told of it; empty where it wants no token."""
    return purpose(name, provider.google, provider.base_url) if provider.google is not None else ""


def _digest(what: list[str | None]) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(what)).hexdigest()


def encode_tokens(tokens: Mapping[str, Token]) -> bytes:
    """A push of them."""
    return msgspec.msgpack.encode(tokens)


class Purse:
    """A worker's tokens. Upstreams of all snapshots look into the same one."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: Tokens = {}

    def take(self, data: bytes) -> None:
        """Tokens as they are pushed. One that was there and is not told of stays until it ends."""
        now = time.time()
        living = {purpose: token for purpose, token in self._tokens.items() if token.until > now}
        self._tokens = living | _decode(data)

    def has(self, purpose: str) -> bool:
        """Whether there is a token that counts for that."""
        token = self._tokens.get(purpose)
        return token is not None and token.until > time.time()

    def bearer(self, purpose: str, provider: str) -> str:
        """What to send as `authorization`, to `provider`. Raises `Reject` 503 if there is no token that counts."""
        if not self.has(purpose):
            message = f"The gateway has no valid access token for the provider {provider} at the moment. Its log says why; try again later."
            raise Reject(503, "provider_authentication", message, headers=(("retry-after", "5"),))
        return f"Bearer {self._tokens[purpose].text}"
