"""What is read once of a price list costs what the price list itself says, for every model of it; and prices by the piece."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.amount import Unit
from extproc.ledger.card import Card, Period
from extproc.ledger.listed import rates
from extproc.ledger.tariff import KINDS, Scale, Tariff, flat, tariff
from extproc.usage import Usage
from tests.examples import examples
from tests.ledger.theirs import named

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

SHAPES = ((0, 0, 0), (0.5, 0, 0), (0.25, 0.5, 0), (0, 0.5, 0.25), (0.5, 0.5, 0.5), (0, 1, 1))


def made(**prices: str) -> Tariff:
    """A tariff of these prices."""
    found = tariff(flat({kind: Decimal(price) for kind, price in prices.items()}))
    assert found is not None
    return found


ONE = made(input="1", output="2", cache_read="0.1", cache_write="1.25")


def usages(thresholds: Iterable[int]) -> Iterator[Usage]:
    """Usages of every shape, at and above each length of prompt at which a provider charges more."""
    for count in {1, 999, *(start + more for start in thresholds for more in (0, 1))}:
        for number, (read, write, lasting) in enumerate(SHAPES):
            output, reasoning = ((0, 0), (17, 0), (1234, 77))[number % 3]
            yield Usage(count, output, int(count * read), int(count * write), int(count * lasting), reasoning)
        yield Usage(count, 100, 0, 0, 0, 0, input_audio=count // 2, output_audio=40)
        yield Usage(count, 100, count // 2, 0, 0, 0, input_audio=count // 4 * 3)
        yield Usage(count, 100, 0, 0, 0, 0, input_image=count // 3, output_image=90)


def shape(prices: "ModelPrice") -> dict[str, tuple[int, ...]]:
    """For what there is a price, and where it changes."""
    values = {name: price for name, price in vars(prices).items() if price is not None}
    return {name: () if isinstance(price, Decimal) else tuple(tier.start for tier in price.tiers) for name, price in values.items()}


def test_every_model_costs_what_genai_prices_says() -> None:
    from genai_prices.data import providers  # noqa: PLC0415 - slow, and only this one wants it
    from genai_prices.types import ModelPrice  # noqa: PLC0415

    told, seen = 0, Counter[str]()
    for provider in providers:
        for model in provider.models:
            lines = [model.prices] if isinstance(model.prices, ModelPrice) else [one.prices for one in model.prices]
            for prices in (*lines, *(one.prices for one in model.price_variants or ())):
                found, form = tariff(rates(prices)), shape(prices)
                seen[repr(form)] += 1
                # Genai-prices is slow: a few of each form.
                if found is None or seen[repr(form)] > 3:
                    continue
                for usage in usages({start for starts in form.values() for start in starts}):
                    ours = found.price(usage)
                    if ours is not None:
                        theirs = prices.calc_price(named(usage))
                        assert (ours.input, ours.output) == (theirs["input_price"], theirs["output_price"]), (model.id, usage)
                        assert ours.total == theirs["total_price"], (model.id, usage)
                        told += 1
    assert len(seen) > 50
    assert told > 1000


@pytest.mark.parametrize("usage", [Usage(10, 1, 11), Usage(10, 1, 6, 5), Usage(10, 1, 0, 5, 6)])
def test_contradictions_have_no_price(usage: Usage) -> None:
    assert ONE.price(usage) is None


def test_what_is_not_sold_has_no_price() -> None:
    embeddings = made(input="0.02")
    assert embeddings.price(Usage(10, 1)) is None
    found = embeddings.price(Usage(10))
    assert found is not None
    assert found.total == Decimal("0.0000002")
    assert made(output="1").price(Usage(1)) is None
    assert tariff({}) is None


def test_parts_are_told_by_kind() -> None:
    found = made(input="1", output="2", cache_read="0.1", reasoning="3").price(Usage(1_000_000, 1_000_000, 500_000, reasoning=250_000))
    assert found is not None
    wanted = {"input": "0.5", "output": "1.5", "cache_read": "0.05", "reasoning": "0.75"}
    assert found.parts == {kind: Decimal(price) for kind, price in wanted.items()}
    assert (found.input, found.output, found.total) == (Decimal("0.55"), Decimal("2.25"), Decimal("2.8"))


@pytest.mark.parametrize(
    ("prices", "unit", "amount", "cost"),
    [
        ({"image": "0.04"}, "images", 3, "0.12"),
        ({"second": "0.0001"}, "seconds", 1.1, "0.00011"),
        ({"hour": "0.36"}, "seconds", 10, "0.001"),
        ({"character": "0.000015"}, "characters", 7, "0.000105"),
        ({"search": "0.002"}, "searches", 1, "0.002"),
        ({"request": "0.005"}, "", 0, "0.005"),
    ],
)
def test_pieces_have_prices_each(prices: dict[str, str], unit: Unit, amount: float, cost: str) -> None:
    found = made(**prices).price(Usage(), unit, amount)
    assert found is not None
    assert found.total == Decimal(cost)


def test_what_is_counted_and_has_no_price_is_unpriced() -> None:
    assert ONE.price(Usage(), "images", 2) is None
    both = ONE.price(Usage(1_000_000), "images", 2)
    assert both is not None, "its tokens are what is sold"
    assert both.total == 1
    assert made(image="1").price(Usage()) is None
    nothing = ONE.price(Usage())
    assert nothing is not None
    assert nothing.total == 0


def test_short_audio_costs_as_much_as_the_least_that_is_sold() -> None:
    least = tariff(flat({"second": Decimal(1)}), 10)
    assert least is not None
    short, long = least.price(Usage(), "seconds", 2.5), least.price(Usage(), "seconds", 12)
    assert short is not None
    assert long is not None
    assert (short.total, long.total) == (Decimal(10), Decimal(12))


def test_long_prompts_cost_more_as_a_whole() -> None:
    stepped = tariff({"input": Scale(Decimal(1), ((100, Decimal(2)), (200, Decimal(4)))), "output": Scale(Decimal(8))})
    assert stepped is not None
    costs = [found.input * 1_000_000 for count in (100, 101, 200, 201) if (found := stepped.price(Usage(count))) is not None]
    assert costs == [100, 202, 400, 804]


@given(
    prices=st.dictionaries(st.sampled_from(sorted(KINDS - {"hour"})), st.decimals(0, 10**6, places=12), min_size=1),
    counts=st.lists(st.integers(0, 2**40), min_size=9, max_size=9),
)
@settings(max_examples=examples(200), deadline=None)
def test_no_digit_is_lost_and_no_token_counts_twice(prices: dict[str, Decimal], counts: list[int]) -> None:
    fresh, read, write, hour, audio, image, plain, thought, spoken = counts
    fresh += 1
    found = tariff(flat({"input": Decimal(0), "output": Decimal(0), **prices}))
    assert found is not None
    usage = Usage(
        fresh + read + write + hour + audio + image, plain + thought + spoken, read, write + hour, hour, thought, audio, spoken, image
    )
    cost = found.price(usage)
    assert cost is not None

    def price(*kinds: str) -> Fraction:
        return Fraction(next((prices[kind] for kind in kinds if kind in prices), Decimal(0)))

    written = price("cache_write", "input")
    lasting = price("cache_write_1h", "cache_write", "input") if "cache_write" in prices else written
    wanted = (
        fresh * price("input") + read * price("cache_read", "input") + write * written + hour * lasting
        + audio * price("input_audio", "input") + image * price("input_image", "input")
        + plain * price("output") + thought * price("reasoning", "output") + spoken * price("output_audio", "output")
    )  # fmt: skip
    assert Fraction(cost.total) == wanted / 1_000_000 + price("request")


def test_the_price_is_that_of_the_day_the_hour_and_the_service() -> None:
    card = Card(
        "s", "v",
        (
            Period(flat({"input": Decimal(1), "output": Decimal(1)})),
            Period(flat({"input": Decimal(2), "output": Decimal(2)}), since=date(2026, 1, 1)),
            Period(flat({"input": Decimal(3), "output": Decimal(3)}), since=date(2026, 1, 1), hours=(time(22), time(4))),
            Period(flat({"input": Decimal(4), "output": Decimal(4)}), days=frozenset({7}), zone="Asia/Tokyo"),
        ),
        (
            Period(flat({"input": Decimal(9)}), since=date(2026, 1, 1), tier="priority"),
            Period(flat({"input": Decimal(8), "output": Decimal(7)}), tier="priority"),
        ),
        made={},
    )  # fmt: skip

    def at(moment: datetime, tier: str = "") -> list[Decimal]:
        found = card.tariff(moment.timestamp(), tier)
        assert found is not None
        (step,) = found.steps
        return [step.prices["input"], step.prices["output"]]

    assert at(datetime(2025, 12, 31, 12, tzinfo=UTC)) == [1, 1]
    assert at(datetime(2026, 1, 1, 12, tzinfo=UTC)) == [2, 2]
    assert at(datetime(2026, 1, 1, 22, tzinfo=UTC)) == at(datetime(2026, 1, 2, 3, 59, tzinfo=UTC)) == [3, 3]
    assert at(datetime(2026, 1, 2, 4, tzinfo=UTC)) == [2, 2]
    # A Saturday's afternoon there is Sunday's morning here.
    assert at(datetime(2026, 1, 3, 15, tzinfo=UTC)) == [4, 4]
    assert at(datetime(2026, 1, 1, 12, tzinfo=UTC), "priority") == [9, 7]
    assert at(datetime(2025, 1, 1, 12, tzinfo=UTC), "priority") == [8, 7]
    assert at(datetime(2026, 1, 1, 12, tzinfo=UTC), "flex") == [2, 2]
