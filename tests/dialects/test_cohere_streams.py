"""What Cohere's streams do that recordings do not show, and what those of others become for its clients."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Error, Extra
from extproc.errors import Fault
from tests.dialects import sdk
from tests.dialects.said import by_events
from tests.dialects.test_cohere import said_by_all
from tests.dialects.traffic import data, hub_events, rewrite

COHERE, OPENAI, ANTHROPIC = DIALECTS["cohere"], DIALECTS["openai"], DIALECTS["anthropic"]


# Streams.


def events(*values: Any) -> bytes:
    return b"".join(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in values)


START = {"type": "message-start", "id": "c", "delta": {"message": {"role": "assistant"}}}
PIECE = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "x"}}}}
END: Extra = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
BROKEN = {
    "cut off": events(START, PIECE),
    "not JSON": events(START) + b"event: content-delta\ndata: {nope\n\n",
    "wrong type": events(START, {**PIECE, "delta": {"message": {"content": {"text": 5}}}}),
    "no delta": events(START, {"type": "content-delta", "index": 0}),
    "a delta of no call": events(START, {"type": "tool-call-delta", "index": 3, "delta": {"message": {"tool_calls": {"function": {}}}}}),
    "arguments of a call that has ended": events(
        START,
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "a", "function": {"name": "f"}}}}},
        {"type": "tool-call-end", "index": 0},
        {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}},
    ),
    "an error": events(START, PIECE, {"type": "message-end", "delta": {"error": "boom", "finish_reason": "ERROR"}}),
    "an error without words": events(START, {"type": "message-end", "delta": {"finish_reason": "ERROR"}}),
    "an error instead": b'data: {"message":"boom"}\n\n',
    "nothing at all": b"",
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_an_error_and_a_clean_end(stream: bytes) -> None:
    *_, last = hub_events("cohere", stream)
    assert isinstance(last, Error) and last.fault.status >= 500
    *_, end = sdk.cohere_stream(rewrite("cohere", "cohere", stream))
    assert (end.type, end.delta.finish_reason, end.delta.error) == ("message-end", "ERROR", last.fault.message)


def test_what_was_not_begun_begins() -> None:
    thought = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"thinking": "Hm."}}}}
    said = by_events(hub_events("cohere", events(START, thought, {**PIECE, "index": 1}, END)))
    assert (said.reasoning, said.text) == ("Hm.", "x")


def test_calls_in_lists() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x"'}}
    start = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": [call]}}}
    more = {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": [{"function": {"arguments": ":1}"}}]}}}
    assert by_events(hub_events("cohere", events(START, start, more, END))).calls == [("f", {"x": 1})]


def test_unknown_events_pass_in_their_own_dialect_only() -> None:
    thought = {"start": 0, "end": 1, "text": "H", "sources": [], "type": "PLAN"}
    cited = {"type": "citation-start", "index": 0, "delta": {"message": {"citations": thought}}}
    stream = events(START, {"type": "debug", "prompt": "<BOS>"}, cited, {"type": "citation-end", "index": 0}, END)
    assert data(rewrite("cohere", "cohere", stream), "cohere") == data(stream, "cohere")
    sdk.openai_stream(rewrite("cohere", "openai", stream))


def sse(*deltas: Any, finish: str = "tool_calls") -> bytes:
    chunks = [{"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in (*chunks, end)) + b"data: [DONE]\n\n"


def call_delta(index: int, arguments: str, named: str = "") -> Any:
    head = {"id": f"id-{named}", "type": "function"} if named else {}
    return {"tool_calls": [{"index": index, **head, "function": {"arguments": arguments} | ({"name": named} if named else {})}]}


def test_calls_that_are_interleaved() -> None:
    stream = sse(call_delta(0, "", "f"), call_delta(1, "", "g"), call_delta(0, '{"x"'), call_delta(1, '{"y":2}'), call_delta(0, ":1}"))
    written = data(rewrite("openai", "cohere", stream), "cohere")
    calls: dict[int, str] = {}
    ended: list[int] = []
    for value in written:
        if value["type"] == "tool-call-delta":
            assert value["index"] not in ended
            calls[value["index"]] = calls.get(value["index"], "") + value["delta"]["message"]["tool_calls"]["function"]["arguments"]
        elif value["type"] == "tool-call-end":
            ended.append(value["index"])
    assert calls == {0: '{"x":1}', 1: '{"y":2}'}
    assert sorted(ended) == [0, 1]


def test_no_arguments_are_an_empty_object() -> None:
    assert said_by_all(sdk.cohere_stream(rewrite("openai", "cohere", sse(call_delta(0, "", "f"))))).calls == [("f", {})]


@pytest.mark.parametrize("first", ["", "null"])
def test_null_is_no_arguments(first: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": first}}
    start = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}}
    more = {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "null"}}}}}
    end = {"type": "tool-call-end", "index": 0}
    message, _ = sdk.anthropic_stream(rewrite("cohere", "anthropic", events(START, start, more, end, END)))
    assert [(block.name, block.input) for block in message.content if block.type == "tool_use"] == [("f", {})]


def test_what_is_null_inside_of_arguments_is() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    start = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}}
    pieces = [
        {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": text}}}}}
        for text in ('{"x":', "null", "}")
    ]
    assert by_events(hub_events("cohere", events(START, start, *pieces, END))).calls == [("f", {"x": None})]


def test_a_stream_without_its_first_event_is_heard_all_the_same() -> None:
    message, _ = sdk.anthropic_stream(rewrite("cohere", "anthropic", events(PIECE, END)))
    assert [getattr(block, "text", "") for block in message.content] == ["x"]


def test_a_stop_after_a_call() -> None:
    *_, end = sdk.cohere_stream(rewrite("openai", "cohere", sse(call_delta(0, "{}", "f"), finish="stop")))
    assert end.delta.finish_reason == "TOOL_CALL"


def test_citations_of_others_in_a_stream() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://x.org", "title": "X", "start_index": 3, "end_index": 7}}
    written = sdk.cohere_stream(rewrite("openai", "cohere", sse({"content": "As said"}, {"annotations": [cited]}, finish="stop")))
    (start,) = [event for event in written if event.type == "citation-start"]
    citation = start.delta.message.citations
    assert (citation.start, citation.end, citation.text, citation.content_index) == (3, 7, "said", 0)
    assert [event.type for event in written][-4:] == ["citation-start", "citation-end", "content-end", "message-end"]


def test_an_error_of_ours_in_mid_stream() -> None:
    told = COHERE.stream_error(Fault(502, "bad_gateway", "gone"), "req_1")
    assert b"req_1" in told
    *_, end = sdk.cohere_stream(events(START, PIECE) + told)
    assert (end.delta.finish_reason, end.delta.error) == ("ERROR", "gone")
