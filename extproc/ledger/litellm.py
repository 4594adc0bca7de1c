"""LiteLLM's table of prices (`model_prices_and_context_window.json`), from a copy of the user's own, as cards.

Its prices are US dollars a token, written as JSON numbers: they are read as decimals, never as binary fractions. Names of prices have a
grammar: what is sold, a threshold (`_above_200k_tokens`: of the whole request), the service (`_batches`, `_priority`, `_flex`).
An entry without any price that can be read is none, and what an entry has no price for is unpriced; nothing is taken for free that does
not say 0. Fields that are not read are kept in `entries`.
"""

import json
import re
from collections.abc import Mapping
from datetime import time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from extproc.exact import EXACT
from extproc.ledger.card import Card, Period
from extproc.ledger.tariff import Rates, Scale
from extproc.limits.window import is_zone

MOST_BYTES = 64 * 2**20
_MILLION = 6
_KINDS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "cache_read_input_audio_token_cost": "cache_read_audio",
    "cache_read_input_token_cost_per_audio_token": "cache_read_audio",
    "cache_read_input_image_token_cost": "cache_read_image",
    "input_cost_per_request": "request",
}
_PIECES = {
    "image_generation": ("image", ("output_cost_per_image", "input_cost_per_image"), ("output", "output_image")),
    "image_edit": ("image", ("output_cost_per_image", "input_cost_per_image"), ("output", "output_image")),
    "audio_transcription": ("second", ("output_cost_per_second", "input_cost_per_second", "input_cost_per_audio_per_second"), ("input",)),
    "audio_speech": ("character", ("input_cost_per_character", "output_cost_per_character"), ("input", "output", "output_audio")),
    "rerank": ("search", ("input_cost_per_query",), ()),
}
"""By mode: what is sold, by which prices, and which prices of tokens say the same in other words."""
_GRAMMAR = re.compile(
    rf"({'|'.join(sorted(_KINDS, key=len, reverse=True))})"
    r"(?:_(?P<first>batches|priority|flex|balanced|ultrafast))?(?:_above_(?P<above>\d{1,9}k?)_tokens)?"
    r"(?:_(?P<last>batches|priority|flex|balanced|ultrafast))?"
)
_SERVICES = {"batches": "batch"}
_PRICES = re.compile(r"cost|pricing")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = {
    "aws": ("bedrock", "bedrock_converse"), "azure": ("azure", "azure_ai"), "cohere": ("cohere", "cohere_chat"),
    "fireworks": ("fireworks_ai",), "google": ("gemini", "vertex_ai"), "moonshotai": ("moonshot",), "together": ("together_ai",),
    "openai": ("openai", "text-completion-openai"), "x-ai": ("xai",),
}  # fmt: skip
"""Providers that LiteLLM calls otherwise than genai-prices does."""


class LiteLLM:
    """One table."""

    def __init__(self, text: bytes) -> None:
        """Raises ValueError for what is no table."""
        try:
            entries = json.loads(text, parse_float=Decimal)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(entries, dict) or not entries or not all(isinstance(entry, dict) for entry in entries.values()):
            raise ValueError("LiteLLM's table is an object of models, each of which is an object")
        self.entries: dict[str, dict[str, Any]] = {name: entry for name, entry in entries.items() if name != "sample_spec"}
        """As they are in the table, fields included that are not read."""
        self.version = f"litellm sha256:{sha256(text).hexdigest()[:16]}"
        if not any(card_of(entry, name, self.version) for name, entry in self.entries.items()):
            raise ValueError("there is no price in it that can be read")

    def knows(self, provider: str) -> bool:
        """Whether any model is of that provider, in its own words or in those of genai-prices."""
        known = _NAMES.get(provider, (provider,))
        return any(_provider(entry) in known for entry in self.entries.values())

    def find(self, vendor: str, model: str) -> Card | None:
        """The model of a provider, by the provider's name here or at genai-prices. None: it has none, or none with a price."""
        known = _NAMES.get(vendor, (vendor,))
        for name in dict.fromkeys((model, model.lower())):
            for key in (*(f"{provider}/{name}" for provider in known), name):
                entry = self.entries.get(key)
                if entry is not None and (key != name or _provider(entry) in known):
                    return card_of(entry, key, self.version)
        return None

    def unread(self) -> dict[str, int]:
        """Fields that are prices by their names and are not read, and how many models have them."""
        found: dict[str, int] = {}
        for entry in self.entries.values():
            for name in entry:
                if _PRICES.search(name) and not _is_read(name):
                    found[name] = found.get(name, 0) + 1
        return found


def read(path: Path) -> LiteLLM:
    """The table of a file. Raises OSError, ValueError."""
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 2**20} MiB")
    return LiteLLM(text)


def card_of(entry: Mapping[str, Any], name: str, version: str) -> Card | None:
    """An entry's prices. None: it has none that can be read."""
    standard, services = _rates(entry)
    tiers = tuple(Period(rates, tier=tier) for tier, rates in services.items() if rates)
    if not standard:
        return None
    return Card(f"litellm:{name}", version, (Period(standard), *_off_peak(entry, standard)), tiers, made={})


