"""Bedrock's Converse and ConverseStream."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said, decoded

_STOPS: dict[str, Meaning] = {
    "end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool",
    "content_filtered": "filter", "guardrail_intervened": "filter",
}  # fmt: skip


def whole(answer: Any) -> Said:
    """An answer. Tools that the provider has run itself are no calls."""
    said = Said(usage=counted(answer["usage"]))
    for block in answer["output"]["message"]["content"]:
        said.text += block.get("text", "")
        said.reasoning += block.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
        if (call := block.get("toolUse")) and call.get("type") != "server_tool_use":
            said.calls.append((call["name"], call["input"]))
    return said.meant(_STOPS[answer["stopReason"]])


def streamed(events: list[tuple[str, Any]]) -> Said:
    """A stream's events, with their kinds."""
    said, stop = Said(), ""
    calls: dict[int, list[str]] = {}
    for kind, event in events:
        match kind:
            case "contentBlockStart":
                call = event["start"].get("toolUse")
                if call and call.get("type") != "server_tool_use":
                    calls[event["contentBlockIndex"]] = [call["name"], ""]
            case "contentBlockDelta":
                delta = event["delta"]
                said.text += delta.get("text", "")
                said.reasoning += delta.get("reasoningContent", {}).get("text", "")
                if event["contentBlockIndex"] in calls:
                    calls[event["contentBlockIndex"]][1] += delta.get("toolUse", {}).get("input", "")
            case "messageStop":
                stop = event["stopReason"]
            case "metadata":
                said.usage = counted(event["usage"])
    said.calls = [(name, decoded(arguments)) for name, arguments in calls.values()]
    return said.meant(_STOPS[stop])


def counted(usage: Any) -> Usage:
    """A `usage` object: `inputTokens` leaves out what was read from the cache, and written to it."""
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    return Usage(input=usage["inputTokens"] + read + written, output=usage["outputTokens"], cache_read=read, cache_write=written)
