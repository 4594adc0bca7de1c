"""Cohere's chat."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said, decoded

_STOPS: dict[str, Meaning] = {
    "COMPLETE": "end", "STOP_SEQUENCE": "end", "MAX_TOKENS": "length", "TOOL_CALL": "tool", "ERROR": "error", "TIMEOUT": "error",
    "ERROR_TOXIC": "filter",
}  # fmt: skip


def whole(answer: Any) -> Said:
    """An answer. The plan for the tools is reasoning, too."""
    said, message = Said(usage=counted(answer.get("usage"))), answer["message"]
    said.reasoning = message.get("tool_plan") or ""
    for part in message.get("content") or ():
        _part(said, part)
    said.calls = [(call["function"]["name"], decoded(call["function"]["arguments"])) for call in message.get("tool_calls") or ()]
    return said.meant(_STOPS[answer["finish_reason"]])


def streamed(events: list[Any]) -> Said:
    """An answer's events."""
    said = Said()
    calls: dict[int, list[str]] = {}
    for event in events:
        message = (event.get("delta") or {}).get("message") or {}
        match event["type"]:
            case "content-start" | "content-delta":
                _part(said, message["content"])
            case "tool-plan-delta":
                said.reasoning += message["tool_plan"]
            case "tool-call-start" | "tool-call-delta":
                function = message["tool_calls"]["function"]
                known = calls.setdefault(event["index"], ["", ""])
                known[0] += function.get("name") or ""
                known[1] += function.get("arguments") or ""
            case "message-end":
                said.usage = counted(event["delta"].get("usage"))
                said.stop = _STOPS[event["delta"]["finish_reason"]]
    said.calls = [(name, decoded(arguments)) for name, arguments in calls.values()]
    return said.meant(said.stop)


def _part(said: Said, part: Any) -> None:
    said.text += part.get("text") or ""
    said.reasoning += part.get("thinking") or ""


def counted(usage: Any) -> Usage:
    """A `usage` object, or none: what is billed counts."""
    if not usage:
        return Usage()
    told = usage.get("billed_units") or usage["tokens"]
    given = int(told["input_tokens"])
    return Usage(input=given, output=int(told["output_tokens"]), cache_read=min(int(usage.get("cached_tokens") or 0), given))
