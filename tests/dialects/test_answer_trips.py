"""Any answer, whole or streamed, reaches the clients of each dialect but for what the dialect has no word for: `LACKS`, `NEAREST`.

Answers are made up (`made.py`), written for clients of a dialect, and read by it again. Streams of the same (`made_streams.py`) are written
event by event, cut anywhere, and read; they say what the whole answer says.
"""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Answer, Choice, Error, StopReason, StreamEvent, ToolCall
from tests.dialects.facts import Fact, missing, of_answer
from tests.dialects.framed import cut, raw_events
from tests.dialects.made import answers
from tests.dialects.made_streams import assembled, one_at_a_time, streams
from tests.examples import examples

BRIEFLY = settings(max_examples=examples(60), derandomize=True, deadline=None)

ONE = ("anthropic", "responses", "cohere", "ollama", "bedrock")
"""Dialects whose answers have one choice; they get the first."""

SERIAL = ("anthropic", "bedrock")
"""Dialects whose clients know of one block at a time, also where calls are told side by side."""

SIGNED = ("blocks[].reasoning.signature", "blocks[].reasoning.redacted")

LACKS: dict[str, tuple[str, ...]] = {
    "openai": ("blocks[].citations", "choices[].stop_sequence", "usage.cache_write_1h"),
    "anthropic": ("blocks[].citations", "blocks[].logprobs", "blocks[].image"),
    "responses": ("blocks[].citations", "choices[].stop_sequence", "usage.cache_write_1h"),
    "gemini": ("blocks[].citations", "choices[].stop_sequence", "service_tier", "usage.cache_write", "usage.cache_write_1h"),
    "cohere": (
        *("model", "blocks[].image", "blocks[].seal", *SIGNED, "choices[].stop_sequence", "service_tier"),
        *("usage.cache_write", "usage.cache_write_1h", "usage.reasoning"),
    ),
    "ollama": (
        *("id", "blocks[].citations", "blocks[].seal", *SIGNED, "choices[].stop_sequence", "service_tier"),
        *("usage.cache_read", "usage.cache_write", "usage.cache_write_1h", "usage.reasoning"),
    ),
    "bedrock": ("id", "model", "blocks[].logprobs", "blocks[].seal", "blocks[].citations", "blocks[].image", "usage.reasoning"),
}
"""What answers of a dialect have no word for. Of citations: those without a URL."""

NEAREST: dict[str, dict[StopReason, StopReason]] = {
    "openai": {
        StopReason.STOP_SEQUENCE: StopReason.END,
        StopReason.REFUSAL: StopReason.FILTER,
        StopReason.PAUSE: StopReason.END,
        StopReason.CONTEXT: StopReason.LENGTH,
    },
    "anthropic": {StopReason.FILTER: StopReason.REFUSAL},
    "responses": {
        StopReason.STOP_SEQUENCE: StopReason.END,
        StopReason.REFUSAL: StopReason.FILTER,
        StopReason.PAUSE: StopReason.END,
        StopReason.CONTEXT: StopReason.LENGTH,
    },
    "gemini": {
        StopReason.STOP_SEQUENCE: StopReason.END,
        StopReason.REFUSAL: StopReason.FILTER,
        StopReason.PAUSE: StopReason.END,
        StopReason.CONTEXT: StopReason.LENGTH,
    },
    "cohere": {StopReason.REFUSAL: StopReason.FILTER, StopReason.PAUSE: StopReason.END, StopReason.CONTEXT: StopReason.LENGTH},
    "ollama": {
        StopReason.STOP_SEQUENCE: StopReason.END,
        StopReason.FILTER: StopReason.END,
        StopReason.REFUSAL: StopReason.END,
        StopReason.PAUSE: StopReason.END,
        StopReason.CONTEXT: StopReason.LENGTH,
    },
    "bedrock": {StopReason.REFUSAL: StopReason.FILTER, StopReason.PAUSE: StopReason.END},
}
"""Reasons to stop that a dialect has no word for, and what its clients are told."""


REFUSED = {StopReason.REFUSAL, StopReason.FILTER, StopReason.END}
"""What is said, by one dialect or another, of an answer in which the model declined."""

STREAMS_LACK: dict[str, tuple[str, ...]] = {
    "anthropic": ("usage.cache_write_1h",),
    "responses": ("blocks[].seal",),
    "bedrock": ("service_tier",),
}
"""What only whole answers have a word for; or what stands in a stream where only a client of that dialect finds it."""


