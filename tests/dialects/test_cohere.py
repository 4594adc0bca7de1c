"""Cohere's chat, as recorded and by its reference: to and from the other dialects, and to its own SDK."""

import json
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.dialects.hub import Citation, Error, Extra, StopReason, Text
from extproc.dialects.sse import SSE
from extproc.errors import Fault, Reject
from extproc.usage import Usage
from tests.dialects import sdk
from tests.dialects.said import Said, asked, by_answer, by_anthropic, by_chunks, by_events, by_openai
from tests.dialects.traffic import ANSWERS, MODEL, STREAMS, TRANSLATED, Exchange, data, hub_events, name, rewrite

COHERE, OPENAI, ANTHROPIC = DIALECTS["cohere"], DIALECTS["openai"], DIALECTS["anthropic"]
OTHERS = [other for other in DIALECTS if other != "cohere"]

OWN_ANSWERS = [e for e in ANSWERS if e.dialect == "cohere"]
OWN_STREAMS = [e for e in STREAMS if e.dialect == "cohere"]
FOREIGN_ANSWERS = [e for e in ANSWERS if e.dialect in OTHERS]
FOREIGN_STREAMS = [e for e in STREAMS if e.dialect in OTHERS]

ASK = [{"role": "user", "content": "Hi"}]


def _counted(said: Said, usage: Any) -> Said:
    if usage is not None:
        said.input, said.output = int(usage.billed_units.input_tokens), int(usage.billed_units.output_tokens)
    return said


def said_by(response: cohere.V2ChatResponse) -> Said:
    message = response.message
    said = Said(cut=response.finish_reason == "MAX_TOKENS", reasoning=message.tool_plan or "")
    for block in message.content or ():
        if block.type == "text":
            said.text += block.text
        else:
            said.reasoning += block.thinking
    for call in message.tool_calls or ():
        assert call.function is not None and call.function.name is not None and call.id
        said.calls.append((call.function.name, json.loads(call.function.arguments or "{}")))
    return _counted(said, response.usage)


def said_by_all(events: list[Any]) -> Said:
    """As the events say it; and they come in their order."""
    assert [event.type for event in events].count("message-start") == 1 and events[0].type == "message-start"
    assert [event.type for event in events].count("message-end") == 1 and events[-1].type == "message-end"
    said = Said()
    contents: list[str] = []
    calls: list[list[str]] = []
    for event in events[1:-1]:
        message: Any = event.delta.message if getattr(event, "delta", None) else None
        match event.type:
            case "content-start":
                assert event.index == len(contents)
                contents.append(message.content.type)
            case "content-delta":
                assert (contents[event.index] == "text") == (message.content.text is not None)
                said.text += message.content.text or ""
                said.reasoning += message.content.thinking or ""
            case "tool-plan-delta":
                said.reasoning += message.tool_plan
            case "tool-call-start":
                assert event.index == len(calls) and message.tool_calls.id
                calls.append([message.tool_calls.function.name, ""])
            case "tool-call-delta":
                calls[event.index][1] += message.tool_calls.function.arguments
    for kind, total in (("content", len(contents)), ("tool-call", len(calls))):
        assert [event.index for event in events if event.type == f"{kind}-end"] == list(range(total))
    said.calls = [(called, json.loads(text)) for called, text in calls]
    end = events[-1].delta
    said.cut = end.finish_reason == "MAX_TOKENS"
    return _counted(said, end.usage)


