"""The prices of genai-prices, as cards: read once a model, so that a request costs a few multiplications.

What its list prices and nobody tells us the count of (web searches, video, citations) is left out: it counts as nothing there, too.
"""

from datetime import time
from decimal import Decimal
from typing import TYPE_CHECKING

from extproc.exact import EXACT
from extproc.ledger.card import Card, Period
from extproc.ledger.tariff import Rates, Scale

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, TieredPrices

_KINDS = {
    "input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read", "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h", "input_audio_mtok": "input_audio", "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cache_read_audio", "input_image_mtok": "input_image", "output_image_mtok": "output_image",
    "cache_image_read_mtok": "cache_read_image", "output_reasoning_mtok": "reasoning", "requests_kcount": "request",
    "rerank_searches_kcount": "search", "input_mchars": "character", "audio_hours": "hour", "input_audio_hours": "hour",
}  # fmt: skip
_PER = {"requests_kcount": -3, "rerank_searches_kcount": -3, "input_mchars": -6}
"""Of these it has the price of many."""
SERVICES = ("service_tier", "processing", "speed")
"""What a variant of prices may be for that we are told."""
_LEAST = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
"""In its code, not in its list: https://groq.com/pricing"""


def card(vendor: str, model: "ModelInfo", version: str, *, own: bool = True) -> Card:
    """A model's prices. `own`: it is the vendor's, so that variants of its prices are, too."""
    from genai_prices.types import ModelPrice

    periods = (Period(rates(model.prices)),) if isinstance(model.prices, ModelPrice) else tuple(map(_period, model.prices))
    tiers = tuple(found for one in (model.price_variants or ()) if (found := _variant(one)) is not None) if own else ()
    source, least = f"genai-prices:{vendor}/{model.id}", _LEAST.get((vendor, model.id), 0)
    return Card(source, version, periods, tiers, least, free=model.id.endswith(":free"), made={})


def rates(prices: "ModelPrice") -> Rates:
    """What it charges, by kind."""
    named: dict[str, Decimal | TieredPrices] = {name: price for name, price in vars(prices).items() if price is not None}
    return {kind: _scale(named[name], _PER.get(name, 0)) for name, kind in _KINDS.items() if name in named}


def _scale(price: "Decimal | TieredPrices", shift: int) -> Scale:
    if isinstance(price, Decimal):
        return Scale(price.scaleb(shift, EXACT))
    return Scale(price.base.scaleb(shift, EXACT), tuple((tier.start, tier.price.scaleb(shift, EXACT)) for tier in price.tiers))


def _period(one: "ConditionalPrice | PriceVariant", tier: str = "") -> Period:
    from genai_prices.types import StartDateConstraint

    when = one.constraint
    if when is None:
        return Period(rates(one.prices), tier=tier)
    if isinstance(when, StartDateConstraint):
        return Period(rates(one.prices), since=when.start_date, tier=tier)
    return Period(rates(one.prices), hours=(_utc(when.start_time), _utc(when.end_time)), tier=tier)


def _utc(moment: time) -> time:
    """A time of the list, all of which are in UTC."""
    if moment.utcoffset():
        raise ValueError("genai-prices has a time of another zone than UTC")
    return moment.replace(tzinfo=None)


def _variant(one: "PriceVariant") -> Period | None:
    """None: it is for what nobody tells us."""
    words = [one.when[name] for name in SERVICES if name in one.when]
    return _period(one, words[0]) if len(words) == len(one.when) == 1 else None
