"""What providers do in streams that the recordings do not show."""

import json
from typing import Any

import anthropic
import google.genai.errors
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Error, Start, Text, ToolCall
from extproc.dialects.sse import SSE
from extproc.errors import Fault
from tests.dialects import sdk
from tests.dialects.framed import raw_events
from tests.dialects.made_streams import assembled, begun_in_order, one_at_a_time
from tests.dialects.traffic import data, hub_events, rewrite

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def chunk(delta: Any = None, finish: str | None = None, index: int = 0, **rest: Any) -> Any:
    return {**HEAD, "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}], **rest}


def call(index: int | None, name: str = "", arguments: str = "", identifier: str = "") -> Any:
    function: dict[str, Any] = {"arguments": arguments}
    if name:
        function["name"] = name
    whole: dict[str, Any] = {"function": function}
    if index is not None:
        whole["index"] = index
    if identifier:
        whole |= {"id": identifier, "type": "function"}
    return {"tool_calls": [whole]}


def events(*values: Any) -> bytes:
    return b"".join(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in values)


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}
BEGIN = {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}}}
END = {"type": "message_stop"}


def reason(word: str, output: int = 9) -> Any:
    return {"type": "message_delta", "delta": {"stop_reason": word, "stop_sequence": None}, "usage": {"output_tokens": output}}


def start(index: int, **block: Any) -> Any:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Any:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> Any:
    return {"type": "content_block_stop", "index": index}


CALLS = {
    "in order": [
        call(0, "f", "", "a"),
        call(0, arguments='{"x"'),
        call(0, arguments=":1}"),
        call(1, "g", "", "b"),
        call(1, arguments="{}"),
    ],
    "interleaved": [call(0, "f", "", "a"), call(1, "g", "", "b"), call(0, arguments='{"x":1}'), call(1, arguments="{}")],
    "in turns": [
        call(0, "f", "", "a"),
        call(0, arguments='{"x"'),
        call(1, "g", "{", "b"),
        call(0, arguments=":1"),
        call(1, arguments="}"),
        call(0, arguments="}"),
    ],
    "the later one first": [call(0, "f", "", "a"), call(1, "g", "{}", "b"), call(0, arguments='{"x":1}')],
    "more after the end": [call(0, "f", '{"x":1}', "a"), call(1, "g", "{}", "b"), call(0, arguments=" "), call(1, arguments="\n")],
    "whole, all at index 0": [call(0, "f", '{"x":1}', "a"), call(0, "g", "{}", "b")],
    "whole, without index": [call(None, "f", '{"x":1}', "a"), call(None, "g", "{}", "b")],
    "id repeated": [call(0, "f", "", "a"), call(0, arguments='{"x":1}', identifier="a"), call(1, "g", "{}", "b")],
}


@pytest.mark.parametrize("deltas", CALLS.values(), ids=CALLS)
def test_parallel_tool_calls_reach_anthropics_clients(deltas: list[Any]) -> None:
    text = [chunk({"role": "assistant", "content": "Look"})]
    stream = sse(*text, *map(chunk, deltas), chunk(finish="tool_calls"), {**HEAD, "choices": [], "usage": USAGE}) + DONE
    written = rewrite("openai", "anthropic", stream)
    assert one_at_a_time(hub_events("anthropic", written))
    message, _ = sdk.anthropic_stream(written)
    said, first, second = message.content
    assert said.type == "text" and said.text == "Look"
    assert first.type == second.type == "tool_use"
    assert [(first.id, first.name, first.input), (second.id, second.name, second.input)] == [("a", "f", {"x": 1}), ("b", "g", {})]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (6, 4, 5)


def test_a_call_is_told_as_it_comes_and_its_end_when_another_begins() -> None:
    seen: list[list[str]] = []
    reader, writer = DIALECTS["openai"].stream_reader(), DIALECTS["anthropic"].stream_writer(include_usage=False)
    for event in raw_events(SSE, sse(*map(chunk, CALLS["in order"]))):
        written = b"".join(map(writer.write, reader.feed(event)))
        seen.append([item["type"].removeprefix("content_block_") for item in data(written, "anthropic")])
    assert seen == [["message_start", "start"], ["delta"], ["delta"], ["stop", "start"], ["delta"]]


