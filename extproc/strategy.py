"""What a strategy is: the order in which the targets of a model are tried. One file in `strategies/` each.

A model's targets stand in tiers. A strategy orders those of one tier, for one request; the tiers follow one another, so a later one is
asked only when all of the earlier have failed. Whoever does not know a request's model, or has one target only, asks no strategy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.price import Price
    from extproc.pulse import Pulse
    from extproc.values import Request, Target


class Candidate(Struct, frozen=True):
    """A target that may be asked."""

    target: Target
    weight: float = 1.0
    """Its share, beside the weights of the others in its tier. With 0 it is asked when the others have failed."""
    pulse: Pulse | None = None
    """What this worker has felt of it; only where the strategy `needs_pulse`."""
    price: Price | None = None
    """What it charges; only where the strategy `needs_price`, and there it is None for a target whose price is not known."""


class Order(Protocol):
    """A strategy made ready for one model of one snapshot."""

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The same candidates, at least two of one tier, in the order in which they are to be tried. Must not wait."""
        ...


class Strategy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy's settings: its fields are what the configuration may say. Nothing of a request is kept on it."""

    needs_pulse: ClassVar[bool] = False
    """Its candidates have a `pulse`: requests are counted and timed."""
    needs_price: ClassVar[bool] = False
    """Its candidates have a `price`."""
    heeds: ClassVar[tuple[float, ...] | None] = None
    """Weights that change something, where not all do: `headgate check` tells of others."""

    def open(self) -> Order:
        """Makes it ready. What it has to remember between requests is kept on what this returns, for each model its own."""
        raise NotImplementedError(f"{type(self).__name__}.open")