@lru_cache(maxsize=1024)
def _parsed(field: str) -> tuple[str, int, str] | None:
    """What a price is of, from which threshold on, and for which service."""
    match = _GRAMMAR.fullmatch(field)
    if match is None or (match["first"] and match["last"]):
        return None
    service = match["first"] or match["last"] or ""
    above = match["above"] or "0"
    return _KINDS[match[1]], int(above.rstrip("k")) * (1000 if above.endswith("k") else 1), _SERVICES.get(service, service)


def _is_read(field: str) -> bool:
    return _parsed(field) is not None or field in ("tiered_pricing", "off_peak_pricing") or any(field in one[1] for one in _PIECES.values())


def _amount(value: object) -> Decimal | None:
    """A price; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        price = Decimal(value)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price >= 0 else None


def _rates(entry: Mapping[str, Any]) -> tuple[dict[str, Scale], dict[str, dict[str, Scale]]]:
    """Standard prices, and those of services."""
    told: dict[str, dict[str, dict[int, Decimal]]] = {}
    _tokens(entry, 0, told)
    tiers = entry.get("tiered_pricing")
    for number, tier in enumerate(tiers if isinstance(tiers, list) else ()):
        span = tier.get("range") if isinstance(tier, dict) else None
        if not isinstance(span, list) or not span or (start := _amount(span[0])) is None:
            # Half a table is worse than none: what the other half costs would be guessed.
            return {}, {}
        _tokens(tier, 0 if number == 0 else int(start), told)
    standard = _scales(told.pop("", {}), {})
    _pieces(entry, standard)
    return standard, {service: _scales(prices, standard) for service, prices in told.items()}


def _tokens(entry: Mapping[str, Any], start: int, told: dict[str, dict[str, dict[int, Decimal]]]) -> None:
    for field, value in entry.items():
        parsed = _parsed(field)
        if parsed is None or (price := _amount(value)) is None:
            continue
        kind, above, service = parsed
        scaled = price if kind == "request" else price.scaleb(_MILLION, EXACT)
        told.setdefault(service, {}).setdefault(kind, {})[max(above, start)] = scaled


def _scales(told: Mapping[str, Mapping[int, Decimal]], otherwise: Rates) -> dict[str, Scale]:
    """Kinds that have a price for short prompts, too."""
    scales: dict[str, Scale] = {}
    for kind, prices in told.items():
        base = prices.get(0, otherwise[kind].base if kind in otherwise else None)
        if base is not None:
            scales[kind] = Scale(base, tuple(sorted((above, price) for above, price in prices.items() if above)))
    return scales


def _pieces(entry: Mapping[str, Any], rates: dict[str, Scale]) -> None:
    """What is sold by the piece, where it is not sold by tokens: some entries have both, for who counts the one or the other."""
    mode = entry.get("mode")
    kind, fields, tokens = _PIECES.get(mode, ("", (), ())) if isinstance(mode, str) else ("", (), ())
    if kind == "image" and "output_image" in rates:
        # All that it makes is pictures, also where the answer does not say so of its tokens.
        rates.setdefault("output", rates["output_image"])
    prices = [price for field in fields if (price := _amount(entry.get(field))) is not None]
    if prices and not any(kind in rates and rates[kind].base for kind in tokens):
        for token in tokens:
            rates.pop(token, None)
        rates[kind] = Scale(max(prices))


def _off_peak(entry: Mapping[str, Any], standard: Rates) -> list[Period]:
    """`{"hours_utc": "16:30-00:30", prices}`, or `windows` of such hours with `weekdays`, of `weekday_timezone`.

    What cannot be read is left out: then the standard price counts, which is higher.
    """
    told = entry.get("off_peak_pricing")
    if not isinstance(told, dict) or not (cheaper := _rates(told)[0]):
        return []
    rates, zone = {**standard, **cheaper}, told.get("weekday_timezone")
    zone = zone if isinstance(zone, str) and is_zone(zone) else ""
    windows = told.get("windows")
    found = [Period(rates, hours=span) for span in _spans(told.get("hours_utc"))]
    for window in windows if isinstance(windows, list) else ():
        if isinstance(window, dict):
            days = window.get("weekdays")
            on = frozenset(filter(None, map(_weekday, days))) if isinstance(days, list) else None
            if on is None or on:
                found += [Period(rates, hours=span, days=on or frozenset(), zone=zone) for span in _spans(window.get("hours_utc"))]
    return found


def _weekday(value: object) -> int:
    """1 for Monday, 7 for Sunday, 0 for what is none: a number, or a name in English."""
    if isinstance(value, str):
        return _DAYS.index(value[:3].lower()) + 1 if value[:3].lower() in _DAYS else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7 else 0


def _spans(value: object) -> list[tuple[time, time]]:
    """`16:30-00:30`, or several of them; from midnight to midnight is the whole day."""
    found: list[tuple[time, time]] = []
    for text in value if isinstance(value, list) else [value]:
        try:
            begin, end = map(time.fromisoformat, str(text).strip().split("-"))
        except ValueError:
            continue
        found.append((begin, end if begin != end else time.max))
    return found


def _provider(entry: Mapping[str, Any]) -> str:
    """Whose model it is, in one word: Vertex AI's are of `vertex_ai-language-models` and such."""
    said = entry.get("litellm_provider")
    name = said if isinstance(said, str) else ""
    return "vertex_ai" if name.startswith("vertex_ai") else name
