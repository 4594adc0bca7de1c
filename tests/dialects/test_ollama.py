"""Ollama's own API, by its reference: both of its forms, to and from the other dialects, and to its own SDK."""

import json
from typing import Any

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Conversation, Extra, Message, Start, StopReason, Text, ToolCall, ToolResult
from extproc.errors import Reject
from tests.cases import cases
from tests.dialects import sdk
from tests.dialects.said import Said, asked, by_answer, by_anthropic, by_chunks, by_events, by_openai
from tests.dialects.traffic import ANSWERS, MODEL, STREAMS, TRANSLATED, Exchange, data, hub_events, name, rewrite

OLLAMA, OPENAI, ANTHROPIC = DIALECTS["ollama"], DIALECTS["openai"], DIALECTS["anthropic"]
GENERATE = OLLAMA.operations["generate"]
OTHERS = [other for other in DIALECTS if other != "ollama"]

OWN_ANSWERS = [e for e in ANSWERS if e.dialect == "ollama"]
OWN_STREAMS = [e for e in STREAMS if e.dialect == "ollama"]
FOREIGN_ANSWERS = [e for e in ANSWERS if e.dialect in OTHERS]
FOREIGN_STREAMS = [e for e in STREAMS if e.dialect in OTHERS]

ASK = [{"role": "user", "content": "Hi"}]
NO_WORDS = ("reasoning",)


def said_by(response: ollama.ChatResponse) -> Said:
    message = response.message
    return Said(
        text=message.content or "",
        reasoning=message.thinking or "",
        calls=[(call.function.name, dict(call.function.arguments)) for call in message.tool_calls or ()],
        cut=response.done_reason == "length",
        input=response.prompt_eval_count or 0,
        output=response.eval_count or 0,
    )


def said_by_all(pieces: list[ollama.ChatResponse]) -> Said:
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    said = said_by(pieces[-1])
    for piece in reversed(pieces[:-1]):
        one = said_by(piece)
        said.text, said.reasoning, said.calls = one.text + said.text, one.reasoning + said.reasoning, one.calls + said.calls
    return said


