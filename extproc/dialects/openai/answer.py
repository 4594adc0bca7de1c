"""OpenAI's whole answers: https://platform.openai.com/docs/api-reference/chat/object"""

import time
from collections.abc import Callable
from typing import Any

from extproc.dialects import texts
from extproc.dialects.fields import items, obj, take_int, take_str, tool_id
from extproc.dialects.hub import Answer, Block, Choice, Extra, Image, Logprob, Reasoning, Refusal, Seal, StopReason, Text, ToolCall, kind_of
from extproc.dialects.openai import functions
from extproc.dialects.openai.logprobs import read_logprobs, write_logprobs
from extproc.dialects.openai.parts import (
    NAME,
    own_fields,
    read_assistant,
    write_annotation,
    write_custom_call,
    write_part,
    write_picture,
    write_tool_call,
)
from extproc.dialects.openai.reasoning import write_reasoning
from extproc.dialects.openai.signatures import own_message_seal, write_seal
from extproc.dialects.openai.tokens import read_usage, write_usage
from extproc.usage import of_tier

_STOPS = {
    "stop": StopReason.END,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL,
    "function_call": StopReason.TOOL,
    "content_filter": StopReason.FILTER,
    "error": StopReason.ERROR,  # OpenRouter's and Mistral's
}

_WORDS = {
    StopReason.END: "stop",
    StopReason.LENGTH: "length",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL: "tool_calls",
    StopReason.FILTER: "content_filter",
    StopReason.REFUSAL: "content_filter",
    StopReason.PAUSE: "stop",
    StopReason.CONTEXT: "length",
    StopReason.ERROR: "stop",
}

_TIERS = ("auto", "default", "flex", "scale", "priority")

LONGEST_ID = 40


def read_stop(word: str, matched: Any) -> StopReason:
    """What a `finish_reason` means; `matched` is vLLM's `stop_reason`, the stop sequence that was met. Unknown words mean an end."""
    if word == "stop" and type(matched) is str:
        return StopReason.STOP_SEQUENCE
    return _STOPS.get(word, StopReason.END)


def write_stop(reason: StopReason, *, functional: bool = False) -> str:
    """The `finish_reason`. `functional`: for a client that has asked with `functions`."""
    return functions.FUNCTION if functional and reason is StopReason.TOOL else _WORDS[reason]


def service_tier(tier: str | None) -> str | None:
    """A tier that OpenAI's clients know, or none."""
    return tier if tier in _TIERS else None


def read_answer(body: Extra) -> Answer:
    """A chat completion. Raises `ValueError` if it is none."""
    answer = read_whole(body, "chat.completion", _choice)
    answer.service_tier = take_str(answer.extra, "service_tier")
    answer.usage = of_tier(answer.usage, answer.service_tier)
    return answer


