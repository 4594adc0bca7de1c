"""A client's Anthropic messages request, read into the hub.

https://docs.claude.com/en/api/messages
"""

from typing import Any

from extproc.dialects import plain
from extproc.dialects.anthropic.blocks import NAME, read_content, take_cache, usual_block
from extproc.dialects.anthropic.sealing import settle
from extproc.dialects.anthropic.tools import read_tools
from extproc.dialects.anthropic.words import WORDS
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
from extproc.dialects.hub import Conversation, Extra, Format, Message, Text, Thinking

_TIERS = {"auto": "auto", "standard_only": "default"}


_SETTINGS: plain.Settings = {
    "max_tokens": ("max_tokens", take_int),
    "temperature": ("temperature", take_number),
    "top_p": ("top_p", take_number),
    "top_k": ("top_k", take_int),
    "stop_sequences": ("stop", take_strings),
    "stream": ("stream", take_bool),
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
            messages=[usual(value) or _message(value, f"messages[{i}]") for i, value in enumerate(messages)],
            extra=rest,
        )
        if rest.get("system") is not None:
            blocks, bare = read_content(rest.pop("system"), "system")
            conversation.system = Message(role="system", blocks=blocks, plain=bare)
        plain.take_settings(rest, conversation, _SETTINGS)
        if rest:
            read_tools(conversation, rest)
            _output(conversation, rest)
            _account(conversation, rest)
        return conversation


def usual(value: Any) -> Message | None:
    """A message that is a text, or one block as most are; None: it is more than that, or wrong."""
    if type(value) is not dict or len(value) != 2 or type(role := value.get("role")) is not str:
        return None
    content = value.get("content")
    if type(content) is str:
        return Message(role=role, blocks=[Text(content)], plain=True)
    if type(content) is list and len(content) == 1 and (block := usual_block(content[0])) is not None:
        return Message(role=role, blocks=[block])
    return None


def _message(value: Any, path: str) -> Message:
    rest = obj(value, path)
    role = need_str(rest, "role", path + ".")
    blocks, bare = read_content(rest.pop("content", None), path + ".content")
    return Message(role=role, blocks=settle(blocks), plain=bare, extra=rest)


SUMMARIES = {"summarized": "auto", "omitted": "none"}
"""The hub's words for `thinking.display`."""


def _output(conversation: Conversation, rest: Extra) -> None:
    effort = ""
    if (config := take_obj(rest, "output_config")) is not None:
        config = config.copy()
        effort = take_str(config, "effort", "output_config.") or ""
        if (given := take_obj(config, "format", "output_config.")) is not None:
            conversation.format = _format(given, "output_config")
        if config:
            rest["output_config"] = config
    if conversation.format is None and (given := take_obj(rest, "output_format")) is not None:
        conversation.format = _format(given, "output_format")  # its name while in beta
    thinking = take_obj(rest, "thinking")
    if thinking is None:
        conversation.thinking = Thinking(effort=effort) if effort else None
        return
    thinking = thinking.copy()
    mode, budget = need_str(thinking, "type", "thinking."), take_int(thinking, "budget_tokens", "thinking.")
    summary = SUMMARIES.get(display, "") if type(display := thinking.get("display")) is str else ""
    if summary:
        del thinking["display"]
    conversation.thinking = Thinking(effort=effort, mode=mode, budget=budget, summary=summary, extra=thinking)


def _format(given: Extra, field: str) -> Format:
    rest = given.copy()
    if rest.pop("type", None) != "json_schema":
        return Format(kind="opaque", field=field, extra=given)
    return Format(kind="json_schema", schema=take_obj(rest, "schema", field + ".format."), field=field, extra=rest)


def _account(conversation: Conversation, rest: Extra) -> None:
    conversation.cache = take_cache(rest, "")
    if (metadata := take_obj(rest, "metadata")) is not None:
        metadata = metadata.copy()
        conversation.user = take_str(metadata, "user_id", "metadata.")
        conversation.metadata = metadata
    tier = rest.get("service_tier")
    if type(tier) is str and tier in _TIERS:
        conversation.service_tier = _TIERS[tier]
        del rest["service_tier"]
