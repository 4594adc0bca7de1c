"""How a stream of the client's own dialect ends that its provider does not end: with the error event that it owes."""

import pytest
from hypothesis import given, settings

from extproc.answering import BrokenAnswer, StreamTranslated, StreamUntouched, choose
from extproc.answering.untouched import INTERRUPTED
from extproc.dialects.eventstream import event as message
from tests.test_answering import CUTS, MESSAGE_STREAM, delta, fed, terms

HALF = b'data: {"id":"c","model":"gpt-1","choices":[{"index":0,"delta":{"content":"nobody reads th'
BROKEN_STREAMS: list[tuple[str, bytes, bytes]] = [
    ("openai", delta("Hello"), HALF),
    ("anthropic", MESSAGE_STREAM.partition(b"event: content_block_stop")[0], b'event: content_block_delta\ndata: {"type":"content_bl'),
    ("responses", b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n', b"event: resp"),
    ("gemini", b'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hello"}]}}]}\n\n', b'data: {"candi'),
    ("cohere", b'event: content-delta\ndata: {"type":"content-delta","delta":{"message":{"content":{"text":"Hello"}}}}\n\n', b"event: c"),
    ("ollama", b'{"model":"m","message":{"role":"assistant","content":"Hello"},"done":false}\n', b'{"model":"m","mess'),
    ("bedrock", message("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hello"}}'), b"\0\0\1\0\0\0"),
]  # fmt: skip
"""Of each dialect: a stream's beginning, and half an event."""


@pytest.mark.parametrize("ends", ["between events", "within one"])
@pytest.mark.parametrize(("dialect", "stream", "half"), BROKEN_STREAMS, ids=[one[0] for one in BROKEN_STREAMS])
@given(CUTS)
@settings(max_examples=3, deadline=None)
def test_a_stream_that_breaks_off_ends_with_its_dialects_error(
    dialect: str, stream: bytes, half: bytes, ends: str, cuts: list[int]
) -> None:
    told = terms(dialect, dialect)
    answering = choose(200, {"content-type": told.client.framing.content_type}, told)
    out = fed(answering, stream + half * (ends == "within one"), cuts)
    assert out.startswith(stream)
    assert out == stream + told.client.stream_error(INTERRUPTED, "r-1")
    assert (answering.finished, answering.error, answering.text) == (False, "stream_interrupted", 5)
    assert not answering.break_off(INTERRUPTED, "r-1"), "it has been told"


def test_a_stream_of_which_nothing_came_is_an_error_of_its_dialect() -> None:
    answering = StreamUntouched(200, terms("anthropic", "anthropic"))
    assert fed(answering, b": ping\n\n").startswith(b": ping\n\nevent: error")


def test_how_a_stream_without_a_reader_ends_is_its_providers_to_say() -> None:
    answering = StreamUntouched(200, terms(kind="transcription"))
    assert fed(answering, delta("Hello")) == delta("Hello")
    assert (answering.finished, answering.error) == (False, "")


@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini"])
def test_a_client_that_was_told_of_too_large_an_event_is_told_nothing_more(client: str) -> None:
    answering = StreamTranslated(200, terms(client, "anthropic" if client == "openai" else "openai", most=100))
    told = b"".join(answering.feed(b"data: " + b"x" * 200, False))
    assert b'"error"' in told
    with pytest.raises(BrokenAnswer):
        answering.feed(b"data: " + b"x" * 200, False)
    assert not answering.break_off(INTERRUPTED, "r-1")