def read_whole(body: Extra, kind: str, choice: Callable[[Any, str, int], Choice]) -> Answer:
    """An answer of the `object` that is called `kind`, whose choices `choice` reads. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    choices = [choice(value, f"choices[{i}]", i) for i, value in enumerate(items(rest.pop("choices", None), "choices"))]
    if not choices:
        raise ValueError("choices: expected at least one, got none")
    if rest.get("object") == kind:
        del rest["object"]
    raw = rest.get("usage")
    usage = read_usage(raw)
    if usage:
        del rest["usage"]
    return Answer(
        dialect=NAME,
        id=take_str(rest, "id") or "",
        model=take_str(rest, "model") or "",
        created=take_int(rest, "created") or 0,
        choices=choices,
        usage=usage,
        usage_raw=raw if usage else None,
        extra=rest,
    )


def _choice(value: Any, path: str, position: int) -> Choice:
    rest = obj(value, path)
    path += "."
    message = obj(rest.pop("message", None), path + "message")
    message.pop("role", None)
    blocks, plain = read_assistant(message, path + "message.")
    if logprobs := read_logprobs(rest.get("logprobs")):
        _likely(blocks, logprobs)
    word = take_str(rest, "finish_reason", path)
    index = take_int(rest, "index", path)
    matched = rest.get("stop_reason")
    return Choice(
        index=position if index is None else index,
        blocks=blocks,
        stop=None if word is None else read_stop(word, matched),
        stop_raw=word,
        stop_sequence=matched if type(matched) is str else None,
        plain=plain,
        extra=rest,
        message_extra=message,
    )


def _likely(blocks: list[Block], logprobs: list[Logprob]) -> None:
    """They are told for the text as a whole, and stay with its first block."""
    text = next((block for block in blocks if type(block) is Text), None)
    if text is not None:
        text.logprobs = logprobs


def write_answer(answer: Answer) -> Extra:
    """A chat completion for a client."""
    own = answer.dialect == NAME
    body: Extra = {**answer.extra} if own else {}
    body |= {"id": answer.id, "object": "chat.completion", "created": answer.created or int(time.time()), "model": answer.model}
    body["choices"] = [_write_choice(choice, answer, own) for choice in answer.choices]
    if own and answer.usage_raw is not None:
        body["usage"] = answer.usage_raw
    elif answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    tier = answer.service_tier if own else service_tier(answer.service_tier)
    if tier is not None:
        body["service_tier"] = tier
    return body


def _write_choice(choice: Choice, answer: Answer, own: bool) -> Extra:
    word = choice.stop_raw if own else write_stop(choice.stop or StopReason.END, functional=functions.ASKED in answer.asked)
    message = _own_message(choice) if own else _message(choice.blocks, answer)
    rest: Extra = {**choice.extra} if own else {"logprobs": _logprobs(choice.blocks)}
    return {**rest, "index": choice.index, "message": message, "finish_reason": word}


def _logprobs(blocks: list[Block]) -> Extra | None:
    told = [one for block in blocks if type(block) is Text and block.logprobs for one in block.logprobs]
    return write_logprobs(told) if told else None


def _message(blocks: list[Block], answer: Answer) -> Extra:
    text = ""
    annotations: list[Extra] = []
    refusals: list[str] = []
    calls: list[Extra] = []
    pictures: list[Extra] = []
    seal: Seal | None = None
    thinks = False
    for i, block in enumerate(blocks):
        if type(block) is Text:
            begin = len(text)
            text += block.text
            seal = block.seal or seal
            for citation in block.citations:
                if annotation := write_annotation(citation, begin, len(text)):
                    annotations.append(annotation)
                else:
                    answer.drop("blocks[].citations")
        elif type(block) is ToolCall:
            call = _call(block, call_id(block.id, answer.id, i), answer)
            calls.append({**call, **write_seal(block.seal)} if block.seal else call)
        elif type(block) is Reasoning:
            thinks = True
        elif type(block) is Refusal:
            refusals.append(block.text)
        elif type(block) is Image:
            pictures.append(write_picture(block, len(pictures)))
        else:
            answer.drop(f"blocks[].{kind_of(block)}")
    message: Extra = {"role": "assistant", "content": text or (None if calls or refusals else ""), "refusal": "".join(refusals) or None}
    if thinks:
        message |= write_reasoning(blocks)
    if seal:
        message |= write_seal(seal)
    if annotations:
        message["annotations"] = annotations
    if pictures:
        message["images"] = pictures
    if calls and functions.ASKED in answer.asked:
        message[functions.FUNCTION] = calls[0]["function"]
        if len(calls) > 1:
            answer.drop("choices[].message.tool_calls[1:]")
        if any(type(block) is ToolCall and block.seal for block in blocks):
            answer.drop("choices[].message.tool_calls[].extra_content")
    elif calls:
        message["tool_calls"] = calls
    return message


def _call(block: ToolCall, identifier: str, answer: Answer) -> Extra:
    taking = answer.asked.get(texts.ASKED, ())
    return write_custom_call(block, identifier) if block.custom or block.name in taking else write_tool_call(block, identifier, False)


def _own_message(choice: Choice) -> Extra:
    message: Extra = {**choice.message_extra, "role": "assistant", **write_reasoning(choice.blocks), **own_message_seal(choice.blocks)}
    contents = [block for block in choice.blocks if not own_fields(block, message)]
    if contents and choice.plain and type(contents[0]) is Text:
        if "content" not in message or contents[0].text:
            message["content"] = contents[0].text
        if contents[0].citations:
            message["annotations"] = [citation.raw for citation in contents[0].citations]
    elif contents or not choice.plain:
        message["content"] = [write_part(block, True) for block in contents]
    return message


def call_id(given: str, answer: str, index: int) -> str:
    """A tool call's id; one is made of the answer's where the provider gave none (Gemini), so that no two answers share it."""
    return tool_id(given or f"call_{answer}_{index}", LONGEST_ID)
