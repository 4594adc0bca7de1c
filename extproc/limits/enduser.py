"""Whom a request is made for, as its body says: the user of whoever calls.

OpenAI's dialects say `user`, and lately `safety_identifier`; Anthropic's `metadata.user_id`; Gemini's nothing.
"""

from typing import Any

import msgspec
from msgspec import Struct

HEADER = "x-headgate-user"
"""Says the same, for every dialect, and before the body does."""
_LONGEST = 256
_KEYS = (b'"user"', b'"safety_identifier"', b'"user_id"')


class _Body(Struct):
    user: Any = None
    safety_identifier: Any = None
    metadata: Any = None


_read = msgspec.json.Decoder(_Body).decode


def end_user(body: bytes) -> str:
    """The end user that a body names; empty where it names none, or something that is no name."""
    # Most name none; and a key that is written in another way is no key of theirs.
    if not any(key in body for key in _KEYS):
        return ""
    try:
        read = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    metadata = read.metadata.get("user_id") if isinstance(read.metadata, dict) else None
    return next((name for one in (read.safety_identifier, read.user, metadata) if (name := cleaned(one))), "")


def cleaned(name: object) -> str:
    """A name as it is counted by: cut short, since whoever calls may say whatever he likes."""
    return name.strip()[:_LONGEST] if isinstance(name, str) else ""
