"""Signatures on calls and texts, as Google's own endpoint of OpenAI's dialect has them: `extra_content.google.thought_signature`.

They stand in a tool call or, for its text, in the message. https://ai.google.dev/gemini-api/docs/thought-signatures

Clients get them packed in any case (`seals.py`): a provider of this dialect that has not made them refuses the field, and what is packed is
found in a request that would pass untouched, and left out.
"""

from typing import Any

from extproc.dialects.hub import Block, Extra, Seal, Text, ToolCall
from extproc.dialects.seals import pack, unpack

GOOGLE = "google-gemini-v1"
"""The origin of what Gemini signed."""

_FIELD = "extra_content"
_TWICE = "thought_signature"
"""A message may have it once more, at its top."""


def read_seal(extra: Any) -> Seal | None:
    """The signature in a field `extra_content`. What was packed has no `raw`: it is not to be written back."""
    google = extra.get("google") if type(extra) is dict else None
    signature = google.get(_TWICE) if type(google) is dict else None
    if type(signature) is not str or not signature:
        return None
    value, origin = unpack(signature, GOOGLE)
    return Seal(value, origin, {_FIELD: extra} if value == signature else {})


def take_seal(rest: Extra) -> Seal | None:
    """That of a tool call, taken out of it."""
    seal = read_seal(rest.get(_FIELD))
    if seal:
        del rest[_FIELD]
    return seal


def seal_message(rest: Extra, blocks: list[Block]) -> None:
    """That of a message belongs to its last text; without one, to its first call."""
    seal = read_seal(rest.get(_FIELD))
    texts = [block for block in blocks if type(block) is Text]
    calls = [block for block in blocks if type(block) is ToolCall and block.seal is None]
    if seal and (texts or calls):
        fields = {field: rest.pop(field) for field in (_FIELD, _TWICE) if field in rest}
        seal.raw = {"message": fields} if seal.raw else {}
        (texts[-1] if texts else calls[0]).seal = seal


def write_seal(seal: Seal, *, maker: bool = False) -> Extra:
    """The field that carries it to a client; or back to its `maker`."""
    return {_FIELD: {"google": {_TWICE: seal.value if maker else pack(seal.value, seal.origin, "")}}}


def is_own(block: Block) -> bool:
    """Whether its seal, if it has one, came from a provider of this dialect."""
    return block.seal is None or bool(block.seal.raw)


def own_seal(block: Block) -> Extra:
    """The fields of a block of this dialect, as they were."""
    return {field: value for field, value in block.seal.raw.items() if field != "message"} if block.seal else {}


def own_message_seal(blocks: list[Block]) -> Extra:
    """The fields of a message of this dialect, as they were."""
    return next((block.seal.raw["message"] for block in blocks if block.seal and "message" in block.seal.raw), {})
