"""What Anthropic's dialect has words for besides the common: tools that it runs itself, and the signatures of other makers."""

import copy
from typing import Any

import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Cache,
    Choice,
    Citation,
    Conversation,
    Finish,
    Message,
    Reasoning,
    ReasoningDelta,
    Seal,
    SignatureDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    Tool,
    ToolCall,
)
from extproc.dialects.seals import packed
from tests.dialects import sdk
from tests.dialects.traffic import data

ANTHROPIC = DIALECTS["anthropic"]
GOOGLE = "google-gemini-v1"
USER = {"role": "user", "content": "Hi"}


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [USER], **fields}


SERVER = {"type": "url", "name": "wiki", "url": "https://mcp.test/mcp", "authorization_token": "t"}
OTHER = {"type": "url", "name": "docs", "url": "https://docs.test/mcp", "tool_configuration": {"enabled": True, "allowed_tools": ["a"]}}
TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "wiki", "default_config": {"enabled": False}, "configs": {"b": {"enabled": True}}}
WHERE = {"type": "approximate", "city": "Bern", "country": "CH"}

REQUESTS: dict[str, dict[str, Any]] = {
    "search": asked(
        tools=[
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 2,
                "user_location": WHERE,
                "cache_control": {"type": "ephemeral"},
            }
        ]
    ),
    "fetch": asked(
        tools=[{"type": "web_fetch_20260209", "name": "web_fetch", "allowed_domains": ["x.test"], "citations": {"enabled": True}}]
    ),
    "code": asked(tools=[{"type": "code_execution_20250825", "name": "code_execution"}], container="c1"),
    "memory": asked(tools=[{"type": "memory_20250818", "name": "memory"}]),
    "servers": asked(mcp_servers=[SERVER, OTHER], tools=[TOOLSET, {"name": "f", "input_schema": {}}]),
    "servers-turned-round": asked(mcp_servers=[OTHER, SERVER], tools=[{"name": "f", "input_schema": {}}, TOOLSET]),
    "servers-alone": asked(mcp_servers=[OTHER]),
    "servers-and-no-tools": asked(mcp_servers=[OTHER], tools=[]),
    "no-servers": asked(mcp_servers=[], tools=[TOOLSET]),
    "servers-of-one-name": asked(mcp_servers=[SERVER, SERVER]),
    "toolset-twice": asked(mcp_servers=[SERVER], tools=[TOOLSET, TOOLSET]),
    "odd-servers": asked(mcp_servers=[1]),
    "display": asked(thinking={"type": "adaptive", "display": "summarized"}),
    "no-display": asked(thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"}),
    "new-display": asked(thinking={"type": "adaptive", "display": "of_tomorrow"}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_comes_back_as_it_was(name: str) -> None:
    before = copy.deepcopy(REQUESTS[name])
    conversation = ANTHROPIC.read_request(REQUESTS[name])
    assert ANTHROPIC.write_request(conversation, "m") == before
    assert conversation.dropped == []
    assert REQUESTS[name] == before


def tools(name: str) -> list[Tool]:
    return ANTHROPIC.read_request(REQUESTS[name]).tools or []


def test_tools_that_anthropic_runs() -> None:
    (search,) = tools("search")
    assert (search.server, search.settings) == ("web_search", {"max_uses": 2, "user_location": {"city": "Bern", "country": "CH"}})
    (fetch,) = tools("fetch")
    assert (fetch.server, fetch.settings, fetch.extra) == ("web_fetch", {"allowed_domains": ["x.test"]}, {"citations": {"enabled": True}})
    assert [tool.server for tool in tools("code")] == ["code_execution"]
    assert [tool.server for tool in tools("memory")] == [""]
    wiki, _, docs = tools("servers")
    assert (wiki.server, wiki.settings["token"], docs.settings) == (
        "mcp",
        "t",
        {"label": "docs", "url": "https://docs.test/mcp", "allowed": ["a"]},
    )


def other(*tools: Tool, **fields: Any) -> Conversation:
    return Conversation(
        dialect="other", model="m", messages=[Message(role="user", blocks=[Text("Hi")])], tools=list(tools) or None, **fields
    )


def test_tools_of_others_that_anthropic_runs() -> None:
    where = {"city": "Bern"}
    settings = {"allowed_domains": ["a.test"], "blocked_domains": ["b.test"], "max_uses": 3, "user_location": where}
    conversation = other(Tool(server="web_search", settings=settings), Tool(server="web_fetch", settings={"user_location": where}))
    body = ANTHROPIC.write_request(conversation, "claude-sonnet-4-5")
    assert body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.test"],
            "max_uses": 3,
            "user_location": {"type": "approximate", "city": "Bern"},
        },
        {"type": "web_fetch_20250910", "name": "web_fetch"},
    ]
    assert conversation.dropped == ["tools[].blocked_domains", "tools[].user_location"]
    assert conversation.headers == {}


