"""What is added up of entries, in SQL that SQLite and PostgreSQL both understand."""

from msgspec import Struct

from extproc.ledger.money import EXACT_SUM

COUNTED = {
    "requests": "count(*)",
    "errors": "count(*) FILTER (WHERE outcome IN ('error', 'provider_broke', 'killed'))",
    "partial": "coalesce(sum(partial), 0)",
    "estimated": "coalesce(sum(estimated), 0)",
    "cache_hits": "count(*) FILTER (WHERE cache = 'hit')",
    "unpriced": "count(*) FILTER (WHERE priced = 0 AND metered = 1)",
    "unmetered": "count(*) FILTER (WHERE priced = 0 AND metered = 0)",
    "input": "coalesce(sum(input), 0)",
    "output": "coalesce(sum(output), 0)",
    "cache_read": "coalesce(sum(cache_read), 0)",
    "cache_write": "coalesce(sum(cache_write), 0)",
    "reasoning": "coalesce(sum(reasoning), 0)",
    "input_audio": "coalesce(sum(input_audio), 0)",
    "output_audio": "coalesce(sum(output_audio), 0)",
    "input_image": "coalesce(sum(input_image), 0)",
    "output_image": "coalesce(sum(output_image), 0)",
    "saved_input": "coalesce(sum(saved_input), 0)",
    "saved_output": "coalesce(sum(saved_output), 0)",
}
"""Whole numbers, by the names of `report.Row`."""

MEASURED = {
    "images": "coalesce({}(amount) FILTER (WHERE unit = 'images'), {})",
    "seconds": "coalesce({}(amount) FILTER (WHERE unit = 'seconds'), {})",
    "characters": "coalesce({}(amount) FILTER (WHERE unit = 'characters'), {})",
    "searches": "coalesce({}(amount) FILTER (WHERE unit = 'searches'), {})",
    "cost": "coalesce({}(cost), {})",
    "price": "coalesce({}(coalesce(price, cost)), {})",
}
"""Decimals, which are added without rounding; what adds them, and what nothing is, stands in the gaps."""


class Dialect(Struct, frozen=True, kw_only=True):
    """What SQLite and PostgreSQL say each in its own way."""

    day: str
    """The day of an entry, UTC."""
    month: str
    """The first day of its month."""
    total: str
    """Adds decimals of rows."""
    zero: str
    plus: str
    """Adds two decimals."""
    minus: str
    between: str
    """A character that stands in no name."""
    digest: str
    """A hash of a text, as text."""
    day_of_month: str
    """Of a day, its month as `2026-11`."""
    tag: str
    """Of a group's tags, the one whose name the parameter `{}` has; empty where it has none."""

    def sums(self) -> dict[str, str]:
        """All of them, by name, of entries."""
        return COUNTED | {name: how.format(self.total, self.zero) for name, how in MEASURED.items()}


SQLITE = Dialect(
    day="date(time, 'unixepoch')",
    month="date(time, 'unixepoch', 'start of month')",
    total=EXACT_SUM,
    zero="'0'",
    plus="exact_add({}, {})",
    minus="exact_subtract({}, {})",
    between="char(31)",
    digest="sha256_of({})",
    day_of_month="substr({}, 1, 7)",
    tag="CASE g.tags WHEN '' THEN '' ELSE coalesce(json_extract(g.tags, '$.\"' || :{} || '\"'), '') END",
)
POSTGRESQL = Dialect(
    day="CAST(time AT TIME ZONE 'UTC' AS date)",
    month="CAST(date_trunc('month', time AT TIME ZONE 'UTC') AS date)",
    total="sum",
    zero="0",
    plus="{} + {}",
    minus="{} - {}",
    between="chr(31)",
    digest="encode(sha256(convert_to({}, 'UTF8')), 'hex')",
    day_of_month="to_char({}, 'YYYY-MM')",
    tag="CASE g.tags WHEN '' THEN '' ELSE coalesce(CAST(g.tags AS jsonb) ->> :{}, '') END",
)
