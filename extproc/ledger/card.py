"""A model's prices over time: those of the day and the hour of a request, and those of the service that it was given."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import Struct

from extproc.ledger.tariff import Cost, Rates, Tariff, tariff

_FREE = Cost({"input": Decimal(0), "output": Decimal(0)})


_END = 253_402_300_800
"""The year 10000, which no calendar here has."""


class Period(Struct, frozen=True):
    """Prices, and when they hold. Days and hours are UTC's."""

    rates: Rates
    since: date | None = None
    """From that day on; always, unless given."""
    hours: tuple[time, time] | None = None
    """From the first on and before the second, over midnight where that is the earlier one; the whole day unless given."""
    days: frozenset[int] = frozenset()
    """On these days of the week, Monday is 1 and Sunday 7; on all unless given."""
    zone: str = ""
    """Where it is that day; in UTC unless given."""
    tier: str = ""
    """For requests that were given this service, see `Usage.tier`; in place of the standard prices of the same kinds."""

    def holds(self, when: datetime) -> bool:
        """Whether these are the prices at a moment, in UTC."""
        if self.since is not None and when.date() < self.since:
            return False
        if self.days and (when.astimezone(ZoneInfo(self.zone)) if self.zone else when).isoweekday() not in self.days:
            return False
        if self.hours is None:
            return True
        (begin, end), now = self.hours, when.time()
        return begin <= now < end if begin <= end else now >= begin or now < end


class Card(Struct, frozen=True):
    """All prices of one model in one list."""

    source: str
    """List and model: `genai-prices:openai/gpt-4o`."""
    version: str
    """Of the list."""
    periods: tuple[Period, ...]
    """The last that holds counts; the first where none does."""
    tiers: tuple[Period, ...] = ()
    """For each kind, the first counts that is of the request's service and holds."""
    least_seconds: int = 0
    free: bool = False
    """The provider gives it away."""
    made: dict[tuple[int, ...], Tariff | None] = {}
    """What was made of them so far, by the numbers of the periods."""

    def tariff(self, when: float, tier: str = "") -> Tariff | None:
        """The prices at a time, in seconds since 1970. None: there are none. Raises OSError, ValueError, OverflowError for no time."""
        if len(self.periods) == 1 and not tier and 0 <= when < _END:
            return self._made((0,))
        moment = datetime.fromtimestamp(when, UTC)
        standing = next((at for at in range(len(self.periods) - 1, -1, -1) if self.periods[at].holds(moment)), 0)
        special = [at for at, one in enumerate(self.tiers) if tier and one.tier == tier and one.holds(moment)]
        return self._made((standing, *special))

    def _made(self, numbers: tuple[int, ...]) -> Tariff | None:
        """The prices of a period, with those of services in their place."""
        if numbers not in self.made:
            standing, *special = numbers
            rates = dict(self.periods[standing].rates)
            for at in reversed(special):
                rates |= self.tiers[at].rates
            self.made[numbers] = tariff(rates, self.least_seconds)
        return self.made[numbers]


def given_away(card: Card, found: Cost | None) -> Cost | None:
    """What a card's model costs, which may be nothing at all."""
    return _FREE if card.free and found is None else found
