"""What AWS charges for Bedrock: the Cost and Usage Report as CSV, by its older and its newer names of columns, and Cost Explorer's CSV.

https://docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html: model and kind of token stand in the usage type,
`USE1-Claude4.6Sonnet-cache-read-input-token-count-cross-region-global`. What follows the kind (region, tier, batch) is put together.
Older models of third parties are the Marketplace's: their usage type is `USE1-MP:USE1_InputTokenCount-Units`, and the product's name is the
model's. https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html has the columns. Times are of UTC.

Cost Explorer, grouped by usage type: one line a day, one column a usage type, `USE1-Claude4.6Sonnet-input-tokens ($)`, dollars alone.
"""

import re
from collections.abc import Iterator

from extproc.reconcile.line import Line
from extproc.reconcile.row import Row

KINDS = ("input", "cache_read", "cache_write", "output")
_USAGE = ("line_item_usage_type", "lineItem/UsageType")
_PRODUCT = ("line_item_product_code", "lineItem/ProductCode")
_NAME = ("product_product_name", "product/ProductName", "line_item_line_item_description", "lineItem/LineItemDescription")
_UNIT = ("pricing_unit", "pricing/unit", "line_item_line_item_description", "lineItem/LineItemDescription")
_CHARGED = ("", "Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
"""Types of lines: others are taxes, credits, fees and refunds."""
_TOKENS = re.compile(
    r"^(?:[A-Z]{2,4}\d-)?(?P<model>.+?)-(?:mantle-)?(?P<kind>cache-read|cache-write|input|output)(?:-input)?-tokens?(?:-count)?(?:-|$)"
)
_MARKET = re.compile(r"MP:\w+?_(?P<kind>CacheRead|CacheWrite|Input|Output)\w*?TokenCount", re.IGNORECASE)
_EDITION = re.compile(r"^(?P<model>.+?)\s*\(Amazon Bedrock Edition\)")
_MILLION, _THOUSAND = re.compile(r"\b1?M\b|1,000,000|million", re.IGNORECASE), re.compile(r"\b1?K\b|1,000\b|thousand", re.IGNORECASE)
_COLUMN = re.compile(r"^(?P<usage>.+?)\s*\(\$\)$")
_DATES = ("Usage type", "Usage Type", "UsageType")


def is_report(fields: frozenset[str]) -> bool:
    """Whether a line with these fields is one of a Cost and Usage Report."""
    return any(name in fields for name in _USAGE)


def is_explorer(fields: frozenset[str]) -> bool:
    """Or one of Cost Explorer's."""
    return any(name in fields for name in _DATES) and any(_COLUMN.match(name) for name in fields)


def report(line: Line) -> Iterator[Row]:
    """See the module. Other services' lines are passed over."""
    found = _sold(line.text(*_USAGE), line.text(*_NAME), line.text(*_PRODUCT))
    if found is None or line.text("line_item_line_item_type", "lineItem/LineItemType") not in _CHARGED:
        return
    money = line.number("line_item_unblended_cost", "lineItem/UnblendedCost")
    if money is not None and (currency := line.text("line_item_currency_code", "lineItem/CurrencyCode")) not in ("", "USD"):
        raise line.wrong(f"it is {currency}, and the ledger counts US dollars", "line_item_currency_code", "lineItem/CurrencyCode")
    day = line.day("line_item_usage_start_date", "lineItem/UsageStartDate")
    model, kind = found
    if kind not in KINDS:
        yield Row(day, model, "", money=money)
        return
    yield Row(day, model, kind, line.count("line_item_usage_amount", "lineItem/UsageAmount"), _size(line), money)


def explorer(line: Line) -> Iterator[Row]:
    """See the module."""
    if not line.text(*_DATES)[:1].isdecimal():
        return  # the line of totals
    for name in line.fields:
        if (column := _COLUMN.match(name)) and (found := _sold(column["usage"], "", "")) and (money := line.number(name)):
            yield Row(line.day(*_DATES), *found, money=money)


def _size(line: Line) -> int:
    """How many tokens one of what it counts is."""
    for unit in map(line.text, _UNIT):
        if found := 1_000_000 if _MILLION.search(unit) else 1_000 if _THOUSAND.search(unit) else 0:
            return found
    return 1


def _sold(usage: str, name: str, product: str) -> tuple[str, str] | None:
    """Model and kind; or what else of Bedrock it is, and no kind. None: another service's."""
    if (tokens := _TOKENS.match(usage)) is not None:
        return tokens["model"], tokens["kind"].replace("-", "_")
    edition = _EDITION.match(name)
    if edition is not None and (market := _MARKET.search(usage)) is not None:
        return edition["model"], re.sub(r"(?<=[a-z])(?=[A-Z])", "_", market["kind"]).lower()
    return (usage, "") if product.startswith("AmazonBedrock") or edition is not None else None
