"""Signatures of other makers, in the fields that Anthropic has for its own: packed (`seals.py`), so that clients send them back.

What stands in `signature` and `data` behind a maker's name says what it is of:

- `signature`: of the block's own text;
- `redacted`: in place of a text;
- `next`, `last`: of the block after this one, or before it, which is no reasoning (Gemini signs calls and texts). Such a block is there for
  its seal alone;
- `nothing`: of a text that nobody has signed. Anthropic refuses it without a signature, and must never get it; this one is known again.

https://docs.claude.com/en/docs/build-with-claude/extended-thinking#preserving-thinking-blocks
"""

from extproc.dialects.hub import Block, Extra, Reasoning, Seal
from extproc.dialects.seals import pack, unpack

SIGNER = "anthropic-claude-v1"
"""The origin of reasoning that Claude signed or encrypted."""

_KINDS = ("signature", "redacted", "next", "last", "nothing")


def is_own(block: Reasoning) -> bool:
    """Whether Anthropic itself can read the block again."""
    return block.origin.startswith("anthropic") and bool(block.signature or block.redacted)


def sign(value: str, origin: str) -> str:
    """What stands in `signature`."""
    if origin == SIGNER:
        return value
    return pack(f"signature:{value}" if value else "nothing:", origin, SIGNER)


def write_reasoning(block: Reasoning) -> Extra:
    """A block for a client."""
    if block.redacted:
        data = block.redacted if block.origin == SIGNER else pack(f"redacted:{block.redacted}", block.origin, SIGNER)
        return {"type": "redacted_thinking", "data": data}
    return {"type": "thinking", "thinking": block.text, "signature": sign(block.signature, block.origin)}


def write_seal(seal: Seal, *, late: bool = False) -> Extra:
    """The block that carries the seal of the one after it; or `late`, of the one before it."""
    return {"type": "redacted_thinking", "data": pack(f"{'last' if late else 'next'}:{seal.value}", seal.origin, SIGNER)}


def read_signed(text: str, signature: str) -> Reasoning:
    """A `thinking` block."""
    kind, value, origin = _open(signature)
    return Reasoning(text, value if kind != "nothing" else "", origin=origin)


def read_redacted(data: str) -> Reasoning:
    """A `redacted_thinking` block; one that is there for a seal is its `field`."""
    kind, value, origin = _open(data)
    return Reasoning(redacted=value, origin=origin, field=kind if kind in ("next", "last") else "")


def _open(field: str) -> tuple[str, str, str]:
    value, origin = unpack(field, SIGNER)
    kind, _, inside = value.partition(":")
    return (kind, inside, origin) if origin != SIGNER and kind in _KINDS else ("", value, origin)


def settle(blocks: list[Block]) -> list[Block]:
    """Blocks of a message, each with its seal."""
    if not any(type(block) is Reasoning and block.field for block in blocks):
        return blocks
    settled: list[Block] = []
    waiting: Seal | None = None
    for block in blocks:
        if type(block) is Reasoning and block.field:
            seal = Seal(block.redacted, block.origin)
            if block.field == "next":
                waiting = seal
            elif settled:
                settled[-1].seal = seal
            continue
        if waiting:
            block.seal, waiting = waiting, None
        settled.append(block)
    return settled
