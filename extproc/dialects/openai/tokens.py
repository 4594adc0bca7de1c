"""OpenAI's ways of counting tokens: chat and legacy completions, embeddings, and images (`input_tokens`).

OpenAI's totals include their parts, as ours do. Providers of the same dialect differ a little, each as its own documentation says:
DeepSeek calls cached tokens `prompt_cache_hit_tokens`, Groq's stream keeps usage in `x_groq`, and xAI leaves reasoning out of
`completion_tokens` but not out of `total_tokens`.
"""

import re
from typing import Any

import msgspec
from msgspec import Struct

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import Usage, natural, of_tier

_HAS_USAGE = re.compile(rb'"usage"\s*:\s*\{')


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
    """A `usage` object, of any endpoint."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _In | None = None
    completion_tokens_details: _Out | None = None
    prompt_cache_hit_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _In | None = None
    output_tokens_details: _Out | None = None
    # Transcriptions and the realtime API write it so.
    input_token_details: _In | None = None
    output_token_details: _Out | None = None


class _Groq(Struct):
    usage: Tokens | None = None


class _Response(Struct):
    """Of the realtime API's `response.done`."""

    usage: Tokens | None = None
    service_tier: Any = None


class Carrier(Struct):
    """Whatever may carry usage: an answer, a chunk, or an event of the realtime API."""

    usage: Tokens | None = None
    model: str | None = None
    service_tier: Any = None
    x_groq: _Groq | None = None
    response: _Response | None = None


_carrier = msgspec.json.Decoder(Carrier, strict=False)


def carried(body: bytes) -> tuple[Usage | None, str] | None:
    """Usage and model in a JSON text that may carry them; None if it is unreadable."""
    carrier = counts.decode(body, _carrier)
    if carrier is None:
        return None
    within = carrier.x_groq or carrier.response
    tokens = carrier.usage or (within.usage if within else None)
    tier = carrier.service_tier or (carrier.response.service_tier if carrier.response else None)
    return (of_tier(count(tokens), tier) if tokens else None), carrier.model or ""


def has_usage(body: bytes) -> bool:
    """Looks at bytes: is there a usage object that is worth decoding for? (Chunks before the last have `"usage":null`.)"""
    at = body.find(b'"usage"')
    if at < 0 or (body.startswith(b":null", at + 7) and body.find(b'"usage"', at + 12) < 0):
        return False
    return _HAS_USAGE.search(body, at) is not None


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted."""
    into = tokens.prompt_tokens_details or tokens.input_tokens_details or tokens.input_token_details or _NONE_IN
    out = tokens.completion_tokens_details or tokens.output_tokens_details or tokens.output_token_details or _NONE_OUT
    given = tokens.prompt_tokens if tokens.prompt_tokens is not None else tokens.input_tokens
    made = tokens.completion_tokens if tokens.completion_tokens is not None else tokens.output_tokens
    if given is None and made is None:
        if tokens.total_tokens is None:
            return None
        given = tokens.total_tokens
    given, made = natural(given), natural(made)
    reasoning = natural(out.reasoning_tokens) if out.reasoning_tokens else 0
    if reasoning and tokens.total_tokens == given + made + reasoning:
        made += reasoning
    read = min(natural(into.cached_tokens if into.cached_tokens is not None else tokens.prompt_cache_hit_tokens), given)
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
    """A `usage` object for chat completions."""
    given: Extra = {"cached_tokens": usage.cache_read, "audio_tokens": usage.input_audio}
    if usage.cache_write:
        given["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": given,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.output_audio},
    }
