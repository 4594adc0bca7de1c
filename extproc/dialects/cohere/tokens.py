"""Cohere's two ways of counting tokens: those that the model read and wrote, and those that are billed.

What Cohere puts around a conversation is read by the model, and not paid for: "hello" may be 3 billed tokens and 500 others. So the
billed ones count (https://docs.cohere.com/docs/how-does-cohere-pricing-work), and the others only where there are none. `cached_tokens`
is a part of the others, and may be more than was billed.
"""

from typing import Any

from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import Usage, natural


class _Tokens(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class Counts(Struct):
    """A `usage` object, of an answer or of a stream's end; or the `meta` of what is no conversation."""

    billed_units: _Tokens | None = None
    tokens: _Tokens | None = None
    cached_tokens: int | None = None


def count(given: Counts) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    told = [one for one in (given.billed_units, given.tokens) if one and (one.input_tokens is not None or one.output_tokens is not None)]
    if not told:
        return None
    read = natural(told[0].input_tokens)
    return Usage(input=read, output=natural(told[0].output_tokens), cache_read=min(natural(given.cached_tokens), read))


def read_usage(value: Any) -> Usage | None:
    """A decoded `usage` object. One of the wrong shape counts nothing."""
    told = counts.read(value, Counts)
    return count(told) if told else None


def write_usage(usage: Usage) -> Extra:
    """A `usage` object for a client."""
    tokens = {"input_tokens": usage.input, "output_tokens": usage.output}
    written: Extra = {"billed_units": tokens, "tokens": tokens}
    return {**written, "cached_tokens": usage.cache_read} if usage.cache_read else written