@pytest.mark.parametrize(
    "after", [{"content": "x"}, {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]
)
def test_what_follows_a_call_that_is_not_whole_waits_for_it(after: Any) -> None:
    deltas = [call(0, "f", "", "a"), call(0, arguments='{"x"'), after, call(0, arguments=":1}")]
    heard = hub_events("anthropic", rewrite("openai", "anthropic", sse(*map(chunk, deltas), chunk(finish="tool_calls")) + DONE))
    assert one_at_a_time(heard)
    first, *rest = assembled(heard).choices[0].blocks
    assert isinstance(first, ToolCall) and first.arguments == '{"x":1}'
    assert [block.text for block in rest if isinstance(block, Text)] == ["x"] * ("content" in after)


@st.composite
def told_side_by_side(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], bytes]:
    """Calls of functions and of tools that take a text, and a stream that tells them in any turns."""
    calls: list[tuple[str, Any]] = []
    lanes: list[list[Any]] = []
    for index in range(draw(st.integers(2, 4))):
        value = draw(st.text(max_size=4))
        name, custom = f"f{index}", draw(st.booleans())
        calls.append((name, {"input" if custom else "x": value}))
        cut = draw(st.integers(0, 6))
        text = value if custom else json.dumps({"x": value})
        kind, field = ("custom", "input") if custom else ("function", "arguments")
        begun = {"index": index, "id": f"c{index}", "type": kind, kind: {"name": name, field: ""}}
        lanes.append([begun, *({"index": index, kind: {field: part}} for part in (text[:cut], text[cut:]))])
    mixed = begun_in_order(draw, lanes)
    return calls, sse(*(chunk({"tool_calls": [one]}) for one in mixed), chunk(finish="tool_calls")) + DONE


@pytest.mark.parametrize("client", DIALECTS)
@settings(max_examples=30, derandomize=True, deadline=None)
@given(told_side_by_side())
def test_calls_told_side_by_side_reach_every_client_in_their_order(client: str, told: tuple[list[tuple[str, Any]], bytes]) -> None:
    calls, stream = told
    heard = hub_events(client, rewrite("openai", client, stream))
    assert not any(isinstance(event, Error) for event in heard)
    assert client not in ("anthropic", "bedrock") or one_at_a_time(heard)
    blocks = [block for block in assembled(heard).choices[0].blocks if isinstance(block, ToolCall)]
    assert [(block.name, json.loads(block.arguments)) for block in blocks] == calls


def test_tool_calls_without_ids_get_some() -> None:
    stream = sse(chunk(call(0, "f", "{}")), chunk(call(1, "g", "{}")), chunk(finish="stop")) + DONE
    message, _ = sdk.anthropic_stream(rewrite("openai", "anthropic", stream))
    identifiers = [block.id for block in message.content if block.type == "tool_use"]
    assert all(identifiers) and len(set(identifiers)) == 2
    assert message.stop_reason == "tool_use", "a provider that says stop after a tool call"


def test_usage_after_the_reason_reaches_message_delta() -> None:
    writer, reader = DIALECTS["anthropic"].stream_writer(include_usage=False), DIALECTS["openai"].stream_reader()
    first = b"".join(writer.write(e) for f in raw_events(SSE, sse(chunk({"content": "x"}, "stop"))) for e in reader.feed(f))
    assert b"message_delta" not in first
    rest = b"".join(writer.write(e) for f in raw_events(SSE, sse({**HEAD, "choices": [], "usage": USAGE}) + DONE) for e in reader.feed(f))
    assert b'"output_tokens":5' in rest and rest.endswith(b'{"type":"message_stop"}\n\n')
    assert writer.end() == b""