def test_servers_of_others() -> None:
    conversation = other(
        Tool(server="mcp", settings={"label": "wiki", "url": "https://mcp.test/mcp", "token": "t", "allowed": ["b"]}),
        Tool(server="mcp", settings={"label": "connector"}),
        Tool(server="image_generation"),
    )
    body = ANTHROPIC.write_request(conversation, "claude-sonnet-4-5")
    assert (body["mcp_servers"], body["tools"]) == ([SERVER], [TOOLSET])
    assert conversation.headers == {"anthropic-beta": "mcp-client-2025-11-20"}
    assert conversation.dropped == ["tools[].mcp", "tools[].image_generation"]


@pytest.mark.parametrize(
    ("model", "thinking", "written", "dropped"),
    [
        ("claude-opus-4-6", Thinking(budget=5000), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, []),
        ("claude-opus-4-6", Thinking(mode="enabled"), {"thinking": {"type": "adaptive"}}, []),
        ("claude-opus-4-6", Thinking(mode="disabled", effort="high"), {}, []),
        (
            "claude-opus-4-6",
            Thinking(effort="max", summary="concise"),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
            [],
        ),
        ("claude-sonnet-4-5", Thinking(budget=3000), {"thinking": {"type": "enabled", "budget_tokens": 3000}}, []),
        ("claude-sonnet-4-5", Thinking(budget=10), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, []),
        ("claude-sonnet-4-5", Thinking(budget=0), {}, []),
        ("claude-3-5-haiku-latest", Thinking(budget=3000), {}, ["thinking.budget"]),
        ("claude-3-5-haiku-latest", Thinking(summary="auto"), {}, []),
    ],
)
def test_how_much_to_think(model: str, thinking: Thinking, written: dict[str, Any], dropped: list[str]) -> None:
    conversation = other(thinking=thinking, max_tokens=8000)
    body = ANTHROPIC.write_request(conversation, model)
    assert {field: body[field] for field in ("thinking", "output_config") if field in body} == written
    assert conversation.dropped == dropped


FOREIGN: list[Any] = [
    Reasoning("Hm.", "c2ln", origin="openai-responses-v1"),
    Reasoning(redacted="c2VjcmV0", origin="openai-responses-v1"),
    Reasoning("Nobody signs this."),
    Text("x", seal=Seal("dGV4dA", GOOGLE)),
    ToolCall("c", "f", "{}", seal=Seal("Y2FsbA", GOOGLE)),
]


def back(content: Any) -> list[Any]:
    """What a client sends back of what it was given."""
    return ANTHROPIC.read_request(asked(messages=[USER, {"role": "assistant", "content": content}])).messages[1].blocks


def check(blocks: list[Any]) -> None:
    reasoning = [(b.text, b.signature, b.redacted, b.origin) for b in blocks if type(b) is Reasoning]
    assert reasoning == [
        ("Hm.", "c2ln", "", "openai-responses-v1"),
        ("", "", "c2VjcmV0", "openai-responses-v1"),
        ("Nobody signs this.", "", "", ""),
    ]
    assert [(type(b), b.seal.value, b.seal.origin) for b in blocks if b.seal] == [(Text, "dGV4dA", GOOGLE), (ToolCall, "Y2FsbA", GOOGLE)]
    assert len(blocks) == len(FOREIGN)


