"""OpenAI's usage and costs: the pages of its API, and the CSV files of the same that the platform exports.

Usage: https://platform.openai.com/docs/api-reference/usage (`GET /v1/organization/usage/completions`, `embeddings`, `images`,
`audio_speeches`, `audio_transcriptions`), grouped by model. `input_tokens` holds those that its cache had and those that it keeps. Which
part of it is audio is told with or without what was cached, depending on when it was exported, and is not compared.
Costs: https://platform.openai.com/docs/api-reference/usage/costs (`GET /v1/organization/costs`), grouped by line item, or not. A line item
is a model and what of it: `gpt-4o-2024-08-06, cached input`.

Times are seconds since 1970, of UTC. The CSV files have one column for each field, and for those within `amount` `amount_value` and
`amount_currency`; where there is nothing to tell of a day, a line has the times alone.
"""

from collections.abc import Iterator
from decimal import Decimal

from extproc.reconcile.line import Line
from extproc.reconcile.row import Row

USAGE_KINDS = ("input", "cache_read", "cache_write", "output", "images", "seconds", "characters")
COST_KINDS = ("input", "cache_read", "cache_write", "output", "input_audio", "output_audio")
_WORDS = {
    "input": "input", "cached input": "cache_read", "cache write": "cache_write", "cache writes": "cache_write", "output": "output",
    "audio input": "input_audio", "audio output": "output_audio",
}  # fmt: skip
"""What follows a model in a line item. `text input` and the like are read without their first word."""


def is_usage(fields: frozenset[str]) -> bool:
    """Whether a line with these fields is one of usage."""
    return "num_model_requests" in fields or ("input_tokens" in fields and "input_cached_tokens" in fields)


def is_costs(fields: frozenset[str]) -> bool:
    """Or of costs."""
    return "amount_value" in fields and "amount_currency" in fields


def usage(line: Line) -> Iterator[Row]:
    """See the module."""
    day, model = line.day("start_time", "start_time_iso"), line.text("model")
    read, write = line.count("input_cached_tokens"), line.count("input_cache_write_tokens")
    fresh = line.count("input_tokens") - read - write
    if fresh < 0:
        raise line.wrong("it is less than what of it was cached", "input_tokens")
    counts: dict[str, Decimal] = {"input": fresh, "cache_read": read, "cache_write": write, "output": line.count("output_tokens")}
    counts |= {kind: line.count(kind) for kind in ("images", "seconds", "characters")}
    for kind, count in counts.items():
        if count:
            yield Row(day, model, kind, count)


def costs(line: Line) -> Iterator[Row]:
    """See the module."""
    money = line.number("amount_value")
    if money is None:
        return
    if (currency := line.text("amount_currency")).lower() not in ("", "usd"):
        raise line.wrong(f"it is {currency}, and the ledger counts US dollars", "amount_currency")
    model, kind = _item(line.text("line_item"))
    yield Row(line.day("start_time", "start_time_iso"), model, kind, money=money)


def _item(text: str) -> tuple[str, str]:
    """Model and kind of a line item. What is no model's tokens is told by its whole name."""
    model, comma, words = text.rpartition(",")
    if not comma:
        return text, ""
    word = words.strip().lower()
    kind = _WORDS.get(word) or _WORDS.get(word.removeprefix("text "))
    return (model.strip(), kind) if kind else (text, "")
