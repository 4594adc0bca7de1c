"""OpenAI's responses."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said, decoded

_PARAGRAPH = "\n\n"
"""Parts of a summary are paragraphs, which other dialects tell in one piece."""
_TEXTS = ("response.output_text.delta", "response.refusal.delta")
_REASONING = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
_ENDS = ("response.completed", "response.incomplete", "response.failed")


def whole(response: Any) -> Said:
    """A response."""
    said = Said(usage=counted(response.get("usage")))
    for item in response["output"]:
        parts = item.get("content") or ()
        match item["type"]:
            case "message":
                said.text += "".join(part["text"] if part["type"] == "output_text" else part["refusal"] for part in parts)
                said.refused = said.refused or any(part["type"] == "refusal" for part in parts)
            case "reasoning":
                said.reasoning += _PARAGRAPH.join(part["text"] for part in (*item["summary"], *parts))
            case "function_call":
                said.calls.append((item["name"], decoded(item["arguments"])))
    return said.meant(_stop(response))


def streamed(events: list[Any]) -> Said:
    """A response's events: what was said in pieces, and the rest as its end tells it."""
    (end,) = [event["response"] for event in events if event["type"] in _ENDS]
    said = whole(end)
    said.text = "".join(event["delta"] for event in events if event["type"] in _TEXTS)
    said.reasoning = _reasoning(events)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    said.calls = [(item["name"], decoded(item["arguments"])) for item in done if item["type"] == "function_call"]
    return said


def _reasoning(events: list[Any]) -> str:
    items: dict[int, dict[Any, str]] = {}
    for event in events:
        if event["type"] in _REASONING:
            parts = items.setdefault(event["output_index"], {})
            part = (event["type"], event.get("summary_index", event.get("content_index")))
            parts[part] = parts.get(part, "") + event["delta"]
    return "".join(_PARAGRAPH.join(parts.values()) for parts in items.values())


def _stop(response: Any) -> Meaning:
    match response["status"]:
        case "completed" | "complete":  # the latter is Google's
            return "end"
        case "incomplete":
            return "length" if response["incomplete_details"]["reason"] == "max_output_tokens" else "filter"
        case "failed":
            return "error"
    return ""


def counted(usage: Any) -> Usage:
    """A `usage` object, or none. Totals include their parts."""
    if not usage:
        return Usage()
    given, made = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return Usage(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=given.get("cached_tokens") or 0,
        cache_write=given.get("cache_write_tokens") or 0,
        reasoning=made.get("reasoning_tokens") or 0,
    )
