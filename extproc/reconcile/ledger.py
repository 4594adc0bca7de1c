"""What the ledger says of the same days: by day of UTC, model and kind, what it cost, and which of its entries are not certain.

It reads copies for mirrors as well, which providers charge for, too; and no answers from the cache, which they do not.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

import msgspec
from msgspec import Struct

from extproc.exact import EXACT
from extproc.ledger.store import Store

HOLDS = {
    "cache_write_1h": "cache_write", "cache_write": "input", "cache_read": "input", "input_audio": "input", "output_audio": "output",
    "cache_read_audio": "cache_read", "cache_read_image": "cache_read", "input_image": "input", "output_image": "output",
    "reasoning": "output", "image": "images", "second": "seconds", "hour": "seconds", "character": "characters", "search": "searches",
}  # fmt: skip
"""Where a kind is counted that an export does not tell by itself."""
_PIECES = ("images", "seconds", "characters", "searches")
_MODEL = "CASE WHEN answered = '' THEN target ELSE answered END"
_WHICH = "provider IN (SELECT value FROM json_each(?1)) AND time >= ?2 AND time < ?3 AND cache <> 'hit'"
_DAY = "strftime('%Y-%m-%d', time, 'unixepoch')"
_COUNTS = f"""
    SELECT {_DAY}, {_MODEL}, count(*), coalesce(sum(partial), 0), coalesce(sum(estimated), 0), sum(outcome = 'killed'),
        sum(NOT priced), sum(attempts > 1), sum(tier <> ''), sum(mirror_of <> ''),
        sum(input - cache_read - cache_write), sum(cache_read), sum(cache_write - cache_write_1h), sum(cache_write_1h), sum(output),
        {", ".join(f"sum(CASE unit WHEN '{piece}' THEN amount ELSE 0 END)" for piece in _PIECES)}
    FROM entries WHERE {_WHICH} GROUP BY 1, 2"""
_COSTS = f"""
    SELECT {_DAY}, {_MODEL}, part.key, exact_sum(part.value)
    FROM entries, json_each(CASE cost_parts WHEN '' THEN '{{}}' ELSE cost_parts END) AS part WHERE {_WHICH} GROUP BY 1, 2, 3"""
_KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", *_PIECES)


class Doubts(Struct, frozen=True):
    """Entries of a day and a model of which the ledger does not know all, or of which a bill may say more."""

    entries: int = 0
    partial: int = 0
    """They broke off: their tokens are what was seen until then."""
    estimated: int = 0
    killed: int = 0
    """Envoy's access log is all that is left of them."""
    unpriced: int = 0
    retried: int = 0
    """They took several attempts, and an attempt that failed may have been charged."""
    tiered: int = 0
    """They were served at another price than the usual one."""
    mirrored: int = 0

    def plus(self, other: "Doubts") -> "Doubts":
        """Both together."""
        return Doubts(*map(sum, zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)))


class Day(Struct):
    """What the ledger has of one model on one day, by kind."""

    quantities: dict[str, Decimal] = {}
    money: dict[str, Decimal] = {}
    doubts: Doubts = Doubts()


Days = dict[tuple[date, str], Day]


def read(store: Store, providers: Sequence[str], first: date, after: date) -> Days:
    """Of these providers, from the day `first` on and before the day `after`. Raises sqlite3.Error."""
    bounds = (msgspec.json.encode(list(providers)).decode(), *(datetime.combine(day, time(), UTC).timestamp() for day in (first, after)))
    days: Days = {}
    for day, model, *numbers in store.db.execute(_COUNTS, bounds):
        doubts, counts = numbers[: len(Doubts.__struct_fields__)], numbers[len(Doubts.__struct_fields__) :]
        quantities = {kind: Decimal(repr(count)) for kind, count in zip(_KINDS, counts, strict=True) if count}
        days[date.fromisoformat(day), model] = Day(quantities, {}, Doubts(*doubts))
    for day, model, kind, money in store.db.execute(_COSTS, bounds):
        days[date.fromisoformat(day), model].money[kind] = Decimal(money)
    return days


def providers(store: Store) -> list[str]:
    """All that have an entry. Raises sqlite3.Error."""
    return [name for (name,) in store.db.execute("SELECT DISTINCT provider FROM entries WHERE provider <> '' ORDER BY 1")]


def folded(amounts: Mapping[str, Decimal], told: Iterable[str]) -> dict[str, Decimal]:
    """The same by the kinds that an export tells: what it does not tell by itself is in what holds it."""
    known, found = set(told), dict[str, Decimal]()
    for kind, amount in amounts.items():
        while kind not in known and kind in HOLDS:
            kind = HOLDS[kind]  # noqa: PLW2901 - it climbs
        found[kind] = EXACT.add(found.get(kind, Decimal(0)), amount)
    return found
