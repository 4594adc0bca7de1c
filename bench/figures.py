"""The benchmark's arithmetic. Nothing here knows what is measured."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """What a number of rounds gave: the median, the quartiles around it, and how many they were."""

    median: float
    low: float
    high: float
    rounds: int


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that `percent` of all are not above. Zero where there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Iterable[float]) -> Spread:
    """Median and quartiles. With fewer than four values, the quartiles are the least and the greatest."""
    found = sorted(values)
    if not found:
        raise ValueError("no values")
    low, high = found[0], found[-1]
    if len(found) >= 4:
        low, _, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(statistics.median(found), low, high, len(found))


def paired(one: dict[int, float], other: dict[int, float], combine: Callable[[float, float], float]) -> Spread:
    """Two systems' values by round, combined within each round, and only then summed up: what drifts, drifts for both."""
    rounds = one.keys() & other.keys()
    return spread(combine(one[number], other[number]) for number in rounds)


def ratio(one: float, other: float) -> float:
    """How many times `other` is `one`; infinite where there is nothing to compare with."""
    return one / other if other else math.inf


def difference(one: float, other: float) -> float:
    """By how much `one` is above `other`."""
    return one - other