def test_what_others_signed_goes_to_a_client_and_comes_back() -> None:
    written = ANTHROPIC.write_answer(Answer(dialect="other", id="m1", model="m", choices=[Choice(blocks=FOREIGN)]))
    sdk.anthropic_answer(written)
    kinds = [block["type"] for block in written["content"]]
    assert kinds == ["thinking", "redacted_thinking", "thinking", "redacted_thinking", "text", "redacted_thinking", "tool_use"]
    check(back(written["content"]))


def test_what_others_signed_goes_through_a_stream_and_comes_back() -> None:
    events: list[StreamEvent] = [
        Start(id="m1", model="m", dialect="other"),
        BlockStart(0, Reasoning()),
        ReasoningDelta(0, "Hm."),
        SignatureDelta(0, "c2ln", "openai-responses-v1"),
        BlockStop(0),
        BlockStart(1, Reasoning(redacted="c2VjcmV0", origin="openai-responses-v1")),
        BlockStop(1),
        BlockStart(2, Reasoning()),
        ReasoningDelta(2, "Nobody signs this."),
        BlockStop(2),
        BlockStart(3, Text("")),
        TextDelta(3, "x"),
        SignatureDelta(3, "dGV4dA", GOOGLE),
        BlockStop(3),
        BlockStart(4, ToolCall("c", "f", "", seal=Seal("Y2FsbA", GOOGLE))),
        ArgumentsDelta(4, "{}"),
        BlockStop(4),
        Stop(reason=StopReason.TOOL),
        Finish(),
    ]
    writer = ANTHROPIC.stream_writer(include_usage=True)
    stream = b"".join(writer.write(event) for event in events)
    message, _ = sdk.anthropic_stream(stream)
    starts = [event["index"] for event in data(stream) if event["type"] == "content_block_start"]
    assert starts == list(range(7))
    check(back([block.model_dump(exclude_unset=True) for block in message.content]))


def test_what_others_signed_is_not_for_anthropic() -> None:
    given = ANTHROPIC.write_answer(Answer(dialect="other", id="m1", model="m", choices=[Choice(blocks=FOREIGN)]))["content"]
    own = {"type": "thinking", "thinking": "Mine.", "signature": "sig"}
    body = asked(messages=[USER, {"role": "assistant", "content": [own, *given]}, USER, {"role": "assistant", "content": given[:1]}, USER])
    conversation = ANTHROPIC.read_request(body)
    written = ANTHROPIC.write_request(conversation, "m")
    assert [block["type"] for block in written["messages"][1]["content"]] == ["thinking", "text", "tool_use"]
    assert written["messages"][1]["content"][0] == own
    assert len(written["messages"]) == len(body["messages"]) - 1, "nothing is left of a message that held no more"
    assert not packed(str(written).encode())
    assert conversation.dropped == ["messages[].content[].thinking", "messages[].content[].redacted_thinking"]


def test_markers_on_tools_and_what_was_cited_before() -> None:
    cited = Text("As said.", [Citation(url="https://x.test")])
    conversation = Conversation(
        dialect="hub",
        model="m",
        messages=[
            Message(role="user", blocks=[Text("Hi")]),
            Message(role="assistant", blocks=[cited]),
            Message(role="user", blocks=[Text("Go")]),
        ],
        tools=[Tool(name=name, cache=Cache("1h")) for name in "abcde"],
    )
    body = ANTHROPIC.write_request(conversation, "claude-sonnet-4-5")
    assert [tool.get("cache_control") for tool in body["tools"]] == [{"type": "ephemeral", "ttl": "1h"}] * 4 + [None]
    assert conversation.dropped == ["blocks[].citations", "tools[].cache"]
