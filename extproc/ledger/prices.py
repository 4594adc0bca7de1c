"""What a request cost: own prices of the configuration first, then `genai-prices`, exact to the last digit.

Which of its prices applies is found in this order; the first that identifies a provider decides:
1. the id that the provider's section or the catalogue gives (`prices`), 2. its API's URL (`base_url`), 3. the configured provider's name,
if it is a provider's id there, 4. dialect `anthropic`, 5. the model's name alone. A provider that is identified but lacks the model is not
guessed at: the request is unpriced.

Unpriced is None, never zero. Zero is a price: cache hits (nothing was bought), the demo provider (`base_url: "demo:"`), models that
a provider gives away (`...:free`), errors that used no token. `source` says which. What cannot be metered (`metered: false`) has no
cost either, but it is reported apart from models whose price is missing.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from extproc.config.model import Price, Provider
from extproc.config.nearest import hint, quoted
from extproc.errors import ConfigError
from extproc.ledger.money import EXACT
from extproc.ledger.record import Record
from extproc.ledger.tariff import Cost, Tariff, flat, listed
from extproc.price import Price as Quote
from extproc.price import Step
from extproc.usage import Usage

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice
    from genai_prices.types import Provider as Vendor


class Priced(Struct, frozen=True):
    """What a request cost in US dollars."""

    cost: Decimal | None = None
    """None: nobody knows."""
    parts: dict[str, Decimal] = {}
    """`input`, `output` and, where a provider charges for it, `request`; they add up to `cost`."""
    source: str = ""
    """Whose price: `override:openai/gpt-*`, `genai-prices:openai/gpt-4o`, `demo`, `cache`, `nothing` (an error that used no token),
    `unmetered`; empty if unpriced."""
    version: str = ""
    """Version of the price list."""


_REMEMBERED = 10_000
_HIT, _DEMO, _NOTHING = (Priced(Decimal(0), source=source) for source in ("cache", "demo", "nothing"))
_UNMETERED, _UNPRICED = Priced(source="unmetered"), Priced()


_FREE = Quote((Step(-1, Decimal(0), Decimal(0)),))


class _Override(Struct, frozen=True):
    pattern: str
    exact: bool
    match: re.Pattern[str]
    tariff: Tariff

    def price(self, usage: Usage) -> Priced:
        cost = self.tariff.price(usage)
        return _priced(cost, f"override:{self.pattern}", "configuration") if cost is not None else _UNPRICED


class _Listed(Struct, frozen=True):
    """A model of genai-prices."""

    source: str
    model: "ModelInfo"
    tariffs: dict[int, Tariff | None] = {}
    """What was read of its prices, by the identity of theirs: a model has several where prices have changed."""


class PriceBook:
    """Prices every record. Loads genai-prices at its first need of it; never asks the network."""

    def __init__(self, overrides: Sequence[Price] = (), providers: Mapping[str, Provider] | None = None) -> None:
        """Raises ConfigError for an override that is no price."""
        self._providers = dict(providers or {})
        compiled = [_override(index, price) for index, price in enumerate(overrides)]
        # Exact names win over patterns, longer patterns over shorter ones, as with models.
        self._overrides = sorted(compiled, key=lambda override: (not override.exact, -len(override.pattern)))
        self._found: dict[tuple[str, str, str], _Override | _Listed | None] = {}

    def unknown(self) -> list[str]:
        """A line for each provider whose section names prices (`prices`) that are not in the list: what it answers will be unpriced."""
        lines = []
        for name, provider in self._providers.items():
            try:
                if provider.prices is not None:
                    self._list.find_provider(None, provider.prices, None)
            except LookupError:
                near = hint(provider.prices or "", (vendor.id for vendor in self._list.providers), "it has")
                lines.append(
                    f"$.providers.{name}.prices: its requests will be unpriced: {quoted(provider.prices or '')} is not in the list{near}"
                )
        return lines

    def price(self, record: Record) -> Priced:
        """What the record's usage cost. Never raises for what a record may hold."""
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
        if found is None:
            return _UNPRICED
        return found.price(record.usage) if isinstance(found, _Override) else self._by_list(record, found)

    def quote(self, provider: str, model: str, when: float) -> Quote | None:
        """What a provider charges for a model's tokens at a time (seconds since 1970). None: nobody knows, or it charges for more."""
        asked = self._providers.get(provider)
        found = self._find(provider, "", model)
        if isinstance(found, _Override):
            return _compiled(found.tariff)
        if asked is not None and asked.base_url.startswith("demo:"):
            return _FREE
        if found is None:
            return None
        if found.model.id.endswith(":free"):
            return _FREE
        tariff = listed(found.model.get_prices(datetime.fromtimestamp(when, UTC)))
        return None if tariff is None else _compiled(tariff)

    def _demo(self, record: Record) -> Priced:
        """Nothing, unless the configuration says otherwise: prices can be tried as well."""
        found = self._remembered(record) if record.metered else None
        return found.price(record.usage) if isinstance(found, _Override) else _DEMO

    def _remembered(self, record: Record) -> "_Override | _Listed | None":
        key = (record.provider, record.answered, record.target)
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = self._find(*key)
        return self._found[key]

    def _find(self, provider: str, answered: str, target: str) -> _Override | _Listed | None:
        """Whose price it is: what the provider says has answered counts for more than what it was asked for."""
        names = [name for name in dict.fromkeys((answered, target)) if name]
        for name in names:
            for override in self._overrides:
                if override.match.fullmatch(f"{provider}/{name}"):
                    return override
        return next((found for name in names if (found := self._look_up(provider, name)) is not None), None)

    @cached_property
    def _list(self) -> "DataSnapshot":
        # The bundled prices as they are: `get_snapshot` would take ones that somebody else in the process has downloaded.
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        return DataSnapshot(providers=providers, from_auto_update=False)

    @cached_property
    def _version(self) -> str:
        from genai_prices import __version__

        return f"genai-prices {__version__}"

    def _look_up(self, provider_name: str, model: str) -> _Listed | None:
        try:
            vendor = self._vendor(provider_name, model.lower())
        except LookupError:
            return None
        found = vendor.find_model(model, all_providers=self._list.providers)
        return None if found is None else _Listed(f"genai-prices:{vendor.id}/{found.id}", found)

    def _vendor(self, provider_name: str, model: str) -> "Vendor":
        provider = self._providers.get(provider_name)
        if provider is not None and provider.prices is not None:
            return self._list.find_provider(None, provider.prices, None)
        if provider is not None:
            for vendor in self._list.providers:
                if re.match(vendor.api_pattern, provider.base_url):
                    return vendor
        for vendor in self._list.providers:
            if vendor.id == provider_name.lower():
                return vendor
        if provider is not None and provider.dialect == "anthropic" and "claude" in model:
            return self._list.find_provider(None, "anthropic", None)
        return self._list.find_provider(model, None, None)

    def _by_list(self, record: Record, found: _Listed) -> Priced:
        model, usage = found.model, record.usage
        try:
            prices = model.get_prices(datetime.fromtimestamp(record.time, UTC))
            if id(prices) not in found.tariffs:
                found.tariffs[id(prices)] = listed(prices)
            tariff = found.tariffs[id(prices)]
            if tariff is not None and usage.total and not usage.input_audio and not usage.output_audio:
                cost = tariff.price(usage)
                if cost is not None:
                    return _priced(cost, found.source, self._version)
            if not model.id.endswith(":free") and not _covers(prices, usage):
                return _UNPRICED
            price = prices.calc_price(_their_usage(usage))
        except (ValueError, ArithmeticError, LookupError, TypeError, OSError):
            # Counts that contradict each other, or a time that no calendar has.
            return _UNPRICED
        parts = {"input": price["input_price"], "output": price["output_price"]}
        rest = price["total_price"] - parts["input"] - parts["output"]
        if rest:
            parts["request"] = rest
        return Priced(price["total_price"], parts, found.source, self._version)


