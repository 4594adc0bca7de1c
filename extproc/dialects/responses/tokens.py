"""How the Responses API counts tokens: https://platform.openai.com/docs/api-reference/responses/object#responses-object-usage

Totals include their parts, as ours do.
"""

from typing import Any

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import Usage, natural, of_tier


class _In(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _Out(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


_NONE_IN, _NONE_OUT = _In(), _Out()


class Tokens(Struct):
    """A `usage` object."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: _In | None = None
    output_tokens_details: _Out | None = None


class _Response(Struct):
    usage: Tokens | None = None
    model: str | None = None
    service_tier: Any = None


class _Carrier(Struct):
    usage: Tokens | None = None
    model: str | None = None
    service_tier: Any = None
    response: _Response | None = None


_carrier = msgspec.json.Decoder(_Carrier, strict=False)


def carried(body: bytes) -> tuple[Usage | None, str]:
    """Usage and model in an answer, or in an event that holds one; (None, "") if it has none, or cannot be read."""
    carrier = counts.decode(body, _carrier)
    if carrier is None:
        return None, ""
    response = carrier.response or _Response()
    tokens = carrier.usage or response.usage
    tier = carrier.service_tier or response.service_tier
    return (of_tier(count(tokens), tier) if tokens else None), carrier.model or response.model or ""


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    if tokens.input_tokens is None and tokens.output_tokens is None:
        return None
    into, out = tokens.input_tokens_details or _NONE_IN, tokens.output_tokens_details or _NONE_OUT
    given, made = natural(tokens.input_tokens), natural(tokens.output_tokens)
    reasoning = natural(out.reasoning_tokens) if out.reasoning_tokens else 0
    if reasoning and tokens.total_tokens == given + made + reasoning:
        made += reasoning  # xAI leaves reasoning out of the output, but not out of the total
    read = min(natural(into.cached_tokens), given)
    return Usage(
        input=given,
        output=made,
        cache_read=read,
        # Most count none of these. More than all of the input has no price.
        cache_write=min(natural(into.cache_write_tokens), given - read) if into.cache_write_tokens else 0,
        reasoning=reasoning,
        input_audio=natural(into.audio_tokens) if into.audio_tokens else 0,
        output_audio=natural(out.audio_tokens) if out.audio_tokens else 0,
        input_image=natural(into.image_tokens) if into.image_tokens else 0,
        output_image=natural(out.image_tokens) if out.image_tokens else 0,
    )


def read_usage(value: Any) -> Usage | None:
    """A decoded `usage` object. One of the wrong shape counts nothing."""
    tokens = counts.read(value, Tokens)
    return count(tokens) if tokens else None


def write_usage(usage: Usage) -> Extra:
    """A `usage` object."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
