"""What the recordings of the Responses API do not show: other makers' seals, providers that imitate it, and every kind of end."""

import json
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Choice,
    Citation,
    CitationDelta,
    Error,
    Finish,
    Image,
    Logprob,
    Opaque,
    Reasoning,
    Refusal,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.errors import Reject
from extproc.usage import Usage
from tests.dialects import sdk
from tests.dialects.traffic import data, hub_events, rewrite

RESPONSES = DIALECTS["responses"]


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def written(*events: StreamEvent) -> bytes:
    writer = RESPONSES.stream_writer(include_usage=False)
    stream = b"".join(writer.write(event) for event in (Start(id="msg_01", model="m", dialect="anthropic"), *events, Finish()))
    assert writer.end() == b""
    return stream


def answered(*blocks: Any, stop: StopReason = StopReason.END) -> Any:
    answer = Answer(dialect="gemini", id="r1", model="m", choices=[Choice(blocks=[*blocks], stop=stop)], usage=Usage(input=3, output=2))
    return sdk.responses_answer(RESPONSES.write_answer(answer)).to_dict()


def replayed(response: Any) -> list[Any]:
    """The blocks of a response whose items the client sends back."""
    asked = [{"role": "user", "content": "Hi"}, *response["output"], {"role": "user", "content": "Go on"}]
    conversation = RESPONSES.read_request({"model": "m", "input": asked})
    (_, turn, _) = conversation.messages
    for block in turn.blocks:
        block.local = {}
    return turn.blocks


# Seals of other makers.

CLAUDE, GEMINI = "anthropic-claude-v1", "google-gemini-v1"

SEALED: list[Any] = [
    Reasoning("I think", "sig", origin=CLAUDE),
    Reasoning("", "sig-alone", origin=CLAUDE),
    Reasoning(redacted="secret", origin=CLAUDE),
    Text("Hello", seal=Seal("on-a-text", GEMINI)),
    ToolCall("call_1", "f", "{}", seal=Seal("on-a-call", GEMINI)),
    ToolCall("call_2", "g", '{"a":1}'),
]


def test_what_others_signed_comes_back_as_it_was() -> None:
    response = answered(*SEALED)
    assert [item["type"] for item in response["output"]] == [
        "reasoning", "reasoning", "reasoning", "message", "reasoning", "function_call", "reasoning", "function_call",
    ]  # fmt: skip
    assert replayed(response) == SEALED


def test_what_others_signed_comes_back_from_a_stream() -> None:
    stream = written(
        BlockStart(0, Reasoning(origin=CLAUDE)), TextDelta(0, "not for reasoning"), SignatureDelta(0, "si"), SignatureDelta(0, "g"),
        BlockStop(0),
        BlockStart(1, Reasoning(redacted="secret", origin=CLAUDE)), BlockStop(1),
        BlockStart(2, Text("")), TextDelta(2, "Hello"), SignatureDelta(2, "on-a-text", GEMINI), BlockStop(2),
        BlockStart(3, ToolCall("call_1", "f", "")), ArgumentsDelta(3, "{}"), BlockStop(3), SignatureDelta(3, "late", GEMINI),
        BlockStart(4, Text("Bye", seal=Seal("at-once", GEMINI))), BlockStop(4),
        Stop(reason=StopReason.TOOL), Used(Usage(input=1, output=1)),
    )  # fmt: skip
    final, _ = sdk.responses_stream(stream)
    assert replayed(final.to_dict()) == [
        Reasoning("", "sig", origin=CLAUDE),
        Reasoning(redacted="secret", origin=CLAUDE),
        Text("Hello", seal=Seal("on-a-text", GEMINI)),
        ToolCall("call_1", "f", "{}", seal=Seal("late", GEMINI)),
        Text("Bye", seal=Seal("at-once", GEMINI)),
    ]


def test_openai_never_gets_what_others_signed() -> None:
    asked = [{"role": "user", "content": "Hi"}, *answered(*SEALED)["output"], {"role": "user", "content": "Go on"}]
    conversation = RESPONSES.read_request({"model": "m", "input": asked})
    body = RESPONSES.write_request(conversation, "gpt-5")
    assert [item.get("type") for item in body["input"]] == [None, "message", "function_call", "function_call", None]
    assert conversation.dropped == ["input[].reasoning"]