# Its own answers and streams.


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_means_the_same_in_its_own_dialect(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    written = rewrite("cohere", "cohere", stream)
    assert data(written, "cohere") == data(stream, "cohere")
    assert written.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("exchange", OWN_ANSWERS, ids=name)
def test_an_answer_reaches_the_other_sdks(exchange: Exchange) -> None:
    said = by_answer(COHERE.read_answer(exchange.answer))
    assert said == said_by(sdk.cohere_answer(exchange.answer))
    completion = sdk.openai_answer(OPENAI.write_answer(COHERE.read_answer(exchange.answer)))
    assert by_openai(completion) == said
    assert (completion.choices[0].finish_reason == "tool_calls") == bool(said.calls)
    message = sdk.anthropic_answer(ANTHROPIC.write_answer(COHERE.read_answer(exchange.answer)))
    assert by_anthropic(message) == said
    assert (message.stop_reason == "tool_use") == bool(said.calls)


@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_a_stream_reaches_the_other_sdks(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    said = by_events(hub_events("cohere", stream))
    assert said == said_by_all(sdk.cohere_stream(stream))
    assert by_chunks(sdk.openai_stream(rewrite("cohere", "openai", stream))) == said
    message, _ = sdk.anthropic_stream(rewrite("cohere", "anthropic", stream))
    assert by_anthropic(message) == said


@pytest.mark.parametrize("exchange", FOREIGN_ANSWERS, ids=name)
def test_an_answer_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    provider = DIALECTS[exchange.dialect]
    written = COHERE.write_answer(provider.read_answer(exchange.answer))
    said = by_answer(provider.read_answer(exchange.answer))
    assert said_by(sdk.cohere_answer(written)) == said
    assert (written["finish_reason"] == "TOOL_CALL") == bool(said.calls)
    calls = written["message"].get("tool_calls", [])
    assert len({call["id"] for call in calls}) == len(calls)


@pytest.mark.parametrize("exchange", FOREIGN_STREAMS, ids=name)
def test_a_stream_of_another_dialect_reaches_its_sdk(exchange: Exchange) -> None:
    stream = exchange.text.encode()
    events = sdk.cohere_stream(rewrite(exchange.dialect, "cohere", stream))
    assert said_by_all(events) == by_events(hub_events(exchange.dialect, stream))


@pytest.mark.parametrize("exchange", [e for e in TRANSLATED if e.dialect in OTHERS], ids=name)
def test_a_request_of_another_dialect_has_its_form(exchange: Exchange) -> None:
    conversation = DIALECTS[exchange.dialect].read_request(exchange.request)
    body = COHERE.write_request(conversation, MODEL["cohere"])
    for i, message in enumerate(body["messages"]):
        kind: dict[str, Any] = {
            "user": cohere.UserChatMessageV2,
            "assistant": cohere.AssistantChatMessageV2,
            "system": cohere.SystemChatMessageV2,
        }
        kind.get(message["role"], cohere.ToolChatMessageV2).model_validate(message)
        assert message["role"] != "system" or i == 0
    for tool in body.get("tools", []):
        cohere.ToolV2.model_validate(tool)
    again = json.dumps(body, ensure_ascii=False)
    assert [text for text in asked(DIALECTS[exchange.dialect].read_request(exchange.request)) if text not in again] == []
    COHERE.read_request(body)


# Requests.


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
EXTRA = {"of_tomorrow": WORDS}
TEXTS = st.fixed_dictionaries({"type": st.just("text"), "text": WORDS}, optional=EXTRA)
THOUGHTS = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": WORDS})
URLS = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AAAA", "data:,x"])
IMAGES = st.builds(
    lambda url, rest: {"type": "image_url", "image_url": {"url": url, **rest}},
    URLS,
    st.sampled_from([{}, {"detail": "low"}, {"detail": "high", "of_tomorrow": 1}]),
)
OPAQUE = st.just({"type": "of_tomorrow", "x": [1]})
DATA = st.dictionaries(st.sampled_from(["title", "text", "url", "x"]), WORDS | st.integers() | st.lists(WORDS, max_size=2), max_size=3)
DOCUMENTS = st.fixed_dictionaries({"data": DATA | WORDS}, optional={"id": WORDS, "of_tomorrow": WORDS})
CITATIONS = st.fixed_dictionaries(
    {},
    optional={
        "start": st.integers(-1, 9),
        "end": st.integers(0, 9),
        "text": WORDS,
        "sources": st.lists(
            st.sampled_from([{"type": "document", "id": "d", "document": {"url": "https://x.org"}}, {"type": "tool"}]), max_size=2
        ),
        "content_index": st.integers(0, 2),
        "type": st.sampled_from(["TEXT_CONTENT", "THINKING_CONTENT", "PLAN"]),
    },
)
CALLS = st.fixed_dictionaries(
    {"id": WORDS, "type": st.just("function"), "function": st.fixed_dictionaries({"name": WORDS, "arguments": WORDS}, optional=EXTRA)},
    optional=EXTRA,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "of_tomorrow"]), "content": WORDS | st.lists(TEXTS | IMAGES | OPAQUE, max_size=3)},
        optional=EXTRA,
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={
            "content": WORDS | st.lists(TEXTS | THOUGHTS | OPAQUE, max_size=3),
            "tool_plan": WORDS,
            "tool_calls": st.lists(CALLS, max_size=2),
            "citations": st.lists(CITATIONS, max_size=3),
        },
    )
    | st.fixed_dictionaries(
        {
            "role": st.just("tool"),
            "tool_call_id": WORDS,
            "content": WORDS
            | st.lists(TEXTS | OPAQUE | DOCUMENTS.map(lambda document: {"type": "document", "document": document}), max_size=3),
        },
    ),
    max_size=5,
)
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "x": 1}, "y": 2}
REQUESTS = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": MESSAGES},
    optional={
        "tools": st.sampled_from([[TOOL], [TOOL, TOOL], [TOOL, {"type": "of_tomorrow"}], []]),
        "strict_tools": st.booleans(),
        "tool_choice": st.sampled_from(["REQUIRED", "NONE", "OF_TOMORROW"]),
        "documents": st.lists(DOCUMENTS | WORDS.filter(bool), max_size=3),
        "citation_options": st.just({"mode": "FAST"}),
        "response_format": st.sampled_from(
            [
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_object", "json_schema": SCHEMA},
                {"type": "json_object", "schema": SCHEMA, "x": 1},
                {"type": "of_tomorrow"},
            ]
        ),
        "thinking": st.sampled_from(
            [{"type": "enabled"}, {"type": "disabled"}, {"type": "enabled", "token_budget": 9000, "x": 1}, {"token_budget": 500}]
        ),
        "safety_mode": st.just("STRICT"),
        "max_tokens": st.integers(1, 9),
        "stop_sequences": st.lists(WORDS, max_size=2),
        "temperature": st.floats(0, 1),
        "seed": st.integers(0, 9),
        "k": st.integers(0, 9),
        "p": st.floats(0, 1),
        "frequency_penalty": st.floats(0, 1),
        "presence_penalty": st.floats(0, 1),
        "logprobs": st.booleans(),
        "stream": st.booleans(),
        "priority": st.integers(0, 9),
        "of_tomorrow": WORDS,
    },
)


