"""Prices of one model at one time, and what a usage costs by them: exact, whoever's list they are from.

Totals hold their parts, as in `Usage`. A kind that has no price of its own costs what the kind does that holds it: reasoning what output
does, what was read from a cache what input does. What was used and has no price at all makes the whole unpriced: it is never nothing.
"""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal

from msgspec import Struct

from extproc.amount import Unit
from extproc.exact import EXACT
from extproc.ledger.money import add
from extproc.usage import Usage

INPUT = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "cache_read_audio", "input_image", "cache_read_image")
OUTPUT = ("output", "reasoning", "output_audio", "output_image")
TOKENS = (*INPUT, *OUTPUT)
"""Priced in US dollars per million tokens."""
PIECES: dict[Unit, tuple[str, ...]] = {
    "images": ("image",), "seconds": ("second", "hour"), "characters": ("character",), "searches": ("search",),
}  # fmt: skip
"""Priced in US dollars each, by the unit that a record counts them in; the first that has a price."""
KINDS = frozenset((*TOKENS, *(kind for kinds in PIECES.values() for kind in kinds), "request"))
"""All that there is a price for. `request`: each that a provider answered."""
_PER = -6
_HOUR = 3600
# An hour's price divided by 3,600 may have no end: as many digits as genai-prices keeps.
_DIVIDING = Context(prec=28)


class Scale(Struct, frozen=True):
    """The price of one kind, US dollars a million tokens, or each."""

    base: Decimal
    above: tuple[tuple[int, Decimal], ...] = ()
    """What it is instead where the whole request has more input tokens than that, in rising order."""

    def at(self, above: int) -> Decimal:
        """What it is for more input tokens than `above`."""
        return next((price for start, price in reversed(self.above) if start <= above), self.base)


Rates = Mapping[str, Scale]
"""By kind: see `KINDS`."""


class Cost(Struct, frozen=True):
    """US dollars, exact, by kind: `input` and `output` always, others where they were used and have a price of their own."""

    parts: dict[str, Decimal]

    @property
    def input(self) -> Decimal:
        """All that the input cost."""
        return add(self.parts.get(kind, _NOTHING) for kind in INPUT)

    @property
    def output(self) -> Decimal:
        """All that the output cost."""
        return add(self.parts.get(kind, _NOTHING) for kind in OUTPUT)

    @property
    def total(self) -> Decimal:
        """All together."""
        total = _NOTHING
        for part in self.parts.values():
            if part:
                total = EXACT.add(total, part)
        return total


_NOTHING = Decimal(0)


class Step(Struct, frozen=True):
    """Prices that hold for more input tokens than `above`, by kind."""

    above: int
    prices: dict[str, Decimal]


class Tariff(Struct, frozen=True):
    """Prices of one model, as one kind of service."""

    steps: tuple[Step, ...]
    """From the highest on: providers charge all tokens of a long prompt at the higher price."""
    least_seconds: int = 0
    """Audio that is shorter is charged as if it were as long."""

    def price(self, usage: Usage, unit: Unit = "", amount: float = 0.0) -> Cost | None:
        """What the usage costs, with the amount of what else was counted. None: that cannot be told from here."""
        prices = next((step.prices for step in self.steps if usage.input > step.above), self.steps[-1].prices)
        counts = _counted(usage, prices)
        if counts is None:
            return None
        parts = {"input": _NOTHING, "output": _NOTHING}
        for kind, count in counts.items():
            if count:
                price = prices.get(kind)
                if price is None:
                    return None
                parts[kind] = EXACT.scaleb(EXACT.multiply(price, count), _PER)
        piece = next((kind for kind in PIECES.get(unit, ()) if kind in prices), "") if amount > 0 else ""
        if piece:
            parts[piece] = self._pieces(piece, prices[piece], amount)
        if "request" in prices:
            parts["request"] = prices["request"]
        if not usage.total and not piece and "request" not in prices and (amount > 0 or not _by_tokens(prices)):
            return None
        return Cost(parts)

    def _pieces(self, kind: str, price: Decimal, amount: float) -> Decimal:
        # As it is written: `0.1` seconds are a tenth, and not the binary fraction nearest to it.
        count = Decimal(repr(amount))
        if kind in PIECES["seconds"]:
            count = max(count, Decimal(self.least_seconds))
        bought = EXACT.multiply(price, count)
        return _DIVIDING.divide(bought, Decimal(_HOUR)) if kind == "hour" else bought


def tariff(rates: Rates, least_seconds: int = 0) -> Tariff | None:
    """The prices, ready to be multiplied. None: there are none."""
    if not rates:
        return None
    thresholds = {-1, *(start for scale in rates.values() for start, _ in scale.above)}
    steps = (Step(above, {kind: scale.at(above) for kind, scale in rates.items()}) for above in sorted(thresholds, reverse=True))
    return Tariff(tuple(steps), least_seconds)


def flat(prices: Mapping[str, Decimal]) -> Rates:
    """One price a kind, whatever the length of the prompt."""
    return {kind: Scale(price) for kind, price in prices.items()}


def _by_tokens(prices: Iterable[str]) -> bool:
    return all(kind in TOKENS for kind in prices)


def _counted(usage: Usage, prices: Mapping[str, Decimal]) -> dict[str, int] | None:
    """Tokens by the kinds that have prices of their own. None: the counts contradict each other."""
    write, read = usage.cache_write, usage.cache_read
    if usage.input < read + write or usage.cache_write_1h > write:
        return None
    read, write = (read if "cache_read" in prices else 0), (write if "cache_write" in prices else 0)
    hour = usage.cache_write_1h if "cache_write_1h" in prices and write else 0
    if not (usage.input_audio or usage.input_image or usage.output_audio or usage.output_image or "reasoning" in prices):
        counts = {"input": usage.input - read - write, "output": usage.output}
        return counts | {"cache_read": read, "cache_write": write - hour, "cache_write_1h": hour} if read or write else counts
    return _of_all_kinds(usage, prices, read, write, hour)


def _of_all_kinds(usage: Usage, prices: Mapping[str, Decimal], read: int, write: int, hour: int) -> dict[str, int] | None:
    """The same, where more than words is counted. `read`, `write`, `hour`: what the cache had and keeps, where that has its own price."""
    audio = usage.input_audio if "input_audio" in prices else 0
    image = usage.input_image if "input_image" in prices else 0
    # Providers rarely say how much of the audio was cached: as little as the sums allow.
    shared = max(0, audio + image + read + write - usage.input)
    cached_audio = min(audio, shared)
    cached_image = min(image, shared - cached_audio)
    reasoning = usage.reasoning if "reasoning" in prices else 0
    spoken = usage.output_audio if "output_audio" in prices else 0
    drawn = usage.output_image if "output_image" in prices else 0
    reasoning -= max(0, reasoning + spoken + drawn - usage.output)
    counts = {
        "input": usage.input + shared - read - write - audio - image,
        "cache_read": read - cached_audio - cached_image,
        "cache_write": write - hour,
        "cache_write_1h": hour,
        "input_audio": audio - cached_audio,
        "input_image": image - cached_image,
        "output": usage.output - reasoning - spoken - drawn,
        "reasoning": reasoning,
        "output_audio": spoken,
        "output_image": drawn,
    }
    if min(counts.values()) < 0 or shared > audio + image:
        return None
    for kind, count in (("cache_read_audio", cached_audio), ("cache_read_image", cached_image)):
        if count:
            known = kind if kind in prices else "cache_read"
            counts[known] = counts.get(known, 0) + count
    return counts
