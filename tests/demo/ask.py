"""Requests to the demo provider in both dialects, and their streams taken apart."""

from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient

Demo = TestClient[web.Request, web.Application]

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
HEADERS: dict[str, dict[str, str]] = {"openai": {}, "anthropic": {"anthropic-version": "2023-06-01"}}
DIALECTS = ("openai", "anthropic")


def body(dialect: str, text: str, **more: Any) -> dict[str, Any]:
    """The smallest request of a dialect."""
    base: dict[str, Any] = {"model": "demo", "messages": [{"role": "user", "content": text}]}
    return base | ({"max_tokens": 4096} if dialect == "anthropic" else {}) | more


def split(raw: bytes) -> list[Any]:
    """The data of a stream's events, decoded; `[DONE]` as the text that it is."""
    found = []
    for block in raw.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[6:] for line in block.split(b"\n") if line.startswith(b"data: "))
        if data:
            found.append("[DONE]" if data == b"[DONE]" else msgspec.json.decode(data))
    return found


def text_of(dialect: str, events: list[Any]) -> str:
    """What a stream said."""
    if dialect == "openai":
        choices = [choice for event in events if event != "[DONE]" for choice in event["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


def usage_of(dialect: str, whole: dict[str, Any]) -> tuple[int, int]:
    """Input and output tokens of an answer."""
    usage = whole["usage"]
    if dialect == "openai":
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        return usage["prompt_tokens"], usage["completion_tokens"]
    return usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"]
