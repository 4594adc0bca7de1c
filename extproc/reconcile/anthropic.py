"""Anthropic's usage and costs: the reports of its Admin API, and the CSV files that the Console exports.

Usage: https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report, and the Console's usage export, with columns
such as `usage_input_tokens_no_cache`. Fresh, read and written tokens are told apart, and none of them holds another.
Costs: https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-cost-report, in cents, grouped by description, or not; and the
Console's cost export, in dollars, which calls models by the names that people know: `Claude Haiku 4.5`.
All days are of UTC.
"""

from collections.abc import Iterator
from decimal import Decimal

from extproc.exact import EXACT
from extproc.reconcile.line import Line
from extproc.reconcile.row import Row

KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_COUNTS = {
    "input": ("uncached_input_tokens", "usage_input_tokens_no_cache"),
    "cache_read": ("cache_read_input_tokens", "usage_input_tokens_cache_read"),
    "cache_write": (
        "cache_creation_ephemeral_5m_input_tokens", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write",
    ),
    "cache_write_1h": ("cache_creation_ephemeral_1h_input_tokens", "usage_input_tokens_cache_write_1h"),
    "output": ("output_tokens", "usage_output_tokens"),
}  # fmt: skip
_TYPES = {
    "uncached_input_tokens": "input", "input_no_cache": "input",
    "cache_read_input_tokens": "cache_read", "input_cache_read": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write", "input_cache_write_5m": "cache_write", "input_cache_write": "cache_write",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h", "input_cache_write_1h": "cache_write_1h",
    "output_tokens": "output", "output": "output",
}  # fmt: skip


def is_usage(fields: frozenset[str]) -> bool:
    """Whether a line with these fields is one of usage."""
    return "uncached_input_tokens" in fields or "usage_input_tokens_no_cache" in fields


def is_costs(fields: frozenset[str]) -> bool:
    """Or of costs."""
    return {"starting_at", "amount"} <= fields or {"usage_date_utc", "cost_usd", "token_type"} <= fields


def usage(line: Line) -> Iterator[Row]:
    """See the module."""
    day, model = line.day("starting_at", "usage_date_utc"), line.text("model", "model_version")
    for kind, names in _COUNTS.items():
        if count := line.count(*names):
            yield Row(day, model, kind, count)


def costs(line: Line) -> Iterator[Row]:
    """See the module."""
    cents, dollars = line.number("amount"), line.number("cost_usd")
    money = EXACT.scaleb(cents, Decimal(-2)) if cents is not None else dollars
    if money is None:
        return
    if (currency := line.text("currency")).upper() not in ("", "USD"):
        raise line.wrong(f"it is {currency}, and the ledger counts US dollars", "currency")
    word = line.text("token_type")
    kind = _TYPES.get(word, word)
    # What is no model's tokens, such as a search, is told by its own name.
    model = line.text("model") if kind else line.text("model", "cost_type", "description")
    yield Row(line.day("starting_at", "usage_date_utc"), model, kind, money=money)
