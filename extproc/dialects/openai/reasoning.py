"""What a model thought, in OpenAI's messages.

Reasoning has no field in OpenAI's own API. `reasoning_content` is what vLLM, DeepSeek, LiteLLM and the clients agreed upon (Groq, Cerebras
and OpenRouter say `reasoning`); what must go back to its maker unchanged rides in `reasoning_details`, OpenRouter's list of entries
`{type: reasoning.text, text, signature, format}` and `{type: reasoning.encrypted, data, format}`, which a client sends back with the
message. LiteLLM's `thinking_blocks` are read as well. Mistral's reasoning is a part of the content (`PART`), a list of texts:
https://docs.mistral.ai/capabilities/reasoning/
"""

from typing import Any

from extproc.dialects.fields import take_str
from extproc.dialects.hub import Block, Extra, Reasoning
from extproc.dialects.seals import pack, unpack

CLAUDE = "anthropic-claude-v1"
"""The `format` of reasoning that Claude signed."""

MISTRAL = "mistral-v1"
"""The origin of what Mistral signed."""

_REDACTED = "redacted:"
"""Begins the packed signature of reasoning that another maker encrypted whole."""

PART = "content[].thinking"
"""`Reasoning.field` of what was a part of the content."""


def read_thinking_part(rest: Extra) -> Reasoning:
    """A part of kind `thinking`. It stays in `rest`, which becomes the block's `extra`, for its own dialect; but for what another maker
    signed.
    """
    value, origin = read_signature(rest.get("signature"))
    block = Reasoning(thought_in(rest.get("thinking")), origin=origin, field=PART)
    if not value or origin == MISTRAL:
        block.signature = value
        return block
    del rest["signature"]
    if value.startswith(_REDACTED):
        block.redacted = value.removeprefix(_REDACTED)
    else:
        block.signature = value
    return block


def read_signature(given: Any) -> tuple[str, str]:
    """The `signature` of a `thinking` part, and whose it is; empty if there is none."""
    return unpack(given, MISTRAL) if type(given) is str and given else ("", "")


def write_thinking_part(text: str, block: Reasoning | None = None) -> Extra:
    """A part of kind `thinking`; with the signature of `block`, or what is encrypted of it, packed where it is not Mistral's."""
    part: Extra = {"type": "thinking", "thinking": [{"type": "text", "text": text}] if text else []}
    value = "" if block is None else _REDACTED + block.redacted if block.redacted else block.signature
    return {**part, "signature": pack(value, block.origin, MISTRAL)} if block and value else part


def thought_in(given: Any) -> str:
    """The text of a `thinking` part: a string, or a list of text parts."""
    if type(given) is str:
        return given
    texts = [part.get("text") for part in given if type(part) is dict] if type(given) is list else []
    return "".join(text for text in texts if type(text) is str)


def untold(given: Any) -> list[Any]:
    """What is not in `thought_in`: parts that are no texts, such as references."""
    parts = given if type(given) is list else []
    return [part for part in parts if type(part) is not dict or type(part.get("text")) is not str]


def read_reasoning(rest: Extra, path: str) -> list[Reasoning]:
    """What the fields of an assistant's message say, taken out of it."""
    text, field = take_thought(rest, path)
    blocks: list[Reasoning] = []
    for name in ("reasoning_details", "thinking_blocks"):
        entries = rest.get(name)
        if type(entries) is list and entries and all(type(entry) is dict for entry in entries) and not blocks:
            del rest[name]
            blocks = [read_detail(entry) for entry in entries]
    if text and text == "".join(block.text for block in blocks):
        blocks[0].field = field  # the entries say the same, piece by piece
    elif text and any(block.text for block in blocks):
        rest[field] = text
    elif text:
        blocks.insert(0, Reasoning(text, field=field))
    return blocks


def take_thought(rest: Extra, path: str) -> tuple[str, str]:
    """Reasoning text and the field it stands in. Some providers fill both fields with the same."""
    for field in ("reasoning_content", "reasoning"):
        if type(rest.get(field)) is str:
            text = take_str(rest, field, path) or ""
            return text, field
    return "", ""


def read_detail(entry: Extra) -> Reasoning:
    """One entry of `reasoning_details` or `thinking_blocks`; `extra` keeps it as it is, for its own dialect."""

    def word(key: str) -> str:
        value = entry.get(key)
        return value if type(value) is str else ""

    claude = word("type") in ("thinking", "redacted_thinking")
    return Reasoning(
        text=word("text") or word("thinking") or word("summary"),
        signature=word("signature"),
        redacted=word("data"),
        origin=CLAUDE if claude else word("format"),
        extra={"thinking_blocks" if claude else "reasoning_details": entry},
    )


def write_reasoning(blocks: list[Block]) -> Extra:
    """The fields of a message that carry reasoning: its text, and entries for what must come back whole."""
    reasoning = [block for block in blocks if type(block) is Reasoning and block.field != PART]
    if not reasoning:
        return {}
    fields: Extra = {}
    # Entries of this dialect (`extra`) may stand alone; then no field tells the text again.
    if text := "".join(block.text for block in reasoning if reasoning[0].field or not block.extra):
        fields[reasoning[0].field or "reasoning_content"] = text
    for i, block in enumerate(reasoning):
        for field, entry in write_details(block, i).items():
            fields.setdefault(field, []).append(entry)
    return fields


def write_details(block: Reasoning, index: int) -> Extra:
    """The entry that carries a signature or encrypted reasoning, by its field; empty if there is neither."""
    if block.extra:
        return block.extra
    if block.redacted:
        return {"reasoning_details": {"type": "reasoning.encrypted", "data": block.redacted, "format": block.origin, "index": index}}
    if block.signature:
        entry = {"type": "reasoning.text", "text": block.text, "signature": block.signature, "format": block.origin, "index": index}
        return {"reasoning_details": entry}
    return {}
