"""Documents for providers that take nothing but texts; and what a search found, which only a few know from other documents."""

import base64
import binascii
import html
from typing import Any

from extproc.dialects.hub import Block, Document

CITED = {"enabled": True}
"""Anthropic's and Bedrock's `citations`, of a document that is to be cited."""
_UNCITED = {"enabled": False}
"""The same of one that is not. Nobody else cites unasked, so nobody else has to be told."""


def words(block: Document) -> str | None:
    """A document's text; None if it is no text."""
    if block.text is not None or not block.data:
        return block.text
    if not (block.media_type.startswith("text/") or block.media_type.endswith(("json", "xml", "yaml"))):
        return None
    try:
        return base64.b64decode(block.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def tagged(block: Document, text: str) -> str:
    """The document as a text, told apart from what stands around it."""
    # Both may be a stranger's words, and are not to end the tag.
    title = f' title="{html.escape(block.name)}"' if block.name else ""
    source = f' source="{html.escape(block.url)}"' if is_found(block) else ""
    return f"<document{title}{source}>\n{text}\n</document>"


def is_found(block: Document) -> bool:
    """Whether it is what a search found: a text, and where it is from."""
    return block.text is not None and bool(block.url)


def pieces(block: Document) -> list[str]:
    """The texts that it consists of."""
    return block.pieces or [block.text or ""]


def take_citing(block: Document, rest: dict[str, Any]) -> None:
    """Reads `citations` of a document: what asks for something stays in `rest`, for its own dialect and for those that can cite."""
    given = rest.get("citations")
    block.cited = given == CITED
    if given == _UNCITED:
        block.local = {"citations": rest.pop("citations")}


def says_cited(block: Block, value: Any, *, can: bool) -> bool:
    """Whether `value`, which a dialect left of a document, says no more than that it is to be cited, and it `can` be, or that it is not."""
    given = value.get("citations", value) if type(value) is dict and len(value) == 1 else value
    return type(block) is Document and given == {"enabled": block.cited} and (can or not block.cited)
