"""A client's generateContent request, read into the hub.

https://ai.google.dev/api/generate-content#method:-models.generatecontent
"""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.fields import (
    need_str,
    refusing,
    take_bool,
    take_int,
    take_number,
    take_str,
    take_strings,
)
from extproc.dialects.gemini import glance
from extproc.dialects.gemini.names import Fields, members, several
from extproc.dialects.gemini.parts import NAME, made, read_parts
from extproc.dialects.gemini.schemas import json_schema
from extproc.dialects.gemini.tools_read import read_choice, read_tools
from extproc.dialects.gemini.words import WORDS
from extproc.dialects.hub import Conversation, Extra, Format, Message, Text, Thinking, ToolCall, ToolResult

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}

_CONFIG = "generationConfig"
_IN_CONFIG = _CONFIG + "."


_SETTINGS: plain.Settings = {
    "maxOutputTokens": ("max_tokens", take_int),
    "temperature": ("temperature", take_number),
    "topP": ("top_p", take_number),
    "seed": ("seed", take_int),
    "presencePenalty": ("presence_penalty", take_number),
    "frequencyPenalty": ("frequency_penalty", take_number),
    "candidateCount": ("n", take_int),
    "responseLogprobs": ("logprobs", take_bool),
    "logprobs": ("top_logprobs", take_int),
    "stopSequences": ("stop", take_strings),
}


def read_request(body: Extra) -> Conversation:
    """The request as a conversation; `model` and `stream`, which the path says, are put into the body before. Raises `Reject` 400."""
    with refusing():
        names: dict[str, str] = {}
        rest = members(body, "$", names)
        extra = Fields(names=names)
        conversation = Conversation(dialect=NAME, words=WORDS, model=need_str(rest, "model"), messages=[], extra=extra)
        conversation.stream = take_bool(rest, "stream")
        contents, extra.own["contents"] = several(rest.pop("contents", None), "contents")
        conversation.messages = [glance.content(value) or _content(value, f"contents[{i}]") for i, value in enumerate(contents)]
        _name_calls(conversation.messages)
        if rest.get("systemInstruction") is not None:
            given = rest.pop("systemInstruction")
            conversation.system = glance.instructions(given) or _content(given, "systemInstruction")
            conversation.system.role = "system"
        read_tools(conversation, rest, extra)
        read_choice(conversation, rest, extra)
        if rest.get(_CONFIG) is not None:
            _config(conversation, members(rest.pop(_CONFIG), _CONFIG, names), extra)
        tier = rest.get("serviceTier")
        if type(tier) is str and tier in _TIERS:
            conversation.service_tier = _TIERS[tier]
            del rest["serviceTier"]
        extra.update(rest)
        return conversation


def _content(value: Any, path: str) -> Message:
    extra = Fields()
    rest = members(value, path, extra.names)
    message = Message(role="user", blocks=[])
    extra.own["role"] = role = take_str(rest, "role", path + ".")
    if role is not None:
        message.role = glance.ROLES.get(role, role)
    if rest.get("parts") is not None:
        message.blocks, message.plain = read_parts(rest.pop("parts"), path + ".parts")
    else:
        extra.own["parts"] = False
    extra.update(rest)
    message.extra = extra
    return message


def _name_calls(messages: list[Message]) -> None:
    """Gives ids to calls and results that have none: results belong to the calls of their name, in their order."""
    count = 0
    waiting: list[ToolCall] = []
    for message in messages:
        for block in message.blocks:
            if type(block) is Text:
                continue
            if type(block) is ToolCall:
                if not block.id:
                    made(block, f"call_{count}")
                count += 1
                waiting.append(block)
            elif type(block) is ToolResult:
                _name_result(block, waiting, count)
                count += 1


def _name_result(result: ToolResult, waiting: list[ToolCall], count: int) -> None:
    found = _called(result, waiting)
    if found is not None:
        waiting.remove(found)
    identifier = found.id if found is not None else result.id or f"call_{count}"
    if identifier != result.id:
        made(result, identifier)


def _called(result: ToolResult, waiting: list[ToolCall]) -> ToolCall | None:
    """The call that a result is of: by the id, or else by the name."""
    for call in waiting:
        if call.id == result.id:
            return call
    for call in waiting:
        if call.name == result.name:
            return call
    return None


def _config(conversation: Conversation, config: Extra, extra: Fields) -> None:
    extra.own["config"] = True
    plain.take_settings(config, conversation, _SETTINGS, _IN_CONFIG)
    if not config:
        return  # as mostly
    conversation.top_k = _top_k(config)
    conversation.format = _format(config)
    conversation.thinking = _thinking(config, extra)
    if config.get("responseModalities") == ["TEXT"]:
        extra.own["modalities"] = config.pop("responseModalities")
    for key, value in config.items():
        extra[_IN_CONFIG + key] = value


def _top_k(config: Extra) -> int | None:
    given = take_number(config, "topK", _IN_CONFIG)
    if given is not None and not float(given).is_integer():
        config["topK"] = given
        return None
    return None if given is None else int(given)


def _format(config: Extra) -> Format | None:
    mime = config.get("responseMimeType")
    if mime == "text/plain":
        del config["responseMimeType"]
        return Format(kind="text")
    if mime != "application/json":
        return None
    del config["responseMimeType"]
    for field in ("responseJsonSchema", "responseSchema"):
        schema = config.get(field)
        if type(schema) is dict:
            del config[field]
            plain = schema if field == "responseJsonSchema" else json_schema(schema)
            return Format(kind="json_schema", schema=plain, field=field, extra=Fields(schema=schema))
    return Format(kind="json_object")


def _thinking(config: Extra, extra: Fields) -> Thinking | None:
    if config.get("thinkingConfig") is None:
        return None
    path = _IN_CONFIG + "thinkingConfig"
    given = members(config.pop("thinkingConfig"), path, extra.names)
    path += "."
    level, budget, shown = take_str(given, "thinkingLevel", path), take_int(given, "thinkingBudget", path), given.get("includeThoughts")
    if type(shown) is bool:
        del given["includeThoughts"]
    effort = level.lower() if level and "UNSPECIFIED" not in level.upper() else ""
    return Thinking(
        effort=effort,
        budget=None if budget is None or budget < 0 else budget,
        summary={True: "auto", False: "none"}.get(shown, "") if type(shown) is bool else "",
        mode="adaptive" if budget is not None and budget < 0 else "",
        extra=Fields(given, level=level, budget=budget),
    )
