"""What conversations can hold, feature by feature: how the hub says it, and how it is found again on the other side of a dialect."""

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from extproc.dialects import texts
from extproc.dialects.hub import (
    INSTRUCTING,
    Audio,
    Block,
    Cache,
    Conversation,
    Custom,
    Document,
    Format,
    Image,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PDF = base64.b64encode(b"%PDF-1.7\n").decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = Tool(name="weather", description="Tells the weather.", schema=SCHEMA)
CALL = ToolCall("call_1", "weather", '{"city":"Bern"}')
FOUND = Document(text="Words.", name="a", url="https://x.test/a")
SIGNERS = {
    "anthropic": "anthropic-claude-v1",
    "bedrock": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "responses": "openai-responses-v1",
    "openai": "anthropic-claude-v1",
}
"""Whose signed reasoning a provider of a dialect takes back. OpenAI's has no maker of its own; aggregators pass Claude's on in it."""


class Feature(NamedTuple):
    """One thing that a request may ask for."""

    name: str
    make: Callable[[str], Conversation]
    """A conversation with it, of a client of the given dialect."""
    found: Callable[[Conversation], bool]
    """Whether it is there."""


def asked(**fields: object) -> Conversation:
    """A short conversation with something special about it."""
    conversation = Conversation(dialect="hub", model="m", messages=[Message(role="user", blocks=[Text("Hi")])], max_tokens=4000)
    for name, value in fields.items():
        setattr(conversation, name, value)
    return conversation


def holding(*blocks: Block) -> Conversation:
    """A user's message that holds these besides its words."""
    return asked(messages=[Message(role="user", blocks=[Text("Look:"), *blocks])])


def _called(result: ToolResult, *before: Block) -> Conversation:
    """A tool was called, and said something."""
    return asked(
        tools=[WEATHER],
        messages=[
            Message(role="user", blocks=[Text("How is the weather?")]),
            Message(role="assistant", blocks=[*before, CALL]),
            Message(role="tool", blocks=[result]),
        ],
    )


def blocks(conversation: Conversation) -> Iterator[Block]:
    """All blocks, those of tool results too."""
    for message in ([conversation.system] if conversation.system else []) + conversation.messages:
        for block in message.blocks:
            yield block
            if type(block) is ToolResult:
                yield from block.blocks


def has(kind: type[Block], check: Callable[..., bool] = lambda block: True) -> Callable[[Conversation], bool]:
    """Some block of that kind passes the check."""
    return lambda conversation: any(type(block) is kind and check(block) for block in blocks(conversation))


def field(name: str, value: object) -> Feature:
    """A field of the conversation with that value."""
    return Feature(name, lambda client: asked(**{name: value}), lambda conversation: getattr(conversation, name) == value)


def _choice(mode: str, name: str = "", allowed: list[str] | None = None) -> Callable[[str], Conversation]:
    return lambda client: asked(tools=[WEATHER], tool_choice=ToolChoice(mode=mode, name=name, allowed=allowed))


def _chosen(mode: str) -> Callable[[Conversation], bool]:
    return lambda conversation: (conversation.tool_choice or ToolChoice(mode="auto")).mode == mode


def _words(role: str) -> Callable[[Conversation], bool]:
    """Instructions are found where the other dialect has them: outside the messages, or as one of either role."""

    def found(conversation: Conversation) -> bool:
        places = [message for message in conversation.messages if message.role in ("system", "developer")]
        places += [conversation.system] if conversation.system else []
        return any(type(block) is Text and role in block.text for place in places for block in place.blocks)

    return found


_TURN = [Message(role="user", blocks=[Text("Hello.")]), Message(role="assistant", blocks=[Text("Hello.")])]


def _after_a_turn(words: str) -> Callable[[Conversation], bool]:
    """Instructions are found behind the assistant's turn: what came before is not meant."""

    def found(conversation: Conversation) -> bool:
        roles = [message.role for message in conversation.messages]
        later = conversation.messages[roles.index("assistant") :] if "assistant" in roles else []
        late = [message for message in later if message.role in INSTRUCTING]
        return any(type(block) is Text and block.text == words for message in late for block in message.blocks)

    return found


def _signed(client: str) -> Conversation:
    thought = Reasoning("Let me look.", "c2lnbmVk", origin=SIGNERS.get(client, "anthropic-claude-v1"))
    return _called(ToolResult("call_1", [Text("Sunny.")]), thought)


def _of_another(client: str) -> Conversation:
    return _called(ToolResult("call_1", [Text("Sunny.")]), Reasoning("Let me look.", "c2lnbmVk", origin="somebody-else-v1"))


def _sealed(client: str) -> Conversation:
    conversation = _called(ToolResult("call_1", [Text("Sunny.")]))
    for block in blocks(conversation):
        if type(block) is ToolCall:
            block.seal = Seal("c2lnbmVk", "google-gemini-v1")
    return conversation


def _server(name: str) -> Feature:
    def found(conversation: Conversation) -> bool:
        return any(tool.server == name for tool in conversation.tools or ())

    where = {"label": "wiki", "url": "https://mcp.test/mcp"} if name == "mcp" else {}
    return Feature(f"server-side tool `{name}`", lambda client: asked(tools=[Tool(name=name, server=name, settings=where)]), found)


def _custom(custom: Custom) -> Conversation:
    return asked(tools=[texts.tool("calculate", "Calculates.", custom)])


def _said_to_custom(client: str) -> Conversation:
    """A tool that takes a text was called, and said something."""
    call = ToolCall("call_1", "calculate", texts.arguments("1 + 1"), custom=True)
    messages = [
        *asked().messages,
        Message(role="assistant", blocks=[call]),
        Message(role="tool", blocks=[ToolResult("call_1", [Text("2")])]),
    ]
    return asked(tools=_custom(Custom()).tools, messages=messages)


def _thinks(conversation: Conversation) -> bool:
    thinking = conversation.thinking
    return thinking is not None and bool(thinking.effort or thinking.budget or thinking.mode in ("adaptive", "enabled"))


def _format(kind: str) -> Callable[[Conversation], bool]:
    return lambda conversation: conversation.format is not None and conversation.format.kind == kind


def _bare(client: str) -> Conversation:
    """Nothing special: what the hub has no word for is in `GIVEN`."""
    return asked()


def _paired(conversation: Conversation) -> bool:
    """A call and its result have found each other."""
    calls = [block.id for block in blocks(conversation) if type(block) is ToolCall]
    return bool(calls) and calls == [block.id for block in blocks(conversation) if type(block) is ToolResult]


FEATURES = [
    Feature("text", lambda client: asked(), has(Text, lambda block: block.text == "Hi")),
    Feature("system message", lambda client: asked(system=Message(role="system", blocks=[Text("As the system says.")])), _words("system")),
    Feature(
        "developer message",
        lambda client: asked(messages=[Message(role="developer", blocks=[Text("developer")]), *asked().messages]),
        _words("developer"),
    ),
    Feature(
        "late system message",
        lambda client: asked(messages=[*_TURN, Message(role="system", blocks=[Text("As of now.")]), *asked().messages]),
        _after_a_turn("As of now."),
    ),
    Feature(
        "late developer message",
        lambda client: asked(messages=[*_TURN, *asked().messages, Message(role="developer", blocks=[Text("As of now.")])]),
        _after_a_turn("As of now."),
    ),
    Feature("image, inline", lambda client: holding(Image(media_type="image/png", data=PICTURE)), has(Image, lambda i: i.data == PICTURE)),
    Feature("image by URL", lambda client: holding(Image(url="https://x.test/a.png")), has(Image, lambda i: i.url.endswith("a.png"))),
    Feature(
        "document, inline",
        lambda client: holding(Document(media_type="application/pdf", data=PDF, name="a.pdf")),
        has(Document, lambda d: d.data == PDF),
    ),
    Feature("document by URL", lambda client: holding(Document(url="https://x.test/a.pdf")), has(Document, lambda d: bool(d.url))),
    Feature("document as text", lambda client: holding(Document(text="Words.", name="a")), has(Document, lambda d: d.text == "Words.")),
    Feature("search result", lambda client: holding(FOUND), has(Document, lambda d: d.text == "Words." and bool(d.url))),
    Feature(
        "search result that is to be cited",
        lambda client: holding(Document(text="Words.", name="a", url="https://x.test/a", cited=True)),
        has(Document, lambda d: bool(d.url) and d.cited),
    ),
    Feature("audio", lambda client: holding(Audio(PICTURE, "wav")), has(Audio)),
    Feature("video, inline", lambda client: holding(Video(media_type="video/mp4", data=PICTURE)), has(Video)),
    Feature("tools", lambda client: asked(tools=[WEATHER]), lambda c: any(tool.name == "weather" for tool in c.tools or ())),
    Feature(
        "strict tools",
        lambda client: asked(tools=[Tool(name="weather", schema=SCHEMA, strict=True)]),
        lambda c: any(tool.strict for tool in c.tools or ()),
    ),
    Feature("tool choice: none", _choice("none"), _chosen("none")),
    Feature("tool choice: any", _choice("required"), _chosen("required")),
    Feature("tool choice: this one", _choice("tool", "weather"), _chosen("tool")),
    Feature(
        "no parallel calls",
        lambda client: asked(tools=[WEATHER], parallel_tool_calls=False),
        lambda c: c.parallel_tool_calls is False,
    ),
    Feature("tool call", lambda client: _called(ToolResult("call_1", [Text("Sunny.")])), has(ToolCall, lambda c: c.name == "weather")),
    Feature("tool result", lambda client: _called(ToolResult("call_1", [Text("Sunny.")])), has(ToolResult)),
    Feature(
        "tool result: failed", lambda client: _called(ToolResult("call_1", [Text("No.")], True)), has(ToolResult, lambda r: bool(r.error))
    ),
    Feature(
        "tool result: image",
        lambda client: _called(ToolResult("call_1", [Image(media_type="image/png", data=PICTURE)])),
        has(Image, lambda i: i.data == PICTURE),
    ),
    Feature(
        "tool result: search result",
        lambda client: _called(ToolResult("call_1", [FOUND])),
        lambda c: any(type(b) is Document and bool(b.url) for one in blocks(c) if type(one) is ToolResult for b in one.blocks),
    ),
    Feature("legacy functions", _bare, lambda c: any(tool.name == "weather" for tool in c.tools or ())),
    Feature("legacy functions: choice of this one", _bare, lambda c: (c.tool_choice or ToolChoice(mode="auto")).mode == "tool"),
    Feature("legacy functions: call and result", _bare, _paired),
    Feature("custom tool", lambda client: _custom(Custom()), lambda c: any(tool.custom for tool in c.tools or ())),
    Feature(
        "custom tool: grammar",
        lambda client: _custom(Custom(syntax="lark", definition="start: /a/")),
        lambda c: any(tool.custom and tool.custom.definition for tool in c.tools or ()),
    ),
    Feature("custom tool: call", _said_to_custom, has(ToolCall, lambda call: call.custom)),
    _server("web_search"),
    _server("web_fetch"),
    _server("code_execution"),
    _server("mcp"),
    Feature(
        "JSON schema",
        lambda client: asked(format=Format(kind="json_schema", schema=SCHEMA, name="place", strict=True)),
        _format("json_schema"),
    ),
    Feature("JSON object", lambda client: asked(format=Format(kind="json_object")), _format("json_object")),
    Feature("reasoning: effort", lambda client: asked(thinking=Thinking(effort="high")), _thinks),
    Feature("reasoning: budget", lambda client: asked(thinking=Thinking(mode="enabled", budget=2000)), _thinks),
    Feature("reasoning signed by its maker", _signed, has(Reasoning, lambda r: r.signature == "c2lnbmVk" or r.redacted == "c2lnbmVk")),
    Feature("reasoning of another maker", _of_another, has(Reasoning, lambda r: r.origin == "somebody-else-v1")),
    Feature("signature on a tool call", _sealed, has(ToolCall, lambda c: c.seal is not None and c.seal.value == "c2lnbmVk")),
    Feature(
        "refusal",
        lambda client: asked(messages=[*asked().messages, Message(role="assistant", blocks=[Refusal("No.")]), *asked().messages]),
        lambda c: any(type(block) in (Refusal, Text) and getattr(block, "text", "") == "No." for block in blocks(c)),
    ),
    Feature(
        "prompt-cache marker",
        lambda client: asked(messages=[Message(role="user", blocks=[Text("Hi", cache=Cache("", {}))])]),
        lambda c: any(block.cache for block in blocks(c)),
    ),
    Feature("prompt-cache key", _bare, lambda c: c.extra.get("prompt_cache_key") == "key"),
    Feature(
        "uploaded file, by its id",
        _bare,
        lambda c: any("file_1" in str(block.value if type(block) is Opaque else getattr(block, "url", "")) for block in blocks(c)),
    ),
    Feature("stored prompt", _bare, lambda c: "prompt" in c.extra),
    field("temperature", 0.5),
    field("top_p", 0.5),
    field("top_k", 5),
    field("stop", ["END"]),
    field("seed", 7),
    field("presence_penalty", 0.5),
    field("frequency_penalty", 0.5),
    Feature("logit_bias", _bare, lambda c: bool(c.extra.get("logit_bias"))),
    field("n", 2),
    Feature("logprobs", lambda client: asked(logprobs=True, top_logprobs=2), lambda c: c.logprobs is True or bool(c.top_logprobs)),
    field("verbosity", "low"),
    field("max_tokens", 4000),
    Feature("safety settings", lambda client: asked(), lambda c: bool(c.extra.get("safetySettings"))),
    field("user", "user-1"),
    field("metadata", {"team": "blue"}),
    field("service_tier", "priority"),
]


def _thought(entry: dict[str, Any]) -> dict[str, Any]:
    """A request of OpenAI's with reasoning that its client was given."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    return {
        "messages": [
            {"role": "user", "content": "How is the weather?"},
            {"role": "assistant", "reasoning_details": [{"type": "reasoning.text", "text": "Let me look.", **entry}], "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
        ]
    }


_FUNCTION: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hi"}],
    "functions": [{"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}],
}

GIVEN: dict[tuple[str, str], dict[str, Any]] = {
    ("logit_bias", "openai"): {"messages": [{"role": "user", "content": "Hi"}], "logit_bias": {"50256": -100}},
    ("prompt-cache key", "openai"): {"messages": [{"role": "user", "content": "Hi"}], "prompt_cache_key": "key"},
    ("prompt-cache key", "responses"): {"input": "Hi", "prompt_cache_key": "key"},
    ("uploaded file, by its id", "openai"): {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "file", "file": {"file_id": "file_1"}}]}]
    },
    ("uploaded file, by its id", "responses"): {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Look:"}, {"type": "input_file", "file_id": "file_1"}]}]
    },
    ("uploaded file, by its id", "anthropic"): {
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Look:"}, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}],
            }
        ],
    },
    ("stored prompt", "responses"): {"input": "Hi", "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Bern"}}},
    ("legacy functions", "openai"): _FUNCTION,
    ("legacy functions: choice of this one", "openai"): {**_FUNCTION, "function_call": {"name": "weather"}},
    ("legacy functions: call and result", "openai"): {
        **_FUNCTION,
        "messages": [
            *_FUNCTION["messages"],
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": '{"city":"Bern"}'}},
            {"role": "function", "name": "weather", "content": "Sunny."},
        ],
    },
    ("safety settings", "gemini"): {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
    },
    ("metadata", "openai"): {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"team": "blue"}, "store": True},
    ("reasoning signed by its maker", "openai"): _thought({"signature": "c2lnbmVk", "format": "anthropic-claude-v1"}),
    ("reasoning of another maker", "openai"): _thought({"signature": "c2lnbmVk", "format": "somebody-else-v1"}),
}
"""Requests of a dialect's clients that its own writer never makes of another's: what clients were given with an answer and send back,
which is for its maker alone; what asks for more than the other client has asked for; or what the hub has no word for.
"""
