"""Anthropic's messages."""

from typing import Any

from extproc.usage import Usage
from tests.e2e.said import Meaning, Said, decoded

_STOPS: dict[str, Meaning] = {
    "end_turn": "end", "stop_sequence": "end", "pause_turn": "end", "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool", "refusal": "filter",
}  # fmt: skip


def whole(message: Any) -> Said:
    """A message."""
    said = Said(usage=counted(message["usage"]))
    for block in message["content"]:
        match block["type"]:
            case "text":
                said.text += block["text"]
            case "thinking":
                said.reasoning += block["thinking"]
            case "tool_use":
                said.calls.append((block["name"], block["input"]))
    return said.meant(_STOPS[message["stop_reason"]] if message["stop_reason"] else "")


def streamed(events: list[Any]) -> Said:
    """A message's events."""
    message: dict[str, Any] = {"content": [], "usage": {}}
    inputs: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message["usage"] |= event["message"]["usage"]
            case "content_block_start":
                message["content"].append(dict(event["content_block"]))
            case "content_block_delta":
                delta, block = event["delta"], message["content"][event["index"]]
                if delta["type"] in ("text_delta", "thinking_delta"):
                    field = delta["type"].removesuffix("_delta")
                    block[field] += delta[field]
                elif delta["type"] == "input_json_delta":
                    inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            case "message_delta":
                message["stop_reason"] = event["delta"]["stop_reason"]
                message["usage"] |= {name: count for name, count in event["usage"].items() if count is not None}
    for index, text in inputs.items():
        message["content"][index]["input"] = decoded(text)
    return whole(message)


def counted(usage: Any) -> Usage:
    """A `usage` object: `input_tokens` leaves out what was read from the cache, and written to it."""
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    return Usage(
        input=usage["input_tokens"] + read + written,
        output=usage["output_tokens"],
        cache_read=read,
        cache_write=written,
        cache_write_1h=(usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )
