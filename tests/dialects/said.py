"""What was said, by whomever it is told: for comparing an answer in one dialect with the same in another."""

import json
from typing import Any

from anthropic.types import Message
from msgspec import Struct
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from extproc.dialects.hub import (
    Answer,
    ArgumentsDelta,
    Block,
    BlockStart,
    Conversation,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    Used,
)
from extproc.usage import Usage

LENGTH = (StopReason.LENGTH, StopReason.CONTEXT)


class Said(Struct):
    """One answer."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = []
    cut: bool = False
    """It stopped because it was long enough."""
    input: int = 0
    output: int = 0

    def but(self, *names: str) -> "Said":
        """Without what a dialect has no words for."""
        for name in names:
            setattr(self, name, getattr(Said(), name))
        return self


def asked(conversation: Conversation) -> list[str]:
    """What stands in a request: its texts, as they are written in JSON."""
    messages = [conversation.system, *conversation.messages] if conversation.system else conversation.messages
    texts = [block.text for message in messages for block in message.blocks if isinstance(block, Text)]
    return [json.dumps(text, ensure_ascii=False)[1:-1] for text in texts]


def _usage(said: Said, usage: Usage | None) -> None:
    if usage is not None:
        said.input, said.output = usage.input, usage.output


def _block(said: Said, block: Block) -> None:
    match block:
        case Text() | Refusal():
            said.text += block.text
        case Reasoning():
            said.reasoning += block.text
        case ToolCall():
            said.calls.append((block.name, block.arguments))


def by_answer(answer: Answer) -> Said:
    """The first choice of the hub's."""
    said = Said(cut=answer.choices[0].stop in LENGTH)
    for block in answer.choices[0].blocks:
        _block(said, block)
    _usage(said, answer.usage)
    said.calls = [(name, json.loads(text or "{}")) for name, text in said.calls]
    return said


def by_events(events: list[StreamEvent]) -> Said:
    """The first choice of the hub's."""
    said = Said()
    blocks: dict[int, Said] = {}
    for event in events:
        match event:
            case BlockStart() if not event.choice:
                blocks[event.index] = Said()
                _block(blocks[event.index], event.block)
            case TextDelta() if event.index in blocks:
                blocks[event.index].text += event.text
            case ReasoningDelta() if event.index in blocks:
                blocks[event.index].reasoning += event.text
            case ArgumentsDelta() if event.index in blocks and blocks[event.index].calls:
                name, text = blocks[event.index].calls[0]
                blocks[event.index].calls[0] = (name, text + event.text)
            case Stop() if not event.choice:
                said.cut = event.reason in LENGTH
            case Start() | Used():
                _usage(said, event.usage)
    for one in blocks.values():
        said.text += one.text
        said.reasoning += one.reasoning
        said.calls += [(name, json.loads(text or "{}")) for name, text in one.calls]
    return said


def by_openai(completion: ChatCompletion) -> Said:
    choice, usage = completion.choices[0], completion.usage
    message = choice.message
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or () if call.type == "function"]
    return Said(
        text=(message.content or "") + (message.refusal or ""),
        reasoning=getattr(message, "reasoning_content", ""),
        calls=calls,
        cut=choice.finish_reason == "length",
        input=usage.prompt_tokens if usage else 0,
        output=usage.completion_tokens if usage else 0,
    )


def by_chunks(chunks: list[ChatCompletionChunk]) -> Said:
    said = Said()
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        if chunk.usage:
            said.input, said.output = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            delta = choice.delta
            said.text += delta.content or ""
            said.reasoning += getattr(delta, "reasoning_content", "")
            said.cut = said.cut or choice.finish_reason == "length"
            for call in delta.tool_calls or ():
                known = calls.setdefault(call.index, ["", ""])
                assert call.function is not None
                known[0] += call.function.name or ""
                known[1] += call.function.arguments or ""
    said.calls = [(name, json.loads(text)) for name, text in calls.values()]
    return said


def by_anthropic(message: Message) -> Said:
    usage = message.usage
    said = Said(cut=message.stop_reason == "max_tokens", output=usage.output_tokens)
    said.input = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    for block in message.content:
        match block.type:
            case "text":
                said.text += block.text
            case "thinking":
                said.reasoning += block.thinking
            case "tool_use":
                said.calls.append((block.name, block.input))
    return said