def _compiled(tariff: Tariff) -> Quote:
    exponent = tariff.exponent
    return Quote(
        tuple(
            Step(step.above, Decimal(step.input).scaleb(exponent, EXACT), Decimal(step.output).scaleb(exponent, EXACT))
            for step in tariff.steps
        )
    )


def _priced(cost: Cost, source: str, version: str) -> Priced:
    return Priced(cost.total, {"input": cost.input, "output": cost.output}, source, version)


def _override(index: int, price: Price) -> _Override:
    if "/" not in price.model:
        raise ConfigError(
            f"$.prices[{index}].model", f"`{price.model}` should be `provider/model`; the model may be a pattern: `provider/*`"
        )
    input_price = _decimal(index, "input", price.input)
    return _Override(
        pattern=price.model,
        exact="*" not in price.model,
        match=re.compile(".*".join(re.escape(part) for part in price.model.split("*")), re.DOTALL),
        tariff=flat(
            input_price,
            _decimal(index, "output", price.output),
            input_price if price.cache_read is None else _decimal(index, "cache_read", price.cache_read),
            input_price if price.cache_write is None else _decimal(index, "cache_write", price.cache_write),
        ),
    )


def _decimal(index: int, field: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value < 0:
        raise ConfigError(f"$.prices[{index}].{field}", f"`{text}` should be dollars per million tokens, such as `0.15`")
    return value


def _covers(prices: "ModelPrice", usage: Usage) -> bool:
    """Has the list a price for what was used? It would otherwise count as nothing, which is not what a provider charges."""
    keys = [name for name, value in vars(prices).items() if value is not None]
    by_token = [name for name in keys if name.endswith("_mtok")]
    if usage.total == 0:
        return len(by_token) == len(keys) or any(name.endswith("_kcount") for name in keys)
    if usage.input and not any(name.startswith(("input_", "cache_")) for name in by_token):
        return False
    return not usage.output or any(name.startswith("output_") for name in by_token)


def _their_usage(usage: Usage) -> dict[str, int]:
    """Ours in the names of genai-prices, which counts inclusively as well. Zeros stay out, as a provider leaves them out."""
    named = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "cache_write_5m_tokens": usage.cache_write - usage.cache_write_1h,
        "output_reasoning_tokens": usage.reasoning,
        "input_audio_tokens": usage.input_audio,
        "output_audio_tokens": usage.output_audio,
    }
    known = {name: count for name, count in named.items() if count}
    if usage.input_audio and usage.cache_read:
        # Providers rarely say how much of the audio was cached: as little as the sums allow.
        known["cache_audio_read_tokens"] = max(0, usage.input_audio + usage.cache_read + usage.cache_write - usage.input)
    if usage.input_audio and usage.cache_write:
        known["cache_audio_write_tokens"] = 0
        known["cache_audio_write_5m_tokens"] = known["cache_audio_write_1h_tokens"] = 0
    if usage.output_audio and usage.reasoning:
        known["output_audio_reasoning_tokens"] = max(0, usage.output_audio + usage.reasoning - usage.output)
    return known
