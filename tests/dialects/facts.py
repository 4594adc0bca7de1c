"""What a conversation or an answer says, as single facts with the hub's names: for finding out what was lost on a way."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from extproc.dialects.hub import (
    Answer,
    Audio,
    Block,
    Citation,
    Conversation,
    Document,
    Image,
    Message,
    Question,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from extproc.usage import Usage


class Fact(NamedTuple):
    """One thing that was said."""

    name: str
    """What the hub calls it: what a writer that cannot say it names."""
    where: str
    """Who says it: `system` (instructions, wherever they stand), `user`, `assistant`, the result of a call; or the number of a choice."""
    value: Any


ROLES = {"developer": "system", "tool": "user"}


def of_conversation(conversation: Conversation) -> Iterator[Fact]:
    """All that a request says."""
    for message in _messages(conversation):
        where = ROLES.get(message.role, message.role)
        for block in message.blocks:
            yield from of_block(block, where)
    for tool in conversation.tools or ():
        yield from _tool(tool)
    yield from _settings(conversation)


def _messages(conversation: Conversation) -> list[Message]:
    return ([conversation.system] if conversation.system else []) + conversation.messages


def of_block(block: Block, where: str) -> Iterator[Fact]:
    """What one block says, and what hangs on it."""
    match block:
        case Text():
            if block.text.strip():
                yield Fact("blocks[].text", where, block.text)
            for citation in block.citations:
                yield Fact("blocks[].citations", where, _cited(citation))
            for one in block.logprobs or ():
                yield Fact("blocks[].logprobs", where, (one.token, one.logprob))
        case Refusal():
            yield Fact("blocks[].refusal", where, block.text)
        case Image():
            yield Fact("blocks[].image", where, block.data or block.url)
            if block.detail not in ("", "auto"):
                yield Fact("blocks[].detail", where, block.detail)
        case Document():
            yield Fact("blocks[].document", where, block.data or block.url or block.text)
        case Audio():
            yield Fact("blocks[].audio", where, (block.data, block.format))
        case Video():
            yield Fact("blocks[].video", where, block.data or block.url)
        case Reasoning():
            yield from _reasoned(block, where)
        case ToolCall():
            yield Fact("blocks[].tool_call", where, (block.id, block.name, json.loads(block.arguments or "{}")))
        case ToolResult():
            yield from _result(block)
    if block.cache:
        yield Fact("blocks[].cache", where, block.cache.ttl in ("1h", "12h"))
    if block.seal:
        yield Fact("blocks[].seal", where, (block.seal.value, block.seal.origin))


def _reasoned(block: Reasoning, where: str) -> Iterator[Fact]:
    if block.text:
        yield Fact("blocks[].reasoning", where, block.text)
    if block.signature:
        yield Fact("blocks[].reasoning.signature", where, (block.signature, block.origin))
    if block.redacted:
        yield Fact("blocks[].reasoning.redacted", where, (block.redacted, block.origin))


def _result(result: ToolResult) -> Iterator[Fact]:
    yield Fact("blocks[].tool_result", "user", result.id)
    if result.error:
        yield Fact("blocks[].error", "user", result.id)
    for block in result.blocks:
        yield from of_block(block, result.id)


def _cited(citation: Citation) -> Any:
    return citation.url or citation.title


def _tool(tool: Tool) -> Iterator[Fact]:
    if tool.server:
        yield Fact("tools[].server", "", tool.server)
        return
    yield Fact("tools[].name", "tools", tool.name)
    yield Fact("tools[].schema", tool.name, sorted((tool.schema or {}).get("properties") or {}))
    if tool.description:
        yield Fact("tools[].description", tool.name, tool.description)
    if tool.strict:
        yield Fact("tools[].strict", tool.name, True)
    if tool.cache:
        yield Fact("tools[].cache", tool.name, tool.cache.ttl in ("1h", "12h"))


NEUTRAL: dict[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "n": (1,),
    "logprobs": (False,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
}
"""What asks for as good as nothing."""


def _settings(conversation: Conversation) -> Iterator[Fact]:
    for name in (
        *("temperature", "top_p", "top_k", "max_tokens", "seed", "presence_penalty", "frequency_penalty", "n", "logprobs", "top_logprobs"),
        *("verbosity", "user", "service_tier"),
    ):
        value = getattr(conversation, name)
        if value is not None and value not in NEUTRAL.get(name, ()):
            yield Fact(name, "", value)
    for sequence in conversation.stop or ():
        yield Fact("stop", "", sequence)
    for key, value in (conversation.metadata or {}).items():
        yield Fact(f"metadata.{key}", "", value)
    if conversation.parallel_tool_calls is False and conversation.tools:
        yield Fact("parallel_tool_calls", "", False)
    if conversation.cache:
        yield Fact("cache", "", True)
    choice = conversation.tool_choice
    if choice and choice.mode != "auto":
        yield Fact("tool_choice", "", (choice.mode, choice.name))
    if choice and choice.allowed is not None:
        yield Fact("tool_choice", "allowed", sorted(choice.allowed))
    if conversation.format and conversation.format.kind != "text":
        wanted = conversation.format
        yield Fact("format", "", (wanted.kind, sorted((wanted.schema or {}).get("properties") or {})))
    yield from _thinking(conversation)


def _thinking(conversation: Conversation) -> Iterator[Fact]:
    thinking = conversation.thinking
    if thinking is None:
        return
    if thinking.mode == "disabled" or thinking.effort == "none" or thinking.budget == 0:
        return  # as if nothing were said: most models do not reason unless they are asked to
    yield Fact("thinking", "", "on")
    if thinking.effort:
        yield Fact("thinking.effort", "", thinking.effort)
    if thinking.budget is not None:
        yield Fact("thinking.budget", "", thinking.budget)
    if thinking.summary:
        yield Fact("thinking.summary", "", thinking.summary)


def of_answer(answer: Answer) -> Iterator[Fact]:
    """All that an answer says."""
    for choice in answer.choices:
        where = str(choice.index)
        for block in choice.blocks:
            yield from of_block(block, where)
        yield Fact("choices[].stop", where, choice.stop)
        if choice.stop_sequence:
            yield Fact("choices[].stop_sequence", where, choice.stop_sequence)
    yield Fact("id", "", answer.id)
    yield Fact("model", "", answer.model)
    if answer.service_tier not in NEUTRAL["service_tier"] and answer.service_tier:
        yield Fact("service_tier", "", answer.service_tier)
    yield from of_usage(answer.usage)


def of_usage(usage: Usage | None) -> Iterator[Fact]:
    """Each kind of token that was counted."""
    if usage is not None:
        for name in usage.__struct_fields__:
            if value := getattr(usage, name):
                yield Fact(f"usage.{name}", "", value)


def missing(before: Iterable[Fact], after: Iterable[Fact]) -> list[Fact]:
    """What was said before and is not said any more. Words count as said where they are a part of longer ones."""
    left = list(after)
    lost = []
    for fact in before:
        if fact in left:
            left.remove(fact)
        elif not (isinstance(fact.value, str) and any(_within(fact, other) for other in left)):
            lost.append(fact)
    return lost


SPOKEN = ("blocks[].text", "blocks[].refusal")
"""Words: where a dialect has no refusals, they are words as any others; and pieces of a text may become one."""


def _within(fact: Fact, other: Fact) -> bool:
    return fact.name in SPOKEN and other.name in SPOKEN and fact.where == other.where and fact.value.strip() in other.value


def named(fact: Fact, question: Conversation) -> bool:
    """Whether the client is told that it was lost, in its own words."""
    if fact.name == "tools[].server":
        return any(_told(f"tools[].{tool.kind}", question) for tool in question.tools or () if tool.server == fact.value)
    names = {fact.name, fact.name.replace("blocks[]", "system[]")} if fact.where == "system" else {fact.name}
    return any(_told(name, question) for name in names)


def _told(hub: str, question: Question) -> bool:
    scratch = Question(dialect="hub", model="", words=question.words)
    scratch.drop(hub)
    (name,) = scratch.dropped
    return any(name == told or name.startswith((f"{told}.", f"{told}[")) for told in question.dropped)
