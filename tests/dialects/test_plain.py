"""What is known at a glance is read and written as the dialects' own ways would: the shortcut is compared with itself closed."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.dialogue import MODELS, request
from bench.dialogue import answer as whole_answer
from extproc.dialects import DIALECTS, plain
from extproc.dialects.anthropic import answer, blocks, request_read, tools
from extproc.dialects.cohere import parts as cohere
from extproc.dialects.hub import Answer, Block, Cache, Citation, Conversation, Image, Message, Seal, Text, ToolCall, ToolResult
from extproc.dialects.ollama import parts as ollama
from extproc.dialects.openai import glance as openai
from extproc.dialects.responses import usual
from extproc.errors import Fault, Reject
from tests.examples import examples

WORDS = st.sampled_from(["", " ", "Hello", "a\nb", "{}", "\u00a0"])
ROLES = st.sampled_from(["user", "assistant", "system", "developer", "tool", "function", "critic", "", 1, None])
PARTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "other", None]), "text": st.one_of(WORDS, st.just(1))},
    optional={"cache_control": st.just({"type": "ephemeral"})},
)
CALLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "look", "", None])},
            optional={
                "arguments": st.sampled_from(["{}", '{"a":1}', "", "null", None, {}, {"a": 1}]),
                "index": st.integers(0, 1),
                "odd": WORDS,
            },
        ),
    },
    optional={
        "id": st.sampled_from(["call_1", "", None, 1]),
        "type": st.sampled_from(["function", "function", "custom", "odd", None]),
        "index": st.just(0),
        "odd": WORDS,
    },
)
RESULTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.just("tool"), "content": st.one_of(WORDS, st.none(), st.lists(PARTS, max_size=2))},
    optional={"tool_call_id": st.sampled_from(["call_1", "", None, 1]), "name": WORDS},
)
MESSAGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": ROLES, "content": st.one_of(WORDS, st.none(), st.just(3), st.lists(PARTS, max_size=2))},
    optional={
        "name": WORDS,
        "refusal": st.none(),
        "images": st.just([]),
        "tool_calls": st.lists(CALLS, max_size=2),
        "tool_call_id": st.sampled_from(["call_1", "", None, 1]),
    },
)
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLING: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.just("assistant"), "tool_calls": st.lists(st.one_of(st.just(CALL), CALLS), max_size=2)},
    optional={"content": st.one_of(WORDS, st.none(), st.lists(PARTS, max_size=1)), "odd": WORDS},
)
FUNCTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "custom", None])},
    optional={
        "function": st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "", None])},
            optional={
                "description": st.sampled_from(["Looks.", "", None, 1]),
                "parameters": st.sampled_from([{}, {"type": "object"}, None, 1]),
                "strict": st.sampled_from([True, None]),
            },
        ),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([0, 1, 0.5, 2.0, True, False, None, "low", ["a"], "a", {}])
        for name in (
            "temperature",
            "top_p",
            "top_k",
            "k",
            "p",
            "max_tokens",
            "stream",
            "seed",
            "stop",
            "stop_sequences",
            "logprobs",
            "user",
        )
    },
)


def slowly(patch: pytest.MonkeyPatch) -> None:
    """Nothing is known at a glance."""
    for name in ("message", "function", "call", "result", "words"):
        patch.setattr(plain, name, lambda _: None)
    for module, name in ((blocks, "usual_block"), (answer, "usual_block"), (request_read, "usual_block"), (request_read, "usual")):
        patch.setattr(module, name, lambda _: None)
    patch.setattr(tools, "usual", lambda _: None)
    patch.setattr(openai, "calling", lambda _: None)
    patch.setattr(cohere, "usual_text", lambda _: None)
    patch.setattr(cohere, "usual_call", lambda _: None)
    patch.setattr(ollama, "usual_call", lambda _, position: None)
    for name in ("call", "result", "said", "tool"):
        patch.setattr(usual, name, lambda _: None)


def read(dialect: str, body: dict[str, Any]) -> Conversation | Fault:
    try:
        return DIALECTS[dialect].read_request(copy.deepcopy(body))
    except Reject as reject:
        return reject.fault


def write(dialect: str, conversation: Conversation) -> dict[str, Any] | Fault:
    try:
        return DIALECTS[dialect].write_request(conversation, MODELS[dialect])
    except Reject as reject:
        return reject.fault


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "responses", "cohere", "ollama"])
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(messages=st.lists(st.one_of(MESSAGES, RESULTS, CALLING), max_size=3), tools=st.lists(FUNCTIONS, max_size=2), more=SETTINGS)
def test_reading(
    dialect: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]], more: dict[str, Any]
) -> None:  # fmt: skip
    body = {"model": "m", "input" if dialect == "responses" else "messages": messages, "tools": tools, **more}
    fast = read(dialect, body)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert fast == read(dialect, body)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_result_of_a_function_without_its_name(dialect: str) -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, called, {"role": "function", "content": "42"}]}
    fast = read("openai", body)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        slow = read("openai", body)
    assert isinstance(fast, Conversation)
    assert isinstance(slow, Conversation)
    assert type(fast.messages[-1].blocks[0]) is ToolResult
    assert write(dialect, fast) == write(dialect, slow)


EXTRAS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"odd": 1}])
NOT_OR_SO = st.sampled_from([None, False, True])
ID = st.sampled_from(["call_1", "", None, 1])
BESIDE: dict[str, st.SearchStrategy[Any]] = {"id": WORDS, "status": st.just("completed"), "odd": st.just(1), "phase": st.just("final")}
ITEMS = st.one_of(
    st.fixed_dictionaries({"role": ROLES, "content": WORDS}),
    st.fixed_dictionaries(
        {"type": st.just("function_call"), "name": st.sampled_from(["look", None])},
        optional={"call_id": ID, "arguments": st.sampled_from(["{}", "", None, {}]), **BESIDE},
    ),
    st.fixed_dictionaries(
        {"type": st.just("function_call_output")},
        optional={"call_id": ID, "output": st.one_of(WORDS, st.none(), st.just([])), "name": WORDS, **BESIDE},
    ),
    st.sampled_from([{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": "compaction"}, {"type": "other"}, {}, 1]),
)
TOOLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "function", "web_search", None]), "name": st.sampled_from(["look", None])},
    optional={
        "description": st.sampled_from(["Looks.", "", None, 1]),
        "parameters": st.sampled_from([{}, {"type": "object"}, None, 1]),
        "strict": st.sampled_from([True, False, None, 1]),
        "odd": st.just(1),
    },
)


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(items=st.lists(ITEMS, max_size=4), tools=st.lists(TOOLS, max_size=2))
def test_reading_items(items: list[Any], tools: list[dict[str, Any]]) -> None:
    body = {"model": "m", "input": items, "tools": tools}
    fast = read("responses", body)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert fast == read("responses", body)


BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(
        Text,
        text=WORDS,
        citations=st.sampled_from([[], [Citation(url="https://a.example")]]),
        extra=st.sampled_from([{}, {"odd": 1}]),
        cache=st.sampled_from([None, Cache("5m")]),
        seal=st.sampled_from([None, Seal("s", "google-gemini-v1"), Seal("s", "other")]),
    ),
    st.builds(Image, url=st.just("https://a.example/a.png")),
    st.builds(ToolCall, id=WORDS, name=st.just("look"), arguments=st.sampled_from(["", "{}", '{"a":1}', "[", "null"]), extra=EXTRAS),
    st.builds(ToolResult, id=WORDS, blocks=st.lists(st.builds(Text, text=WORDS, extra=EXTRAS), max_size=2), error=NOT_OR_SO, extra=EXTRAS),
)
TURNS = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "system", "developer", "tool", "critic"]),
    blocks=st.lists(BLOCKS, max_size=2),
    plain=st.booleans(),
    extra=st.sampled_from([{}, {"name": "n"}]),
)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=examples(60), deadline=None)
@given(messages=st.lists(TURNS, max_size=4), system=st.one_of(st.none(), TURNS))
def test_writing(dialect: str, messages: list[Message], system: Message | None) -> None:
    made = Conversation(dialect="somebody", model="m", messages=messages, system=system)
    fast, slow = copy.deepcopy(made), copy.deepcopy(made)
    written = write(dialect, fast)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert written == write(dialect, slow)
    assert fast.dropped == slow.dropped


ODD = {"cache_control": st.just({"type": "ephemeral"}), "odd": WORDS}
IDS = st.sampled_from(["toolu_1", "", None, 1])
CLAUDES: st.SearchStrategy[Any] = st.one_of(
    PARTS,
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": IDS, "name": IDS, "input": st.sampled_from([{}, {"a": [1]}, None, "{}"])}, optional=ODD
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": IDS, "content": st.one_of(WORDS, st.none(), st.lists(PARTS, max_size=1))},
        optional={"is_error": NOT_OR_SO, **ODD},
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": WORDS, "signature": WORDS}),
    st.just("none"),
)
CLAUDE_TOOLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": IDS},
    optional={
        "type": st.sampled_from(["custom", None, "web_search_20250305"]),
        "description": WORDS,
        "input_schema": st.sampled_from([{}, {"type": "object"}, None, 1]),
        "strict": NOT_OR_SO,
        **ODD,
    },
)
CONTENTS = st.one_of(WORDS, st.none(), st.lists(CLAUDES, max_size=3))


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(contents=st.lists(CONTENTS, max_size=3), role=ROLES, given_tools=st.lists(CLAUDE_TOOLS, max_size=2))
def test_reading_claudes(contents: list[Any], role: Any, given_tools: list[dict[str, Any]]) -> None:
    messages = [{"role": role, "content": content} for content in contents]
    body = {"model": "m", "messages": messages, "tools": given_tools, "max_tokens": 5}
    fast = read("anthropic", body)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert fast == read("anthropic", body)


def read_answer(dialect: str, body: dict[str, Any]) -> Answer | str:
    try:
        return DIALECTS[dialect].read_answer(copy.deepcopy(body))
    except ValueError as error:
        return str(error)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=CONTENTS, calls=st.lists(CALLS, max_size=2), content_of_others=st.one_of(WORDS, st.lists(PARTS, max_size=2)))
def test_reading_answers(content: Any, calls: list[dict[str, Any]], content_of_others: Any) -> None:
    message = {"role": "assistant", "content": content_of_others, "tool_calls": calls}
    for dialect, body in (
        ("anthropic", {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn", "id": "m", "model": "m"}),
        ("cohere", {"id": "m", "finish_reason": "COMPLETE", "message": message}),
        ("ollama", {"model": "m", "message": message, "done": True}),
    ):
        fast = read_answer(dialect, body)
        with pytest.MonkeyPatch.context() as patch:
            slowly(patch)
            assert fast == read_answer(dialect, body)


SAID: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from(["output_text", "output_text", "refusal", "other", None]), "text": st.one_of(WORDS, st.just(1))},
    optional={
        "annotations": st.sampled_from([[], None, {}, [{"type": "url_citation", "url": "https://a.example"}], 1]),
        "logprobs": st.sampled_from([[], None, [{"token": "a", "logprob": -0.5}], 1]),
        "prompt_cache_breakpoint": st.just({"ttl": "5m"}),
        "odd": WORDS,
    },
)
OUTPUT = st.one_of(
    ITEMS,
    st.fixed_dictionaries(
        {"content": st.one_of(WORDS, st.none(), st.lists(SAID, max_size=2))},
        optional={"type": st.sampled_from(["message", "message", None]), "role": st.just("assistant"), **BESIDE},
    ),
    st.just({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}),
)


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(output=st.lists(OUTPUT, max_size=3))
def test_reading_output(output: list[Any]) -> None:
    body = {"id": "resp_1", "model": "m", "status": "completed", "output": output}
    fast = read_answer("responses", body)
    with pytest.MonkeyPatch.context() as patch:
        slowly(patch)
        assert fast == read_answer("responses", body)


def test_a_glance() -> None:
    assert plain.message({"role": "user", "content": "Hello"}) == Message(role="user", blocks=[Text("Hello")], plain=True)
    assert plain.words([Text("Hello")]) == "Hello"
    body = msgspec.json.decode(request("openai"))
    assert sum(plain.message(message) is not None for message in body["messages"]) == 8
    assert [call.name for call in map(plain.call, body["messages"][-2]["tool_calls"]) if call] == ["look_up"]
    assert plain.result(body["messages"][-1])
    assert openai.calling(body["messages"][-2])
    assert [tool.name for tool in map(plain.function, body["tools"]) if tool] == ["look_up", "send"]
    words, call = msgspec.json.decode(whole_answer("responses"))["output"]
    assert usual.said(words)
    assert usual.call(call)
