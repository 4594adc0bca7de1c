"""The cheapest: by the request's own tokens, and what each target charges for them."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf, log
from random import random
from typing import Annotated, ClassVar

from msgspec import Meta

from extproc.size import input_tokens, output_limit
from extproc.strategy import Candidate, Order, Strategy
from extproc.values import Request

_FREE = Decimal(0)


class Cheapest(Strategy, frozen=True, kw_only=True):
    """Begins with the target that charges least for this request: for its tokens of input, estimated from its bytes, and for as many of
    output as it allows. Targets of the same price are drawn by weight; those whose price is not known come last.
    """

    needs_price: ClassVar[bool] = True

    output: Annotated[int, Meta(ge=0, le=10_000_000)] = 500
    """Tokens of output that are counted where the client sets no limit (`max_tokens`)."""

    def open(self) -> Order:
        """See `Strategy.open`."""
        return Least(self.output)


class Least:
    """Reckons."""

    def __init__(self, output: int, draw: Callable[[], float] = random) -> None:
        """`output`: see `Cheapest.output`. `draw`: numbers from 0 up to 1, as `random.random` has them."""
        self._output = output
        self._draw = draw

    def arrange(self, request: Request, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `Order.arrange`."""
        given, made = input_tokens(request.body), output_limit(request.body) or self._output
        return sorted(candidates, key=lambda one: self._rank(one, given, made))

    def _rank(self, one: Candidate, given: int, made: int) -> tuple[bool, bool, Decimal, float]:
        cost = _FREE if one.price is None else one.price.cost(given, made)
        lot = -log(1.0 - self._draw()) / one.weight if one.weight else inf
        return not one.weight, one.price is None, cost, lot
