"""genai-prices as a catalogue, for whoever wants to start from it, or to take a newer one to a gateway that is not upgraded."""

from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING

from extproc.ledger.card import Period
from extproc.ledger.listed import card
from extproc.ledger.money import plain
from extproc.ledger.prices import Builtin
from extproc.ledger.sheet import FORMAT, Above, Dated, Listing, Match, Service, Sheet, Stepped, Vendor
from extproc.ledger.tariff import Scale

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo


def export(day: date, only: frozenset[str] = frozenset()) -> Sheet:
    """All of it, or these providers alone. `day`: of when its prices are said to be."""
    builtin = Builtin()
    vendors = {
        vendor.id: Vendor(
            name=vendor.name,
            url=vendor.api_pattern,
            also=tuple(vendor.fallback_model_providers or ()),
            models=tuple(listing for model in vendor.models if (listing := _listing(vendor.id, model)) is not None),
        )
        for vendor in builtin.vendors.providers
        if not only or vendor.id in only
    }
    return Sheet(format=FORMAT, date=day, source=builtin.version, providers=vendors)


def _listing(vendor: str, model: "ModelInfo") -> Listing | None:
    found = card(vendor, model, "")
    if not found.free and not any(period.rates for period in found.periods):
        return None
    return Listing(
        id=model.id,
        match=match(model.match),
        name=model.name or "",
        context_window=model.context_window,
        deprecated=bool(model.deprecated),
        free=found.free,
        least_seconds=found.least_seconds,
        prices=tuple(Dated(rates=_rates(one), since=one.since, hours=_hours(one.hours)) for one in found.periods),
        services=tuple(Service(rates=_rates(one), since=one.since, hours=_hours(one.hours), tier=one.tier) for one in found.tiers),
    )


def match(clause: "MatchLogic") -> Match:
    """A clause of genai-prices in our words."""
    from genai_prices.types import (
        ClauseAnd,
        ClauseContains,
        ClauseEndsWith,
        ClauseEquals,
        ClauseOr,
        ClauseRegex,
        ClauseStartsWith,
    )

    match clause:
        case ClauseEquals():
            return Match(equals=clause.equals)
        case ClauseStartsWith():
            return Match(starts=clause.starts_with)
        case ClauseEndsWith():
            return Match(ends=clause.ends_with)
        case ClauseContains():
            return Match(contains=clause.contains)
        case ClauseRegex():
            return Match(regex=clause.regex)
        case ClauseOr():
            return Match(any=tuple(match(one) for one in clause.or_))
        case ClauseAnd():
            return Match(all=tuple(match(one) for one in clause.and_))


def _rates(period: Period) -> dict[str, str | Stepped]:
    return {kind: _rate(scale) for kind, scale in period.rates.items()}


def _rate(scale: Scale) -> str | Stepped:
    if not scale.above:
        return _text(scale.base)
    return Stepped(base=_text(scale.base), above=tuple(Above(tokens=start, price=_text(price)) for start, price in scale.above))


def _text(price: Decimal) -> str:
    return plain(price)


def _hours(hours: tuple[time, time] | None) -> str | None:
    return None if hours is None else "-".join(one.strftime("%H:%M") for one in hours)
