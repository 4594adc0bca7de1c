"""What is known at a glance of a stream's events is read as the readers' own way would: the shortcut is compared with itself closed."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.dialogue import stream
from extproc.dialects import DIALECTS
from extproc.dialects.framing import RawEvent
from extproc.dialects.gemini import glance as gemini
from extproc.dialects.gemini import tokens
from extproc.dialects.hub import StreamEvent, TextDelta
from extproc.dialects.ollama import stream_read as ollama
from extproc.dialects.openai import glance as openai
from tests.examples import examples

WORDS = st.sampled_from(["", "a", " word", None, 1])
INDEX = st.sampled_from([0, 0, 0, 1, None, 0.0, True, "0"])
COUNT = st.sampled_from([0, 1, 3, 7, 10, 12, 2**41, -1, 1.5, None, "7"])

DELTAS: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"content": st.sampled_from(["a", " word"])}),
    st.fixed_dictionaries(
        {},
        optional={
            "content": st.one_of(WORDS, st.just([{"type": "text", "text": "b"}])),
            "role": st.just("assistant"),
            "refusal": WORDS,
            "reasoning_content": WORDS,
            "tool_calls": st.just([{"index": 0, "id": "call_1", "function": {"name": "look", "arguments": "{}"}}]),
            "odd": WORDS,
        },
    ),
    st.none(),
)
CHOICES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"delta": DELTAS},
    optional={
        "index": INDEX,
        "finish_reason": st.sampled_from([None, None, "stop", 1]),
        "logprobs": st.sampled_from([None, {}, {"content": [{"token": "a", "logprob": -0.5}]}]),
        "message": st.just({"role": "assistant", "content": "whole"}),
    },
)
CHUNKS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"id": st.just("c"), "choices": st.one_of(st.lists(CHOICES, min_size=1, max_size=1), st.lists(CHOICES, max_size=2), st.none())},
    optional={
        "usage": st.sampled_from([None, {}, {"prompt_tokens": 1, "completion_tokens": 2}]),
        "x_groq": st.just({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        "service_tier": st.just("default"),
        "error": st.sampled_from([None, {"message": "no"}]),
    },
)

PARTS: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"text": st.sampled_from(["a", " word"])}),
    st.fixed_dictionaries(
        {},
        optional={
            "text": WORDS,
            "thought": st.sampled_from([True, False]),
            "thoughtSignature": st.just("c2ln"),
            "functionCall": st.just({"name": "look", "args": {}}),
        },
    ),
)
CANDIDATES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"content": st.one_of(st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=2)}, optional={"role": st.just("model")}), st.none())},
    optional={"index": INDEX, "finishReason": st.sampled_from([None, "STOP", 1]), "odd": WORDS},
)
PLAIN = st.integers(0, 20)
DETAILS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        [],
        [{"modality": "TEXT", "tokenCount": 7}],
        [{"modality": "AUDIO", "tokenCount": 7}],
        [{"modality": "TEXT"}],
        [{"modality": "TEXT", "tokenCount": "x"}],
        [{"modality": "TEXT", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": 7}],
        {},
        ["x"],
    ]
)
COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"promptTokenCount": PLAIN, "candidatesTokenCount": PLAIN, "totalTokenCount": st.integers(10, 40)},
        optional={"thoughtsTokenCount": PLAIN, "cachedContentTokenCount": PLAIN, "promptTokensDetails": DETAILS},
    ),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount"), COUNT),
            **dict.fromkeys(("cachedContentTokenCount", "toolUsePromptTokenCount", "responseTokenCount"), COUNT),
            **dict.fromkeys(("promptTokensDetails", "candidatesTokensDetails", "toolUsePromptTokensDetails"), DETAILS),
            "trafficType": st.just("ON_DEMAND"),
        },
    ),
    st.none(),
)
RESPONSES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"candidates": st.one_of(st.lists(CANDIDATES, min_size=1, max_size=1), st.lists(CANDIDATES, max_size=2), st.none())},
    optional={"usageMetadata": COUNTS, "modelVersion": st.just("m"), "odd": WORDS},
)

LINES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "message": st.one_of(
            st.fixed_dictionaries({"content": st.sampled_from(["a", " word"])}, optional={"role": st.just("assistant")}),
            st.fixed_dictionaries(
                {},
                optional={
                    "content": WORDS,
                    "role": WORDS,
                    "thinking": WORDS,
                    "images": st.just([]),
                    "odd": WORDS,
                    "tool_calls": st.just([]),
                },
            ),
            st.none(),
        ),
    },
    optional={"done": st.sampled_from([False, False, None, True]), "created_at": WORDS, "logprobs": st.just([]), "odd": WORDS},
)

KINDS = {"openai": CHUNKS, "gemini": RESPONSES, "ollama": LINES}


def slowly(patch: pytest.MonkeyPatch) -> None:
    """Nothing is known at a glance."""
    for module, name in ((openai, "words"), (gemini, "words"), (tokens, "glance"), (ollama, "glance")):
        patch.setattr(module, name, lambda _: None)


def read(dialect: str, events: list[Any]) -> list[StreamEvent]:
    reader = DIALECTS[dialect].stream_reader()
    said = [part for event in events for part in reader.feed(RawEvent("", msgspec.json.encode(event)))]
    return said + reader.end()


@pytest.mark.parametrize("dialect", KINDS)
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_reading(dialect: str, data: st.DataObject) -> None:
    events = data.draw(st.lists(KINDS[dialect], max_size=6))
    fast = read(dialect, copy.deepcopy(events))
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert fast == read(dialect, events)


@settings(max_examples=examples(300), deadline=None)
@given(told=COUNTS.filter(lambda told: told is not None and None not in told.values()))
def test_counting(told: dict[str, Any]) -> None:
    if (usage := tokens.glance(told)) is not None:
        assert usage == tokens.read_usage(told)


@pytest.mark.parametrize(("dialect", "glance"), [("openai", openai.words), ("ollama", ollama.glance)])
def test_a_glance(dialect: str, glance: Any) -> None:
    framing = DIALECTS[dialect].framing
    _, *words, _ = stream(dialect, 3)
    assert all(glance(msgspec.json.decode(event.data)) for event in map(framing.parse, words) if event)


def test_a_glance_at_counts() -> None:
    _, *words, _ = stream("gemini", 3)
    for event in map(DIALECTS["gemini"].framing.parse, words):
        assert event
        chunk = msgspec.json.decode(event.data)
        assert gemini.words(chunk["candidates"])
        assert tokens.glance(chunk["usageMetadata"])


def test_only_open_text_goes_on() -> None:
    """A chunk that is known at a glance begins a text, too, where none is open."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
    said = read("openai", [chunk, chunk])
    assert [part.text for part in said if type(part) is TextDelta] == ["a", "a"]
    assert [type(part).__name__ for part in said][:4] == ["Start", "BlockStart", "TextDelta", "TextDelta"]
