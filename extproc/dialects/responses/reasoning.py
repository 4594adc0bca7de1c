"""Reasoning items: https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items

OpenAI's `encrypted_content` belongs to the item as a whole, with its summary or without. What another maker signed or encrypted goes there
too, packed (`seals.py`) behind a word that says what it was; so clients send it back, and it reaches its maker again:

- `signature`: of the item's text;
- `redacted`: in place of a text;
- `seal`: of the item before this one, which is no reasoning (Gemini signs calls and texts).
"""

from typing import Any

from extproc.dialects import seals
from extproc.dialects.fields import items, obj
from extproc.dialects.hub import Block, Extra, Opaque, Reasoning, Seal
from extproc.dialects.responses.parts import NAME

ORIGIN = "openai-responses-v1"
"""The origin of reasoning that OpenAI encrypted."""

PARAGRAPHS = "\n\n"
"""Between the parts of a summary."""

_SIGNATURE, _REDACTED, _SEAL = "signature", "redacted", "seal"


def read_reasoning(value: Extra, path: str) -> Block | Seal:
    """A reasoning item; a `Seal` belongs to the block before it. One that holds nothing refers to what the provider remembers."""
    text = PARAGRAPHS.join(_texts(value.get("content"), path + ".content")) or PARAGRAPHS.join(
        _texts(value.get("summary"), path + ".summary")
    )
    given = value.get("encrypted_content")
    kind, sealed, origin = opened(given) if type(given) is str else ("", "", ORIGIN)
    if origin == ORIGIN:
        if not text and not sealed:
            return Opaque(NAME, "reasoning", value)
        return Reasoning(text, sealed, origin=origin) if text else Reasoning(redacted=sealed, origin=origin)
    if kind == _SEAL:
        return Seal(sealed, origin)
    return Reasoning(text, redacted=sealed, origin=origin) if kind == _REDACTED else Reasoning(text, sealed, origin=origin)


def opened(field: str) -> tuple[str, str, str]:
    """What stands in `encrypted_content`: what it is of (empty where OpenAI has written it), itself, and whose."""
    sealed, origin = seals.unpack(field, ORIGIN)
    if origin == ORIGIN:
        return "", sealed, origin
    kind, _, sealed = sealed.partition(":")
    return kind, sealed, origin


def _texts(value: Any, path: str) -> list[str]:
    parts = [obj(part, f"{path}[{i}]") for i, part in enumerate(items(value, path))] if value is not None else []
    return [text for part in parts if type(text := part.get("text")) is str and text]


def own(block: Reasoning) -> bool:
    """Whether OpenAI itself can read the block again."""
    return block.origin == ORIGIN and bool(block.signature or block.redacted)


def write_reasoning(block: Reasoning) -> Extra:
    """A reasoning item, without its id: for the provider that made it, or for a client."""
    item: Extra = {"type": "reasoning", "summary": [{"type": "summary_text", "text": block.text}] if block.text else []}
    if sealed := seal(block):
        item["encrypted_content"] = sealed
    return item


def seal(block: Reasoning) -> str:
    """What stands in `encrypted_content`; empty if nobody signed or encrypted it."""
    value = block.redacted or block.signature
    if block.origin == ORIGIN or not value:
        return value
    return seals.pack(f"{_REDACTED if block.redacted else _SIGNATURE}:{value}", block.origin, ORIGIN)


def write_seal(given: Seal) -> Extra:
    """A reasoning item, without its id, that carries the seal of the item before it."""
    return {"type": "reasoning", "summary": [], "encrypted_content": seals.pack(f"{_SEAL}:{given.value}", given.origin, ORIGIN)}
