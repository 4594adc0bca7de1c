"""The arithmetic, by hand."""

import math

import pytest

from bench.figures import Spread, difference, paired, percentile, ratio, spread


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, 0),
        ([7], 50, 7),
        ([7], 99, 7),
        ([3, 1, 2], 50, 2),
        ([4, 3, 2, 1], 50, 2),
        (list(range(1, 101)), 50, 50),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 102)), 99, 100),
        ([1, 2], 100, 2),
        ([1, 2], 0, 1),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_spread() -> None:
    assert spread([5, 1, 9, 3, 7]) == Spread(5, 3, 7, 5)
    assert spread([2, 8]) == Spread(5, 2, 8, 2)
    assert spread([4]) == Spread(4, 4, 4, 1)
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_ratios_are_taken_within_a_round() -> None:
    # The machine is ten times slower in the second round, for both: the ratio of the medians would be 10.5, and says nothing.
    one, other = {1: 2.0, 2: 40.0, 3: 2.2}, {1: 1.0, 2: 10.0, 3: 0.1}
    assert paired(one, other, ratio).median == pytest.approx(4.0)
    assert paired(one, other, difference) == Spread(2.1, 1.0, 30.0, 3)


def test_only_rounds_that_both_have_count() -> None:
    assert paired({1: 4.0, 2: 5.0}, {2: 2.0, 3: 9.0}, difference) == Spread(3.0, 3.0, 3.0, 1)
    assert math.isinf(ratio(1, 0))