# Its own answers and streams.


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_adds_up_to_the_same(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    written = rewrite("ollama", "ollama", stream)
    assert _sum(data(written, "ollama")) == _sum(data(stream, "ollama"))


def _sum(lines: list[Any]) -> Any:
    """What lines add up to. That each says anew who and when, and what is empty, means nothing."""
    whole: dict[str, Any] = {"message": {}, "logprobs": []}
    for line in lines:
        for key, value in line.items():
            if key == "message":
                for field, part in value.items():
                    if part and field != "role":
                        whole["message"][field] = whole["message"].get(field, type(part)()) + part
            elif key == "logprobs":
                whole["logprobs"] += value
            elif key != "created_at" and value is not False:
                whole[key] = value
    return whole


@pytest.mark.parametrize("exchange", OWN_ANSWERS, ids=name)
def test_an_answer_reaches_the_other_sdks(exchange: Exchange) -> None:
    said = by_answer(OLLAMA.read_answer(exchange.answer))
    assert said == said_by(sdk.ollama_answer(exchange.answer))
    assert by_openai(sdk.openai_answer(OPENAI.write_answer(OLLAMA.read_answer(exchange.answer)))) == said
    message = sdk.anthropic_answer(ANTHROPIC.write_answer(OLLAMA.read_answer(exchange.answer)))
    assert by_anthropic(message) == said
    assert (message.stop_reason == "tool_use") == bool(said.calls)


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_reaches_the_other_sdks(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    said = by_events(hub_events("ollama", stream))
    assert said == said_by_all(sdk.ollama_stream(rewrite("ollama", "ollama", stream)))
    chunks = sdk.openai_stream(rewrite("ollama", "openai", stream))
    assert by_chunks(chunks) == said
    if said.calls:
        assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "tool_calls"
    message, _ = sdk.anthropic_stream(rewrite("ollama", "anthropic", stream))
    assert by_anthropic(message) == said


@cases("exchange", FOREIGN_ANSWERS, ids=name)
def test_an_answer_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    provider = DIALECTS[exchange.dialect]
    written = OLLAMA.write_answer(provider.read_answer(exchange.answer))
    assert said_by(sdk.ollama_answer(written)) == by_answer(provider.read_answer(exchange.answer))
    assert written["done"] is True and written["created_at"].endswith("Z")
    calls = written["message"].get("tool_calls", [])
    assert len({call["id"] for call in calls}) == len(calls)


@cases("exchange", FOREIGN_STREAMS, ids=name)
def test_a_stream_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    written = rewrite(exchange.dialect, "ollama", stream)
    assert said_by_all(sdk.ollama_stream(written)) == by_events(hub_events(exchange.dialect, stream))


@cases("exchange", [e for e in TRANSLATED if e.dialect in OTHERS], ids=name)
def test_a_request_of_another_dialect_has_its_form(exchange: Exchange) -> None:
    conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
    body = OLLAMA.write_request(conversation, MODEL["ollama"])
    request = ollama._types.ChatRequest.model_validate(body)
    assert request.model == MODEL["ollama"]
    assert body["stream"] is bool(exchange.request.get("stream"))
    assert all(type(message["content"]) is str for message in body["messages"])
    again = json.dumps(body, ensure_ascii=False)
    assert [text for text in asked(DIALECTS[exchange.dialect].read_request(exchange.request)) if text not in again] == []
    OLLAMA.read_request(body)


# Requests.


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BLOBS = st.sampled_from(["iVBORw0KGgoAAAA=", "UklGRiQAAABXQVZFZm10IA==", "UklGRiQAAABXRUJQVlA4", "AAAA", "?"])
FUNCTIONS = st.fixed_dictionaries(
    {"name": st.sampled_from("fgh"), "arguments": st.dictionaries(WORDS, st.integers() | WORDS, max_size=2)},
    optional={"index": st.integers(0, 2), "of_tomorrow": WORDS},
)
CALLS = st.fixed_dictionaries({"function": FUNCTIONS}, optional={"id": st.sampled_from(["call_1", "x"]), "of_tomorrow": WORDS})
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "of_tomorrow"])},
        optional={"content": WORDS, "images": st.lists(BLOBS, max_size=2), "of_tomorrow": WORDS},
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant")}, optional={"content": WORDS, "thinking": WORDS, "tool_calls": st.lists(CALLS, max_size=3)}
    )
    | st.fixed_dictionaries(
        {"role": st.just("tool")},
        optional={"content": WORDS, "tool_name": st.sampled_from("fgh"), "tool_call_id": st.just("x"), "of_tomorrow": WORDS},
    ),
    max_size=6,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_k": st.integers(0, 9),
        "num_predict": st.integers(-2, 99),
        "seed": st.integers(),
        "stop": st.lists(WORDS, max_size=2),
        "num_ctx": st.integers(1),
        "of_tomorrow": WORDS | st.none(),
    },
)
SCHEMA = {"type": "object", "properties": {}}
REST = {
    "stream": st.booleans(),
    "think": st.booleans() | st.sampled_from(["low", "medium", "high", "max", "of_tomorrow"]),
    "format": st.sampled_from(["json", "", "of_tomorrow", SCHEMA]),
    "options": OPTIONS,
    "keep_alive": st.sampled_from(["5m", 0, -1]),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "truncate": st.booleans(),
    "of_tomorrow": WORDS,
}
TOOLS = st.just(
    [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "x": 1}, "items": 1}, {"type": "x"}]
)
CHATS = st.fixed_dictionaries({"model": st.just("m"), "messages": MESSAGES}, optional={**REST, "tools": TOOLS})
PROMPTS = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional={
        **REST,
        "prompt": WORDS,
        "suffix": WORDS,
        "system": WORDS,
        "template": WORDS,
        "raw": st.booleans(),
        "context": st.lists(st.integers(), max_size=3),
        "images": st.lists(BLOBS, max_size=2),
    },
)


@given(CHATS)
def test_nothing_of_a_chat_is_lost(body: Extra) -> None:
    conversation = OLLAMA.read_request(body)
    assert OLLAMA.write_request(conversation, "m") == body
    assert conversation.dropped == []


@given(PROMPTS)
def test_nothing_of_a_prompt_is_lost(body: Extra) -> None:
    conversation = GENERATE.read_request(body)
    assert GENERATE.write_request(conversation, "m") == body


