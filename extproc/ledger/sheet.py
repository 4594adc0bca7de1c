"""A catalogue of prices and models as a document: what `headgate catalog update` takes. JSON, exact decimals as strings, dated.

A catalogue is checked as a whole before anything of it is used. docs/prices.md has the format for people.
"""

import re
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from extproc.errors import ConfigError
from extproc.ledger.card import Card, Period
from extproc.ledger.tariff import KINDS, Rates, Scale
from extproc.limits.window import is_zone

FORMAT: Literal["headgate-catalogue/1"] = "headgate-catalogue/1"
MOST_BYTES = 32 * 2**20
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,30})?$")]
"""US dollars: a million tokens, or one piece."""
_Id = Annotated[str, Meta(min_length=1, max_length=256)]
_Hours = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Weekday = Annotated[int, Meta(ge=1, le=7)]


_DATED = re.compile(r"(?<=-)(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?=-|:|$)")
"""A day in a name, as some write it that sell others' models: `gpt-5.2-20251211` is `gpt-5.2-2025-12-11`."""


class _Part(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all parts of the document: what is not known is refused."""


class Above(_Part, frozen=True, kw_only=True):
    """The price of a request with more input tokens than that: of all its tokens."""

    tokens: Annotated[int, Meta(ge=1)]
    price: Amount


class Stepped(_Part, frozen=True, kw_only=True):
    """A price that depends on how long the prompt is."""

    base: Amount
    above: Annotated[tuple[Above, ...], Meta(min_length=1, max_length=16)]
    """In rising order."""


class Dated(_Part, frozen=True, kw_only=True):
    """Prices, and when they hold."""

    rates: dict[str, Amount | Stepped]
    """By kind: see `tariff.KINDS`."""
    since: date | None = None
    hours: _Hours | None = None
    """`16:30-00:30`, UTC."""
    weekdays: tuple[_Weekday, ...] = ()
    zone: str = ""


class Service(Dated, frozen=True, kw_only=True):
    """Prices of a service other than the standard one, for the kinds that differ."""

    tier: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Match(_Part, frozen=True, kw_only=True):
    """Which names of models are meant: exactly one of these is given. Upper and lower case are the same."""

    equals: str | None = None
    starts: str | None = None
    ends: str | None = None
    contains: str | None = None
    regex: Annotated[str, Meta(max_length=300)] | None = None
    """Python's, found anywhere in the name in lower case."""
    any: tuple["Match", ...] | None = None
    all: tuple["Match", ...] | None = None

    def matches(self, name: str) -> bool:
        """Whether it is meant. `name` is in lower case."""
        if self.any is not None:
            return any(one.matches(name) for one in self.any)
        if self.all is not None:
            return all(one.matches(name) for one in self.all)
        if self.regex is not None:
            return re.search(self.regex, name) is not None
        if self.equals is not None:
            return name == self.equals.lower()
        if self.starts is not None:
            return name.startswith(self.starts.lower())
        return name.endswith(self.ends.lower()) if self.ends is not None else (self.contains or "").lower() in name


class Listing(_Part, frozen=True, kw_only=True):
    """A model of a provider."""

    id: _Id
    match: Match | None = None
    """Names that it goes by; its id alone, unless given."""
    name: str = ""
    context_window: Annotated[int, Meta(ge=1)] | None = None
    deprecated: bool = False
    free: bool = False
    """The provider gives it away."""
    least_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0
    """Shorter audio is charged as if it were as long."""
    prices: Annotated[tuple[Dated, ...], Meta(min_length=1, max_length=256)]
    """The last that holds counts; the first where none does."""
    services: Annotated[tuple[Service, ...], Meta(max_length=256)] = ()
    """For each kind of price, the first that is of the request's service and holds."""


class Vendor(_Part, frozen=True, kw_only=True):
    """A provider."""

    name: str = ""
    url: Annotated[str, Meta(max_length=300)] = ""
    """Regular expression that begins the `base_url` of its API."""
    also: tuple[str, ...] = ()
    """Ids of providers whose models it offers at their standard prices, where it has none of its own."""
    models: tuple[Listing, ...] = ()


class Sheet(_Part, frozen=True, kw_only=True):
    """The whole document."""

    format: Literal["headgate-catalogue/1"]
    date: date
    """Of when its prices are."""
    source: Annotated[str, Meta(max_length=500)] = ""
    """Where they are from, for people."""
    providers: dict[_Id, Vendor]


class Catalogue:
    """A catalogue that has been checked, ready to be asked."""

    def __init__(self, text: bytes) -> None:
        """Raises ConfigError with the path to what is wrong in it."""
        self.sheet = sheet = _decoded(text)
        self.digest = sha256(text).hexdigest()
        self.version = f"catalogue {sheet.date} sha256:{self.digest[:16]}"
        for path, told in _faults(sheet):
            raise ConfigError(path, told)
        self._urls = {name: re.compile(vendor.url) for name, vendor in sheet.providers.items() if vendor.url}
        self._exact = {
            name: {one.id.lower(): one for one in reversed(vendor.models) if one.match is None} for name, vendor in sheet.providers.items()
        }
        self._matching = {name: [one for one in vendor.models if one.match is not None] for name, vendor in sheet.providers.items()}

    @property
    def models(self) -> int:
        """How many models it has."""
        return sum(len(vendor.models) for vendor in self.sheet.providers.values())

    def vendor_at(self, base_url: str) -> str | None:
        """Id of the provider whose API has that URL."""
        return next((name for name, url in self._urls.items() if url.match(base_url)), None)

    def find(self, vendor: str, model: str) -> Card | None:
        """A provider's model, by any name that it goes by."""
        if vendor not in self.sheet.providers:
            return None
        dashed = _DATED.sub(r"\1-\2-\3", model)
        return self._find(vendor, model) or (self._find(vendor, dashed) if dashed != model else None)

    def _find(self, vendor: str, model: str) -> Card | None:
        if (found := self._listing(vendor, model)) is not None:
            return self._card(vendor, found)
        for other in self.sheet.providers[vendor].also:
            if other in self.sheet.providers and (found := self._listing(other, model)) is not None:
                # Its services are the other's, and so are their prices.
                return self._card(vendor, msgspec.structs.replace(found, services=()))
        return None

    def _listing(self, vendor: str, model: str) -> Listing | None:
        name = model.lower()
        exact = self._exact[vendor].get(name)
        return exact or next((one for one in self._matching[vendor] if one.match is not None and one.match.matches(name)), None)

    def _card(self, vendor: str, found: Listing) -> Card:
        return Card(
            f"catalogue:{vendor}/{found.id}", self.version, tuple(map(_period, found.prices)), tuple(map(_period, found.services)),
            found.least_seconds, found.free, made={},
        )  # fmt: skip


def encode(sheet: Sheet) -> bytes:
    """The document, a line a value, ready to be kept with other text."""
    return msgspec.json.format(msgspec.json.encode(sheet), indent=1) + b"\n"


def _decoded(text: bytes) -> Sheet:
    if len(text) > MOST_BYTES:
        raise ConfigError("$", f"a catalogue has at most {MOST_BYTES // 2**20} MiB")
    try:
        return msgspec.json.decode(text, type=Sheet)
    except msgspec.ValidationError as error:
        why, _, path = str(error).partition(" - at `")
        raise ConfigError(path.rstrip("`") or "$", why) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("$", f"it is not JSON: {error}") from None


def _faults(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """What the types alone cannot say, with its path."""
    for name, vendor in sheet.providers.items():
        path = f"$.providers.{name}"
        if vendor.url and (why := _bad_regex(vendor.url)):
            yield f"{path}.url", why
        seen: set[str] = set()
        for at, model in enumerate(vendor.models):
            here = f"{path}.models[{at}]"
            if model.id.lower() in seen:
                yield f"{here}.id", f"`{model.id}` is there twice"
            seen.add(model.id.lower())
            yield from _bad_match(model.match, f"{here}.match")
            for field in ("prices", "services"):
                for number, dated in enumerate(getattr(model, field)):
                    yield from _bad_prices(dated, f"{here}.{field}[{number}]", empty=model.free or field == "services" or number > 0)


def _bad_prices(dated: Dated, path: str, *, empty: bool) -> Iterator[tuple[str, str]]:
    if not dated.rates and not empty:
        yield f"{path}.rates", "there is no price; a model that costs nothing is `free`"
    for kind, rate in dated.rates.items():
        if kind not in KINDS:
            yield f"{path}.rates.{kind}", f"there is no such kind of price; there are {', '.join(sorted(KINDS))}"
        starts = [one.tokens for one in rate.above] if isinstance(rate, Stepped) else []
        if starts != sorted(set(starts)):
            yield f"{path}.rates.{kind}.above", "each has to be for more tokens than the one before"
    if dated.hours is not None and dated.hours[:5] == dated.hours[6:]:
        yield f"{path}.hours", "it is no time at all; for the whole day, leave it out"
    if dated.zone and not is_zone(dated.zone):
        yield f"{path}.zone", f"there is no time zone `{dated.zone}`"


def _bad_match(match: Match | None, path: str) -> Iterator[tuple[str, str]]:
    if match is None:
        return
    given: list[Any] = [value for name in match.__struct_fields__ if (value := getattr(match, name)) is not None]
    if len(given) != 1:
        yield path, f"exactly one of {', '.join(match.__struct_fields__)} has to be given"
    if match.regex is not None and (why := _bad_regex(match.regex)):
        yield f"{path}.regex", why
    for at, one in enumerate((*(match.any or ()), *(match.all or ()))):
        yield from _bad_match(one, f"{path}[{at}]")


def _bad_regex(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"it is no regular expression: {error}"
    return ""


def _period(dated: Dated) -> Period:
    hours: tuple[time, time] | None = None
    if dated.hours is not None:
        begin, end = map(time.fromisoformat, dated.hours.split("-"))
        hours = begin, end
    tier = dated.tier if isinstance(dated, Service) else ""
    return Period(_rates(dated), dated.since, hours, frozenset(dated.weekdays), dated.zone, tier)


def _rates(dated: Dated) -> Rates:
    return {
        kind: Scale(Decimal(rate))
        if isinstance(rate, str)
        else Scale(Decimal(rate.base), tuple((one.tokens, Decimal(one.price)) for one in rate.above))
        for kind, rate in dated.rates.items()
    }
