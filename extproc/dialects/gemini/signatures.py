"""Signatures of Gemini's parts, and of what other makers signed: https://ai.google.dev/gemini-api/docs/thought-signatures"""

from extproc.dialects.gemini.names import note
from extproc.dialects.hub import Block, Reasoning, Seal
from extproc.dialects.seals import unpack

SIGNER = "google-gemini-v1"
"""The origin of what Gemini signed."""

UNSIGNED = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"
"""Google's word for a call that another model made: https://ai.google.dev/gemini-api/docs/thought-signatures (and our recordings)."""

REDACTED = "redacted:"
"""Begins the packed signature of reasoning that another maker encrypted whole."""


def sign(block: Block, given: str) -> None:
    """Gives a block the `thoughtSignature` of the part that it was read from."""
    if given == UNSIGNED:
        block.extra = note(block.extra, thoughtSignature=given)
        return
    value, origin = unpack(given, SIGNER)
    if type(block) is not Reasoning:
        block.seal = Seal(value, origin)
        return
    block.origin = origin
    if origin != SIGNER and value.startswith(REDACTED):
        block.redacted = value.removeprefix(REDACTED)
    else:
        block.signature = value
