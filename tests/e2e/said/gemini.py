"""Gemini's responses: a stream is made of the same."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said

_STOPS: dict[str, Meaning] = {
    "STOP": "end", "MAX_TOKENS": "length", "MALFORMED_FUNCTION_CALL": "error", "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
}  # fmt: skip
"""All others are filters."""


def whole(response: Any) -> Said:
    """A response."""
    return streamed([response])


def streamed(chunks: list[Any]) -> Said:
    """A stream's responses, each of which counts anew, though some leave counts out."""
    said, stop = Said(), ""
    usage: dict[str, Any] = {}
    for chunk in chunks:
        usage |= {name: count for name, count in (chunk.get("usageMetadata") or {}).items() if count is not None}
        feedback = chunk.get("promptFeedback") or {}
        if feedback.get("blockReason"):
            said.text += feedback.get("blockReasonMessage") or ""
            stop = "BLOCKED"
        for candidate in chunk.get("candidates") or ():
            stop = candidate.get("finishReason") or stop
            for part in (candidate.get("content") or {}).get("parts") or ():
                _part(said, part)
    said.usage = counted(usage)
    return said.meant(_STOPS.get(stop, "filter") if stop else "")


def _part(said: Said, part: Any) -> None:
    if call := part.get("functionCall"):
        said.calls.append((call["name"], call.get("args") or {}))
    elif part.get("thought"):
        said.reasoning += part.get("text") or ""
    else:
        said.text += part.get("text") or ""


def counted(usage: Any) -> Usage:
    """A `usageMetadata` object: thoughts are no part of the candidates, nor what tools brought in of the prompt."""
    thoughts, tools = usage.get("thoughtsTokenCount") or 0, usage.get("toolUsePromptTokenCount") or 0
    given, made = usage.get("promptTokenCount") or 0, usage.get("candidatesTokenCount") or 0
    heard = [*(usage.get("promptTokensDetails") or ()), *(usage.get("toolUsePromptTokensDetails") or ())]
    return Usage(
        input=given + tools,
        output=made + thoughts,
        cache_read=usage.get("cachedContentTokenCount") or 0,
        reasoning=thoughts,
        input_audio=_audio(heard),
        output_audio=_audio(usage.get("candidatesTokensDetails") or ()),
    )


def _audio(details: Any) -> int:
    return sum(one.get("tokenCount") or 0 for one in details if one.get("modality") == "AUDIO")
