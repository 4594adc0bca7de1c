"""Requests of Cohere's chat, and of others for it: what survives its own dialect, and what goes on from turn to turn."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.dialects import DIALECTS
from extproc.dialects.hub import Extra
from extproc.errors import Reject
from tests.dialects.test_cohere_streams import END, events
from tests.dialects.traffic import data, rewrite

COHERE, OPENAI, ANTHROPIC = DIALECTS["cohere"], DIALECTS["openai"], DIALECTS["anthropic"]
OTHERS = [other for other in DIALECTS if other != "cohere"]

ASK = [{"role": "user", "content": "Hi"}]


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
