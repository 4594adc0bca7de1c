"""Gemini's way of counting tokens: https://ai.google.dev/api/generate-content#UsageMetadata

`promptTokenCount` holds what came from a cache, and not what server-side tools brought in (`toolUsePromptTokenCount`);
`candidatesTokenCount` does not hold the thoughts. In a stream each chunk counts anew, and some leave fields out.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from extproc.dialects import counts
from extproc.dialects.hub import Extra
from extproc.usage import MOST, Usage, natural, tier_of


class _Modality(Struct):
    modality: str | None = None
    tokenCount: int | None = None  # noqa: N815 - Google's word


class Tokens(Struct):
    """A `usageMetadata` object."""

    promptTokenCount: int | None = None  # noqa: N815
    cachedContentTokenCount: int | None = None  # noqa: N815
    candidatesTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815
    toolUsePromptTokenCount: int | None = None  # noqa: N815
    totalTokenCount: int | None = None  # noqa: N815
    promptTokensDetails: list[_Modality] | None = None  # noqa: N815
    candidatesTokensDetails: list[_Modality] | None = None  # noqa: N815
    toolUsePromptTokensDetails: list[_Modality] | None = None  # noqa: N815
    # What the Live API calls what others call candidates.
    responseTokenCount: int | None = None  # noqa: N815
    responseTokensDetails: list[_Modality] | None = None  # noqa: N815
    serviceTier: Any = None  # noqa: N815
    # Vertex's word for the same.
    trafficType: Any = None  # noqa: N815

    def merged(self, later: "Tokens") -> "Tokens":
        """With what a later chunk of the same stream says."""
        both = zip(astuple(self), astuple(later), strict=True)
        return Tokens(*[before if after is None else after for before, after in both])


def count(tokens: Tokens) -> Usage | None:
    """Counted as we count; None if nothing was counted (a prompt that was blocked)."""
    candidates = tokens.candidatesTokenCount if tokens.candidatesTokenCount is not None else tokens.responseTokenCount
    if tokens.promptTokenCount is None and candidates is None:
        return None
    prompt, used = natural(tokens.promptTokenCount), tokens.toolUsePromptTokenCount
    made, thoughts = natural(candidates), tokens.thoughtsTokenCount
    # Most count none of these.
    used, thoughts = natural(used) if used else 0, natural(thoughts) if thoughts else 0
    if not thoughts or made < thoughts or tokens.totalTokenCount != prompt + used + made:
        made += thoughts  # a total without them says that they are among the candidates' tokens already
    return Usage(
        input=prompt + used,
        output=made,
        cache_read=min(natural(tokens.cachedContentTokenCount), prompt),
        reasoning=thoughts,
        input_audio=_of("AUDIO", tokens.promptTokensDetails) + _of("AUDIO", tokens.toolUsePromptTokensDetails),
        output_audio=_of("AUDIO", tokens.candidatesTokensDetails or tokens.responseTokensDetails),
        input_image=_of("IMAGE", tokens.promptTokensDetails) + _of("IMAGE", tokens.toolUsePromptTokensDetails),
        output_image=_of("IMAGE", tokens.candidatesTokensDetails or tokens.responseTokensDetails),
        tier=tier_of(tokens.serviceTier) or tier_of(tokens.trafficType),
    )


_RARE = frozenset(
    {"candidatesTokensDetails", "responseTokenCount", "responseTokensDetails", "toolUsePromptTokenCount", "toolUsePromptTokensDetails"}
)


def glance(told: Extra) -> Usage | None:
    """What most chunks of a stream count, all of it words. None: there is more, or something is wrong, and `count` has to say what."""
    prompt, made, total = told.get("promptTokenCount"), told.get("candidatesTokenCount"), told.get("totalTokenCount")
    cached, thoughts = told.get("cachedContentTokenCount", 0), told.get("thoughtsTokenCount", 0)
    if not type(prompt) is type(made) is type(total) is type(cached) is type(thoughts) is int or not _RARE.isdisjoint(told):
        return None
    if not (0 <= cached <= prompt <= total < MOST and 0 <= made <= total and 0 <= thoughts <= total):
        return None
    if (details := told.get("promptTokensDetails")) is not None:
        detail = details[0] if type(details) is list and len(details) == 1 else None
        if type(detail) is not dict or detail.get("modality") != "TEXT" or type(detail.get("tokenCount")) is not int:
            return None
    if told.get("serviceTier", "standard") != "standard" or told.get("trafficType", "ON_DEMAND") != "ON_DEMAND":
        return None
    if thoughts and (made < thoughts or total != prompt + made):
        made += thoughts
    return Usage(input=prompt, output=made, cache_read=cached, reasoning=thoughts)


def _of(modality: str, details: list[_Modality] | None) -> int:
    if details is None:  # as in most chunks of a stream
        return 0
    found = 0
    for one in details:
        if one.modality == modality:
            found += natural(one.tokenCount)
    return found


def read_tokens(value: Any) -> Tokens | None:
    """A decoded `usageMetadata`; None if it has the wrong shape."""
    return counts.read(value, Tokens)


def read_usage(value: Any) -> Usage | None:
    """A decoded `usageMetadata`, counted."""
    tokens = read_tokens(value)
    return count(tokens) if tokens else None


def write_usage(usage: Usage) -> Extra:
    """A `usageMetadata` object."""
    written: Extra = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": max(0, usage.output - usage.reasoning),
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cache_read:
        written["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        written["thoughtsTokenCount"] = usage.reasoning
    if usage.input_audio:
        written["promptTokensDetails"] = _details(usage.input, usage.input_audio)
    if usage.output_audio:
        written["candidatesTokensDetails"] = _details(usage.output - usage.reasoning, usage.output_audio)
    return written


def _details(total: int, audio: int) -> list[Extra]:
    return [{"modality": "TEXT", "tokenCount": max(0, total - audio)}, {"modality": "AUDIO", "tokenCount": audio}]
