"""The service that an answer names, and its tokens of pictures: as it passes, as it is translated, and in streams."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Answer
from extproc.usage import Usage, higher, tier_of
from tests.dialects import traffic

OPENAI: dict[str, Any] = {
    "id": "a",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
}
RESPONSE: dict[str, Any] = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": []}
CLAUDE: dict[str, Any] = {
    "id": "a",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "x"}],
    "stop_reason": "end_turn",
}
GEMINI: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP"}],
    "modelVersion": "m",
}
BEDROCK: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}}, "stopReason": "end_turn"}
_COUNTED: dict[str, Any] = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
CASES = [
    ("openai", {**OPENAI, "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "service_tier": "flex"}, Usage(5, 2, tier="flex")),
    ("openai", {**OPENAI, "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "service_tier": "default"}, Usage(5, 2)),
    ("openai", {**OPENAI, "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "service_tier": {"odd": 1}}, None),
    ("responses", {**RESPONSE, "usage": {"input_tokens": 5, "output_tokens": 2}, "service_tier": "priority"}, Usage(5, 2, tier="priority")),
    ("anthropic", {**CLAUDE, "usage": {"input_tokens": 5, "output_tokens": 2, "service_tier": "batch"}}, Usage(5, 2, tier="batch")),
    (
        "anthropic",
        {**CLAUDE, "usage": {"input_tokens": 5, "output_tokens": 2, "service_tier": "standard", "speed": "fast"}},
        Usage(5, 2, tier="fast"),
    ),
    (
        "gemini",
        {**GEMINI, "usageMetadata": {**_COUNTED, "trafficType": "ON_DEMAND_FLEX"}},
        Usage(5, 2, tier="flex"),
    ),
    (
        "gemini",
        {
            **GEMINI,
            "usageMetadata": {
                **_COUNTED, "serviceTier": "priority",
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "IMAGE", "tokenCount": 3}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}],
            },
        },
        Usage(5, 2, input_image=3, output_image=2, tier="priority"),
    ),
    (
        "bedrock",
        {**BEDROCK, "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "serviceTier": {"type": "flex"}},
        Usage(5, 2, tier="flex"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "answer", "wanted"), CASES)
def test_whole_answers(dialect: str, answer: dict[str, Any], wanted: Usage | None) -> None:
    told, _ = DIALECTS[dialect].usage(json.dumps(answer).encode())
    if wanted is None:
        assert told == Usage(5, 2), "what is no word is no service, and the tokens count"
        return
    read = DIALECTS[dialect].operations["chat"].read_answer(json.loads(json.dumps(answer)))
    assert isinstance(read, Answer)
    assert told == read.usage == wanted


def test_images_that_are_made() -> None:
    told = {"input_tokens": 50, "output_tokens": 1056, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    told["output_tokens_details"] = {"image_tokens": 1056}
    usage, _ = DIALECTS["openai"].usage(json.dumps({"created": 1, "data": [], "usage": told}).encode())
    assert usage == Usage(50, 1056, input_image=40, output_image=1056)


STREAMS = {
    "openai": (
        b'data: {"id":"a","object":"chat.completion.chunk","model":"m","service_tier":"flex","choices":[{"index":0,"delta":{"content":"x"},'
        b'"finish_reason":"stop"}],"usage":null}\n\n'
        b'data: {"id":"a","object":"chat.completion.chunk","model":"m","service_tier":"flex","choices":[],'
        b'"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
    ),
    "responses": (
        b'data: {"type":"response.created","response":{"id":"r","model":"m","service_tier":"auto","output":[]}}\n\n'
        b'data: {"type":"response.completed","response":{"id":"r","model":"m","status":"completed","service_tier":"flex","output":[],'
        b'"usage":{"input_tokens":5,"output_tokens":2}}}\n\n'
    ),
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"a","type":"message","role":"assistant","model":"m",'
        b'"content":[],"usage":{"input_tokens":5,"output_tokens":1,"service_tier":"batch","speed":"flex"}}}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    ),
    "gemini": (
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]},"finishReason":"STOP"}],"modelVersion":"m",'
        b'"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7,"serviceTier":"flex"}}\n\n'
    ),
}


@pytest.mark.parametrize("dialect", STREAMS)
def test_streams(dialect: str) -> None:
    watch = DIALECTS[dialect].stream_usage()
    for event in STREAMS[dialect].split(b"\n\n")[:-1]:
        watch.feed(event + b"\n\n")
    told = [found for one in traffic.hub_events(dialect, STREAMS[dialect]) if (found := getattr(one, "usage", None)) is not None]
    assert watch.usage == told[-1] == Usage(5, 2, tier="flex")


def test_words_of_providers() -> None:
    words = ["default", "auto", "standard", "on_demand", "ON_DEMAND", None, 5, "flex", "priority", "batch", "fast", "ON_DEMAND_PRIORITY"]
    assert [tier_of(word) for word in words] == [*[""] * 7, "flex", "priority", "batch", "fast", "priority"]
    assert higher(Usage(5, tier="flex"), Usage(7)) == Usage(7, tier="flex")
