"""What a request cost, exact to the last digit, and what is charged for it.

Lists of prices, and which wins: the first of these that has the model decides, alone; prices of several are never mixed.
1. own prices of the configuration (`prices`), 2. LiteLLM's table, if there is a copy (`pricing.litellm`), 3. the catalogue that
`headgate catalog update` has brought, 4. `genai-prices`, which is built in.

Whose model it is, for the lists from 2 on, is found in this order; the first that identifies a provider decides:
1. the id that the provider's section or the catalogue gives (`prices`), 2. its API's URL (`base_url`), 3. the configured provider's name,
if it is a provider's id there, 4. dialect `anthropic`, 5. the model's name alone. A provider that is identified but lacks the model is not
guessed at: the request is unpriced.

Unpriced is None, never zero. Zero is a price: cache hits (nothing was bought), the demo provider (`base_url: "demo:"`), models that
a provider gives away (`...:free`), errors that used no token. `source` says which. What cannot be metered (`metered: false`) has no
cost either, but it is reported apart from models whose price is missing.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from extproc.config.model import Price, Provider
from extproc.config.nearest import hint, quoted
from extproc.config.pricing import Adjustment
from extproc.exact import EXACT
from extproc.ledger.adjust import Adjustments
from extproc.ledger.card import Card, given_away
from extproc.ledger.litellm import LiteLLM
from extproc.ledger.own import overrides as own_prices
from extproc.ledger.record import Record
from extproc.ledger.sheet import Catalogue
from extproc.ledger.tariff import Tariff
from extproc.price import Price as Quote
from extproc.price import Step

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot


class Priced(Struct, frozen=True):
    """What a request cost, and what is charged for it, in US dollars."""

    cost: Decimal | None = None
    """What its provider charges. None: nobody knows."""
    parts: dict[str, Decimal] = {}
    """By kind, see `tariff.KINDS`: `input`, `output`, and others that were used and have a price of their own; they add up to `cost`."""
    source: str = ""
    """Whose price: `override:openai/gpt-*`, `litellm:gpt-4o`, `catalogue:openai/gpt-4o`, `genai-prices:openai/gpt-4o`, `demo`, `cache`,
    `nothing` (an error that used no token), `unmetered`; empty if unpriced."""
    version: str = ""
    """Version of the price list: a digest, where it has no number."""
    price: Decimal | None = None
    """What its tenant is charged, where an adjustment says so; None: what it cost."""
    price_parts: dict[str, Decimal] = {}
    """They add up to `price`."""
    rule: str = ""
    """Which adjustment: `adjust[0]`, or `mirror` for a copy, which nobody is charged for."""


class List(Protocol):
    """A list of prices."""

    def find(self, vendor: str, model: str) -> Card | None:
        """The prices of a provider's model, by the provider's id."""
        ...


class Lists(Struct, frozen=True):
    """Lists that go before the built-in one."""

    litellm: LiteLLM | None = None
    catalogue: Catalogue | None = None


_REMEMBERED = 10_000
_HIT, _DEMO, _NOTHING = (Priced(Decimal(0), source=source) for source in ("cache", "demo", "nothing"))
_UNMETERED, _UNPRICED = Priced(source="unmetered"), Priced()
_FREE = Quote((Step(-1, Decimal(0), Decimal(0)),))
_PER = -6


class Builtin:
    """genai-prices, as it is installed. Loaded at the first need of it; never asks the network."""

    @cached_property
    def vendors(self) -> "DataSnapshot":
        """All of it."""
        # The bundled prices as they are: `get_snapshot` would take ones that somebody else in the process has downloaded.
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        return DataSnapshot(providers=providers, from_auto_update=False)

    @cached_property
    def version(self) -> str:
        """Its name and release."""
        from genai_prices import __version__

        return f"genai-prices {__version__}"

    def find(self, vendor: str, model: str) -> Card | None:
        """See `List`."""
        from extproc.ledger.listed import card

        known = next((one for one in self.vendors.providers if one.id == vendor), None)
        found = None if known is None else known.find_model(model, all_providers=self.vendors.providers)
        if known is None or found is None:
            return None
        return card(vendor, found, self.version, own=any(one is found for one in known.models))


class PriceBook:
    """Prices every record."""

    def __init__(
        self,
        overrides: Sequence[Price] = (),
        providers: Mapping[str, Provider] | None = None,
        lists: Lists = Lists(),  # noqa: B008 - frozen
        adjust: Sequence[Adjustment] = (),
    ) -> None:
        """Raises ConfigError for an override that is no price, or an adjustment that is none."""
        self._providers = dict(providers or {})
        self._overrides = own_prices(overrides)
        self._adjustments = Adjustments(adjust)
        self._given = lists
        self._builtin = Builtin()
        self._lists: tuple[List, ...] = tuple(one for one in (lists.litellm, lists.catalogue, self._builtin) if one is not None)
        self._found: dict[tuple[str, str, str], Card | None] = {}

    def unknown(self) -> list[str]:
        """A line for each provider whose section names prices (`prices`) that are in no list: what it answers will be unpriced."""
        lines = []
        for name, provider in self._providers.items():
            if provider.prices is not None and self._named(provider.prices) is None:
                vendors = (vendor.id for vendor in self._builtin.vendors.providers)
                near = hint(provider.prices, vendors, "it has")
                lines.append(
                    f"$.providers.{name}.prices: its requests will be unpriced: {quoted(provider.prices)} is not in the list{near}"
                )
        return lines

    def price(self, record: Record) -> Priced:
        """What the record's usage cost, and what is charged for it. Never raises for what a record may hold."""
        priced = self._cost(record)
        if priced.cost is None or priced is _HIT or priced is _NOTHING:
            return priced
        charge = self._adjustments.charge(record, priced.parts)
        if charge is None:
            return priced
        return replace(priced, price=charge.price, price_parts=charge.parts, rule=charge.rule)

    def quote(self, provider: str, model: str, when: float) -> Quote | None:
        """What a provider charges for a model's tokens at a time (seconds since 1970). None: nobody knows, or it charges for more."""
        asked = self._providers.get(provider)
        found = self._find(provider, "", model)
        demo = asked is not None and asked.base_url.startswith("demo:")
        if found is None or (demo and not found.source.startswith("override:")):
            return _FREE if demo else None
        if found.free:
            return _FREE
        tariff = found.tariff(when)
        return None if tariff is None else _compiled(tariff)

    def _cost(self, record: Record) -> Priced:
        if record.cache == "hit":
            return _HIT
        provider = self._providers.get(record.provider)
        if provider is not None and provider.base_url.startswith("demo:"):
            return self._demo(record)
        if record.outcome == "error" and record.usage.total == 0:
            return _NOTHING
        if not record.metered:
            return _UNMETERED
        found = self._remembered(record)
        return _UNPRICED if found is None else _by_card(record, found)

    def _demo(self, record: Record) -> Priced:
        """Nothing, unless the configuration says otherwise: prices can be tried as well."""
        found = self._remembered(record) if record.metered else None
        return _by_card(record, found) if found is not None and found.source.startswith("override:") else _DEMO

    def _remembered(self, record: Record) -> Card | None:
        key = (record.provider, record.answered, record.target)
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = self._find(*key)
        return self._found[key]

    def _find(self, provider: str, answered: str, target: str) -> Card | None:
        """Whose price it is: what the provider says has answered counts for more than what it was asked for."""
        names = [name for name in dict.fromkeys((answered, target)) if name]
        for name in names:
            for override in self._overrides:
                if override.match.fullmatch(f"{provider}/{name}"):
                    return override.card
        for one in self._lists:
            for name in names:
                vendor = self._vendor(provider, name.lower())
                if vendor is not None and (found := one.find(vendor, name)) is not None:
                    return found
        return None

    def _named(self, id: str) -> str | None:
        """The provider that a list knows by that id."""
        litellm, catalogue = self._given.litellm, self._given.catalogue
        if catalogue is not None and id in catalogue.sheet.providers:
            return id
        try:
            return self._builtin.vendors.find_provider(None, id, None).id
        except LookupError:
            return id if litellm is not None and litellm.knows(id) else None

    def _vendor(self, provider_name: str, model: str) -> str | None:
        """Id of the provider whose model it is."""
        provider, vendors = self._providers.get(provider_name), self._builtin.vendors
        if provider is not None and provider.prices is not None:
            return self._named(provider.prices)
        if provider is not None:
            if self._given.catalogue is not None and (found := self._given.catalogue.vendor_at(provider.base_url)) is not None:
                return found
            for vendor in vendors.providers:
                if re.match(vendor.api_pattern, provider.base_url):
                    return vendor.id
        if (named := self._called(provider_name)) is not None:
            return named
        if provider is not None and provider.dialect == "anthropic" and "claude" in model:
            return "anthropic"
        try:
            return vendors.find_provider(model, None, None).id
        except LookupError:
            return None

    def _called(self, name: str) -> str | None:
        """The provider whose id the name is, as it is written here."""
        litellm, catalogue, id = self._given.litellm, self._given.catalogue, name.lower()
        if any(vendor.id == id for vendor in self._builtin.vendors.providers):
            return id
        known = (catalogue is not None and id in catalogue.sheet.providers) or (litellm is not None and litellm.knows(id))
        return id if known else None


def _by_card(record: Record, found: Card) -> Priced:
    try:
        tariff = found.tariff(record.time, record.usage.tier)
        cost = None if tariff is None else tariff.price(record.usage, record.unit, record.amount)
    except (ValueError, ArithmeticError, OSError):
        # Counts that contradict each other, or a time that no calendar has.
        return _UNPRICED
    cost = given_away(found, cost)
    return _UNPRICED if cost is None else Priced(cost.total, cost.parts, found.source, found.version)


def _compiled(tariff: Tariff) -> Quote | None:
    steps: list[Step] = []
    for step in tariff.steps:
        if "input" not in step.prices or "request" in step.prices:
            return None
        made = step.prices.get("output", Decimal(0))
        steps.append(Step(step.above, step.prices["input"].scaleb(_PER, EXACT), made.scaleb(_PER, EXACT)))
    return Quote(tuple(steps))