def test_results_find_their_calls_without_ids() -> None:
    calls: list[Extra] = [{"function": {"name": call, "arguments": {}}} for call in ("f", "g", "f")]
    results = [{"role": "tool", "content": text, "tool_name": call} for text, call in (("1", "g"), ("2", "f"), ("3", "f"))]
    messages = [*ASK, {"role": "assistant", "content": "", "tool_calls": calls}, *results, {"role": "tool", "content": "4"}]
    conversation = OLLAMA.read_request({"model": "m", "messages": messages})
    called = [block.id for message in conversation.messages for block in message.blocks if isinstance(block, ToolCall)]
    answered = [block.id for message in conversation.messages for block in message.blocks if isinstance(block, ToolResult)]
    assert len(set(called)) == 3
    assert answered[:3] == [called[1], called[0], called[2]]
    assert answered[3] not in called
    OPENAI.write_request(conversation, "gpt-5")
    assert conversation.dropped == [], "ids that were made are nobody's loss"


def test_old_results_name_nothing_at_all() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
    body = {"model": "m", "messages": [*ASK, call, {"role": "tool", "content": "1"}]}
    written = OPENAI.write_request(OLLAMA.read_request(body), "gpt-5")
    assert written["messages"][2]["tool_call_id"] == written["messages"][1]["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("iVBORw0KGgoAAAANSUhEUg==", "data:image/png;"),
        ("/9j/4AAQSkZJRgABAQ==", "data:image/jpeg;"),
        ("R0lGODlhAQABAAAAACw=", "data:image/gif;"),
        ("UklGRiQAAABXRUJQVlA4", "data:image/webp;"),
        ("AAAA", "data:image/png;"),
        ("UklGRiQAAABXQVZFZm10IA==", "wav"),
        ("SUQzBAAAAAAA", "mp3"),
    ],
)
def test_pictures_are_known_by_their_looks(data: str, kind: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "?", "images": [data]}]}
    part, text = OPENAI.write_request(OLLAMA.read_request(body), "gpt-5")["messages"][0]["content"]
    assert text == {"type": "text", "text": "?"}
    if kind.startswith("data:"):
        assert part["image_url"]["url"] == f"{kind}base64,{data}"
    else:
        assert part["input_audio"] == {"data": data, "format": kind}


WRONG: dict[str, Extra] = {
    "messages": {"model": "m"},
    "messages[0].content": {"model": "m", "messages": [{"role": "user", "content": ["Hi"]}]},
    "messages[0].images[0]": {"model": "m", "messages": [{"role": "user", "images": [1]}]},
    "messages[0].tool_calls[0].function": {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{}]}]},
    "options.temperature": {"model": "m", "messages": [], "options": {"temperature": "hot"}},
    "options.stop": {"model": "m", "messages": [], "options": {"stop": "x"}},
    "options.stop[0]": {"model": "m", "messages": [], "options": {"stop": [1]}},
    "think": {"model": "m", "messages": [], "think": 1},
    "format": {"model": "m", "messages": [], "format": 1},
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named(field: str) -> None:
    with pytest.raises(Reject) as refused:
        OLLAMA.read_request(WRONG[field])
    assert refused.value.fault.param == field


THINKS: list[tuple[Extra, Any]] = [
    ({"reasoning_effort": "minimal"}, "low"),
    ({"reasoning_effort": "high"}, "high"),
    ({"reasoning_effort": "xhigh"}, "max"),
    ({"reasoning_effort": "none"}, False),
    ({}, None),
]


@pytest.mark.parametrize(("fields", "think"), THINKS)
def test_an_effort_is_a_level(fields: Extra, think: Any) -> None:
    body = OLLAMA.write_request(OPENAI.read_request({"model": "m", "messages": ASK, **fields}), "m")
    assert body.get("think") == think


BUDGETS: list[tuple[Extra, Any]] = [
    ({"type": "enabled", "budget_tokens": 1024}, "low"),
    ({"type": "enabled", "budget_tokens": 8000}, "medium"),
    ({"type": "enabled", "budget_tokens": 32000}, "high"),
    ({"type": "adaptive"}, True),
    ({"type": "disabled"}, False),
]