def test_thinking_reaches_openais_clients_and_comes_back_signed() -> None:
    stream = events(
        BEGIN,
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="I "),
        delta(0, "thinking_delta", thinking="think"),
        delta(0, "signature_delta", signature="sig"),
        stop(0),
        start(1, type="redacted_thinking", data="secret"),
        stop(1),
        start(2, type="tool_use", id="toolu_1", name="f", input={}),
        stop(2),
        reason("tool_use"),
        END,
    )
    message: dict[str, Any] = {"role": "assistant", "content": None, "reasoning_content": "", "reasoning_details": [], "tool_calls": []}
    for item in data(rewrite("anthropic", "openai", stream)):
        for choice in item["choices"]:
            message["reasoning_content"] += choice["delta"].get("reasoning_content", "")
            message["reasoning_details"] += choice["delta"].get("reasoning_details", [])
            message["tool_calls"] += choice["delta"].get("tool_calls", [])
    assert message["reasoning_content"] == "I think"
    assert [part["function"]["arguments"] for part in message["tool_calls"]] == ["", "{}"], "no arguments are an empty object"
    message["tool_calls"] = [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    conversation = DIALECTS["openai"].read_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}, message]})
    body = DIALECTS["anthropic"].write_request(conversation, "claude-sonnet-4-5")
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "I think", "signature": "sig"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]
    assert conversation.dropped == []


