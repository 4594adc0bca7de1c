"""What Bedrock does in streams that the recordings do not show, and what is written for its clients."""

import json
from collections.abc import Iterable
from typing import Any

import openai
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.eventstream import EVENT_STREAM, event, exception
from extproc.dialects.framing import RawEvent
from extproc.dialects.hub import Aside, Error, Finish, Opaque, Start, StreamEvent
from extproc.errors import Fault
from tests.dialects import sdk
from tests.dialects.bedrock import BEDROCK, events
from tests.dialects.converse import check_events
from tests.dialects.framed import raw_events
from tests.dialects.traffic import hub_events, rewrite

USAGE = {"inputTokens": 6, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 0}
BEGIN = ("messageStart", {"role": "assistant"})
END = ("messageStop", {"stopReason": "end_turn"})
TOLD = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}})


def stream(*given: tuple[str, Any]) -> bytes:
    return b"".join(event(kind, json.dumps(value).encode()) for kind, value in given)


def delta(index: int, **fields: Any) -> tuple[str, Any]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def stop(index: int) -> tuple[str, Any]:
    return "contentBlockStop", {"contentBlockIndex": index}


def call(index: int, name: str, identifier: str) -> tuple[str, Any]:
    return "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": identifier, "name": name}}}


CALLS = stream(
    BEGIN,
    delta(0, text="Look"),
    stop(0),
    call(1, "f", "a"),
    delta(1, toolUse={"input": '{"x"'}),
    delta(1, toolUse={"input": ":1}"}),
    stop(1),
    call(2, "g", "b"),
    stop(2),
    ("messageStop", {"stopReason": "tool_use"}),
    TOLD,
)


def test_tool_calls_reach_anthropics_clients() -> None:
    message, _ = sdk.anthropic_stream(rewrite("bedrock", "anthropic", CALLS))
    said, first, second = message.content
    assert said.type == "text" and said.text == "Look"
    assert first.type == second.type == "tool_use"
    assert [(first.id, first.name, first.input), (second.id, second.name, second.input)] == [("a", "f", {"x": 1}), ("b", "g", {})]
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (6, 4, 5)


def test_tool_calls_reach_openais_clients() -> None:
    chunks = sdk.openai_stream(rewrite("bedrock", "openai", CALLS))
    calls = [one for chunk in chunks for choice in chunk.choices for one in choice.delta.tool_calls or ()]
    assert [one.id for one in calls if one.id] == ["a", "b"]
    assert ["".join(one.function.arguments or "" for one in calls if one.function and one.index == i) for i in (0, 1)] == ['{"x":1}', "{}"]
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == 10


def test_a_block_may_change_its_kind() -> None:
    """Some models think and speak in the block of the same number."""
    mixed = stream(BEGIN, delta(0, reasoningContent={"text": "Hm"}), delta(0, text="Hi"), stop(0), END, TOLD)
    message, _ = sdk.anthropic_stream(rewrite("bedrock", "anthropic", mixed))
    assert [block.type for block in message.content] == ["thinking", "text"]


def test_a_stream_without_its_first_event_is_heard_all_the_same() -> None:
    begun = CALLS.removeprefix(stream(BEGIN))
    assert begun != CALLS
    message, _ = sdk.anthropic_stream(rewrite("bedrock", "anthropic", begun))
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert type(hub_events("bedrock", begun)[0]) is Start


def test_a_block_that_begins_as_nothing_is_what_its_deltas_are() -> None:
    nothing = ("contentBlockStart", {"contentBlockIndex": 0, "start": {}})
    message, _ = sdk.anthropic_stream(rewrite("bedrock", "anthropic", stream(BEGIN, nothing, delta(0, text="Hi"), stop(0), END, TOLD)))
    assert [(block.type, getattr(block, "text", "")) for block in message.content] == [("text", "Hi")]


def test_blocks_that_nobody_closed_are_closed() -> None:
    blocks = check_events(events(rewrite("bedrock", "bedrock", stream(BEGIN, delta(0, text="a"), delta(1, text="b"), END, TOLD))))
    assert blocks == [{"text": "a"}, {"text": "b"}]


