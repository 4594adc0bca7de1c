"""What Mistral's reasoning models answer, for OpenAI's own clients: content is a text, and what was thought has fields beside it.

Mistral tells both as parts of the content, in whole answers and in a stream's deltas, which OpenAI's SDK takes for a text. In requests it
knows no such fields, and answers 422 to them: what a client sends back there becomes parts again.

https://docs.mistral.ai/capabilities/reasoning
"""

import re
from typing import Any

import msgspec

from extproc.dialects.hub import Block, Extra, Reasoning
from extproc.dialects.openai.reasoning import MISTRAL, PART, read_thinking_part, write_reasoning, write_thinking_part

_PARTS = re.compile(rb'"content"\s*:\s*\[')
_FIELDS = re.compile(rb'"(?:reasoning(?:_content|_details)?|thinking_blocks)"\s*:')
_PLACES = ("message", "delta")


def is_in_parts(told: bytes) -> bool:
    """Whether an answer, or an event, may have a content in parts."""
    return _PARTS.search(told) is not None


def has_fields(asked: bytes) -> bool:
    """Whether a request may have thoughts in fields."""
    return _FIELDS.search(asked) is not None


def told_apart(told: bytes) -> tuple[bytes, list[str]]:
    """An answer, or a chunk of a stream, as OpenAI's clients read it, and which kinds of parts are lost with that. What is no JSON, or has
    no such content, stays as it was.
    """
    lost: list[str] = []
    try:
        document: Any = msgspec.json.decode(told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return told, lost
    choices = document.get("choices") if type(document) is dict else None
    changed = False
    for choice in choices if type(choices) is list else ():
        for place in _PLACES if type(choice) is dict else ():
            message = choice.get(place)
            if type(message) is dict and type(message.get("content")) is list:
                choice[place] = _message(message, lost, whole=place == "message")
                changed = True
    return (msgspec.json.encode(document) if changed else told), lost


def _message(message: Extra, lost: list[str], *, whole: bool) -> Extra:
    """A message, or a delta, whose content is a list."""
    texts: list[str] = []
    thoughts: list[Block] = []
    for part in message["content"]:
        kind = part.get("type") if type(part) is dict else None
        if kind == "text" and type(part.get("text")) is str:
            texts.append(part["text"])
        elif kind == "thinking":
            thoughts.append(_thought(part))
        else:
            lost.append(kind if type(kind) is str else "part")
    rest = {name: value for name, value in message.items() if name != "content"}
    content = {"content": "".join(texts)} if texts or whole else {}
    return {**rest, **content, **write_reasoning(thoughts)}


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