def test_reasoning_that_is_told_again_with_its_signature_is_told_once() -> None:
    whole = {"type": "reasoning.text", "text": "I think", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    pieces = [chunk({"reasoning_content": "I "}), chunk({"reasoning_content": "think"}), chunk({"reasoning_details": [whole]})]
    message, _ = sdk.anthropic_stream(rewrite("openai", "anthropic", sse(*pieces, chunk({"content": "x"}), chunk(finish="stop")) + DONE))
    thought = message.content[0]
    assert thought.type == "thinking" and (thought.thinking, thought.signature) == ("I think", "sig")


def test_web_citations_become_annotations_with_their_place() -> None:
    cited = {"type": "web_search_result_location", "url": "https://x.org", "title": "X", "cited_text": "x", "encrypted_index": "e"}
    stream = events(
        BEGIN,
        start(0, type="text", text=""),
        delta(0, "text_delta", text="As "),
        stop(0),
        start(1, type="text", text="", citations=[]),
        delta(1, "citations_delta", citation=cited),
        delta(1, "text_delta", text="said"),
        stop(1),
        reason("end_turn"),
        END,
    )
    deltas = [choice["delta"] for item in data(rewrite("anthropic", "openai", stream)) for choice in item["choices"]]
    (annotations,) = [d["annotations"] for d in deltas if "annotations" in d]
    assert annotations == [
        {"type": "url_citation", "url_citation": {"url": "https://x.org", "title": "X", "start_index": 3, "end_index": 7}}
    ]


def test_several_choices() -> None:
    stream = sse(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk(finish="stop"), chunk(finish="length", index=1)) + DONE
    again = data(rewrite("openai", "openai", stream))
    said = {(c["index"], c["delta"].get("content"), c["finish_reason"]) for item in again for c in item["choices"]}
    assert {(0, "a", None), (1, "b", None), (0, None, "stop"), (1, None, "length")} <= said
    message, _ = sdk.anthropic_stream(rewrite("openai", "anthropic", stream))
    assert [block.text for block in message.content if block.type == "text"] == ["a"]


def test_a_refusal() -> None:
    message, _ = sdk.anthropic_stream(rewrite("openai", "anthropic", sse(chunk({"refusal": "No."}), chunk(finish="stop")) + DONE))
    assert message.stop_reason == "refusal"
    assert [block.text for block in message.content if block.type == "text"] == ["No."]


BROKEN = {
    "cut off": sse(chunk({"content": "x"})),
    "not JSON": sse(chunk({"content": "x"})) + b"data: {nope\n\n" + DONE,
    "wrong type": sse(chunk({"content": 5}), chunk(finish="stop")) + DONE,
    "an error": sse(chunk({"content": "x"}), {"error": {"message": "Boom", "type": "server_error", "code": None}}) + DONE,
    "nothing at all": b"",
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_an_error_and_a_clean_end(stream: bytes) -> None:
    seen = hub_events("openai", stream)
    assert isinstance(seen[-1], Error)
    assert seen[-1].fault.status >= 500
    with pytest.raises(anthropic.APIStatusError):
        sdk.anthropic_stream(rewrite("openai", "anthropic", stream))
    written = rewrite("openai", "openai", stream)
    assert written.endswith(DONE)
    with pytest.raises(openai.APIError):
        sdk.openai_stream(written)


ANTHROPIC_BROKEN = {
    "cut off": events(BEGIN, start(0, type="text", text=""), delta(0, "text_delta", text="x")),
    "before message_stop": events(BEGIN, reason("end_turn")),
    "overloaded": events(BEGIN, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "a delta of no block": events(BEGIN, delta(7, "text_delta", text="x"), END),
    "a delta of a block that has ended": events(BEGIN, start(0, type="text", text=""), stop(0), delta(0, "text_delta", text="x"), END),
    "arguments of a call that has ended": events(
        BEGIN,
        start(0, type="tool_use", id="a", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"a":'),
        stop(0),
        delta(0, "input_json_delta", partial_json="1}"),
        END,
    ),
    "a delta of another type": events(BEGIN, start(0, type="text", text=""), delta(0, "input_json_delta", partial_json="{}"), END),
    "not an object": b"event: message_start\ndata: []\n\n",
}


@pytest.mark.parametrize("stream", ANTHROPIC_BROKEN.values(), ids=ANTHROPIC_BROKEN)
def test_a_broken_anthropic_stream(stream: bytes) -> None:
    assert isinstance(hub_events("anthropic", stream)[-1], Error)
    with pytest.raises(openai.APIError):
        sdk.openai_stream(rewrite("anthropic", "openai", stream))
    written = rewrite("anthropic", "anthropic", stream)
    assert b"message_stop" not in written
    with pytest.raises(anthropic.APIStatusError):
        sdk.anthropic_stream(written)


def test_an_overloaded_provider_keeps_its_meaning() -> None:
    (*_, last) = hub_events("anthropic", ANTHROPIC_BROKEN["overloaded"])
    assert isinstance(last, Error)
    assert (last.fault.status, last.fault.code, last.fault.message) == (529, "overloaded", "Overloaded")


def test_a_provider_that_forgets_done() -> None:
    message, _ = sdk.anthropic_stream(rewrite("openai", "anthropic", sse(chunk({"content": "x"}), chunk(finish="stop"))))
    assert message.stop_reason == "end_turn"


def test_unknown_events_and_blocks_pass_in_their_own_dialect_only() -> None:
    stream = events(
        BEGIN, start(0, type="new_block", x=1), delta(0, "new_delta", y=2), stop(0), {"type": "new_event", "z": 3}, reason("end_turn"), END
    )
    assert data(rewrite("anthropic", "anthropic", stream)) == data(stream)
    sdk.openai_stream(rewrite("anthropic", "openai", stream))


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_an_error_of_ours_in_mid_stream(name: str) -> None:
    told = DIALECTS[name].stream_error(Fault(502, "bad_gateway", "gone"), "req_1")
    assert b"req_1" in told and b"gone" in told
    read: dict[str, Any] = {
        "openai": sdk.openai_stream,
        "anthropic": sdk.anthropic_stream,
        "gemini": sdk.google_stream,
        "responses": sdk.responses_stream,
    }
    with pytest.raises((openai.APIError, anthropic.APIError, google.genai.errors.APIError)):
        read.get(name, sdk.anthropic_stream)(told)


def test_a_ping_is_no_begin() -> None:
    ping = {"type": "ping"}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    stopped = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
    stream = events(ping, BEGIN, block, said, {"type": "content_block_stop", "index": 0}, stopped, END)
    assert [one.id for one in hub_events("anthropic", stream) if type(one) is Start] == ["msg_1"]
    chunks = sdk.openai_stream(rewrite("anthropic", "openai", stream))
    assert {chunk.id for chunk in chunks} == {"msg_1"}
