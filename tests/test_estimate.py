"""Tokens that nobody counts for us."""

from statistics import median
from typing import Any

import msgspec
import pytest

from extproc.dialects import DIALECTS
from extproc.estimate import Estimate, Estimated, tokens
from extproc.values import Response
from tests.dialects.traffic import ANSWERS, Exchange
from tests.scene import Scene, head, run

MESSAGES: Any = [{"role": "user", "content": "x" * 400}]
TOOL: Any = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
PICTURE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
PAGE: Any = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 400_000}}


def estimated(**body: Any) -> int:
    return tokens(DIALECTS["anthropic"].read_request({"model": "m", "messages": MESSAGES, **body}))


def test_text() -> None:
    assert estimated() == 104
    assert estimated(messages=[{"role": "user", "content": "日本" * 200}]) == 304
    assert estimated(system="y" * 40) == 118
    assert 10 <= estimated(tools=[TOOL]) - estimated() <= 40


def test_a_turn_with_tools() -> None:
    call = {"type": "tool_use", "id": "1", "name": "weather", "input": {"city": "x" * 400}}
    result = {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "y" * 400}, PICTURE]}
    turn = [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert 1200 <= estimated(messages=[*MESSAGES, *turn]) - estimated() <= 1220


@pytest.mark.parametrize("block", [PICTURE, PAGE], ids=["picture", "file"])
def test_what_is_no_text_is_a_thousand_however_large(block: Any) -> None:
    assert estimated(messages=[{"role": "user", "content": [block]}]) == 1004
    page = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x" * 400}}
    assert estimated(messages=[{"role": "user", "content": [page]}]) == 104


def _plain(exchange: Exchange) -> bool:
    """Text alone: what a provider adds to tools of its own, or makes of a picture, is nobody's to guess."""
    sent = str(exchange.sent)
    return not any(
        word in sent for word in ("tools", "image", "file", "audio", "document", "schema", "plugins", "reasoning", "previous_response_id")
    )


def test_most_recorded_conversations_are_not_far_off() -> None:
    """By what OpenAI counted. Others have instructions of their own, which nobody sees."""
    seen = []
    for exchange in ANSWERS:
        usage, _ = DIALECTS[exchange.dialect].usage(msgspec.json.encode(exchange.answer)) if exchange.dialect else (None, "")
        if "//api.openai.com/" in exchange.url and _plain(exchange) and usage is not None and usage.input >= 10:
            seen.append(tokens(DIALECTS[exchange.dialect].read_request(exchange.request)) / usage.input)
    assert len(seen) > 5
    assert 0.8 < median(seen) < 1.2, sorted(seen)


# Asked through the gateway.

COUNTS = [
    ("/v1/messages/count_tokens", {"model": "gpt", "messages": MESSAGES}, {"input_tokens": 104}),
    ("/v1/responses/input_tokens", {"model": "gpt", "input": "x" * 400}, {"object": "response.input_tokens", "input_tokens": 104}),
    ("/v1beta/models/gpt:countTokens", {"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}, {"totalTokens": 104}),
    (
        "/v1beta/models/gpt:countTokens",
        {"generateContentRequest": {"model": "models/gpt", "contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}},
        {"totalTokens": 104},
    ),
    (
        "/model/gpt/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "x" * 400}]}]}}},
        {"inputTokens": 104},
    ),
    (
        "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
        {"model": "gpt", "messages": MESSAGES, "anthropic_version": "vertex-2023-10-16"},
        {"input_tokens": 104},
    ),
]


def asked(path: str, body: Any) -> Response | None:
    made = Scene().exchange(head(path))
    assert run(made.intake.begin()) is None
    return run(made.intake.proceed(body if isinstance(body, bytes) else msgspec.json.encode(body)))


@pytest.mark.parametrize(("path", "body", "told"), COUNTS)
def test_where_no_provider_counts_the_answer_is_an_estimate_and_says_so(path: str, body: Any, told: Any) -> None:
    answer = asked(path, body)
    assert answer is not None and (answer.status, answer.headers["x-headgate-estimated"]) == (200, "tokens")
    assert msgspec.json.decode(answer.body) == told


def test_where_one_does_it_is_asked() -> None:
    assert asked("/v1/messages/count_tokens", {"model": "both", "messages": MESSAGES}) is None


def test_what_is_no_conversation_is_refused() -> None:
    answer = asked("/v1/messages/count_tokens", {"model": "gpt", "messages": [{"role": "user", "content": 5}]})
    assert answer is not None and answer.status == 400
    assert b"messages[0].content" in answer.body
    unknown = asked("/v1/messages/count_tokens", {"model": "nope", "messages": MESSAGES})
    assert unknown is not None and unknown.status == 404
    before = asked("/v1/responses/input_tokens", {"model": "gpt", "input": "Hi", "conversation": "conv_1"})
    assert before is not None and before.status == 400


def test_a_bulky_one_is_counted_as_well() -> None:
    assert asked("/v1/messages/count_tokens", {"model": "gpt", "messages": [{"role": "user", "content": [PICTURE] * 4}]}) is not None
    job = Estimate("anthropic", "gpt")
    made = job.work(msgspec.json.encode({"model": "x", "messages": [{"role": "user", "content": [PICTURE] * 4}]}))
    assert made == Estimated(b'{"input_tokens":4004}')
