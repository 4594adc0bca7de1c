"""What both dialects can say survives the way to the other one and back; what a dialect alone can say survives its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import Reject
from extproc.dialects import DIALECTS

OPENAI, ANTHROPIC = DIALECTS["openai"], DIALECTS["anthropic"]
MODEL = "claude-sonnet-4-5"

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and text.strip()
)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
ARGUMENTS = st.dictionaries(NAMES, st.integers(-(2**53), 2**53) | st.booleans() | st.none() | WORDS, max_size=3)
IMAGES = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="])
SCHEMAS = st.dictionaries(NAMES, st.sampled_from([{"type": "string"}, {"type": "integer"}]), max_size=3).map(
    lambda properties: {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}
)
TOOLS: st.SearchStrategy[Any] = st.lists(st.tuples(NAMES, WORDS, SCHEMAS), max_size=2, unique_by=lambda tool: tool[0])
CACHE = st.none() | st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])


def maybe(draw: Callable[[st.SearchStrategy[Any]], Any], body: dict[str, Any], **fields: st.SearchStrategy[Any]) -> dict[str, Any]:
    for name, values in fields.items():
        if draw(st.booleans()):
            body[name] = draw(values)
    return body


@st.composite
def user_content(draw: st.DrawFn) -> Any:
    text: dict[str, Any] = {"type": "text", "text": draw(WORDS)}
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": draw(IMAGES)}}
    contents: list[Any] = [text["text"], [text, image], [image]]
    return draw(st.sampled_from(contents))


@st.composite
def openai_requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests in the part of OpenAI's dialect that Anthropic's has as well, written as the writer writes it."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(WORDS)})
    tools = draw(TOOLS)
    identifiers = iter(range(100))
    for _ in range(draw(st.integers(0, 3))):
        messages.append({"role": "user", "content": draw(user_content())})
        reply: dict[str, Any] = {"role": "assistant", "content": draw(WORDS)}
        results = []
        if tools and draw(st.booleans()):
            reply["tool_calls"] = []
            for name, *_ in tools:
                identifier = f"call_{next(identifiers)}"
                arguments = json.dumps(draw(ARGUMENTS), separators=(",", ":"), ensure_ascii=False)
                reply["tool_calls"].append({"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}})
                results.append({"role": "tool", "tool_call_id": identifier, "content": draw(WORDS)})
            if draw(st.booleans()):
                reply["content"] = None
        messages += [reply, *results]
        if results:
            messages.append({"role": "assistant", "content": draw(WORDS)})
    messages.append({"role": "user", "content": draw(user_content())})
    body: dict[str, Any] = {"model": "m", "messages": messages, "max_tokens": draw(st.integers(1, 9999))}
    if tools:
        functions = [{"name": name, "description": text, "parameters": schema} for name, text, schema in tools]
        body["tools"] = [{"type": "function", "function": function} for function in functions]
        named = {"type": "function", "function": {"name": tools[0][0]}}
        body["tool_choice"] = draw(st.sampled_from(["auto", "required", named]))
        maybe(draw, body, parallel_tool_calls=st.booleans())
    return maybe(draw, body, temperature=st.floats(0, 1), stop=st.lists(WORDS, min_size=1, max_size=4), user=WORDS)


@settings(deadline=None)
@given(openai_requests())
def test_there_and_back(body: dict[str, Any]) -> None:
    there = OPENAI.read_request(body)
    written = ANTHROPIC.write_request(there, MODEL)
    assert there.dropped == []
    back = ANTHROPIC.read_request(json.loads(json.dumps(written)))
    assert OPENAI.write_request(back, "m") == body
    assert back.dropped == []


@settings(deadline=None)
@given(openai_requests())
def test_at_home(body: dict[str, Any]) -> None:
    conversation = OPENAI.read_request(body)
    assert OPENAI.write_request(conversation, "m") == body
    written = ANTHROPIC.write_request(OPENAI.read_request(body), MODEL)
    assert ANTHROPIC.write_request(ANTHROPIC.read_request(written), MODEL) == written


BLOCK_EXTRAS = st.dictionaries(st.sampled_from(["x_new", "y_new"]), st.integers() | WORDS, max_size=2)


@st.composite
def anthropic_requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests with whatever Anthropic's dialect alone has, unknown fields and blocks too."""

    def dressed(block: dict[str, Any]) -> dict[str, Any]:
        cache = draw(CACHE)
        return {**draw(BLOCK_EXTRAS), **block, **({"cache_control": cache} if cache else {})}

    blocks: list[dict[str, Any]] = [
        {"type": "text", "text": draw(WORDS)},
        {"type": "tool_use", "id": "t1", "name": "f", "input": draw(ARGUMENTS)},
        {"type": "tool_result", "tool_use_id": "t1", "content": draw(WORDS), "is_error": draw(st.booleans())},
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [dressed({"type": "text", "text": "a"}), {"type": "tool_reference", "tool_name": "f"}],
        },
        {"type": "tool_result", "tool_use_id": "t1"},
        {"type": "thinking", "thinking": draw(WORDS), "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
            "title": "t",
            "citations": {"enabled": True},
        },
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "of_tomorrow", "anything": [1]},
    ]
    content = [dressed(block) for block in draw(st.lists(st.sampled_from(blocks), max_size=5))]
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 1,
        "messages": [{"role": "user", "content": content}, {"role": "system", "content": "x"}],
    }
    return maybe(
        draw,
        body,
        system=st.just([dressed({"type": "text", "text": "s"})]) | WORDS,
        thinking=st.sampled_from(
            [{"type": "adaptive", "display": "omitted"}, {"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}]
        ),
        output_config=st.sampled_from(
            [{"effort": "low"}, {"format": {"type": "json_schema", "schema": {}}}, {"task_budget": {"total": 1}}]
        ),
        output_format=st.just({"type": "json_schema", "schema": {}}),
        tool_choice=st.sampled_from(
            [{"type": "any", "disable_parallel_tool_use": True}, {"type": "none"}, {"type": "of_tomorrow", "x": 1}]
        ),
        tools=st.just([dressed({"name": "f", "input_schema": {}, "strict": False}), {"type": "bash_20250124", "name": "bash"}]),
        cache_control=st.just({"type": "ephemeral"}),
        metadata=st.sampled_from([{"user_id": "u"}, {}, {"user_id": None, "x": 1}]),
        service_tier=st.sampled_from(["auto", "standard_only", "of_tomorrow"]),
        stop_sequences=st.lists(WORDS, max_size=2),
        container=st.just("c"),
        top_k=st.integers(0, 5),
    )


@settings(deadline=None)
@given(anthropic_requests())
def test_nothing_is_lost_in_anthropics_own_dialect(body: dict[str, Any]) -> None:
    conversation = ANTHROPIC.read_request(body)
    assert ANTHROPIC.write_request(conversation, "m") == body
    assert conversation.dropped == []


@settings(deadline=None)
@given(anthropic_requests())
def test_what_openai_cannot_say_is_named(body: dict[str, Any]) -> None:
    said = {"role": "user", "content": "Hello."}
    conversation = ANTHROPIC.read_request({**body, "messages": [*body["messages"], said]})
    OPENAI.write_request(conversation, "gpt-5")
    kinds = {block["type"] for block in body["messages"][0]["content"]}
    for kind in ("of_tomorrow", "image"):
        assert (f"messages[].content[].{kind}" in conversation.dropped) == (kind in kinds)
    for block in body["messages"][0]["content"]:
        if block["type"] in ("text", "document") and block.get("x_new"):
            assert "messages[].content[].x_new" in conversation.dropped
    assert ("container" in conversation.dropped) == ("container" in body)


@pytest.mark.parametrize(("setting", "value"), [("user_location", True), ("allowed_domains", "a.test"), ("max_uses", "many")])
def test_a_setting_of_a_served_tool_has_its_type(setting: str, value: object) -> None:
    body = {"model": "m", "max_tokens": 1, "messages": [], "tools": [{"type": "web_search_20250305", "name": "web_search", setting: value}]}
    with pytest.raises(Reject) as caught:
        ANTHROPIC.read_request(body)
    assert caught.value.fault.param == f"tools[0].{setting}"
