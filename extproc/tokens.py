"""Access tokens that end: fetched and renewed by the control process, pushed to the workers, and sent to providers by these.

They are no part of a snapshot: a fresh token changes no configuration, and counts for requests of every snapshot at once.
"""

import time
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from extproc.errors import Reject

TOKENS = "tokens"
"""The push that carries them: a `Tokens`."""


class Token(Struct, frozen=True, array_like=True):
    """One of them."""

    text: str
    until: float
    """When it ends, in seconds since the epoch."""


Tokens = dict[str, Token]
"""By the provider's name."""

_decode = msgspec.msgpack.Decoder(Tokens).decode


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
        self._tokens.update(_decode(data))

    def has(self, provider: str) -> bool:
        """Whether there is a token for a provider that counts."""
        token = self._tokens.get(provider)
        return token is not None and token.until > time.time()

    def bearer(self, provider: str) -> str:
        """What to send to a provider as `authorization`. Raises `Reject` 503 if there is no token that counts."""
        if not self.has(provider):
            message = f"The gateway has no valid access token for the provider {provider} at the moment. Its log says why; try again later."
            raise Reject(503, "provider_authentication", message, headers=(("retry-after", "5"),))
        return f"Bearer {self._tokens[provider].text}"
