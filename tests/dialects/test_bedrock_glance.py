"""What is known of Bedrock's requests at a glance is read as the long way would: the shortcut is compared with itself closed."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.dialogue import request
from extproc.dialects.bedrock import glance
from extproc.dialects.hub import Conversation
from extproc.errors import Fault, Reject
from tests.cases import cases
from tests.dialects.bedrock import ALL, BEDROCK, Converse, name

WORDS = st.sampled_from(["", "Hello", "a\nb"])
ODD: st.SearchStrategy[Any] = st.sampled_from([None, 1, [], {}, "word"])
TEXTS = st.builds(lambda text: {"text": text}, WORDS | st.none())
RESULTS = st.fixed_dictionaries(
    {"toolUseId": WORDS, "content": st.lists(TEXTS | st.just({"json": {"a": 1}}), max_size=2) | ODD},
    optional={"status": st.sampled_from(["error", "success", "odd", None, 1]), "type": st.just("x")},
)
CALLS = st.fixed_dictionaries(
    {"toolUseId": WORDS | ODD, "name": WORDS | ODD}, optional={"input": st.just({"a": [1]}) | ODD, "type": st.just("server_tool_use")}
)
BLOCKS = st.builds(
    lambda one, more: {**one, **more} if isinstance(one, dict) else one,
    st.one_of(
        TEXTS,
        CALLS.map(lambda one: {"toolUse": one}),
        RESULTS.map(lambda one: {"toolResult": one}),
        st.just({"cachePoint": {"type": "default"}}),
        ODD,
    ),
    st.sampled_from([{}, {}, {}, {"odd": 1}, {"cachePoint": {"type": "default"}}]),
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "", None]), "content": st.lists(BLOCKS, max_size=2) | ODD}, optional={"odd": WORDS}
)
SCHEMAS: st.SearchStrategy[Any] = st.sampled_from(
    [{"json": {"type": "object"}}, {"json": {}}, {"json": 1}, {"json": {}, "odd": 1}, {}, None, 1]
)
SPECS = st.fixed_dictionaries(
    {"name": st.sampled_from(["look", "", None])},
    optional={"description": WORDS | ODD, "inputSchema": SCHEMAS, "strict": st.sampled_from([True, None])},
)
TOOLS = st.builds(
    lambda spec, more: {"toolSpec": spec, **more}, SPECS | ODD, st.sampled_from([{}, {}, {"cachePoint": {"type": "default"}}])
)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "system": st.lists(BLOCKS, max_size=2),
        "toolConfig": st.fixed_dictionaries({"tools": st.lists(TOOLS | BLOCKS, max_size=2)}),
        "inferenceConfig": st.just({"maxTokens": 9, "stopSequences": ["a"], "odd": 1}) | ODD,
        "requestMetadata": st.just({"a": "b"}),
    },
)


def read(body: dict[str, Any]) -> Conversation | Fault:
    try:
        return BEDROCK.read_request(copy.deepcopy(body))
    except Reject as reject:
        return reject.fault


def check(body: dict[str, Any]) -> None:
    short = read(body)
    with pytest.MonkeyPatch.context() as patch:
        for function in ("message", "block", "tool"):
            patch.setattr(glance, function, lambda _: None)
        long = read(body)
    assert short == long


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=3), MORE)
def test_a_glance_reads_what_the_long_way_does(messages: list[dict[str, Any]], more: dict[str, Any]) -> None:
    check({"model": "m", "messages": messages, **more})


@cases("exchange", ALL, ids=name)
def test_it_does_for_what_was_recorded(exchange: Converse) -> None:
    check(exchange.request)


def test_most_is_read_at_a_glance() -> None:
    body = msgspec.json.decode(request("bedrock"))
    assert None not in [glance.message(message) for message in body["messages"]]
    assert [tool.name for tool in map(glance.tool, body["toolConfig"]["tools"]) if tool] == ["look_up", "send"]
