"""A client's request to the Responses API, read into the hub.

https://platform.openai.com/docs/api-reference/responses/create

The input is a list of items. A model's turn is several of them (reasoning, messages, calls), which are one message of the hub.
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
    take_list,
    take_number,
    take_obj,
    take_str,
)
from extproc.dialects.hub import Block, Conversation, Extra, Format, Message, Opaque, Seal, Text, Thinking, ToolResult
from extproc.dialects.quirks import EFFORTS
from extproc.dialects.responses import kept, usual
from extproc.dialects.responses.items import ITEM, kind_of_item, read_message, read_output
from extproc.dialects.responses.parts import NAME, read_part
from extproc.dialects.responses.tools import read_tool, read_tool_choice
from extproc.dialects.responses.words import SAFE_WORDS, WORDS
from extproc.errors import Fault

_USERS = ("user", "safety_identifier")
"""Who the end user is, by the first of them."""

_OF_CLIENTS = ("mcp_approval_response", "compaction_trigger", "additional_tools", "configuration_update")
"""Items of the client's that no model makes, beside those whose names end in `_output`."""

_MET = ("reasoning.encrypted_content", "message.output_text.logprobs")
"""Of `include`, what every answer has if it can, and what the hub has a word for."""

_REPEATED = frozenset(
    {
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "safety_identifier",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""What a response repeats of its request."""

_SETTINGS: plain.Settings = {
    "max_output_tokens": ("max_tokens", take_int),
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "top_logprobs": ("top_logprobs", take_int),
    "parallel_tool_calls": ("parallel_tool_calls", take_bool),
    "stream": ("stream", take_bool),
    "metadata": ("metadata", take_obj),
    "service_tier": ("service_tier", take_str),
}

_NOTHING = {"truncation": "disabled"}
"""Fields that say no more than their absence does."""


def read_request(body: Extra) -> Conversation:
    """The request as a conversation. Raises `Reject` 400, naming the field of a wrong type."""
    with refusing():
        rest = obj(body, "$")
        asked = {field: value for field, value in body.items() if value is not None and field in _REPEATED}
        conversation = Conversation(dialect=NAME, words=WORDS, model=need_str(rest, "model"), messages=[], extra=rest, asked=asked)
        conversation.needs = _needs(rest)
        plain.take_settings(rest, conversation, _SETTINGS)
        _input(conversation, rest)
        if (instructions := take_str(rest, "instructions")) is not None:
            conversation.system = Message(role="system", blocks=[Text(instructions)], plain=True)
        _include(conversation, rest)
        _tools(conversation, rest)
        _output(conversation, rest)
        _account(conversation, rest)
        return conversation


def _needs(asked: Extra) -> Fault | None:
    """See `Question.needs`: what a response, a conversation or a prompt that only OpenAI's side knows stands for."""
    previous = asked.get("previous_response_id")
    if previous:
        return kept.unknown_previous(str(previous)).fault
    if asked.get("conversation"):
        message = "The provider that serves this model has no conversations API. Send the whole conversation in `input`."
        return Fault(400, "unsupported_parameter", message, "conversation")
    if asked.get("prompt"):
        # Its instructions are not here, and what came with them says little without: https://platform.openai.com/docs/guides/prompting
        message = "The provider that serves this model has no stored prompts. Send what it says in `instructions` and `input`."
        return Fault(400, "unsupported_parameter", message, "prompt")
    return None


def _needed(item: Extra, kind: str, path: str) -> Fault | None:
    """The same of an item."""
    match kind:
        case "item_reference":
            identifier = str(item.get("id"))[:200]
            return Fault(400, "not_found", f"Item with id '{identifier}' not found. Send the item itself.", path)
        case "compaction":
            message = f"{path}: the provider that serves this model cannot read a compaction. Send what it stands for."
            return Fault(400, "unsupported_parameter", message, path)
    return None


def _input(conversation: Conversation, rest: Extra) -> None:
    """`input` may be left out where the provider remembers the conversation."""
    given = rest.get("input")
    if given is None:
        return
    del rest["input"]
    if type(given) is str:
        conversation.local["input"] = given
        conversation.messages = [Message(role="user", blocks=[Text(given)], plain=True)]
        return
    if not given:
        conversation.local["input"] = given
    messages = conversation.messages
    for i, value in enumerate(items(given, "input")):
        if (message := plain.message(value) or usual.result(value)) is None:
            if (call := usual.call(value)) is not None:
                call.local = {ITEM: value}
                _turn(messages, [call])
            else:
                _item(conversation, value, f"input[{i}]")
        elif message.role == "assistant":
            message.blocks[0].local = {ITEM: value}
            _turn(messages, message.blocks)
        else:
            message.local = {ITEM: value}
            messages.append(message)


def _item(conversation: Conversation, value: Any, path: str) -> None:
    messages, rest = conversation.messages, obj(value, path)
    kind = kind_of_item(rest, path)
    if conversation.needs is None:
        conversation.needs = _needed(rest, kind, path)
    if kind == "message" and (role := need_str(rest, "role", path + ".")) != "assistant":
        blocks, bare, unknown = read_message(rest, path)
        message = Message(role=role, blocks=blocks, plain=bare, extra=unknown)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        message = Message(role="tool", blocks=[_result(rest, path + ".")])
    elif kind.endswith("_output") or kind in _OF_CLIENTS:
        message = Message(role="user", blocks=[Opaque(NAME, kind, value)])
    else:
        _turn(messages, read_output(value, path))
        return
    message.local = {ITEM: value}
    messages.append(message)


def _turn(messages: list[Message], found: list[Block] | Seal) -> None:
    """Puts what a model said to the turn that it belongs to."""
    going_on = bool(messages) and messages[-1].role == "assistant"
    if type(found) is list:
        if going_on:
            messages[-1].blocks += found
        else:
            messages.append(Message(role="assistant", blocks=found))
    elif going_on and type(found) is Seal:
        messages[-1].blocks[-1].seal = found


def _result(rest: Extra, path: str) -> ToolResult:
    identifier = take_str(rest, "call_id", path) or ""
    given = rest.pop("output", None)
    unknown = {key: rest[key] for key in rest if key not in ("type", "id", "status", "name")}
    if type(given) is str:
        return ToolResult(identifier, [Text(given)], plain=True, extra=unknown)
    path += "output"
    return ToolResult(identifier, [read_part(part, f"{path}[{i}]") for i, part in enumerate(items(given, path))], extra=unknown)


def _include(conversation: Conversation, rest: Extra) -> None:
    if (include := take_list(rest, "include")) is not None:
        conversation.local["include"] = include
        conversation.logprobs = "message.output_text.logprobs" in include or None
        if unmet := [name for name in include if name not in _MET]:
            rest["include"] = unmet


def _tools(conversation: Conversation, rest: Extra) -> None:
    tools = take_list(rest, "tools")
    if tools is not None:
        conversation.tools = [usual.tool(value) or read_tool(value, f"tools[{i}]") for i, value in enumerate(tools)]
    if rest.get("tool_choice") is not None:
        conversation.tool_choice = read_tool_choice(rest.pop("tool_choice"))


def _output(conversation: Conversation, rest: Extra) -> None:
    if (text := take_obj(rest, "text")) is not None:
        conversation.local["text"] = text
        text = text.copy()
        conversation.verbosity = take_str(text, "verbosity", "text.")
        if (given := take_obj(text, "format", "text.")) is not None:
            conversation.format = _format(given)
        if unknown := {key: value for key, value in text.items() if value}:
            rest["text"] = unknown
    if (reasoning := take_obj(rest, "reasoning")) is not None:
        conversation.local["reasoning"] = reasoning
        reasoning = reasoning.copy()
        effort = take_str(reasoning, "effort", "reasoning.") or ""
        # `generate_summary` was its name at first.
        summaries = [take_str(reasoning, field, "reasoning.") or "" for field in ("summary", "generate_summary")]
        if effort not in ("", *EFFORTS):  # of tomorrow, or of nobody
            effort, reasoning["effort"] = "", effort
        conversation.thinking = Thinking(effort=effort, summary=summaries[0] or summaries[1], extra=reasoning)


def _format(given: Extra) -> Format:
    rest = given.copy()
    kind = rest.pop("type", None)
    if kind in ("text", "json_object"):
        return Format(kind=kind, extra=rest)
    if kind != "json_schema":
        return Format(kind="opaque", extra=given)
    path = "text.format."
    return Format(
        kind="json_schema",
        schema=take_obj(rest, "schema", path),
        name=take_str(rest, "name", path) or "",
        strict=take_bool(rest, "strict", path),
        extra=rest,
    )


def _account(conversation: Conversation, rest: Extra) -> None:
    if not rest.keys().isdisjoint(_USERS):
        _user(conversation, rest)
    if (options := take_obj(rest, "stream_options")) is not None:
        conversation.local["stream_options"] = options  # `include_obfuscation`: a padding against whoever listens
    for field, nothing in _NOTHING.items():
        if rest.get(field) == nothing:
            conversation.local[field] = rest.pop(field)


def _user(conversation: Conversation, rest: Extra) -> None:
    users = {field: value for field in _USERS if (value := take_str(rest, field)) is not None}
    conversation.user = next(iter(users.values()), None)
    conversation.local.update(users)
    if users.get("safety_identifier", conversation.user) != conversation.user:
        rest["safety_identifier"] = conversation.local.pop("safety_identifier")  # whom nobody else can tell from `user`
    elif "user" not in users and users:
        conversation.words = SAFE_WORDS