@pytest.mark.parametrize(("thinking", "think"), BUDGETS)
def test_a_budget_is_a_level(thinking: Extra, think: Any) -> None:
    body = {"model": "m", "max_tokens": 40_000, "messages": ASK, "thinking": thinking}
    assert OLLAMA.write_request(ANTHROPIC.read_request(body), "m")["think"] == think


# Reasoning goes on with the model that wrote it, and with no other.


def test_reasoning_comes_back_through_a_client_of_openais() -> None:
    answer = OLLAMA.read_answer(
        {"model": "gpt-oss", "created_at": "2025-07-07T20:22:19Z", "done": True, "done_reason": "stop",
         "message": {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}
    )  # fmt: skip
    message = OPENAI.write_answer(answer)["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
    conversation = OPENAI.read_request({"model": "m", "messages": [*ASK, message, result]})
    written = OLLAMA.write_request(conversation, "gpt-oss")["messages"]
    assert written[1]["thinking"] == "Hm."
    assert written[2] == {"role": "tool", "tool_call_id": written[1]["tool_calls"][0]["id"], "content": "1", "tool_name": "f"}
    assert conversation.dropped == []


def test_reasoning_of_others_is_not_sent() -> None:
    message = {"role": "assistant", "content": "x", "reasoning_content": "Hm."}
    conversation = OPENAI.read_request({"model": "m", "messages": [*ASK, message, *ASK]})
    assert "thinking" not in OLLAMA.write_request(conversation, "gpt-oss")["messages"][1]
    assert conversation.dropped == ["messages[].reasoning_content"]


# Answers.


@pytest.mark.parametrize("body", [{}, {"message": "x"}, {"error": "boom"}, {"message": {"content": 1}}, {"message": {"tool_calls": {}}}])
def test_what_is_no_answer(body: Extra) -> None:
    if body == {"message": {"tool_calls": {}}}:
        assert OLLAMA.read_answer(body).choices[0].blocks == []
        return
    with pytest.raises(ValueError, match=r"message|error"):
        OLLAMA.read_answer(body)


@pytest.mark.parametrize(
    ("reason", "word"),
    [(StopReason.END, "stop"), (StopReason.LENGTH, "length"), (StopReason.CONTEXT, "length"), (StopReason.TOOL, "stop")],
)
def test_reasons(reason: StopReason, word: str) -> None:
    given = OLLAMA.read_answer({"message": {"content": "x"}, "done": True})
    given.dialect, given.choices[0].stop = "of_tomorrow", reason
    assert OLLAMA.write_answer(given)["done_reason"] == word


def test_answers_have_ids_of_their_own() -> None:
    bodies = [{"message": {"content": "x"}, "created_at": f"2025-07-07T20:22:19.{i}Z"} for i in range(3)]
    assert len({OLLAMA.read_answer(body).id for body in bodies}) == 3


def test_logprobs_cross() -> None:
    (exchange,) = [e for e in OWN_ANSWERS if "logprobs" in e.answer]
    answer = OLLAMA.read_answer(exchange.answer)
    answer.dialect, answer.extra = "of_tomorrow", {}
    assert OLLAMA.write_answer(answer)["logprobs"] == exchange.answer["logprobs"]


# Generate.


def test_a_prompt_is_a_message_to_others() -> None:
    body = {"model": "m", "prompt": "Why?", "system": "Be brief.", "images": ["iVBORw0KGgo="], "suffix": "end", "options": {"seed": 7}}
    conversation = GENERATE.read_request({**body, "stream": True})
    written = ANTHROPIC.write_request(conversation, "claude-sonnet-4-5")
    assert written["system"] == [{"type": "text", "text": "Be brief."}]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    assert written["messages"] == [{"role": "user", "content": [image, {"type": "text", "text": "Why?"}]}]
    assert written["stream"] is True
    assert conversation.dropped == ["options.seed", "suffix"]


def test_its_answers_have_a_response() -> None:
    exchange = next(e for e in FOREIGN_ANSWERS if e.dialect == "anthropic" and by_answer(ANTHROPIC.read_answer(e.answer)).text)
    answer = ANTHROPIC.read_answer(exchange.answer)
    written = GENERATE.write_answer(answer)
    response = sdk.ollama_client(json.dumps(written).encode()).generate("m", "Hi")
    said = by_answer(answer)
    assert (response.response, response.prompt_eval_count, response.eval_count, response.done) == (said.text, said.input, said.output, True)
    assert "message" not in written


@cases("exchange", FOREIGN_STREAMS, ids=name)
def test_its_streams_have_responses(exchange: Exchange) -> None:
    events = hub_events(exchange.dialect, exchange.text.encode())
    assert isinstance(events[0], Start)
    events[0].asked = GENERATE.read_request({"model": "m", "prompt": "Hi"}).asked
    writer = OLLAMA.stream_writer(include_usage=False)
    written = b"".join(map(writer.write, events)) + writer.end()
    pieces = list(sdk.ollama_client(written, "application/x-ndjson").generate("m", "Hi", stream=True))
    said = by_events(events)
    assert "".join(piece.response or "" for piece in pieces) == said.text
    assert "".join(piece.thinking or "" for piece in pieces) == said.reasoning
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert (pieces[-1].prompt_eval_count or 0, pieces[-1].eval_count or 0) == (said.input, said.output)
    assert b'"message"' not in written


def test_an_answer_to_a_prompt_means_the_same_in_its_own_dialect() -> None:
    body = {"model": "m", "created_at": "2023-08-04T19:22:45.499127Z", "response": "Blue.", "thinking": "Sky", "done": True,
            "done_reason": "stop", "context": [1, 2, 3], "total_duration": 5, "prompt_eval_count": 26, "eval_count": 290}  # fmt: skip
    assert GENERATE.write_answer(GENERATE.read_answer(body)) == body
    with pytest.raises(ValueError, match="response"):
        GENERATE.read_answer({"response": 1})


# Errors.


ERRORS = [
    (404, b'{"error":"model \'x\' not found"}', "model_not_found"),
    (400, b'{"error":"\\"x\\" does not support thinking"}', "invalid_request"),
    (503, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}', "overloaded"),
    (400, b'{"error":"the input length exceeds the context length"}', "context_length_exceeded"),
    (400, b'{"error":{"message":"request (302 tokens) exceeds the available context size (256 tokens), try increasing it"}}',
     "context_length_exceeded"),
    (401, b'{"error":"unauthorized","signin_url":"https://ollama.com/connect"}', "invalid_api_key"),
    (429, b'{"error":"you have reached your hourly usage limit"}', "rate_limit_exceeded"),
    (500, b'{"StatusCode":500,"error":"boom"}', "internal_error"),
    (502, b"<html><title>502 Bad Gateway</title></html>", "bad_gateway"),
    (500, b"", "internal_error"),
    (418, b"[]", "invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "code"), ERRORS)
def test_errors(status: int, body: bytes, code: str) -> None:
    fault = OLLAMA.read_error(status, body)
    assert (fault.status, fault.code) == (status, code)
    assert fault.message
    told = json.dumps(OLLAMA.write_error(fault, "req_1")).encode()
    with pytest.raises(ollama.ResponseError) as failed:
        sdk.ollama_client(told, status=status).chat("m", ASK)
    assert (failed.value.status_code, failed.value.error) == (status, fault.message)


# Models.


def test_models() -> None:
    listed = sdk.ollama_client(json.dumps(OLLAMA.list_models(["a", "b:latest"])).encode()).list()
    assert [model.model for model in listed.models] == ["a", "b:latest"]
    assert len({model.digest for model in listed.models}) == 2
    shown = sdk.ollama_client(json.dumps(OLLAMA.describe_model("a")).encode()).show("a")
    assert shown.capabilities is not None and "tools" in shown.capabilities
    assert shown.modelinfo is not None and shown.modelinfo["general.basename"] == "a"


def test_a_conversation_of_generate_is_written_as_a_chat_for_none_but_its_own() -> None:
    said = [Message(role="user", blocks=[Text("Hello.")])]
    conversation = Conversation(dialect="openai", model="m", messages=said, stream=True)
    written = {"model": "m", "messages": [{"role": "user", "content": "Hello."}], "stream": True}
    assert GENERATE.write_request(conversation, "m") == written
