"""Recorded exchanges as providers: what an answer says, read straight from what was recorded, and ways to play it again.

Knows the two dialects by itself and nothing of the gateway's own translation, so that the two can be compared.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from msgspec import Struct

from extproc.usage import Usage
from tests.dialects.traffic import Exchange

Play = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Long enough for Envoy to read a piece before the next one comes, in seconds.
_GAP = 0.001


class Said(Struct):
    """What an answer says, of no dialect but for `stop`, which is the provider's own word."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = []
    """Name and decoded arguments, in order."""
    stop: str = ""
    usage: dict[str, Any] = {}


def said(exchange: Exchange) -> Said:
    """What the provider said."""
    if exchange.dialect == "openai":
        return openai_chunks(_events(exchange.text)) if exchange.text else openai_answer(exchange.answer)
    return anthropic_message(anthropic_events(_events(exchange.text)) if exchange.text else exchange.answer)


def _events(text: str) -> list[Any]:
    lines = (line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


def openai_answer(answer: Any) -> Said:
    """A chat completion, as JSON."""
    (choice,) = answer["choices"]
    message = choice["message"]
    calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or ()]
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    return Said(message.get("content") or "", reasoning, calls, choice["finish_reason"], answer["usage"])


def openai_chunks(chunks: list[Any]) -> Said:
    """A chat completion's chunks, as JSON."""
    whole = Said()
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        whole.usage = chunk.get("usage") or whole.usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            whole.text += delta.get("content") or ""
            whole.reasoning += delta.get("reasoning_content") or ""
            whole.stop = choice.get("finish_reason") or whole.stop
            for call in delta.get("tool_calls") or ():
                known = calls.setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
    whole.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]
    return whole


def anthropic_message(message: Any) -> Said:
    """A message, as JSON."""
    whole = Said(stop=message["stop_reason"], usage=message["usage"])
    for block in message["content"]:
        match block["type"]:
            case "text":
                whole.text += block["text"]
            case "thinking":
                whole.reasoning += block["thinking"]
            case "tool_use":
                whole.calls.append((block["name"], block["input"]))
    return whole


def anthropic_events(events: list[Any]) -> Any:
    """The message that a stream's events add up to."""
    message: dict[str, Any] = {"content": [], "usage": {}}
    inputs: dict[int, str] = {}
    for event in events:
        match event["type"]:
            case "message_start":
                message["usage"] |= event["message"]["usage"]
            case "content_block_start":
                message["content"].append(event["content_block"])
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
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


def counted(dialect: str, usage: dict[str, Any]) -> Usage:
    """A provider's usage as the ledger is to hold it."""
    if dialect == "openai":
        given, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        return Usage(
            input=usage["prompt_tokens"],
            output=usage["completion_tokens"],
            cache_read=given.get("cached_tokens", 0),
            cache_write=given.get("cache_write_tokens", 0),
            reasoning=made.get("reasoning_tokens", 0),
            input_audio=given.get("audio_tokens", 0),
            output_audio=made.get("audio_tokens", 0),
        )
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return Usage(
        input=usage["input_tokens"] + read + written,
        output=usage["output_tokens"],
        cache_read=read,
        cache_write=written,
        cache_write_1h=(usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0),
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
    )


def cuts(stream: bytes, seed: int, count: int = 40) -> list[int]:
    """Where to cut a stream: at random, and also within a character, within a blank line and within a line end where it has any."""
    choose = random.Random(seed)
    places = {choose.randrange(1, len(stream)) for _ in range(count)}
    inside = [at for at, byte in enumerate(stream) if byte & 0xC0 == 0x80]
    blank = [at + 1 for at in range(len(stream) - 1) if stream[at : at + 2] in (b"\n\n", b"\r\n")]
    for wanted in (inside, blank):
        places.update(choose.sample(wanted, min(len(wanted), count // 4)))
    return sorted(places)


def play(exchange: Exchange) -> Play:
    """A provider that says what was recorded, at once."""
    body = exchange.text.encode() if exchange.text else json.dumps(exchange.answer).encode()
    kind = "text/event-stream; charset=utf-8" if exchange.text else "application/json"

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=exchange.status, body=body, headers={"content-type": kind})

    return answer


def play_cut(stream: bytes, places: list[int], headers: dict[str, str] | None = None) -> Play:
    """A provider that sends a stream in pieces, each by itself."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", **(headers or {})})
        await response.prepare(request)
        for begin, end in zip([0, *places], [*places, len(stream)], strict=True):
            await response.write(stream[begin:end])
            await asyncio.sleep(_GAP)
        await response.write_eof()
        return response

    return answer