def test_citations() -> None:
    citation = {"title": "X", "sourceContent": [{"text": "words"}], "location": {"web": {"url": "https://x.org", "domain": "x.org"}}}
    cited = stream(BEGIN, delta(0, text="So it is."), delta(0, citation=citation), stop(0), END, TOLD)
    chunks = sdk.openai_stream(rewrite("bedrock", "openai", cited))
    (annotations,) = [found for c in chunks for choice in c.choices if (found := getattr(choice.delta, "annotations", None))]
    assert annotations == [
        {"type": "url_citation", "url_citation": {"url": "https://x.org", "title": "X", "start_index": 0, "end_index": 9}}
    ]
    assert events(rewrite("bedrock", "bedrock", cited)) == events(cited)


def test_what_only_bedrock_has_passes_in_its_own_dialect_only() -> None:
    run = {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}}
    found = {"toolResult": {"toolUseId": "s", "type": "nova_code_interpreter_result", "status": "success"}}
    given = stream(
        BEGIN,
        ("contentBlockStart", {"contentBlockIndex": 0, "start": run}),
        delta(0, toolUse={"input": '{"snippet":"1"}'}),
        stop(0),
        ("contentBlockStart", {"contentBlockIndex": 1, "start": found}),
        delta(1, toolResult=[{"json": {"stdOut": "1"}}]),
        stop(1),
        ("ofTomorrow", {"x": 1}),
        delta(2, ofTomorrow={"y": 2}),
        stop(2),
        ("messageStop", {"stopReason": "end_turn", "additionalModelResponseFields": {"stop_sequence": "X"}}),
        TOLD,
    )
    assert events(rewrite("bedrock", "bedrock", given)) == events(given)
    seen = hub_events("bedrock", given)
    assert [block.kind for one in seen if (block := getattr(one, "block", None)) and isinstance(block, Opaque)] == [
        "toolUse",
        "toolResult",
        "ofTomorrow",
    ]
    assert any(isinstance(one, Aside) for one in seen)
    message, _ = sdk.anthropic_stream(rewrite("bedrock", "anthropic", given))
    assert message.content == []
    assert message.stop_sequence == "X"


BROKEN = {
    "cut off": stream(BEGIN, delta(0, text="x")),
    "cut off within a message": stream(BEGIN, delta(0, text="x"), END)[:-3],
    "damaged": stream(BEGIN) + b"x" * 40 + stream(END, TOLD),
    "not JSON": stream(BEGIN) + event("contentBlockDelta", b"{nope") + stream(END, TOLD),
    "not an object": event("messageStart", b"[]"),
    "wrong type": stream(BEGIN, delta(0, text=5), END, TOLD),
    "no index": stream(BEGIN, ("contentBlockDelta", {"delta": {"text": "x"}}), END, TOLD),
    "no delta": stream(BEGIN, ("contentBlockDelta", {"contentBlockIndex": 0}), END, TOLD),
    "arguments of no call": stream(BEGIN, delta(0, toolUse={"input": "{}"}), END, TOLD),
    "an exception": stream(BEGIN, delta(0, text="x")) + exception("modelStreamErrorException", b'{"message":"Boom"}'),
    "nothing at all": b"",
}


@pytest.mark.parametrize("given", BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_an_error_and_a_clean_end(given: bytes) -> None:
    seen = hub_events("bedrock", given)
    assert isinstance(seen[-1], Error)
    assert seen[-1].fault.status >= 500
    with pytest.raises(openai.APIError):
        sdk.openai_stream(rewrite("bedrock", "openai", given))
    (*_, last) = raw_events(EVENT_STREAM, rewrite("bedrock", "bedrock", given))
    assert last.event in ("error:internalServerException", "error:modelStreamErrorException")
    assert json.loads(last.data)["message"]


def test_usage_that_never_came() -> None:
    seen = hub_events("bedrock", stream(BEGIN, delta(0, text="x"), stop(0), END))
    assert isinstance(seen[-1], Finish)
    wrong = hub_events("bedrock", stream(BEGIN, END, ("metadata", {"usage": "much", "metrics": {}})))
    assert isinstance(wrong[-1], Finish) and isinstance(wrong[-2], Aside)
    check_events(events(rewrite("bedrock", "bedrock", stream(BEGIN, delta(0, text="x"), stop(0), END))))


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttlingException", 429, "rate_limit_exceeded"),
        ("validationException", 400, "invalid_request"),
        ("serviceUnavailableException", 503, "overloaded"),
        ("internalServerException", 500, "internal_error"),
        ("modelStreamErrorException", 502, "provider_error"),
        ("ofTomorrow", 502, "bad_gateway"),
    ],
)
def test_exceptions_keep_their_meaning(kind: str, status: int, code: str) -> None:
    (last,) = hub_events("bedrock", exception(kind, b'{"message":"No."}'))
    assert isinstance(last, Error)
    assert (last.fault.status, last.fault.code, last.fault.message) == (status, code, "No.")
    (again,) = raw_events(EVENT_STREAM, rewrite("bedrock", "bedrock", exception(kind, b'{"message":"No."}')))
    assert again.event == "error:" + (kind if kind not in ("modelStreamErrorException", "ofTomorrow") else "internalServerException")


