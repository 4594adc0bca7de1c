"""Money in counters: whole nano-dollars, which fit into what Redis counts with. What is below stays with whoever knows it exactly."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from extproc.exact import EXACT

NANOS = 1_000_000_000
"""Nano-dollars in a dollar."""


def reserved(dollars: Decimal) -> int:
    """What is reserved for an estimate, in nano-dollars: rounded up."""
    return int(EXACT.multiply(dollars, NANOS).to_integral_value(ROUND_CEILING))


def settled(before: Decimal, dollars: Decimal) -> int:
    """What a counter is told, in nano-dollars, when `dollars` are added to what had come to `before` dollars by then.

    What is below a nano-dollar is told with the first that completes one: the sum of all that was told is the exact sum, rounded down.
    """
    return _whole(EXACT.add(before, dollars)) - _whole(before)


def plain_dollars(nanos: int) -> str:
    """As people write it: `50`, `0.25`."""
    whole, rest = divmod(nanos, NANOS)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def _whole(dollars: Decimal) -> int:
    return int(EXACT.multiply(dollars, NANOS).to_integral_value(ROUND_FLOOR))
