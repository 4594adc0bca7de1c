"""A client's OpenAI chat completion request, read into the hub.

https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.fields import (
    items,
    need_str,
    obj,
    refusing,
    take_bool,
    take_int,
    take_number,
    take_obj,
    take_str,
    take_strings,
)
from extproc.dialects.hub import Conversation, Extra, Format, Message, ToolCall, ToolResult
from extproc.dialects.openai import functions, glance
from extproc.dialects.openai.effort import read_thinking
from extproc.dialects.openai.parts import NAME, read_assistant, read_content
from extproc.dialects.openai.tools import read_tools
from extproc.dialects.openai.words import LATER_WORDS, WORDS

_SETTINGS: plain.Settings = {
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "top_k": ("top_k", take_int),  # not OpenAI's own, but vLLM, OpenRouter and most others take it
    "seed": ("seed", take_int),
    "presence_penalty": ("presence_penalty", take_number),
    "frequency_penalty": ("frequency_penalty", take_number),
    "n": ("n", take_int),
    "logprobs": ("logprobs", take_bool),
    "top_logprobs": ("top_logprobs", take_int),
    "verbosity": ("verbosity", take_str),
    "metadata": ("metadata", take_obj),
    "user": ("user", take_str),
    "service_tier": ("service_tier", take_str),
    "stream": ("stream", take_bool),
    "parallel_tool_calls": ("parallel_tool_calls", take_bool),
}


def read_request(body: Extra) -> Conversation:
    """The request as a conversation. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        model = need_str(rest, "model")
        messages = items(rest.pop("messages", None), "messages")
        conversation = Conversation(
            dialect=NAME,
            words=WORDS,
            model=model,
            messages=[
                plain.message(value) or plain.result(value) or glance.calling(value) or _message(value, i)
                for i, value in enumerate(messages)
            ],
            extra=rest,
        )
        plain.take_settings(rest, conversation, _SETTINGS)
        _limits(conversation, rest)
        read_tools(conversation, rest)
        _output(conversation, rest)
        return conversation


def _message(value: Any, number: int) -> Message:
    rest = obj(value, f"messages[{number}]")
    path = f"messages[{number}]."
    role = need_str(rest, "role", path)
    if role == "assistant":
        blocks, bare = read_assistant(rest, path)
        if value.get(functions.FUNCTION):
            for block in blocks:
                if type(block) is ToolCall and functions.FUNCTION in block.local:
                    block.id = functions.call_id(number)
        return Message(role=role, blocks=blocks, plain=bare, extra=rest)
    if role == "function":
        return _returned(rest, number, path)
    if rest.get("content") is None:
        return Message(role=role, blocks=[], extra=rest)
    blocks, bare = read_content(rest.pop("content"), path + "content")
    if role == "tool":
        result = ToolResult(take_str(rest, "tool_call_id", path) or "", blocks, plain=bare)
        return Message(role=role, blocks=[result], extra=rest)
    return Message(role=role, blocks=blocks, plain=bare, extra=rest)


def _returned(rest: Extra, number: int, path: str) -> Message:
    """What a function of the legacy form returned."""
    name, content = take_str(rest, "name", path) or "", rest.pop("content", None)
    blocks, bare = ([], False) if content is None else read_content(content, path + "content")
    local = {functions.FUNCTION: {"role": "function", "name": name, "content": content}}
    result = ToolResult(functions.call_id(number - 1), blocks, plain=bare, name=name, local=local)
    return Message(role="tool", blocks=[result], extra=rest)


def _limits(conversation: Conversation, rest: Extra) -> None:
    for field in ("max_completion_tokens", "max_tokens"):
        if (limit := take_int(rest, field)) is None:
            continue
        if conversation.max_tokens is None:
            conversation.max_tokens, conversation.max_tokens_field = limit, field
            conversation.words = LATER_WORDS if field == "max_completion_tokens" else WORDS
        else:  # another limit than the one that counts is something that is lost
            (conversation.local if limit == conversation.max_tokens else rest)[field] = limit
    take_stop(conversation, rest)


def take_stop(conversation: Conversation, rest: Extra) -> None:
    """`stop`: a string, or several."""
    stop = rest.get("stop")
    if type(stop) is str:
        conversation.stop, conversation.stop_plain = [stop], True
        del rest["stop"]
    elif stop is not None:
        conversation.stop = take_strings(rest, "stop")


def _output(conversation: Conversation, rest: Extra) -> None:
    if (given := take_obj(rest, "response_format")) is not None:
        conversation.format = _format(given)
    if rest.get("modalities") == ["text"]:
        conversation.local["modalities"] = rest.pop("modalities")  # no more than its absence says
    conversation.thinking = read_thinking(rest)
    if (options := take_obj(rest, "stream_options")) is not None:
        options = options.copy()
        conversation.include_usage = take_bool(options, "include_usage", "stream_options.")
        rest["stream_options"] = options


def _format(given: Extra) -> Format:
    kind = given.get("type")
    if kind in ("text", "json_object"):
        return Format(kind=kind, extra={key: given[key] for key in given if key != "type"})
    if kind != "json_schema":
        return Format(kind="opaque", extra=given)
    path = "response_format.json_schema"
    inner = obj(given.get("json_schema"), path)
    return Format(
        kind="json_schema",
        schema=take_obj(inner, "schema", path + "."),
        name=take_str(inner, "name", path + ".") or "",
        strict=take_bool(inner, "strict", path + "."),
        extra=inner,
    )
