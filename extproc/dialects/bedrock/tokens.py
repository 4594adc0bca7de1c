"""Bedrock's way of counting tokens: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html

`inputTokens` leaves out what was read from the cache and what was written to it (`totalTokens` holds both); ours holds all.
"""

from typing import Any

from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import Usage, natural


class _Detail(Struct):
    ttl: str | None = None
    inputTokens: int | None = None  # noqa: N815 - their name


class Tokens(Struct):
    """A `usage` object. Fields are Bedrock's; those that end in `Count` are what it called them before."""

    inputTokens: int | None = None  # noqa: N815
    outputTokens: int | None = None  # noqa: N815
    cacheReadInputTokens: int | None = None  # noqa: N815
    cacheReadInputTokenCount: int | None = None  # noqa: N815
    cacheWriteInputTokens: int | None = None  # noqa: N815
    cacheWriteInputTokenCount: int | None = None  # noqa: N815
    cacheDetails: list[_Detail] | None = None  # noqa: N815


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    if tokens.inputTokens is None and tokens.outputTokens is None:
        return None
    read, written = tokens.cacheReadInputTokens, tokens.cacheWriteInputTokens
    read = natural(tokens.cacheReadInputTokenCount if read is None else read)
    written = natural(tokens.cacheWriteInputTokenCount if written is None else written)
    details = tokens.cacheDetails
    hour = sum([natural(detail.inputTokens) for detail in details if detail.ttl == "1h"]) if details else 0
    return Usage(
        input=natural(tokens.inputTokens) + read + written,
        output=natural(tokens.outputTokens),
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(hour, written),
    )


def read_usage(value: Any) -> Usage | None:
    """A decoded `usage` object; None if it has the wrong shape."""
    tokens = counts.read(value, Tokens)
    return count(tokens) if tokens else None


def write_usage(usage: Usage | None) -> Extra:
    """A `usage` object. Clients insist on one; what is unknown is zero."""
    usage = usage or Usage()
    written: Extra = {
        "inputTokens": max(0, usage.input - usage.cache_read - usage.cache_write),
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
    }
    if usage.cache_write_1h:
        rest = usage.cache_write - usage.cache_write_1h
        details = [("1h", usage.cache_write_1h), ("5m", rest)]
        written["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in details if tokens]
    return written
