"""What is translated to measure how fast that is: a conversation with tools, its answer, and the answer as a stream, in every dialect.

The conversation is written once, in OpenAI's words, and read and written into the others. A stream's deltas are as the providers send
them (tests/recordings), with all that they say beside the words.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from bench.engine import text
from extproc.dialects import DIALECTS, eventstream
from extproc.dialects.hub import (
    Answer,
    BlockStart,
    BlockStop,
    Choice,
    Conversation,
    Finish,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.usage import Usage

SIZE = 10_000
"""Bytes of the request in OpenAI's dialect; in the others it is longer or shorter by a tenth."""

MODELS = {
    "openai": "gpt-4o", "anthropic": "claude-sonnet-4-5", "responses": "gpt-4o", "gemini": "gemini-2.5-flash", "ollama": "llama3.2",
    "cohere": "command-a-03-2025", "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}  # fmt: skip
"""What a provider of each dialect is asked for."""

_USAGE = Usage(input=2310, output=412, cache_read=1024)
_CALL = "call_0123456789abcdefghijklmn"


def _tool(name: str, **fields: str) -> dict[str, Any]:
    properties = {field: {"type": "string", "description": description} for field, description in fields.items()}
    parameters = {"type": "object", "properties": properties, "required": [*fields], "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": f"Use this to {name}.", "parameters": parameters}}


def _chat(longest: int) -> dict[str, Any]:
    """Ten messages, two of them a call of a tool and what came of it; the longest has `longest` characters."""
    call = {"id": _CALL, "type": "function", "function": {"name": "look_up", "arguments": '{"number":"4711","year":"2026"}'}}
    turns = [{"role": ("user", "assistant")[at % 2], "content": text(1_000, at)} for at in range(6)]
    return {
        "model": "any",
        "messages": [
            {"role": "system", "content": "You are a careful analyst. Answer in English."},
            *turns,
            {"role": "user", "content": text(longest, 7)},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": _CALL, "content": '{"orders": 14120, "returned": 0.032}'},
        ],
        "tools": [_tool("look_up", number="The order's number.", year="Of which year."), _tool("send", to="Whom to.", words="What.")],
        "temperature": 0.2,
        "max_tokens": 1024,
    }  # fmt: skip


def conversation() -> Conversation:
    """The request, as OpenAI's dialect reads it."""
    return DIALECTS["openai"].read_request(_chat(SIZE - len(msgspec.json.encode(_chat(0)))))


@cache
def request(dialect: str) -> bytes:
    """The request as a client sends it. Read and written again it is the client's own, with nothing that only OpenAI's has."""
    written = DIALECTS[dialect].write_request(conversation(), MODELS[dialect])
    return msgspec.json.encode({"model": MODELS[dialect], **written})


@cache
def answer(dialect: str) -> bytes:
    """The answer as a provider sends it: 2 KB of text, and a call."""
    call = ToolCall(_CALL, "send", '{"to":"somebody","words":"as above"}')
    choice = Choice(blocks=[Text(text(1_600, 5)), call], stop=StopReason.TOOL)
    made = Answer(dialect="", id="answer-1", model=MODELS[dialect], created=1_795_267_151, choices=[choice], usage=_USAGE)
    return msgspec.json.encode(DIALECTS[dialect].write_answer(made))


def _openai(word: str) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    return {
        "id": "answer-1", "object": "chat.completion.chunk", "created": 1795267151, "model": "gpt-4o", "service_tier": "default",
        "system_fingerprint": None, "choices": [choice], "usage": None, "obfuscation": "EeXxvZr",
    }  # fmt: skip


def _responses(word: str) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta", "content_index": 0, "delta": word, "item_id": "msg_answer-1_0", "logprobs": [],
        "obfuscation": "EeXxvZr", "output_index": 0, "sequence_number": 7,
    }  # fmt: skip


def _anthropic(word: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}


def _gemini(word: str) -> dict[str, Any]:
    details = [{"modality": "TEXT", "tokenCount": 2310}]
    usage = {"promptTokenCount": 2310, "candidatesTokenCount": 12, "totalTokenCount": 2322, "promptTokensDetails": details}
    candidate = {"content": {"parts": [{"text": word}], "role": "model"}, "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "answer-1"}


def _cohere(word: str) -> dict[str, Any]:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}


def _ollama(word: str) -> dict[str, Any]:
    return {
        "model": "llama3.2", "created_at": "2026-11-21T13:19:11.843127Z", "message": {"role": "assistant", "content": word}, "done": False
    }  # fmt: skip


def _bedrock(word: str) -> dict[str, Any]:
    return {"contentBlockIndex": 0, "delta": {"text": word}, "p": "abcdefghijklmnop"}


_DELTAS: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai": _openai, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini, "cohere": _cohere, "ollama": _ollama,
    "bedrock": _bedrock,
}  # fmt: skip


def _framed(dialect: str, delta: dict[str, Any]) -> bytes:
    body = msgspec.json.encode(delta)
    match dialect:
        case "bedrock":
            return eventstream.event("contentBlockDelta", body)
        case "ollama":
            return body + b"\n"
        case "anthropic" | "responses" | "cohere":
            return f"event: {delta['type']}\ndata: ".encode() + body + b"\n\n"
    return b"data: " + body + b"\n\n"


def stream(dialect: str, events: int) -> list[bytes]:
    """A provider's stream: what it begins with, up to the first word; so many events with a word each; and what it ends with."""
    writer = DIALECTS[dialect].stream_writer(include_usage=True)
    begin: list[StreamEvent] = [
        Start(id="answer-1", model=MODELS[dialect], created=1_795_267_151), BlockStart(0, Text("")), TextDelta(0, "The")
    ]  # fmt: skip
    end: list[StreamEvent] = [BlockStop(0), Stop(reason=StopReason.END), Used(_USAGE), Finish()]
    begun = b"".join(map(writer.write, begin))
    words = [_framed(dialect, _DELTAS[dialect](f" word{at}")) for at in range(events)]
    return [begun, *words, b"".join(map(writer.write, end)) + writer.end()]