@pytest.mark.parametrize("status", [400, 404, 408, 424, 429, 500, 502, 503, 504, 529])
def test_an_error_of_ours_in_mid_stream(status: int) -> None:
    told = BEDROCK.stream_error(Fault(status, "any", "gone"), "req_1")
    (one,) = raw_events(EVENT_STREAM, told)
    assert one.event.removeprefix("error:") in {
        "internalServerException", "modelStreamErrorException", "validationException", "throttlingException", "serviceUnavailableException"
    }  # fmt: skip
    assert json.loads(one.data) == {"message": "gone (request req_1)"}
    (again,) = BEDROCK.stream_reader().feed(one)
    assert isinstance(again, Error)


def _written(seen: Iterable[StreamEvent]) -> bytes:
    writer = BEDROCK.stream_writer(include_usage=False)
    return b"".join([writer.write(one) for one in seen]) + writer.end() + writer.end()


def test_a_stream_that_says_nothing_has_its_grammar_all_the_same() -> None:
    assert check_events(events(_written([]))) == []
    assert check_events(events(_written([Start(id="", model=""), Finish()]))) == []


def test_a_call_without_an_id_gets_one() -> None:
    chunk = {"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}}]}
    given = b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"
    (block,) = check_events(events(rewrite("openai", "bedrock", given)))
    assert block["toolUse"]["toolUseId"] == "tooluse_c1_0"


def test_a_refusal_and_other_choices() -> None:
    chunks: list[Any] = [
        {"id": "c", "choices": [{"index": 0, "delta": {"refusal": "No."}}, {"index": 1, "delta": {"content": "b"}}]},
        {"id": "c", "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}, {"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    given = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"
    written = events(rewrite("openai", "bedrock", given))
    assert check_events(written) == [{"text": "No."}]
    assert ("messageStop", {"stopReason": "content_filtered"}) in written


def test_signed_and_encrypted_thinking_reach_bedrocks_clients_in_their_order() -> None:
    start = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 3, "output_tokens": 1}}}
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    parts: list[Any] = [
        start,
        {"type": "content_block_start", "index": 0, "content_block": thinking},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "SIGNED"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "EncryptedEncrypted=="}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    given = b"".join(f"event: {part['type']}\ndata: {json.dumps(part)}\n\n".encode() for part in parts)
    written = rewrite("anthropic", "bedrock", given)
    first, second = check_events(events(written))
    assert first == {"reasoningContent": {"text": "Hm", "signature": "SIGNED"}}
    assert second == {"reasoningContent": {"redactedContent": "RW5jcnlwdGVkRW5jcnlwdGVkPT0="}}
    assert b'"data":"EncryptedEncrypted=="' in rewrite("bedrock", "anthropic", written)


def test_after_the_end_nothing_is_written_or_read() -> None:
    reader, writer = BEDROCK.stream_reader(), BEDROCK.stream_writer(include_usage=False)
    seen = [one for raw in raw_events(EVENT_STREAM, CALLS) for one in reader.feed(raw)]
    assert isinstance(seen[-1], Finish), "told at once, and not when the connection closes"
    assert reader.feed(RawEvent(*("messageStart", b"{}"))) == reader.end() == []
    assert b"".join(writer.write(one) for one in seen)
    assert [writer.write(one) for one in seen] == [b""] * len(seen)
    assert DIALECTS["bedrock"].name == "bedrock"
