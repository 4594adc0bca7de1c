"""Usage of what passes through, for every endpoint and provider's habit."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.usage import Usage
from tests.cases import cases

OPENAI, ANTHROPIC, RESPONSES = DIALECTS["openai"], DIALECTS["anthropic"], DIALECTS["responses"]

CHAT = {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
COUNTED: list[tuple[str, Any, Usage | None]] = [
    ("chat", CHAT, Usage(input=10, output=6)),
    (
        "details",
        CHAT
        | {
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(input=10, output=6, cache_read=4, cache_write=2, input_audio=1, reasoning=3),
    ),
    ("details null", CHAT | {"prompt_tokens_details": None, "completion_tokens_details": None}, Usage(input=10, output=6)),
    ("xai", CHAT | {"total_tokens": 19, "completion_tokens_details": {"reasoning_tokens": 3}}, Usage(input=10, output=9, reasoning=3)),
    ("deepseek", CHAT | {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, Usage(input=10, output=6, cache_read=4)),
    ("embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    ("total only", {"total_tokens": 8}, Usage(input=8)),
    (
        "responses",
        {
            "input_tokens": 9,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 2},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
        Usage(input=9, output=5, cache_read=2, reasoning=1),
    ),
    ("images", {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}, Usage(input=9, output=5)),
    ("floats", {"prompt_tokens": 10.0, "completion_tokens": 6.0}, Usage(input=10, output=6)),
    ("empty", {}, None),
    ("wrong", {"prompt_tokens": "many"}, None),
]


@pytest.mark.parametrize(("name", "told", "usage"), COUNTED, ids=[name for name, *_ in COUNTED])
def test_openai(name: str, told: Any, usage: Usage | None) -> None:
    dialect = RESPONSES if name == "responses" else OPENAI
    assert dialect.usage(json.dumps({"model": "m", "usage": told}).encode()) == (usage, "m" if name != "wrong" else "")


ANTHROPIC_COUNTED: list[tuple[str, Any, Usage | None]] = [
    ("plain", {"input_tokens": 3, "output_tokens": 5}, Usage(input=3, output=5)),
    (
        "cache",
        {
            "input_tokens": 3,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
            "output_tokens_details": {"thinking_tokens": 2},
        },
        Usage(input=153, output=5, cache_read=100, cache_write=50, cache_write_1h=30, reasoning=2),
    ),
    ("nulls", {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": None, "cache_creation": None}, Usage(input=3, output=5)),
    (
        "compaction",
        {
            "input_tokens": 3,
            "output_tokens": 5,
            "iterations": [{"type": "compaction", "input_tokens": 70, "output_tokens": 7}, {"type": "message"}],
        },
        Usage(input=73, output=12),
    ),
    (
        "more compaction than anybody can have counted",
        {"input_tokens": 3, "output_tokens": 5, "iterations": [{"type": "compaction", "input_tokens": 2**39, "output_tokens": 1}] * 3},
        Usage(input=3, output=8),
    ),
    ("none", {}, None),
]


@pytest.mark.parametrize(("name", "told", "usage"), ANTHROPIC_COUNTED, ids=[name for name, *_ in ANTHROPIC_COUNTED])
def test_anthropic(name: str, told: Any, usage: Usage | None) -> None:
    assert ANTHROPIC.usage(json.dumps({"model": "m", "usage": told}).encode())[0] == usage


def test_the_responses_stream() -> None:
    watch = RESPONSES.stream_usage()
    response: dict[str, Any] = {"id": "r", "model": "gpt-5", "usage": None, "output": []}
    watch.feed(b"event: response.created\ndata: " + json.dumps({"type": "response.created", "response": response}).encode() + b"\n\n")
    watch.feed(b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"H\\u00e9"}\n\n')
    watch.feed(b'event: response.output_text.done\ndata: {"type":"response.output_text.done","text":"H\\u00e9"}\n\n')
    assert (watch.finished, watch.text, watch.usage, watch.model) == (False, 3, None, "gpt-5")
    done = {"type": "response.completed", "response": response | {"usage": {"input_tokens": 9, "output_tokens": 5}}}
    assert watch.feed(b"data: " + json.dumps(done).encode() + b"\n\n")
    assert (watch.finished, watch.usage) == (True, Usage(input=9, output=5))


def test_a_chat_stream() -> None:
    watch = OPENAI.stream_usage()
    assert not watch.feed(b'data: {"model":"m","choices":[{"delta":{"content":"say \\"usage\\":{ [DONE]"}}],"usage":null}\n\n')
    assert (watch.finished, watch.text, watch.model) == (False, 20, "m")
    assert watch.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\r\n\r\n')
    assert not watch.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'), "nothing new"
    assert not watch.feed(b"data: [DONE]\n\n")
    assert watch.finished and watch.usage == Usage(input=1, output=2)


def test_groq_keeps_it_elsewhere() -> None:
    watch = OPENAI.stream_usage()
    assert watch.feed(b'data: {"choices":[{}],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}\n\n')


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n', True),
        (b'data: {"choices": [ ], "usage": {"prompt_tokens":1}}\r\n\r\n', True),
        (b'data: {"choices":[],"usage":null}\n\n', False),
        (b'data: {"choices":[],"prompt_filter_results":[]}\n\n', False),
        (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n', False),
        (b"data: [DONE]\n\n", False),
        (b"", False),
    ],
)
def test_the_event_that_only_tells_usage(event: bytes, expected: bool) -> None:
    assert OPENAI.is_usage_only(event) is expected
    assert not ANTHROPIC.is_usage_only(event)


def test_an_anthropic_stream_counts_on() -> None:
    watch = ANTHROPIC.stream_usage()
    start = {
        "model": "claude",
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_1h_input_tokens": 5},
            "output_tokens": 1,
        },
    }
    assert watch.feed(b"event: message_start\ndata: " + json.dumps({"type": "message_start", "message": start}).encode() + b"\n\n")
    assert watch.model == "claude"
    watch.feed(b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"abc"}}\n\n')
    assert watch.feed(b'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":9,"input_tokens":30}}\n\n')
    assert watch.usage == Usage(input=35, output=9, cache_write=5, cache_write_1h=5)
    assert (watch.text, watch.finished) == (3, False)
    watch.feed(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert watch.finished


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        (
            [
                b'data: {"type":"transcript.text.delta","delta":"Hel"}\n\n',
                (
                    b'data: {"type":"transcript.text.done","text":"Hello","usage":{"type":"tokens","input_tokens":14,"input_token_details":'
                    b'{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}}\n\n'
                ),
            ],
            Usage(input=14, input_audio=10, output=5),
        ),
        ([b'data: {"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101}}\n\n'], Usage(input=14, output=101)),
        ([b'event: image_edit.completed\ndata: {"type": "image_edit.completed", "b64_json": "aGk="}\n\n'], None),
    ],
)
def test_streams_that_end_without_done(events: list[bytes], usage: Usage | None) -> None:
    watch = OPENAI.stream_usage()
    for event in events[:-1]:
        watch.feed(event)
    assert not watch.finished
    watch.feed_later(events[-1:])
    assert (watch.finished, watch.usage) == (True, usage)


WHOLE: dict[str, tuple[str, str, str]] = {
    "openai": ("usage", "prompt_tokens", "completion_tokens"),
    "responses": ("usage", "input_tokens", "output_tokens"),
    "anthropic": ("usage", "input_tokens", "output_tokens"),
    "gemini": ("usageMetadata", "promptTokenCount", "candidatesTokenCount"),
    "bedrock": ("usage", "inputTokens", "outputTokens"),
    "cohere": ("usage.tokens", "input_tokens", "output_tokens"),
    "ollama": ("", "prompt_eval_count", "eval_count"),
}
"""Where each dialect counts, and what it calls input and output."""


def _counting(name: str, given: str, made: str) -> bytes:
    """An answer that counts so, and is no answer else: numbers are not what it consists of."""
    place, *names = WHOLE[name]
    body = f'"{names[0]}": {given}, "{names[1]}": {made}, "other": [0.25, "x"]'
    for key in reversed(place.split(".") if place else ()):
        body = f'"{key}": {{{body}}}'
    return f'{{"model": "m", "modelVersion": "m", "numbers": [0.25], {body}}}'.encode()


@cases("name", WHOLE)
@cases(
    ("given", "made", "expected"),
    [
        ("12.0", "7", Usage(input=12, output=7)),
        ("12", "5.7", Usage(input=12, output=6)),
        ("1.2e1", "5.4", Usage(input=12, output=5)),
        ("12", "1.5e300", Usage(input=12)),
        ("-3.5", "7.0", Usage(output=7)),
        ('"many"', "7", None),
    ],
)
def test_counts_that_are_no_whole_numbers(name: str, given: str, made: str, expected: Usage | None) -> None:
    body = _counting(name, given, made)
    assert DIALECTS[name].usage(body)[0] == expected
    if expected and name not in ("bedrock", "cohere"):
        assert DIALECTS[name].usage(body)[1] == "m"


@pytest.mark.parametrize("name", WHOLE)
def test_such_counts_of_an_answer_that_is_read(name: str) -> None:
    reading = __import__(f"extproc.dialects.{name}.{'watch' if name == 'ollama' else 'tokens'}", fromlist=["read_usage"])
    value = json.loads(_counting(name, "12.0", "5.7"))
    place, *_ = WHOLE[name]
    told = value[place.partition(".")[0]] if place else value
    assert reading.read_usage(told) == Usage(input=12, output=6)
    assert reading.read_usage([told]) is None


def test_such_counts_within_a_stream() -> None:
    watch = ANTHROPIC.stream_usage()
    watch.feed(b'data: {"type":"message_start","message":{"model":"c","usage":{"input_tokens":3.0,"output_tokens":1.5}}}\n\n')
    assert (watch.model, watch.usage) == ("c", Usage(input=3, output=2))
    event = b'data: {"choices":[],"usage":{"prompt_tokens":1.5,"completion_tokens":2.0}}\n\n'
    assert OPENAI.is_usage_only(event)
    listed = b'[{"usageMetadata":{"promptTokenCount":1}},{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2.6}}]'
    assert DIALECTS["gemini"].usage(listed)[0] == Usage(input=1, output=3)


def test_no_more_is_cached_than_there_is() -> None:
    usage, _ = DIALECTS["openai"].usage(
        b'{"usage":{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":90}}}'
    )
    assert usage == Usage(input=10, output=1, cache_read=10)
    told: list[tuple[dict[str, int], Usage]] = [
        ({"cachedContentTokenCount": 90, "candidatesTokenCount": 1}, Usage(input=10, output=1, cache_read=10)),
        ({"cachedContentTokenCount": 9, "toolUsePromptTokenCount": 5}, Usage(input=15, cache_read=9)),
        ({"cachedContentTokenCount": 12, "toolUsePromptTokenCount": 5}, Usage(input=15, cache_read=10)),
    ]
    for counts, expected in told:
        assert DIALECTS["gemini"].usage(json.dumps({"usageMetadata": {"promptTokenCount": 10, **counts}}).encode())[0] == expected
