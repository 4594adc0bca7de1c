"""Cohere's whole answers: https://docs.cohere.com/reference/chat#response"""

from extproc.dialects.cohere.parts import (
    NAME,
    own_assistant,
    read_assistant,
    read_logprobs,
    write_call,
    write_citation,
    write_logprobs,
)
from extproc.dialects.cohere.tokens import read_usage, write_usage
from extproc.dialects.fields import obj, take_str, tool_id
from extproc.dialects.hub import Answer, Block, Choice, Extra, Reasoning, Refusal, StopReason, Text, ToolCall, kind_of

_STOPS = {
    "COMPLETE": StopReason.END,
    "STOP_SEQUENCE": StopReason.STOP_SEQUENCE,
    "MAX_TOKENS": StopReason.LENGTH,
    "TOOL_CALL": StopReason.TOOL,
    "TIMEOUT": StopReason.LENGTH,  # what there is by then
    "ERROR_LIMIT": StopReason.CONTEXT,
    "ERROR_TOXIC": StopReason.FILTER,
}

_WORDS = {
    StopReason.END: "COMPLETE",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.STOP_SEQUENCE: "STOP_SEQUENCE",
    StopReason.TOOL: "TOOL_CALL",
    StopReason.FILTER: "ERROR_TOXIC",
    StopReason.REFUSAL: "ERROR_TOXIC",
    StopReason.PAUSE: "COMPLETE",
    StopReason.CONTEXT: "MAX_TOKENS",
    StopReason.ERROR: "ERROR",
}

FAILED = "ERROR"
"""The `finish_reason` of what is no answer, whatever was said until then."""

_ID = 64


def read_stop(word: str) -> StopReason:
    """What a `finish_reason` means. Unknown words mean an end."""
    return _STOPS.get(word, StopReason.END)


def write_stop(reason: StopReason, *, called: bool) -> str:
    """The `finish_reason`. Some providers say "stop" after a tool call: clients here go by the reason."""
    return _WORDS[StopReason.TOOL if reason is StopReason.END and called else reason]


def read_answer(body: Extra) -> Answer:
    """An answer. Raises `ValueError` if it is none."""
    rest = obj(body, "$")
    message = obj(rest.pop("message", None), "message")
    message.pop("role", None)
    blocks, plain = read_assistant(message, "message.")
    word = take_str(rest, "finish_reason")
    if word == FAILED:
        raise ValueError("finish_reason: ERROR: the provider failed while it generated")
    raw = rest.get("usage")
    usage = read_usage(raw)
    if usage:
        del rest["usage"]
    text = next((block for block in blocks if type(block) is Text), None)
    if text is not None and rest.get("logprobs"):
        text.logprobs = read_logprobs(rest["logprobs"])
    choice = Choice(blocks=blocks, stop=None if word is None else read_stop(word), stop_raw=word, plain=plain, message_extra=message)
    return Answer(
        dialect=NAME, id=take_str(rest, "id") or "", model="", choices=[choice], usage=usage, usage_raw=raw if usage else None, extra=rest
    )


def write_answer(answer: Answer) -> Extra:
    """An answer for a client."""
    choice = answer.choices[0]
    if answer.dialect == NAME:
        message = {**own_assistant(choice.blocks, choice.plain), **choice.message_extra, "role": "assistant"}
        word = {} if choice.stop_raw is None else {"finish_reason": choice.stop_raw}
        identifier = {"id": answer.id} if answer.id else {}
        usage = {} if answer.usage_raw is None else {"usage": answer.usage_raw}
        return {**answer.extra, **identifier, **word, "message": message, **usage}
    if len(answer.choices) > 1:
        answer.dropped.append("choices[1:]")
    called = any(type(block) is ToolCall for block in choice.blocks)
    body: Extra = {"id": answer.id, "finish_reason": write_stop(choice.stop or StopReason.END, called=called)}
    body["message"] = _message(choice.blocks, answer)
    if answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    logprobs = [one for block in choice.blocks if type(block) is Text for one in block.logprobs or ()]
    return {**body, "logprobs": write_logprobs(logprobs)} if logprobs else body


def _message(blocks: list[Block], answer: Answer) -> Extra:
    message: Extra = {"role": "assistant"}
    content: list[Extra] = []
    calls: list[Extra] = []
    citations: list[Extra] = []
    for i, block in enumerate(blocks):
        if type(block) is ToolCall:
            calls.append(write_call(block, call_id(block.id, answer.id, i)))
            continue
        match block:
            case Text() | Refusal():
                if type(block) is Text:
                    citations += [write_citation(citation, block.text, len(content)) for citation in block.citations]
                if block.text:
                    content.append({"type": "text", "text": block.text})
            case Reasoning() if not block.redacted:
                content.append({"type": "thinking", "thinking": block.text})
            case _:
                name = f"blocks[].{kind_of(block)}"
                if name not in answer.dropped:
                    answer.dropped.append(name)
    if content or not calls:
        message["content"] = content
    if calls:
        message["tool_calls"] = calls
    return {**message, "citations": citations} if citations else message


def call_id(given: str, answer: str, index: int) -> str:
    """A tool call's id; one is made of the answer's where the provider gave none, so that no two answers share it."""
    return tool_id(given or f"call_{answer}_{index}", _ID)
