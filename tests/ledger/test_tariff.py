"""What is read once of a price list costs what the price list itself says, for every model of it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.ledger.tariff import flat, listed
from extproc.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

ONE = flat(Decimal(1), Decimal(2), Decimal("0.1"), Decimal("1.25"))

SHAPES = ((0, 0, 0), (0.5, 0, 0), (0.25, 0.5, 0), (0, 0.5, 0.25), (0.5, 0.5, 0.5), (0, 1, 1))


def usages(thresholds: Iterable[int]) -> Iterator[Usage]:
    """Usages of every shape that text has, at and above each length of prompt at which a provider charges more."""
    for count in {1, 999, *(start + more for start in thresholds for more in (0, 1))}:
        for number, (read, write, lasting) in enumerate(SHAPES):
            output, reasoning = ((0, 0), (17, 0), (1234, 77))[number % 3]
            yield Usage(count, output, int(count * read), int(count * write), int(count * lasting), reasoning)


def shape(prices: "ModelPrice") -> dict[str, tuple[int, ...]]:
    """For what there is a price, and where it changes."""
    values = {name: price for name, price in vars(prices).items() if price is not None}
    return {name: () if isinstance(price, Decimal) else tuple(tier.start for tier in price.tiers) for name, price in values.items()}


def named(usage: Usage) -> dict[str, int]:
    """In the names of genai-prices, as far as there is any."""
    counts = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "cache_write_5m_tokens": usage.cache_write - usage.cache_write_1h,
        "output_reasoning_tokens": usage.reasoning,
    }
    return {name: count for name, count in counts.items() if count}


def test_every_model_costs_what_genai_prices_says() -> None:
    from genai_prices.data import providers  # noqa: PLC0415 - slow, and only this one wants it
    from genai_prices.types import ModelPrice  # noqa: PLC0415

    told, seen = 0, Counter[str]()
    for provider in providers:
        for model in provider.models:
            for prices in [model.prices] if isinstance(model.prices, ModelPrice) else [one.prices for one in model.prices]:
                tariff, form = listed(prices), shape(prices)
                seen[repr(form)] += 1
                # Genai-prices is slow: a few of each form.
                if tariff is None or seen[repr(form)] > 5:
                    continue
                for usage in usages({start for starts in form.values() for start in starts}):
                    ours = tariff.price(usage)
                    if ours is not None:
                        theirs = prices.calc_price(named(usage))
                        found = (ours.input, ours.output, ours.total)
                        assert found == (theirs["input_price"], theirs["output_price"], theirs["total_price"]), (model.id, usage)
                        told += 1
    assert len(seen) > 50
    assert told > 1000


@pytest.mark.parametrize("usage", [Usage(10, 1, 11), Usage(10, 1, 6, 5), Usage(10, 1, 0, 5, 6)])
def test_contradictions_have_no_price(usage: Usage) -> None:
    assert ONE.price(usage) is None


def test_what_is_not_sold_has_no_price() -> None:
    from genai_prices.types import ModelPrice  # noqa: PLC0415 - slow

    embeddings = listed(ModelPrice(input_mtok=Decimal("0.02")))
    assert embeddings is not None
    assert embeddings.price(Usage(10, 1)) is None
    found = embeddings.price(Usage(10))
    assert found is not None
    assert found.total == Decimal("0.0000002")
    assert listed(ModelPrice(output_mtok=Decimal(1))) is None
    assert listed(ModelPrice(input_mtok=Decimal(1), requests_kcount=Decimal(1))) is None
    assert listed(ModelPrice(input_mtok=Decimal(1), output_reasoning_mtok=Decimal(1))) is None
    assert listed(ModelPrice(input_mtok=Decimal(1), cache_write_1h_mtok=Decimal(1))) is None


@given(st.integers(0, 2**53), st.integers(0, 2**53), st.decimals(0, 10**6, places=9))
@settings(deadline=None)
def test_no_digit_is_lost(count: int, output: int, price: Decimal) -> None:
    found = flat(price, price, price, price).price(Usage(count, output))
    assert found is not None
    assert Fraction(found.total) == Fraction(price) * (count + output) / 1_000_000
