"""Limits, budgets and spans of time as people write them."""

from decimal import Decimal

import pytest

from extproc.identity.settings import Limit
from extproc.identity.written import budget, limit, shown, span


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("requests=1000/day", Limit(unit="requests", amount=Decimal(1000), window="day")),
        ("tokens=2M/month@Europe/Berlin", Limit(unit="tokens", amount=Decimal(2_000_000), window="month", zone="Europe/Berlin")),
        ("input_tokens=5k/60s", Limit(unit="input_tokens", amount=Decimal(5000), seconds=60)),
        ("concurrency=5", Limit(unit="concurrency", amount=Decimal(5))),
        ("tokens=1,500,000/day", Limit(unit="tokens", amount=Decimal(1_500_000), window="day")),
        ("cost=0.50/week", Limit(unit="cost", amount=Decimal("0.50"), window="week")),
    ],
)
def test_limits(text: str, made: Limit) -> None:
    assert limit(text) == made
    assert limit(shown(made)) == made
    assert limit(text, hard=False).hard is False


def test_budgets() -> None:
    assert budget("50/month") == Limit(unit="cost", amount=Decimal(50), window="month")
    assert shown(budget("50/month")) == "cost=50/month"
    assert shown(limit("cost=50/month", hard=False)) == "cost=50/month (warns)"


@pytest.mark.parametrize("text", ["", "requests", "requests=/day", "wishes=1/day", "requests=1/moon", "requests=1", "requests=0.5/day",
    "requests=10,00/day", "concurrency=1/day", "requests=-1/day", "requests=1/0s"])  # fmt: skip
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        limit(text)


def test_mistakes_are_told_with_what_was_probably_meant() -> None:
    with pytest.raises(ValueError, match=r"no unit 'request'; did you mean \"requests\"\?"):
        limit("request=10/day")
    with pytest.raises(ValueError, match="'50' is no budget: it says no window, as 50/month does"):
        budget("50")


def test_spans() -> None:
    assert [span(text) for text in ("45s", "15m", "12h", "30d", "4w")] == [45_000, 900_000, 43_200_000, 2_592_000_000, 2_419_200_000]
    for text in ("", "30", "d", "30 d", "1y", "-1d"):
        with pytest.raises(ValueError, match="is no span of time"):
            span(text)
