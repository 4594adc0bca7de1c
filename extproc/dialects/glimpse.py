"""Looking at a raw event of a stream without decoding it: how much text it carries, and where its data is.

Keys and quotes inside a JSON string are escaped, so a bare `"content":"` is a key indeed; only its depth is unknown, and does not
matter for an estimate.
"""

import re
from collections.abc import Callable

import msgspec

from extproc.dialects.sse import parse

_decode = msgspec.json.Decoder(str).decode


def counter(*keys: str) -> Callable[[bytes], int]:
    """A function that counts the UTF-8 bytes of the strings at these keys, at any depth."""
    names = "|".join(keys).encode()
    find = re.compile(rb'"(?:' + names + rb')"\s*:\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL).findall

    def count(event: bytes) -> int:
        size = 0
        for text in find(event):
            size += len(text) if text.find(b"\\") < 0 else _length(text)
        return size

    return count


def _length(escaped: bytes) -> int:
    try:
        return len(_decode(b'"' + escaped + b'"').encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError):
        return len(escaped)


def data_of(event: bytes) -> bytes:
    """The data of a raw event; empty if it has none."""
    parsed = parse(event)
    return parsed.data if parsed else b""
