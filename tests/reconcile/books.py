"""A ledger of two days, made up; and its entries, for those who make more."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from extproc.config.model import Price
from extproc.ledger.places import places
from extproc.ledger.prices import PriceBook
from extproc.ledger.record import Record
from extproc.ledger.store import Store
from extproc.usage import Usage

FIRST = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAY = 86_400
PRICES = PriceBook(
    (
        Price(model="openai/gpt-4o-2024*", input="2.5", output="10", cache_read="1.25"),
        Price(model="openai/gpt-4o-mini*", input="0.15", output="0.6", cache_read="0.075"),
        Price(model="*/*claude*", input="3", output="15", cache_read="0.3", cache_write="3.75", cache_write_1h="6"),
    )
)
ENTRIES = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06", 0, Usage(input=600_000, cache_read=400_000, output=40_000, reasoning=5000)),
    ("openai", "gpt-4o", "gpt-4o-2024-08-06", 0, Usage(input=400_000, output=10_000)),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 1, Usage(input=2_000_000, output=100_000)),
    (
        "anthropic", "claude-sonnet-4-0", "claude-sonnet-4-20250514", 0,
        Usage(input=3200, cache_read=200, cache_write=1500, cache_write_1h=1000, output=500),
    ),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", 1, Usage(input=20_000, output=1000)),
    ("aws", "us.anthropic.claude-sonnet-4-6", "", 0, Usage(input=1_239_567, cache_read=2000, cache_write=3000, output=45_678)),
)  # fmt: skip


def record(id: str, provider: str, target: str, answered: str, day: int, usage: Usage, **more: object) -> Record:
    """A request that was answered, in the middle of a day."""
    at = FIRST + day * DAY + DAY / 2
    return Record(id=id, time=at, provider=provider, target=target, answered=answered, usage=usage, attempts=1, **more)  # type: ignore[arg-type]


def books(state: Path, records: Iterable[Record] | None = None, prices: PriceBook = PRICES) -> Path:
    """A state folder whose ledger has these, or `ENTRIES`."""
    if records is None:
        records = [record(str(number), *entry) for number, entry in enumerate(ENTRIES)]
    database = places(state).database
    with closing(Store(database)) as store:
        store.add([(one, prices.price(one)) for one in records], FIRST)
    return state
