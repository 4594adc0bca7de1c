"""OpenAI's chat completions, and what other providers and SDKs of that dialect add to them."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said, decoded

_STOPS: dict[str | None, Meaning] = {
    None: "", "stop": "end", "length": "length", "tool_calls": "tool", "function_call": "tool", "content_filter": "filter",
}  # fmt: skip


def whole(answer: Any) -> Said:
    """A chat completion."""
    (choice,) = answer["choices"]
    said = Said(usage=counted(_usage(answer)))
    _message(said, choice["message"])
    said.calls = [(call["function"]["name"], _arguments(call)) for call in choice["message"].get("tool_calls") or ()]
    return said.meant(_STOPS[choice["finish_reason"]])


def streamed(chunks: list[Any]) -> Said:
    """A chat completion's chunks."""
    said, stop = Said(), None
    calls: dict[int, list[Any]] = {}
    for chunk in chunks:
        if usage := _usage(chunk):
            said.usage = counted(usage)
        for choice in chunk.get("choices") or ():
            delta = choice["delta"]
            _message(said, delta)
            stop = choice.get("finish_reason") or stop
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
    said.calls = [(name, decoded(arguments)) for name, arguments in calls.values()]
    return said.meant(_STOPS[stop])


def _message(said: Said, message: Any) -> None:
    content = message.get("content") or ""
    parts: list[Any] = content if isinstance(content, list) else [{"type": "text", "text": content}]
    for part in parts:
        if part["type"] == "text":
            said.text += part["text"]
        elif part["type"] == "thinking":  # Mistral's
            said.reasoning += "".join(inner["text"] for inner in part["thinking"])
    if refusal := message.get("refusal"):
        said.text += refusal
        said.refused = True
    said.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""


def _arguments(call: Any) -> Any:
    arguments = call["function"].get("arguments") or ""
    return decoded(arguments) if isinstance(arguments, str) else arguments


def _usage(carrier: Any) -> Any:
    return carrier.get("usage") or (carrier.get("x_groq") or {}).get("usage")


def counted(usage: Any) -> Usage:
    """A `usage` object, or none. Totals include their parts, except that some leave reasoning out of `completion_tokens`."""
    if not usage:
        return Usage()
    given, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    output, reasoning = usage["completion_tokens"], made.get("reasoning_tokens") or 0
    if usage["total_tokens"] == usage["prompt_tokens"] + output + reasoning:
        output += reasoning
    return Usage(
        input=usage["prompt_tokens"],
        output=output,
        cache_read=given.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0,
        cache_write=given.get("cache_write_tokens") or 0,
        reasoning=reasoning,
        input_audio=given.get("audio_tokens") or 0,
        output_audio=made.get("audio_tokens") or 0,
    )
