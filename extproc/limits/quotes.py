"""What a target charges that the snapshot does not name, as a model that a pattern stands for, or an alias. The control process knows."""

from typing import Protocol

import msgspec

from extproc.price import Price

PRICE = "limits.price"
"""The method: provider and model, answered by the price or nothing."""

encode = msgspec.msgpack.Encoder().encode
read_price = msgspec.msgpack.Decoder(Price | None).decode
read_asked = msgspec.msgpack.Decoder(tuple[str, str]).decode


class Quotes(Protocol):
    """Whoever knows prices."""

    async def find(self, provider: str, model: str) -> Price | None:
        """What a target charges; None: nobody knows."""


class NoQuotes:
    """Nobody."""

    async def find(self, provider: str, model: str) -> Price | None:
        """See `Quotes`."""
        return None
