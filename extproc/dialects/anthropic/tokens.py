"""Anthropic's way of counting tokens: https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance

`input_tokens` leaves out what was read from the cache and what was written to it; ours holds all. In a stream, `message_start` counts
the input and `message_delta` says again, cumulatively, what has changed since (a server-side tool's results grow the input).
"""

from typing import Any

from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import Usage, natural, tier_of


class _Creation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Out(Struct):
    thinking_tokens: int | None = None


class _Iteration(Struct):
    type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Tokens(Struct):
    """A `usage` object, of an answer or of a stream's events."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Creation | None = None
    output_tokens_details: _Out | None = None
    iterations: list[_Iteration] | None = None
    service_tier: Any = None
    speed: Any = None

    def update(self, later: "Tokens") -> None:
        """Takes over what a later event of the same stream says."""
        for field in later.__struct_fields__:
            value = getattr(later, field)
            if value is not None:
                setattr(self, field, value)


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    if tokens.input_tokens is None and tokens.output_tokens is None:
        return None
    read, written = natural(tokens.cache_read_input_tokens), natural(tokens.cache_creation_input_tokens)
    creation, details = tokens.cache_creation, tokens.output_tokens_details
    hour = natural(creation.ephemeral_1h_input_tokens) if creation else 0
    if creation and tokens.cache_creation_input_tokens is None:
        written = natural(creation.ephemeral_5m_input_tokens) + hour
    fresh, made = natural(tokens.input_tokens), natural(tokens.output_tokens)
    # https://docs.claude.com/en/docs/build-with-claude/compaction: the totals leave compaction out, the bill does not.
    if tokens.iterations and (compactions := [one for one in tokens.iterations if one.type == "compaction"]):
        # However many they are, together they are a count like any other.
        fresh += natural(sum(natural(one.input_tokens) for one in compactions))
        made += natural(sum(natural(one.output_tokens) for one in compactions))
        read += natural(sum(natural(one.cache_read_input_tokens) for one in compactions))
        written += natural(sum(natural(one.cache_creation_input_tokens) for one in compactions))
    return Usage(
        input=fresh + read + written,
        output=made,
        cache_read=read,
        cache_write=written,
        cache_write_1h=min(hour, written),
        reasoning=natural(details.thinking_tokens) if details else 0,
        # Where both are told: a batch is never fast, and the dearer one counts.
        tier=tier_of(tokens.speed) or tier_of(tokens.service_tier),
    )


def read_tokens(value: Any) -> Tokens | None:
    """A decoded `usage` object; None if it has the wrong shape."""
    return counts.read(value, Tokens)


def read_usage(value: Any) -> Usage | None:
    """A decoded `usage` object, counted."""
    tokens = read_tokens(value)
    return count(tokens) if tokens else None


def write_usage(usage: Usage | None) -> Extra:
    """A `usage` object. Clients insist on one; what is unknown is zero."""
    usage = usage or Usage()
    written: Extra = {
        "input_tokens": max(0, usage.input - usage.cache_read - usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return written


def write_creation(usage: Usage | None) -> Extra:
    """`cache_creation`, which only whole answers and `message_start` have."""
    usage = usage or Usage()
    return {
        "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }
