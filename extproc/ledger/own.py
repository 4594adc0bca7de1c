"""The configuration's own prices of models."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import sha256

import msgspec
from msgspec import Struct

from extproc.config.model import LongPrompt, Price
from extproc.config.targets import AMOUNTS
from extproc.errors import ConfigError
from extproc.globs import regex
from extproc.ledger.card import Card, Period
from extproc.ledger.tariff import Rates, Scale


class Override(Struct, frozen=True):
    """All prices for one pattern of models."""

    match: re.Pattern[str]
    card: Card


def overrides(prices: Sequence[Price]) -> list[Override]:
    """In the order in which they are asked. Raises ConfigError for what is no price.

    Exact names win over patterns, longer patterns over shorter ones, as with models.
    """
    version = f"configuration sha256:{sha256(msgspec.json.encode(prices)).hexdigest()[:16]}"
    places: dict[str, list[int]] = {}
    for index, price in enumerate(prices):
        if "/" not in price.model:
            raise ConfigError(
                f"$.prices[{index}].model", f"`{price.model}` should be `provider/model`; the model may be a pattern: `provider/*`"
            )
        places.setdefault(price.model, []).append(index)
    ordered = sorted(places, key=lambda pattern: ("*" in pattern, -len(pattern)))
    return [
        Override(re.compile(regex(pattern), re.DOTALL), _card(pattern, {at: prices[at] for at in places[pattern]}, version))
        for pattern in ordered
    ]


def _card(pattern: str, prices: dict[int, Price], version: str) -> Card:
    periods = {at: Period(_rates(at, price), _day(at, price.since), tier=price.tier or "") for at, price in prices.items()}
    standard = sorted((one for one in periods.values() if not one.tier), key=lambda one: one.since or date.min)
    if not standard:
        at = next(iter(prices))
        raise ConfigError(f"$.prices[{at}].tier", f"`{pattern}` needs a price without `tier` as well, for all other requests")
    services = sorted((one for one in periods.values() if one.tier), key=lambda one: one.since or date.min, reverse=True)
    return Card(f"override:{pattern}", version, tuple(standard), tuple(services), made={})


def _rates(index: int, price: Price) -> Rates:
    rates: dict[str, Scale] = {}
    for kind in AMOUNTS:
        steps = tuple(
            (long.tokens, amount) for at, long in enumerate(price.above) if (amount := _amount(index, long, kind, at)) is not None
        )
        base = _amount(index, price, kind)
        if base is None:
            if steps:
                raise ConfigError(f"$.prices[{index}].{kind}", "it has a price for long prompts, and so needs one for others")
            continue
        if [tokens for tokens, _ in steps] != sorted({tokens for tokens, _ in steps}):
            raise ConfigError(f"$.prices[{index}].above", "each has to be for more tokens than the one before")
        rates[kind] = Scale(base, steps)
    if not rates:
        raise ConfigError(f"$.prices[{index}]", "it names no price")
    return rates


def _amount(index: int, price: Price | LongPrompt, kind: str, above: int | None = None) -> Decimal | None:
    text = getattr(price, kind, None)
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value < 0:
        within = "" if above is None else f".above[{above}]"
        raise ConfigError(f"$.prices[{index}]{within}.{kind}", f"`{text}` should be dollars {AMOUNTS[kind]}, such as `0.15`")
    return value


def _day(index: int, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"$.prices[{index}].since", f"`{text}` is no day, such as `2026-11-01`") from None
