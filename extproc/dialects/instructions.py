"""Instructions for providers that have one place for them, before the conversation.

What a client says there, or before any turn, stands there. What it says later is not moved to the front: it would count for turns that
came before it, and change the beginning of the prompt, which is kept in caches. It is said where it stood, between tags, in the user's
turn. That is no promise that the model puts it above a user's words, and is named therefore, as a role that the provider does not know.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from extproc.dialects.hub import INSTRUCTING, Block, Conversation, Extra, Message, Text, ToolResult

Written = TypeVar("Written")

_INSTRUCTING = frozenset(INSTRUCTING)


def front(conversation: Conversation, write: Callable[[list[Block]], list[Written]]) -> list[Written]:
    """The instructions before any turn, as `write` writes their blocks. What it drops is named by where it stands at the client's."""
    written: list[Written] = []
    if conversation.system:
        conversation.place = "system[]"
        written += write(conversation.system.blocks)
        conversation.place = "blocks[]"
    for message in conversation.messages:
        if message.role not in INSTRUCTING:
            break
        if message.extra:
            conversation.drop_extra(message.extra, "messages[].")
        written += write(message.blocks)
    return written


def turns(conversation: Conversation) -> list[Message]:
    """All messages but those of `front`. Instructions among them come after the results of calls: nothing may stand before these."""
    messages = conversation.messages
    first = 0
    for message in messages:
        if message.role not in INSTRUCTING:
            break
        first += 1
    rest = messages[first:] if first else messages
    if _INSTRUCTING.isdisjoint([message.role for message in rest]):
        return rest  # as nearly always
    placed: list[Message] = []
    held: list[Message] = []
    for message in rest:
        if message.role in INSTRUCTING:
            held.append(message)
            continue
        if not any(type(block) is ToolResult for block in message.blocks):
            placed += held
            held = []
        placed.append(message)
    return placed + held


def spoken(conversation: Conversation, roles: Mapping[str, str], member: str, said: Callable[[Message], list[Extra]]) -> list[Extra]:
    """The same as a provider takes them whose turns change hands: what one says several times in a row is one turn. `roles`: the provider's
    words, by the hub's; `member`: that of a turn which holds what `said` makes of a message.
    """
    written: list[Extra] = []
    before = None
    for message in turns(conversation):
        if message.extra:
            conversation.drop_extra(message.extra, "messages[].")
        role = roles.get(message.role)
        if role is None:
            name_role(message.role, conversation)
        elif parts := said(message):
            if role == before:
                written[-1][member] += parts
            else:
                written.append({"role": role, member: parts})
            before = role
    return written


def marked(message: Message, conversation: Conversation) -> list[Block]:
    """The blocks of instructions among the turns, to be said by the user. Their role is named."""
    name_role(message.role, conversation)
    return [replace(block, text=tagged(block.text)) if type(block) is Text and block.text.strip() else block for block in message.blocks]


def name_role(role: str, conversation: Conversation) -> None:
    """Names a role of which the provider has no messages."""
    conversation.drop(f"messages[].role.{role}")


def tagged(text: str) -> str:
    """Instructions in a turn of the user's, told apart from his words."""
    return f"<system>\n{text}\n</system>"