def test_openais_own_reasoning_goes_to_openai_through_clients_of_others() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"}
    bare = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAB"}
    given = {"id": "resp_1", "model": "m", "status": "completed", "output": [own, bare]}
    (choice,) = RESPONSES.read_answer(given).choices
    conversation = RESPONSES.read_request({"model": "m", "input": "Hi"})
    conversation.dialect = "anthropic"
    conversation.messages[0].role, conversation.messages[0].blocks = "assistant", choice.blocks
    assert RESPONSES.write_request(conversation, "gpt-5")["input"] == [
        {"type": "reasoning", "summary": own["summary"], "encrypted_content": "gAAA"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAB"},
    ]


def test_a_seal_of_nothing_is_passed_over() -> None:
    stray = answered(ToolCall("c", "f", "{}", seal=Seal("x", GEMINI)))["output"][1]
    conversation = RESPONSES.read_request({"model": "m", "input": [stray, {"role": "user", "content": "Hi"}]})
    assert [message.role for message in conversation.messages] == ["user"]


# Whole answers.


def test_all_that_an_answer_may_hold() -> None:
    cited = Citation(url="https://x.org", title="X", dialect="anthropic")
    placed = Citation(url="https://y.org", start=1, end=3)
    likely = Logprob(token="As", logprob=-0.5, top=[Logprob(token="So", logprob=-1.0)])
    response = answered(
        Text("As said", citations=[cited, placed, Citation(title="no address")], logprobs=[likely]),
        Text(""),
        Image(media_type="image/png", data="iVBORw0KGgo="),
        Opaque("gemini", "executable_code", {}),
        Refusal("No."),
    )
    said, picture, refusal = response["output"]
    (part,) = said["content"]
    assert part["annotations"] == [
        {"type": "url_citation", "url": "https://x.org", "title": "X", "start_index": 0, "end_index": 7},
        {"type": "url_citation", "url": "https://y.org", "title": "https://y.org", "start_index": 1, "end_index": 3},
    ]
    top = {"token": "So", "logprob": -1.0, "bytes": [83, 111]}
    assert part["logprobs"] == [{"token": "As", "logprob": -0.5, "bytes": [65, 115], "top_logprobs": [top]}]
    assert (picture["type"], picture["result"]) == ("image_generation_call", "iVBORw0KGgo=")
    assert refusal["content"] == [{"type": "refusal", "refusal": "No."}]
    answer = Answer(dialect="x", id="", model="m", choices=[Choice(blocks=[Opaque("gemini", "code", {})]), Choice(blocks=[])])
    RESPONSES.write_answer(answer)
    assert answer.dropped == ["choices[1:]", "output[].code"]


@pytest.mark.parametrize(
    ("stop", "status", "why"),
    [
        (StopReason.END, "completed", None),
        (StopReason.TOOL, "completed", None),
        (StopReason.STOP_SEQUENCE, "completed", None),
        (StopReason.LENGTH, "incomplete", "max_output_tokens"),
        (StopReason.CONTEXT, "incomplete", "max_output_tokens"),
        (StopReason.FILTER, "incomplete", "content_filter"),
        (StopReason.REFUSAL, "incomplete", "content_filter"),
    ],
)
def test_ends(stop: StopReason, status: str, why: str | None) -> None:
    response = answered(Text("x"), stop=stop)
    assert (response["status"], (response["incomplete_details"] or {}).get("reason")) == (status, why)
    assert response["output"][-1]["status"] == status
    final, events = sdk.responses_stream(written(BlockStart(0, Text("x")), BlockStop(0), Stop(reason=stop)))
    assert (final.status, final.output[-1].to_dict()["status"], events[-1].type) == (status, status, f"response.{status}")
    again = RESPONSES.read_answer(response).choices[0].stop
    assert (
        again == {"completed": StopReason.END, "max_output_tokens": StopReason.LENGTH, "content_filter": StopReason.FILTER}[why or status]
    )


def test_a_response_repeats_what_was_asked() -> None:
    asked = {"model": "m", "input": "Hi", "instructions": "Be brief.", "temperature": 0.5, "tools": [], "metadata": {"a": "b"}}
    conversation = RESPONSES.read_request(asked)
    answer = Answer(dialect="anthropic", id="msg_1", model="claude", choices=[Choice(blocks=[Text("x")])], asked=conversation.asked)
    body = RESPONSES.write_answer(answer)
    assert {field: body[field] for field in ("instructions", "temperature", "tools", "metadata")} == {
        "instructions": "Be brief.", "temperature": 0.5, "tools": [], "metadata": {"a": "b"},
    }  # fmt: skip
    assert "input" not in body and body["model"] == "claude"


def test_a_response_that_failed_is_no_answer() -> None:
    with pytest.raises(ValueError, match="too hot"):
        RESPONSES.read_answer({"id": "r", "status": "failed", "output": [], "error": {"code": "server_error", "message": "too hot"}})


# Streams.


def test_calls_told_side_by_side() -> None:
    stream = written(
        BlockStart(0, Text("")), TextDelta(0, "Look"), BlockStop(0),
        BlockStart(1, ToolCall("a", "f", "")), ArgumentsDelta(1, '{"x"'), BlockStop(1),
        BlockStart(2, ToolCall("b", "g", "")), ArgumentsDelta(1, ":1}"), ArgumentsDelta(2, '{"cut'), BlockStop(2),
        BlockStart(3, ToolCall("", "h", "")), BlockStop(3),
        Stop(reason=StopReason.TOOL),
    )  # fmt: skip
    final, events = sdk.responses_stream(stream)
    calls = [item.to_dict() for item in final.output if item.type == "function_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [("f", '{"x":1}'), ("g", '{"cut'), ("h", "{}")]
    assert calls[0]["call_id"] == "a" and calls[2]["call_id"]
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert done == ['{"x":1}', '{"cut', "{}"]
    # What is whole is done at once, and not only at the end.
    kinds = [event.type for event in events]
    assert kinds.index("response.function_call_arguments.done") < kinds.index("response.completed") - 3


def test_citations_find_their_text() -> None:
    about_all, placed = Citation(url="https://x.org", title="X"), Citation(url="https://y.org", title="Y", start=0, end=2)
    events = data(
        written(BlockStart(0, Text("")), CitationDelta(0, about_all), TextDelta(0, "said"), CitationDelta(0, placed), BlockStop(0))
    )
    told = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [(event["annotation_index"], event["annotation"]["end_index"]) for event in told] == [(0, 2), (1, 4)]
    (item,) = events[-1]["response"]["output"]
    assert item["content"][0]["annotations"] == [event["annotation"] for event in told]


def test_nothing_empty_is_shown() -> None:
    final, _ = sdk.responses_stream(
        written(
            BlockStart(0, Text("")),
            BlockStop(0),
            BlockStart(1, Reasoning(origin=CLAUDE)),
            BlockStop(1),
            BlockStart(2, Opaque("x", "y", {})),
        )
    )
    assert final.output == []


def test_a_second_choice_is_none_here() -> None:
    final, _ = sdk.responses_stream(
        written(BlockStart(0, Text("a")), BlockStart(1, Text(""), 1), TextDelta(1, "b"), Stop(reason=StopReason.LENGTH, choice=1))
    )
    assert (final.output_text, final.status) == ("a", "completed")


HEAD = {"id": "resp_1", "object": "response", "created_at": 1.5, "model": "m", "status": "in_progress", "output": [], "tools": []}
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
CREATED: Any = {"type": "response.created", "response": HEAD}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi"}]}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
COMPLETED: Any = {"type": "response.completed", "response": {**HEAD, "status": "completed", "output": [MESSAGE, CALL], "usage": USAGE}}


def at(kind: str, index: int, **fields: Any) -> Any:
    return {"type": f"response.{kind}", "output_index": index, "item_id": f"i{index}", "content_index": 0, **fields}


IMITATIONS: dict[str, list[Any]] = {
    "only the end": [COMPLETED],
    "begun, then the end": [CREATED, COMPLETED],
    "items done, and never added": [CREATED, at("output_item.done", 0, item=MESSAGE), at("output_item.done", 1, item=CALL), COMPLETED],
    "deltas of nothing added": [
        CREATED,
        at("output_text.delta", 0, delta="H"),
        at("output_text.delta", 0, delta="i"),
        at("output_item.added", 1, item=CALL),
        COMPLETED,
    ],
    "no deltas": [
        CREATED,
        at("output_item.added", 0, item={**MESSAGE, "content": []}),
        at("output_text.done", 0, text="Hi"),
        at("output_item.added", 1, item={**CALL, "arguments": ""}),
        at("function_call_arguments.done", 1, arguments='{"a":1}'),
        COMPLETED,
    ],
    "parts with their text": [
        CREATED,
        at("output_item.added", 0, item={**MESSAGE, "content": []}),
        at("content_part.added", 0, part={"type": "output_text", "text": "H"}),
        at("output_text.delta", 0, delta="i"),
        at("output_text.done", 0, text="Hi"),
        at("output_item.done", 0, item=MESSAGE),
        at("output_item.added", 1, item={**CALL, "arguments": ""}),
        at("output_item.done", 1, item=CALL),
        COMPLETED,
    ],
}  # fmt: skip


@pytest.mark.parametrize("events", IMITATIONS.values(), ids=IMITATIONS)
def test_providers_that_imitate_it(events: list[Any]) -> None:
    message, _ = sdk.anthropic_stream(rewrite("responses", "anthropic", sse(*events)))
    assert [block.text for block in message.content if block.type == "text"] == ["Hi"]
    assert [(block.id, block.input) for block in message.content if block.type == "tool_use"] == [("c1", {"a": 1})]
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 3, 2)


def test_a_summary_of_several_parts_and_its_seal() -> None:
    item = {"id": "rs_1", "type": "reasoning", "summary": []}
    final = {**item, "summary": [{"type": "summary_text", "text": text} for text in ("One.", "Two.")], "encrypted_content": "gAAA"}
    done = {**COMPLETED, "response": {**COMPLETED["response"], "output": [final]}}
    stream = sse(
        CREATED,
        at("output_item.added", 0, item=item),
        *(at("reasoning_summary_text.delta", 0, summary_index=i, delta=text) for i, text in ((0, "On"), (0, "e."), (1, "Two."))),
        at("output_item.done", 0, item=final),
        done,
    )
    message, _ = sdk.anthropic_stream(rewrite("responses", "anthropic", stream))
    (block,) = message.content
    assert block.type == "thinking" and block.thinking == "One.\n\nTwo."
    events = data(rewrite("responses", "responses", stream))
    parts = [event["text"] for event in events if event["type"] == "response.reasoning_summary_text.done"]
    assert parts == ["One.", "Two."]
    assert events[-1]["response"] == done["response"]


def test_reasoning_that_ends_after_the_answer_has_begun() -> None:
    """OpenRouter tells it so. No block of the hub may be open beside another, calls aside; and its seal is not lost."""
    item = {"id": "rs_1", "type": "reasoning", "summary": []}
    stream = sse(
        CREATED,
        at("output_item.added", 0, item=item),
        at("reasoning_text.delta", 0, delta="Hm."),
        at("output_text.delta", 1, delta="Hi"),
        at("output_item.done", 1, item=MESSAGE),
        at("output_item.done", 0, item={**item, "encrypted_content": "gAAA"}),
        COMPLETED,
    )
    open_blocks: set[int] = set()
    sealed = []
    for event in hub_events("responses", stream):
        if isinstance(event, BlockStart):
            assert not open_blocks
            open_blocks.add(event.index)
            sealed += [event.block.redacted] if isinstance(event.block, Reasoning) else []
        elif isinstance(event, BlockStop):
            open_blocks.remove(event.index)
    assert sealed == ["", "gAAA"]


BROKEN: dict[str, tuple[bytes, int, str]] = {
    "cut off": (sse(CREATED, at("output_text.delta", 0, delta="H")), 502, "stream_interrupted"),
    "nothing": (b"", 502, "stream_interrupted"),
    "not JSON": (b"data: {nope\n\n", 502, "bad_provider_event"),
    "a delta that is none": (sse(CREATED, at("output_text.delta", 0, delta=5)), 502, "bad_provider_event"),
    "arguments of nothing": (sse(CREATED, at("function_call_arguments.delta", 0, delta="{")), 502, "bad_provider_event"),
    "arguments of a call that has ended": (
        sse(
            CREATED, at("output_item.added", 0, item=CALL), at("output_item.done", 0, item=CALL),
            at("function_call_arguments.delta", 0, delta="{"),
        ),
        502, "bad_provider_event",
    ),
    "text of a call": (
        sse(CREATED, at("output_item.added", 0, item=CALL), at("output_text.delta", 0, delta="x")),
        502, "bad_provider_event",
    ),
    "an index twice": (sse(CREATED, *[at("output_item.added", 0, item=CALL)] * 2), 502, "bad_provider_event"),
    "an error": (sse({"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}), 429, "rate_limit_exceeded"),
    "an error inside": (
        sse({"type": "error", "error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "long"}}),
        400, "context_length_exceeded",
    ),
    "an error of another API": (sse({"error": {"message": "Boom", "type": "server_error", "code": None}}), 502, "bad_gateway"),
    "failed": (
        sse(CREATED, {"type": "response.failed", "response": {**HEAD, "error": {"code": "server_error", "message": "Boom"}}}),
        502, "server_error",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "status", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_is_one_error(stream: bytes, status: int, code: str) -> None:
    seen = hub_events("responses", stream)
    last = seen[-1]
    assert isinstance(last, Error)
    assert (last.fault.status, last.fault.code) == (status, code)
    assert sum(isinstance(event, Error | Finish) for event in seen) == 1


# Requests.

WRONG = [
    ({"input": 5}, "input"),
    ({"input": [5]}, "input[0]"),
    ({"input": [{}]}, "input[0].type"),
    ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": 1}]}]}, "input[0].content[0].input_audio"),
    ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": 1}]}, "input[0].output"),
    ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
    ({"instructions": 1}, "instructions"),
    ({"max_output_tokens": "many"}, "max_output_tokens"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
    ({"text": {"format": {"type": "json_schema", "schema": 1}}}, "text.format.schema"),
    ({"reasoning": {"effort": 1}}, "reasoning.effort"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[param for _, param in WRONG])
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Reject) as raised:
        RESPONSES.read_request({"model": "m", **fields})
    assert (raised.value.fault.status, raised.value.fault.param) == (400, param)


OWN: list[dict[str, Any]] = [
    {"input": "Hi"},
    {"input": []},
    {},
    {"input": None, "prompt": {"id": "p"}, "previous_response_id": "r"},
    {"input": [{"id": "rs_1"}, {"type": "item_reference", "id": "msg_1"}]},
    {"input": [{"role": "assistant", "phase": "final_answer", "content": "x"}]},
    {"input": [{"role": "assistant", "content": []}, {"role": "user", "content": [], "x_new": 1}]},
    {"input": [{"type": "of_tomorrow", "anything": [1]}, {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}]},
    {"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": "x"}, {"type": "mcp_approval_response", "approve": True}]},
    {"input": [{"role": "assistant", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]}]},
    {"text": {"verbosity": None}, "reasoning": {"generate_summary": "auto", "effort": None}, "include": [], "truncation": "auto"},
    {"user": "u", "safety_identifier": "s", "stream_options": {"include_obfuscation": True}, "background": False, "store": None},
    {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None, "defer_loading": True}, {"type": "local_shell"}]},
    {"tool_choice": {"type": "mcp", "server_label": "x"}, "top_logprobs": 3, "max_tool_calls": 2, "service_tier": "flex", "metadata": {}},
    {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "x"}]}},
    {"text": {"format": {"type": "grammar", "syntax": "lark"}}, "conversation": {"id": "conv_1"}},
]  # fmt: skip


@pytest.mark.parametrize("fields", OWN, ids=range(len(OWN)))
def test_nothing_is_lost_in_its_own_dialect(fields: dict[str, Any]) -> None:
    body = {"model": "m", **fields}
    conversation = RESPONSES.read_request(body)
    assert RESPONSES.write_request(conversation, "m") == body
    assert conversation.dropped == []


SERVED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"type": "web_search_preview", "filters": {"allowed_domains": ["x.org"]}, "user_location": {"type": "approximate", "city": "Rome"}},
        {"type": "web_search", "filters": {"allowed_domains": ["x.org"]}, "user_location": {"type": "approximate", "city": "Rome"}},
    ),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "code_interpreter", "container": {"type": "auto"}}),
    ({"type": "image_generation"}, {"type": "image_generation"}),
    (
        {"type": "mcp", "server_label": "a", "server_url": "https://a.test", "authorization": "t", "allowed_tools": ["f"]},
        {
            "type": "mcp", "server_label": "a", "server_url": "https://a.test", "authorization": "t", "allowed_tools": ["f"],
            "require_approval": "never",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), SERVED, ids=[given["type"] for given, _ in SERVED])
def test_tools_that_providers_run_go_through_the_hubs_words(given: dict[str, Any], expected: dict[str, Any]) -> None:
    conversation = RESPONSES.read_request({"model": "m", "input": "x", "tools": [given]})
    conversation.dialect = "gemini"
    assert RESPONSES.write_request(conversation, "m")["tools"] == [expected]


def test_a_count() -> None:
    count = RESPONSES.operations["count"]
    question = count.read_request({"model": "m", "input": "Hi", "instructions": "x", "conversation": "conv_1"})
    assert count.write_request(question, "gpt-5") == {"model": "gpt-5", "input": "Hi", "instructions": "x", "conversation": "conv_1"}
    asked = DIALECTS["anthropic"].operations["count"].read_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    assert count.write_request(asked, "gpt-5") == {"model": "gpt-5", "input": [{"role": "user", "content": "Hi"}]}
    told = {"object": "response.input_tokens", "input_tokens": 11}
    assert count.write_answer(count.read_answer(told)) == told
    assert count.write_answer(DIALECTS["anthropic"].operations["count"].read_answer({"input_tokens": 11})) == told
    with pytest.raises(ValueError, match="input_tokens"):
        count.read_answer({})
