"""A price list's line for one model, as integers: what a usage costs in a few multiplications, to the last digit.

genai-prices finds out anew at each call which of its units count what; that costs more than all else that is done with a record. For
usage in text tokens it comes down to one price for each kind of token, so that much is read from its list once a model. Everything
else (audio, prices by the request, counts that contradict each other) is left to genai-prices itself: `price` says None then.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from extproc.ledger.money import EXACT
from extproc.usage import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

_KNOWN = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
_NEVER_COUNTED = frozenset(
    ("web_searches_kcount", "storage_searches_kcount", "input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok",
     "input_image_mtok", "output_image_mtok", "cache_image_read_mtok")
)  # fmt: skip
"""Prices of what a usage without audio says nothing of."""
_PER = 6
"""Prices are for a million tokens."""


class _Rates(Struct, frozen=True):
    """Prices in units of 10 ** -places dollars a million tokens."""

    above: int
    """They hold for more input tokens than this."""
    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int


class Cost(Struct, frozen=True):
    """US dollars."""

    input: Decimal
    output: Decimal

    @property
    def total(self) -> Decimal:
        """Both together."""
        return EXACT.add(self.input, self.output)


class Tariff(Struct, frozen=True):
    """Prices of one model's tokens."""

    steps: tuple[_Rates, ...]
    """From the highest on: providers charge all tokens of a long prompt at the higher price."""
    exponent: int
    sells_output: bool = True

    def price(self, usage: Usage) -> Cost | None:
        """What the usage costs. None: that cannot be told from here."""
        fresh = usage.input - usage.cache_read - usage.cache_write
        lasting = usage.cache_write_1h
        if fresh < 0 or lasting > usage.cache_write or (usage.output and not self.sells_output):
            return None
        rates = self.steps[0]
        for rates in self.steps:
            if usage.input > rates.above:
                break
        bought = (
            rates.input * fresh
            + rates.cache_read * usage.cache_read
            + rates.cache_write * (usage.cache_write - lasting)
            + rates.cache_write_1h * lasting
        )
        return Cost(Decimal(bought).scaleb(self.exponent, EXACT), Decimal(rates.output * usage.output).scaleb(self.exponent, EXACT))


def flat(input_price: Decimal, output: Decimal, cache_read: Decimal, cache_write: Decimal) -> Tariff:
    """One price a kind of token, whatever the length of the prompt."""
    prices = (input_price, output, cache_read, cache_write, cache_write)
    places = _places(prices)
    return Tariff((_Rates(-1, *(_scaled(price, places) for price in prices)),), -places - _PER)


def listed(prices: "ModelPrice") -> Tariff | None:
    """The same of a line of genai-prices, for usage without audio. None: it charges for more than tokens, or not for input at all."""
    named: dict[str, Decimal | TieredPrices] = {name: price for name, price in vars(prices).items() if price is not None}
    if not named.keys() <= _NEVER_COUNTED.union(_KNOWN) or "input_mtok" not in named:
        return None
    if "cache_write_1h_mtok" in named and "cache_write_mtok" not in named:
        return None
    thresholds = {-1, *(tier.start for price in named.values() if not isinstance(price, Decimal) for tier in price.tiers)}
    steps = [(above, _at(named, above)) for above in sorted(thresholds, reverse=True)]
    places = _places(price for _, step in steps for price in step)
    return Tariff(
        tuple(_Rates(above, *(_scaled(price, places) for price in step)) for above, step in steps), -places - _PER, "output_mtok" in named
    )


def _at(named: "Mapping[str, Decimal | TieredPrices]", above: int) -> list[Decimal]:
    """Prices of `_KNOWN` for more input than `above`. What has none of its own costs what the kind that it belongs to does."""

    def price(name: str, other: Decimal) -> Decimal:
        found = named.get(name, other)
        if isinstance(found, Decimal):
            return found
        return next((tier.price for tier in reversed(found.tiers) if tier.start <= above), found.base)

    fresh, output = price("input_mtok", Decimal(0)), price("output_mtok", Decimal(0))
    write = price("cache_write_mtok", fresh)
    return [fresh, output, price("cache_read_mtok", fresh), write, price("cache_write_1h_mtok", write)]


def _places(prices: Iterable[Decimal]) -> int:
    """Decimal places that all of them fit into."""
    return max(0, *(-int(price.as_tuple().exponent) for price in prices))


def _scaled(price: Decimal, places: int) -> int:
    return int(price.scaleb(places, EXACT))
