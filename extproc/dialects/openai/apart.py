"""What Mistral's reasoning models answer, for OpenAI's own clients: content is a text, and what was thought has fields beside it.

Mistral tells both as parts of the content, in whole answers and in a stream's deltas, which OpenAI's SDK takes for a text. In requests it
knows no such fields, and answers 422 to them: what a client sends back there becomes parts again.

https://docs.mistral.ai/capabilities/reasoning
"""

import re
from typing import Any

import msgspec

from extproc.dialects.hub import Block, Extra, Reasoning
from extproc.dialects.openai.reasoning import MISTRAL, PART, read_thinking_part, untold, write_reasoning, write_thinking_part
from extproc.dialects.sse import parse

_PARTS = re.compile(rb'"content"\s*:\s*\[')
_FIELDS = re.compile(rb'"(?:reasoning(?:_content|_details)?|thinking_blocks)"\s*:')
_PLACES = ("message", "delta")
_TEXT = frozenset(("type", "text"))
_THINKING = frozenset(("type", "thinking", "signature", "closed"))
"""`closed` says no more than that all of it is there."""
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


class MistralApart:
    """See `dialect.Apart`."""

    def is_told(self, told: bytes) -> bool:
        return _PARTS.search(told) is not None

    def is_asked(self, asked: bytes) -> bool:
        return _FIELDS.search(asked) is not None

    def answer(self, told: bytes) -> tuple[bytes, list[str]]:
        lost: list[str] = []
        return _apart(told, lost), [f"answer.choices[].message.content[].{name}" for name in dict.fromkeys(lost)]

    def event(self, event: bytes) -> bytes:
        read = parse(event)
        if read is None:
            return event
        told = _apart(read.data, [])
        return event if told is read.data else b"data: " + told + b"\n\n"


def _apart(told: bytes, lost: list[str]) -> bytes:
    """An answer, or a chunk of a stream, as OpenAI's clients read it. `lost` learns which parts of the content, and which fields of them,
    are not in it. What is no JSON, or has no such content, stays as it was.
    """
    try:
        document: Any = msgspec.json.decode(told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return told
    choices = document.get("choices") if type(document) is dict else None
    changed = False
    for choice in choices if type(choices) is list else ():
        for place in _PLACES if type(choice) is dict else ():
            message = choice.get(place)
            if type(message) is dict and type(message.get("content")) is list:
                choice[place] = _message(message, lost, whole=place == "message")
                changed = True
    return msgspec.json.encode(document) if changed else told


def _message(message: Extra, lost: list[str], *, whole: bool) -> Extra:
    """A message, or a delta, whose content is a list."""
    texts: list[str] = []
    thoughts: list[Block] = []
    for part in message["content"]:
        kind = part.get("type") if type(part) is dict else None
        if kind == "text" and type(part.get("text")) is str:
            texts.append(part["text"])
            lost += _left(part, _TEXT)
        elif kind == "thinking":
            thoughts.append(_thought(part))
            lost += _left(part, _THINKING)
            lost += [f"thinking[].{_kind(one)}" for one in untold(part.get("thinking"))]
        else:
            lost.append(_kind(part))
    rest = {name: value for name, value in message.items() if name != "content"}
    content = {"content": "".join(texts)} if texts or whole or not thoughts else {}
    return {**rest, **content, **write_reasoning(thoughts)}


def _left(part: Extra, known: frozenset[str]) -> list[str]:
    """The fields of a part that say something beside what is known of it, as they may be named in a header."""
    return [name for name, value in part.items() if name not in known and value and _NAME.fullmatch(name)]


def _kind(part: Any) -> str:
    """What a part that is lost is called."""
    kind = part.get("type") if type(part) is dict else None
    return kind if type(kind) is str and _NAME.fullmatch(kind) else "part"


def _thought(part: Extra) -> Reasoning:
    read = read_thinking_part({**part})
    return Reasoning(read.text, read.signature, read.redacted, read.origin)


def as_parts(blocks: list[Block]) -> tuple[list[Block], bool]:
    """Blocks of an assistant's message, its thoughts as parts of the content; and whether some of them are nothing that Mistral takes:
    what another maker signed goes without that, and what another one encrypted does not go at all.
    """
    if not any(type(block) is Reasoning and block.field != PART for block in blocks):
        return blocks, False
    written: list[Block] = []
    lost = False
    for block in blocks:
        if type(block) is not Reasoning or block.field == PART:
            written.append(block)
            continue
        own = block.origin == MISTRAL
        lost = lost or not (own or not (block.signature or block.redacted))
        if block.text or own:
            written.append(Reasoning(block.text, field=PART, extra=write_thinking_part(block.text, block if own else None)))
    return written, lost
