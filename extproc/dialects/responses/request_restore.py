"""A conversation of the Responses API written back in its own words: nothing is lost and nothing added.

Except reasoning that another maker signed or encrypted, which OpenAI would refuse.
"""

from extproc.dialects.hub import Block, Conversation, Extra, Message, Reasoning, Text
from extproc.dialects.responses.items import ITEM
from extproc.dialects.responses.reasoning import ORIGIN
from extproc.dialects.responses.tools import restore_tool, restore_tool_choice


def restore(conversation: Conversation, model: str) -> Extra:
    """The request as it was read, with another model's name."""
    body: Extra = {**conversation.extra, **conversation.local, "model": model}
    if "input" not in body and conversation.messages:
        body["input"] = [item for message in conversation.messages for item in _items(message, conversation)]
    if conversation.system is not None:
        body["instructions"] = "".join(block.text for block in conversation.system.blocks if type(block) is Text)
    for field, value in (
        ("max_output_tokens", conversation.max_tokens),
        ("temperature", conversation.temperature),
        ("top_p", conversation.top_p),
        ("top_logprobs", conversation.top_logprobs),
        ("parallel_tool_calls", conversation.parallel_tool_calls),
        ("stream", conversation.stream),
        ("metadata", conversation.metadata),
        ("service_tier", conversation.service_tier),
    ):
        if value is not None:
            body[field] = value
    if conversation.tools is not None:
        body["tools"] = [restore_tool(tool) for tool in conversation.tools]
    if conversation.tool_choice:
        body["tool_choice"] = restore_tool_choice(conversation.tool_choice)
    return body


def _items(message: Message, conversation: Conversation) -> list[Extra]:
    if ITEM in message.local:
        return [message.local[ITEM]]
    return [block.local[ITEM] for block in message.blocks if ITEM in block.local and not _foreign(block, conversation)]


def _foreign(block: Block, conversation: Conversation) -> bool:
    foreign = type(block) is Reasoning and block.origin != ORIGIN
    if foreign:
        conversation.drop_path("input[].reasoning")
    return foreign
