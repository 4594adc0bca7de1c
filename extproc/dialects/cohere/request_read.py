"""A client's request to /v2/chat, read into the hub: https://docs.cohere.com/reference/chat"""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.cohere.parts import NAME, read_assistant, read_content, read_document
from extproc.dialects.cohere.words import WORDS
from extproc.dialects.fields import (
    items,
    need_str,
    obj,
    refusing,
    take_bool,
    take_int,
    take_list,
    take_number,
    take_obj,
    take_str,
    take_strings,
)
from extproc.dialects.hub import Block, Conversation, Extra, Format, Message, Thinking, Tool, ToolChoice, ToolResult

CHOICES = {"REQUIRED": "required", "NONE": "none"}
"""`tool_choice`, and the hub's word for it. Without one, the model chooses."""

_DEFAULT_EFFORT = "medium"
"""What thinking without a budget is to those who know levels."""


_SETTINGS: plain.Settings = {
    "max_tokens": ("max_tokens", take_int),
    "temperature": ("temperature", take_number),
    "p": ("top_p", take_number),
    "k": ("top_k", take_int),
    "seed": ("seed", take_int),
    "presence_penalty": ("presence_penalty", take_number),
    "frequency_penalty": ("frequency_penalty", take_number),
    "logprobs": ("logprobs", take_bool),
    "stop_sequences": ("stop", take_strings),
    "stream": ("stream", take_bool),
}


def read_request(body: Extra) -> Conversation:
    """The request as a conversation. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        model = need_str(rest, "model")
        messages = items(rest.pop("messages", None), "messages")
        turns = [plain.message(value) or _message(value, i) for i, value in enumerate(messages)]
        conversation = Conversation(dialect=NAME, words=WORDS, model=model, messages=turns, extra=rest)
        _documents(conversation, rest)
        plain.take_settings(rest, conversation, _SETTINGS)
        _tools(conversation, rest)
        _output(conversation, rest)
        return conversation


def _message(value: Any, number: int) -> Message:
    rest = obj(value, f"messages[{number}]")
    path = f"messages[{number}]."
    role = need_str(rest, "role", path)
    if role == "assistant":
        blocks, bare = read_assistant(rest, path)
        return Message(role=role, blocks=blocks, plain=bare, extra=rest)
    blocks, bare = [], False
    if rest.get("content"):
        blocks, bare = read_content(rest.pop("content"), path + "content", documents=role == "tool")
    if role == "tool":
        blocks = [ToolResult(need_str(rest, "tool_call_id", path), blocks, plain=bare)]
    return Message(role=role, blocks=blocks, plain=bare, extra=rest)


def _documents(conversation: Conversation, rest: Extra) -> None:
    """What the answer is to lean on stands before the question that it is to answer: other dialects have no other place for it."""
    if not rest.get("documents"):
        return
    last = next((message for message in reversed(conversation.messages) if message.role == "user"), None)
    if last is None:
        return
    given = items(rest.pop("documents"), "documents")
    found: list[Block] = [read_document(value, f"documents[{i}]") for i, value in enumerate(given)]
    last.blocks = found + last.blocks


def _tools(conversation: Conversation, rest: Extra) -> None:
    tools = take_list(rest, "tools")
    if tools is not None:
        conversation.tools = [plain.function(value) or _tool(value, f"tools[{i}]") for i, value in enumerate(tools)]
    if rest.get("strict_tools") is True and conversation.tools and all(tool.opaque is None for tool in conversation.tools):
        del rest["strict_tools"]
        for tool in conversation.tools:
            tool.strict = True
    if (word := take_str(rest, "tool_choice")) is not None:
        mode = CHOICES.get(word)
        conversation.tool_choice = ToolChoice(mode=mode) if mode else ToolChoice(mode="opaque", raw=word)


def _tool(value: Any, path: str) -> Tool:
    rest = obj(value, path)
    if need_str(rest, "type", path + ".") != "function":
        return Tool(opaque=value)
    function = obj(rest.pop("function", None), path + ".function")
    path += ".function."
    tool = Tool(
        name=need_str(function, "name", path),
        description=take_str(function, "description", path),
        schema=take_obj(function, "parameters", path),
        extra=rest,
    )
    if function:
        rest["function"] = function
    return tool


def _output(conversation: Conversation, rest: Extra) -> None:
    if (given := take_obj(rest, "response_format")) is not None:
        conversation.format = _format(given)
    if (thinking := take_obj(rest, "thinking")) is not None:
        conversation.thinking = _thinking(thinking.copy())


def _format(given: Extra) -> Format:
    rest = given.copy()
    kind = rest.pop("type", None)
    if kind == "text":
        return Format(kind="text", extra=rest)
    if kind != "json_object":
        return Format(kind="opaque", extra=given)
    for field in ("json_schema", "schema"):  # its name in the API's first version, which the second one takes as well
        if (schema := take_obj(rest, field, "response_format.")) is not None:
            return Format(kind="json_schema", schema=schema, field=field, extra=rest)
    return Format(kind="json_object", extra=rest)


def _thinking(rest: Extra) -> Thinking:
    mode, budget = take_str(rest, "type", "thinking.") or "", take_int(rest, "token_budget", "thinking.")
    if mode == "disabled":
        return Thinking(mode=mode, effort="none", budget=budget, extra=rest)
    effort = _DEFAULT_EFFORT if budget is None else "low" if budget < 4096 else "medium" if budget < 12288 else "high"
    return Thinking(mode=mode, effort=effort, budget=budget, extra=rest)