def gone(before: list[Fact], after: list[Fact], dialect: str) -> list[Fact]:
    """What has gone though the dialect has a word for it."""
    return [fact for fact in missing(before, after) if fact.name not in LACKS[dialect] and not _excused(fact, before, after, dialect)]


def _excused(fact: Fact, before: list[Fact], after: list[Fact], dialect: str) -> bool:
    if fact.where == "1" and dialect in ONE:
        return True
    if fact.name == "id":
        return any(other.name == "id" and str(fact.value) in other.value for other in after)
    if fact.name == "choices[].stop":
        refused = any(other.name == "blocks[].refusal" and other.where == fact.where for other in before)
        said = {other.value for other in after if other.name == fact.name and other.where == fact.where}
        return bool(said & ({NEAREST[dialect].get(fact.value)} | (REFUSED if refused else set())))
    if fact.name == "blocks[].seal":  # carried by a block of its own, which the next request's reader knows
        return any(other.name in SIGNED and other.value == fact.value for other in after)
    return False


def unheard(before: list[Fact], after: list[Fact]) -> list[Fact]:
    """Words and calls that nobody has said."""
    return [fact for fact in missing(after, before) if fact.name in ("blocks[].text", "blocks[].reasoning", "blocks[].tool_call")]


@pytest.mark.parametrize("dialect", DIALECTS)
@BRIEFLY
@given(answers())
def test_whole_answers(dialect: str, answer: Answer) -> None:
    before = list(of_answer(answer))
    body: Any = msgspec.json.decode(msgspec.json.encode(DIALECTS[dialect].write_answer(copy.deepcopy(answer))))
    after = list(of_answer(DIALECTS[dialect].read_answer(body)))
    assert gone(before, after, dialect) == []
    assert unheard(before, after) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@BRIEFLY
@given(told=streams(), cuts=st.lists(st.integers(0, 1500), max_size=6))
def test_streams(dialect: str, told: tuple[Answer, list[StreamEvent]], cuts: list[int]) -> None:
    answer, events = told
    before = list(of_answer(answer))
    writer, reader = DIALECTS[dialect].stream_writer(include_usage=True), DIALECTS[dialect].stream_reader()
    written = b"".join(map(writer.write, copy.deepcopy(events))) + writer.end()
    pieces = cut(written, [place for place in cuts if place < len(written)])
    heard = [part for event in raw_events(DIALECTS[dialect].framing, *pieces) for part in reader.feed(event)] + reader.end()
    assert not any(isinstance(part, Error) for part in heard)
    assert dialect not in SERIAL or one_at_a_time(heard)
    after = list(of_answer(assembled(heard)))
    assert [fact for fact in gone(before, after, dialect) if fact.name not in STREAMS_LACK.get(dialect, ())] == []
    assert unheard(before, after) == []


def calling(arguments: list[str]) -> Answer:
    blocks = [ToolCall(f"call_{i}", f"f{i}", given) for i, given in enumerate(arguments)]
    return Answer(dialect="hub", id="a1", model="m", choices=[Choice(blocks=[*blocks], stop=StopReason.TOOL)])


def called(answer: Answer) -> list[tuple[str, Any]]:
    """What is called, in order, and with what."""
    blocks = answer.choices[0].blocks
    return [(block.name, msgspec.json.decode(block.arguments)) for block in blocks if isinstance(block, ToolCall)]


@pytest.mark.parametrize("dialect", DIALECTS)
@BRIEFLY
@given(told=streams(st.lists(st.sampled_from(["{}", '{"x":{"y":1}}', '{"z":"\\u00e9"}']), min_size=2, max_size=4).map(calling)))
def test_calls_come_in_their_order(dialect: str, told: tuple[Answer, list[StreamEvent]]) -> None:
    answer, events = told
    writer, reader = DIALECTS[dialect].stream_writer(include_usage=True), DIALECTS[dialect].stream_reader()
    written = b"".join(map(writer.write, copy.deepcopy(events))) + writer.end()
    heard = [part for event in raw_events(DIALECTS[dialect].framing, written) for part in reader.feed(event)] + reader.end()
    assert called(assembled(heard)) == called(answer)
    assert dialect not in SERIAL or one_at_a_time(heard)


@BRIEFLY
@given(streams())
def test_streams_say_what_whole_answers_say(told: tuple[Answer, list[StreamEvent]]) -> None:
    answer, events = told
    before, after = list(of_answer(answer)), list(of_answer(assembled(copy.deepcopy(events))))
    assert missing(before, after) == missing(after, before) == []
