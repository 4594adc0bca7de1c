"""How much is kept of a translated stream: what its reader and its writer keep is bounded, and past that, or any other error, the client
is told so, and what still comes is only counted.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice, permutations

import pytest
from msgspec import structs

from bench.dialogue import MODELS
from extproc.answering import BrokenAnswer, StreamTranslated
from extproc.dialects import DIALECTS
from extproc.dialects.hub import ArgumentsDelta, BlockStart, BlockStop, Start, StreamEvent, Text, TextDelta, ToolCall
from extproc.usage import Usage
from tests.cases import cases
from tests.test_answering import DONE, MESSAGE_STREAM, USAGE_ONLY, delta, event, fed, terms

PAIRS = list(permutations(DIALECTS, 2))
MOST = 8 * 1024
_LEAST = 64
FACTOR = 12
"""Of `most`, what may be held at once. Objects are larger than the bytes that they are told in."""


def texts() -> Iterator[StreamEvent]:
    yield BlockStart(0, Text(""))
    while True:
        yield TextDelta(0, " so")


def arguments() -> Iterator[StreamEvent]:
    yield BlockStart(0, ToolCall("call_1", "look_up", ""))
    while True:
        yield ArgumentsDelta(0, " ")


def calls() -> Iterator[StreamEvent]:
    """One after another, each complete."""
    at = 0
    while True:
        yield BlockStart(at, ToolCall(f"call_{at}", "look_up", ""))
        yield ArgumentsDelta(at, "{}")
        yield BlockStop(at)
        at += 1


def long() -> Iterator[StreamEvent]:
    yield BlockStart(0, Text(""))
    while True:
        yield TextDelta(0, "so " * 1000)


def sent(provider: str, what: Iterator[StreamEvent], events: int) -> Iterator[bytes]:
    """A provider's stream that has no end, up to so many events of the hub's."""
    writer = DIALECTS[provider].stream_writer(include_usage=True)
    yield writer.write(Start(id="a", model=MODELS[provider]))
    yield from filter(None, map(writer.write, islice(what, events)))


# Calls are whole where these two tell them: there are no pieces.
CASES = [
    (client, provider, what)
    for client, provider in PAIRS
    for what in (texts, arguments, calls, long)
    if not (what is arguments and provider in ("gemini", "ollama"))
]


def after_a_call() -> Iterator[StreamEvent]:
    """A text that waits in dialects of one block at a time, as more of the call may come."""
    yield BlockStart(0, ToolCall("call_1", "look_up", ""))
    yield ArgumentsDelta(0, "{")
    yield from (structs.replace(one, index=1) for one in texts())


@pytest.mark.parametrize("client", ["anthropic", "bedrock"])
def test_what_waits_for_the_end_of_a_call_is_bounded(client: str) -> None:
    answering = StreamTranslated(200, terms(client, "openai", most=MOST))
    for piece in sent("openai", after_a_call(), 3 * MOST // _LEAST):
        answering.feed(piece, False)
    assert answering.error == "bad_provider_answer"


def test_messages_in_place_of_deltas_are_bounded() -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai", most=MOST))
    for _ in range(3 * MOST // _LEAST):
        answering.feed(b'data: {"id":"a","choices":[{"index":0,"message":{"content":"so"}}]}\n\n', False)
    assert answering.error == "bad_provider_answer"


@cases(("client", "provider", "what"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_what_is_kept_of_a_stream_is_bounded(client: str, provider: str, what: Callable[[], Iterator[StreamEvent]]) -> None:
    answering = StreamTranslated(200, terms(client, provider, most=MOST))
    first, *pieces = sent(provider, what(), 3 * MOST // _LEAST)
    answering.feed(first, False)
    tracemalloc.start()
    try:
        out = [b"".join(answering.feed(piece, False)) for piece in pieces]
        last = next(at for at, told in enumerate(reversed(out)) if told)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    keeps = DIALECTS[provider].stream_reader().keeps_words or DIALECTS[client].stream_writer(include_usage=True).keeps_words
    if what in (texts, long) and not keeps:
        assert not answering.error
    else:
        assert answering.error == "bad_provider_answer"
        assert not any(out[-last:])
    assert peak - sum(map(len, out)) < FACTOR * MOST, "of what is kept"


@pytest.mark.parametrize(
    ("client", "ends"),
    [
        ("openai", b"[DONE]\n\n"), ("responses", b"event: response.failed"), ("anthropic", b"event: error"), ("gemini", b'{"error":'),
        ("cohere", b'"type":"message-end"'), ("ollama", b'{"error":'), ("bedrock", b"internalServerException"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("large", [False, True], ids=["many events", "a large event"])
def test_a_client_is_told_in_its_own_words(client: str, ends: bytes, large: bool) -> None:
    provider = "cohere" if client == "openai" else "openai"
    answering = StreamTranslated(200, terms(client, provider, most=800))
    stream = [*sent(provider, arguments(), 60)]
    if large:
        stream[5:] = [b"data: " + b"x" * 900]
    out = b"".join(b"".join(answering.feed(piece, False)) for piece in stream)
    assert b"limits.response_body" in out
    assert ends in out[max(0, out.index(b"limits.response_body") - 300) :]
    assert answering.feed(b"", True) == []
    assert (answering.error, answering.finished) == ("bad_provider_answer", False)


def test_what_comes_after_that_is_still_counted() -> None:
    answering = StreamTranslated(200, terms("responses", "openai", most=800))
    fed(answering, delta("Hello") * 40 + delta(None, "stop") + USAGE_ONLY + DONE)
    assert (answering.usage, answering.answered, answering.finished) == (Usage(input=5, output=2), "gpt-1", False)
    assert answering.text == 40 * 5


@pytest.mark.parametrize("client", ["openai", "gemini"])
def test_what_comes_after_an_error_is_counted_and_not_told(client: str) -> None:
    wrong = event("content_block_delta", index=0, delta=7)
    answering = StreamTranslated(200, terms(client, "anthropic"))
    cut = MESSAGE_STREAM.index(b"event: content_block_delta")
    out = fed(answering, MESSAGE_STREAM[:cut] + wrong + MESSAGE_STREAM[cut:])
    assert b"Hello" not in out
    assert (answering.usage, answering.text, answering.answered) == (Usage(input=5, output=2), 5, "claude-1")
    assert (answering.error, answering.finished) == ("bad_provider_event", False)


def test_an_event_that_is_too_large_at_the_very_beginning_is_for_the_next_target() -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai", most=800))
    answering.feed(b"data: " + b"x" * 900, False)
    assert answering.begun
    assert answering.opening is not None
    assert answering.opening.status == 502


def test_an_event_without_end_is_broken_off_when_as_much_again_has_come() -> None:
    answering = StreamTranslated(200, terms("anthropic", "openai", most=800))
    (told,) = answering.feed(b"data: " + b"x" * 900, False)
    assert b"limits.response_body" in told
    assert answering.feed(b"x" * 700, False) == []
    with pytest.raises(BrokenAnswer):
        answering.feed(b"x" * 200, False)


def test_words_count_and_what_stands_around_them_does_not() -> None:
    """A provider's events are mostly names and ids; a long answer is not to be cut off for them."""
    answering = StreamTranslated(200, terms("responses", "openai", most=16_000))
    for _ in range(200):
        assert answering.feed(delta("Hello"), False)
    assert len(delta("Hello")) * 200 > 16_000
    assert not answering.error
