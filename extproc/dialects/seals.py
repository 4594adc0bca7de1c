"""Signatures and encrypted reasoning of one maker, carried through a dialect whose fields say nothing of whose they are.

A client sends back what it was given, and only the maker can use it. So what is not of the dialect's own maker is packed with the name
of its origin, in base64, which every such field takes; and what comes back packed belongs to that origin again. Origins are named as
OpenRouter's `format` does: `anthropic-claude-v1`, `google-gemini-v1`, `openai-responses-v1`, ...
"""

import binascii
from base64 import b64decode, b64encode

_PREFIX = b"headgate:"
_PACKED = b64encode(_PREFIX).decode()
# Nine bytes are twelve letters of base64 without a remainder, so what is packed is known by how it begins.


_MARK = _PACKED.encode()


def packed(body: bytes) -> bool:
    """Whether a request holds anything packed. By chance, or in a caller's text, it may look so."""
    return body.find(_MARK) >= 0


def pack(value: str, origin: str, own: str) -> str:
    """`value` for a field of a dialect whose own maker is `own`."""
    if origin == own or not value:
        return value
    return b64encode(_PREFIX + origin.encode() + b":" + value.encode("utf-8", "surrogatepass")).decode()


def unpack(field: str, own: str) -> tuple[str, str]:
    """The value of a field, and its origin."""
    if not field.startswith(_PACKED):
        return field, own
    try:
        # Google's SDKs write the bytes that they read in the other alphabet (RFC 4648, section 5).
        plain = field.replace("-", "+").replace("_", "/")
        origin, _, value = b64decode(plain, validate=True)[len(_PREFIX) :].decode("utf-8", "surrogatepass").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return field, own
    return value, origin
