"""Reasoning, as text with a signature or as encrypted bytes.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html

Only Claude signs and encrypts here, and does so as at Anthropic: the signature is the same text, and the encrypted bytes are those of
the text that Anthropic has in `data`. What others have signed is packed (`seals.py`), and no model of Bedrock's gets it.
"""

import re
from base64 import b64decode, b64encode

from extproc.dialects.fields import obj, take_str
from extproc.dialects.hub import Block, Extra, Reasoning
from extproc.dialects.seals import pack, unpack

SIGNER = "anthropic-claude-v1"
"""The origin of what Claude signed or encrypted."""

UNKNOWN = "amazon-bedrock-v1"
"""The origin of encrypted bytes that are none of Claude's."""

_TEXT = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


def read_reasoning(rest: Extra, path: str) -> Block | None:
    """A block's `reasoningContent`; None where it has another form."""
    inner = obj(rest["reasoningContent"], path + "reasoningContent")
    path += "reasoningContent."
    if inner.keys() == {"redactedContent"} and inner["redactedContent"]:
        redacted, origin = read_redacted(take_str(inner, "redactedContent", path) or "")
        del rest["reasoningContent"]
        return Reasoning(redacted=redacted, origin=origin)
    if inner.keys() != {"reasoningText"}:
        return None
    words = obj(inner["reasoningText"], path + "reasoningText")
    text = take_str(words, "text", path + "reasoningText.") or ""
    signature, origin = "", ""
    if words.get("signature") != "":
        signature, origin = read_signature(take_str(words, "signature", path + "reasoningText.") or "")
    if words:
        rest["reasoningContent"] = {"reasoningText": words}
    else:
        del rest["reasoningContent"]
    return Reasoning(text, signature, origin=origin)


def read_signature(field: str) -> tuple[str, str]:
    """A signature and its origin; both are empty where nobody signed."""
    return unpack(field, SIGNER) if field else ("", "")


def read_redacted(field: str) -> tuple[str, str]:
    """Encrypted reasoning and its origin."""
    value, origin = unpack(field, "")
    if origin:
        return value, origin
    try:
        inside = b64decode(field, validate=True)
    except ValueError:
        return field, UNKNOWN
    if not _TEXT.fullmatch(inside) or b64encode(inside).decode() != field:
        return field, UNKNOWN
    return inside.decode(), SIGNER


def write_redacted(redacted: str, origin: str) -> str:
    """Encrypted reasoning as the base64 of its bytes."""
    if origin == UNKNOWN:
        return redacted
    if origin != SIGNER:
        return pack(redacted, origin, SIGNER)
    return b64encode(redacted.encode("utf-8", "surrogatepass")).decode()


def foreign(block: Block) -> bool:
    """Whether another maker's model has signed or encrypted it, which then came here through a client of Bedrock's."""
    return type(block) is Reasoning and block.origin not in ("", SIGNER, UNKNOWN)


def write_reasoning(block: Reasoning) -> Extra:
    """A `reasoningContent`, for clients, and for who has made it."""
    if block.redacted:
        return {"redactedContent": write_redacted(block.redacted, block.origin)}
    words: Extra = {"text": block.text}
    if block.signature:
        words["signature"] = pack(block.signature, block.origin, SIGNER)
    return {"reasoningText": words}
