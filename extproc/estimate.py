"""Tokens of a conversation, estimated: where a client wants them counted beforehand, and no provider of the model can do that.

A rule of thumb, and told as one (`x-headgate-estimated`): four bytes of UTF-8 are a token, and so are four of a tool's JSON; a message
costs four more, and a picture, sound, film or file a thousand, whatever is in it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from extproc.dialects import heard
from extproc.dialects.envelope import open_document
from extproc.dialects.fields import length
from extproc.dialects.hub import Audio, Block, Conversation, Count, Document, Image, Opaque, Reasoning, ToolCall, ToolResult, Video
from extproc.errors import Reject

ESTIMATED = "x-headgate-estimated"
"""Response header: what of an answer is our estimate."""

_BYTES = 4
"""Of a token."""
_MESSAGE = 4
"""Tokens around a message, or a tool: who speaks, and where it ends."""
_MEDIUM = 1000
"""Tokens of what is no text. A picture is 85 to 1,600, a page of a file some 2,000."""


class Estimated(Struct, frozen=True, tag=True):
    """What `Estimate` makes: the answer's body."""

    body: bytes


class Estimate(Struct, frozen=True, tag=True):
    """The job to answer how many tokens a conversation has, see `aside`."""

    dialect: str
    """The client's."""
    model: str
    kind: str = "count"
    """As the client's dialect calls it."""

    def work(self, body: bytes) -> Estimated:
        """Does it. Raises `Reject` 400 where the body is no conversation."""
        operation = heard(self.dialect, "", self.kind).operations[self.kind]
        question: Conversation = operation.read_request({**open_document(body)[0], "model": self.model, "stream": False})
        if (needs := question.needs) is not None:
            raise Reject(needs.status, needs.code, needs.message, param=needs.param)
        return Estimated(msgspec.json.encode(operation.write_answer(Count(dialect="", input=tokens(question)))))


def tokens(conversation: Conversation) -> int:
    """An estimate of what a conversation counts as input, in tokens."""
    messages = [*conversation.messages, *([conversation.system] if conversation.system else [])]
    around = _MESSAGE * (len(messages) + len(conversation.tools or ()))
    size = sum(_json([tool.name, tool.description, tool.schema, tool.opaque]) for tool in conversation.tools or ())
    if conversation.format is not None and conversation.format.schema is not None:
        size += _json(conversation.format.schema)
    said, media = _size(block for message in messages for block in message.blocks)
    return around + _MEDIUM * media + -(-(size + said) // _BYTES)


def _size(blocks: Iterable[Block]) -> tuple[int, int]:
    """Bytes of what blocks say, and how many of them are no text."""
    size = media = 0
    for block in blocks:
        match block:
            case Image() | Audio() | Video():
                media += 1
            case Document(text=None):
                media += 1
            case ToolResult():
                said, seen = _size(block.blocks)
                size, media = size + said, media + seen
            case ToolCall():
                size += length(block.name) + length(block.arguments)
            case Opaque():
                size += _json(block.value)
            case Reasoning() if block.redacted:
                size += len(block.redacted)
            case _:
                size += length(block.text or "")
    return size, media


def _json(value: Any) -> int:
    return len(msgspec.json.encode(value))