@given(REQUESTS)
def test_nothing_is_lost_in_its_own_dialect(body: Extra) -> None:
    conversation = COHERE.read_request(body)
    assert COHERE.write_request(conversation, "m") == body
    assert conversation.dropped == []


WRONG: dict[str, Extra] = {
    "messages": {"model": "m"},
    "messages[0].content": {"model": "m", "messages": [{"role": "user", "content": 1}]},
    "messages[0].content[0].text": {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
    "messages[0].tool_call_id": {"model": "m", "messages": [{"role": "tool", "content": "x"}]},
    "messages[0].content[0].document": {
        "model": "m",
        "messages": [{"role": "tool", "tool_call_id": "a", "content": [{"type": "document"}]}],
    },
    "documents[0].data": {"model": "m", "messages": ASK, "documents": [{"id": "x"}]},
    "stop_sequences[0]": {"model": "m", "messages": [], "stop_sequences": [1]},
    "tool_choice": {"model": "m", "messages": [], "tool_choice": {"type": "auto"}},
    "thinking.token_budget": {"model": "m", "messages": [], "thinking": {"token_budget": "many"}},
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named(field: str) -> None:
    with pytest.raises(Reject) as refused:
        COHERE.read_request(WRONG[field])
    assert refused.value.fault.param == field


@pytest.mark.parametrize(("stop", "dropped"), [(["a"] * 5, []), (list("abcdef"), ["stop"])])
def test_stop_sequences(stop: list[str], dropped: list[str]) -> None:
    conversation = OPENAI.read_request({"model": "m", "messages": ASK, "stop": stop})
    assert COHERE.write_request(conversation, "m")["stop_sequences"] == stop[:5]
    assert conversation.dropped == dropped


THINKS: list[tuple[str, Extra, Any]] = [
    ("command-a-reasoning-08-2025", {"reasoning_effort": "low"}, {"type": "enabled", "token_budget": 2048}),
    ("command-a-reasoning-08-2025", {"reasoning_effort": "high"}, {"type": "enabled"}),
    ("command-a-reasoning-08-2025", {"reasoning_effort": "none"}, {"type": "disabled"}),
    ("command-r7b-12-2024", {"reasoning_effort": "none"}, None),
    ("command-r7b-12-2024", {"reasoning_effort": "low"}, None),
]


@pytest.mark.parametrize(("model", "fields", "thinking"), THINKS)
def test_efforts(model: str, fields: Extra, thinking: Any) -> None:
    conversation = OPENAI.read_request({"model": "m", "messages": ASK, **fields})
    assert COHERE.write_request(conversation, model).get("thinking") == thinking
    assert conversation.dropped == (["reasoning_effort"] if thinking is None and fields["reasoning_effort"] != "none" else [])


def test_a_conversation_without_a_question() -> None:
    body = COHERE.write_request(OPENAI.read_request({"model": "m", "messages": [{"role": "system", "content": "Say hi."}]}), "m")
    assert body["messages"] == [{"role": "system", "content": "Say hi."}, {"role": "user", "content": "."}]


# Plans and thoughts go on with the model that made them, and with no other.


@pytest.mark.parametrize(
    "given_message",
    [
        {"tool_plan": "I will look."},
        {"content": [{"type": "thinking", "thinking": "Hm."}]},
        {"tool_plan": "I will look.", "content": [{"type": "thinking", "thinking": "Hm."}]},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_plans_and_thoughts_come_back_through_a_client_of_openais(given_message: Extra, stream: bool) -> None:
    call = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    own = {"role": "assistant", **given_message, "tool_calls": [call]}
    answer = COHERE.read_answer({"id": "c", "finish_reason": "TOOL_CALL", "message": own})
    message = OPENAI.write_answer(answer)["choices"][0]["message"]
    if stream:
        message = _streamed(given_message, call)
    history = [*ASK, message, {"role": "tool", "tool_call_id": "f_1", "content": "1"}]
    conversation = OPENAI.read_request({"model": "m", "messages": history})
    assert COHERE.write_request(conversation, "command-a-reasoning-08-2025")["messages"][1] == own
    assert conversation.dropped == []
    conversation = OPENAI.read_request({"model": "m", "messages": history})
    assert "I will look" not in json.dumps(ANTHROPIC.write_request(conversation, "claude-sonnet-4-5"))
    assert conversation.dropped == ["messages[].reasoning_content"]


def _streamed(given_message: Extra, call: Extra) -> Extra:
    """The message as a client puts it together, which keeps `reasoning_details`."""
    plan = given_message.get("tool_plan")
    plans = [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": part}}} for part in (plan[:3], plan[3:])] if plan else []
    thoughts: list[Extra] = []
    for i, content in enumerate(given_message.get("content", [])):
        thoughts += (
            {"type": "content-start", "index": i, "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}}},
            {"type": "content-delta", "index": i, "delta": {"message": {"content": {"thinking": content["thinking"]}}}},
            {"type": "content-end", "index": i},
        )
    calls = [
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}},
        {"type": "tool-call-end", "index": 0},
    ]
    message: Extra = {"role": "assistant", "content": None, "reasoning_details": [], "tool_calls": [call]}
    for chunk in data(rewrite("cohere", "openai", events({"type": "message-start", "id": "c"}, *plans, *thoughts, *calls, END))):
        for choice in chunk["choices"]:
            message["reasoning_details"] += choice["delta"].get("reasoning_details", [])
    return message


# Answers.


@pytest.mark.parametrize(
    "body", [{}, {"message": "too many tokens"}, {"message": {"content": 1}}, {"finish_reason": "ERROR", "message": {"role": "assistant"}}]
)
def test_what_is_no_answer(body: Extra) -> None:
    with pytest.raises(ValueError, match=r"message|finish_reason"):
        COHERE.read_answer(body)


REASONS = [
    ("COMPLETE", StopReason.END),
    ("STOP_SEQUENCE", StopReason.STOP_SEQUENCE),
    ("MAX_TOKENS", StopReason.LENGTH),
    ("TOOL_CALL", StopReason.TOOL),
    ("TIMEOUT", StopReason.LENGTH),
    ("ERROR_TOXIC", StopReason.FILTER),
    ("OF_TOMORROW", StopReason.END),
]


@pytest.mark.parametrize(("word", "reason"), REASONS)
def test_reasons(word: str, reason: StopReason) -> None:
    answer = COHERE.read_answer({"id": "c", "finish_reason": word, "message": {"role": "assistant", "content": []}})
    assert answer.choices[0].stop is reason
    answer.dialect = "of_tomorrow"
    if word not in ("TIMEOUT", "OF_TOMORROW"):
        assert COHERE.write_answer(answer)["finish_reason"] == word


def test_citations_cross() -> None:
    (exchange,) = [e for e in OWN_ANSWERS if e.answer["id"] == "c5"]
    (choice,) = sdk.openai_answer(OPENAI.write_answer(COHERE.read_answer(exchange.answer))).choices
    assert choice.message.annotations is not None
    (annotation,) = choice.message.annotations
    assert annotation.url_citation.model_dump() == {
        "url": "https://example.com/tall",
        "title": "Tall penguins",
        "start_index": 29,
        "end_index": 45,
    }


def test_citations_of_others() -> None:
    answer = COHERE.read_answer({"id": "c", "finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "As said."}]}})
    answer.dialect = "of_tomorrow"
    (text,) = answer.choices[0].blocks
    assert isinstance(text, Text)
    text.citations = [Citation(url="https://x.org", title="X", quote="q"), Citation(title="Y", start=3, end=99)]
    whole, part = COHERE.write_answer(answer)["message"]["citations"]
    cohere.Citation.model_validate(whole)
    source = {"type": "document", "id": "https://x.org", "document": {"title": "X", "url": "https://x.org", "snippet": "q"}}
    assert whole == {"start": 0, "end": 8, "text": "As said.", "sources": [source], "content_index": 0, "type": "TEXT_CONTENT"}
    assert (part["start"], part["end"], part["text"]) == (3, 8, "said.")


def test_logprobs_cross() -> None:
    (exchange,) = [e for e in OWN_ANSWERS if "logprobs" in e.answer]
    answer = COHERE.read_answer(exchange.answer)
    answer.dialect = "of_tomorrow"
    written = sdk.cohere_answer(COHERE.write_answer(answer))
    assert written.logprobs is not None
    assert [(one.text, one.logprobs) for one in written.logprobs] == [("{", [-0.1]), ('"name"', [-0.2])]


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


# Usage of what passes through.


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("exchange", OWN_STREAMS, ids=name)
def test_usage_of_a_stream(exchange: Exchange, later: bool) -> None:
    stream = exchange.text.encode()
    watch = COHERE.stream_usage()
    pieces = split(SSE, stream)
    last = next(i for i, piece in enumerate(pieces) if b"message-end" in piece)
    assert [i for i, piece in enumerate(pieces) if watch.needle in piece] == [last]
    if later:
        watch.feed_later(pieces[:last])
    else:
        assert not any(watch.feed(piece) for piece in pieces[:last])
    assert not watch.finished
    assert watch.feed(pieces[last])
    said = by_events(hub_events("cohere", stream))
    assert watch.usage is not None
    assert (watch.usage.input, watch.usage.output, watch.finished) == (said.input, said.output, True)
    calls = [
        event["delta"]["message"]["tool_calls"]["function"]["arguments"] for event in data(stream) if event["type"] == "tool-call-delta"
    ]
    assert watch.text == len((said.text + said.reasoning + "".join(calls)).encode()), "what a citation repeats was not generated"


COUNTED: list[tuple[Extra, Usage | None]] = [
    ({"billed_units": {"input_tokens": 13, "output_tokens": 61}, "tokens": {"input_tokens": 542, "output_tokens": 63}}, Usage(13, 61)),
    ({"billed_units": {"input_tokens": 18.0, "output_tokens": 6.0}}, Usage(18, 6)),
    ({"tokens": {"input_tokens": 542, "output_tokens": 63}, "cached_tokens": 500}, Usage(542, 63, 500)),
    ({"billed_units": {"input_tokens": 9, "output_tokens": 2}, "cached_tokens": 2928}, Usage(9, 2, 9)),
    ({"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 5}}, Usage(5)),
    ({"billed_units": None, "tokens": {}}, None),
    ({"tokens": {"input_tokens": "many"}}, None),
    ({}, None),
]


@pytest.mark.parametrize(("told", "usage"), COUNTED)
def test_usage_of_an_answer(told: Extra, usage: Usage | None) -> None:
    body = {"id": "c", "finish_reason": "COMPLETE", "message": {"content": []}, "usage": told}
    assert COHERE.usage(json.dumps(body).encode()) == (usage, "")
    assert COHERE.read_answer(body).usage == usage


@pytest.mark.parametrize("exchange", OWN_ANSWERS, ids=name)
def test_what_is_billed_counts(exchange: Exchange) -> None:
    usage, _ = COHERE.usage(json.dumps(exchange.answer).encode())
    billed = exchange.answer["usage"]["billed_units"]
    assert usage is not None
    assert (usage.input, usage.output) == (billed["input_tokens"], billed["output_tokens"])
    assert usage.cache_read <= usage.input


def test_usage_of_what_is_no_conversation() -> None:
    embedded = {"id": "e", "embeddings": {}, "meta": {"billed_units": {"input_tokens": 7}}}
    assert COHERE.usage(json.dumps(embedded).encode()) == (Usage(7), "")
    ranked = {"id": "r", "results": [], "meta": {"billed_units": {"search_units": 1}}}
    assert COHERE.usage(json.dumps(ranked).encode()) == (None, "")


# Errors.


ERRORS = [
    (400, b'{"message":"invalid request: list of documents must not be empty"}', "invalid_request"),
    (
        400,
        b'{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."}',
        "context_length_exceeded",
    ),
    (401, b'{"id":"x","message":"invalid api token"}', "invalid_api_key"),
    (402, b'{"message":"Maximum billing reached for this API key"}', "insufficient_quota"),
    (404, b'{"message":"model \'x\' not found, make sure the correct model ID was used"}', "model_not_found"),
    (404, b'{"message":"404 page not found"}', "not_found"),
    (422, b'{"message":{"detail":"no"}}', "invalid_request"),
    (429, b'{"message":"You are past the per minute request limit, please wait and try again later."}', "rate_limit_exceeded"),
    (498, b'{"message":"blocked output"}', "content_filter"),
    (500, b'{"data":"internal server error"}', "internal_error"),
    (503, b"<html><title>503 Service Unavailable</title></html>", "overloaded"),
    (504, b"", "timeout"),
]


@pytest.mark.parametrize(("status", "body", "code"), ERRORS)
def test_errors(status: int, body: bytes, code: str) -> None:
    fault = COHERE.read_error(status, body)
    assert (fault.status, fault.code) == (status, code)
    assert fault.message
    told = COHERE.write_error(fault, "req_1")
    with pytest.raises(ApiError) as failed:
        sdk.cohere_client(json.dumps(told).encode(), status=status).chat(model="m", messages=sdk.QUESTION)
    assert (failed.value.status_code, failed.value.body) == (status, {"id": "req_1", "message": fault.message})


# Models.


def test_models() -> None:
    listed = sdk.cohere_client(json.dumps(COHERE.list_models(["a", "b"])).encode()).models.list()
    assert [model.name for model in listed.models] == ["a", "b"]
    cohere.ListModelsResponse.model_validate(COHERE.list_models(["a"]))
    shown = sdk.cohere_client(json.dumps(COHERE.describe_model("a")).encode()).models.get("a")
    assert (shown.name, shown.endpoints) == ("a", ["chat"])
