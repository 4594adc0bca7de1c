"""What active checks have found of providers: the control process makes them, and pushes what came of them to the workers."""

from collections.abc import Mapping

import msgspec

HEALTH = "health"
"""The push that carries it: by the name of a provider that is checked, and has been, whether it is healthy."""
_FAILS = "its health check fails"

_decode = msgspec.msgpack.Decoder(dict[str, bool]).decode


def encode_health(healthy: Mapping[str, bool]) -> bytes:
    """A push: all of it, in place of what was there."""
    return msgspec.msgpack.encode(healthy)


def decode_ill(data: bytes) -> dict[str, str]:
    """The providers that are not healthy, and why, of a push."""
    return {name: _FAILS for name, healthy in _decode(data).items() if not healthy}
