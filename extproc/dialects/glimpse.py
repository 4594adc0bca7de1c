"""Looking at a raw event of a stream without decoding it: how much text it carries, and where its data is.

Keys and quotes inside a JSON string are escaped, so a bare `"content":"` is a key indeed; only its depth is unknown, and does not
matter for an estimate. Nothing that is looked for goes over the end of a line; so events can be looked at together as well as one by one.
"""

import re

import msgspec

from extproc.dialects.sse import parse

_decode = msgspec.json.Decoder(str).decode


class Texts:
    """The strings at some keys, at any depth."""

    def __init__(self, *keys: str) -> None:
        names = "|".join(keys).encode()
        self._pattern = re.compile(rb'"(?:' + names + rb')"[ \t]*+:[ \t]*+"([^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+)"')

    def count(self, events: bytes) -> int:
        """Their UTF-8 bytes."""
        texts = self._pattern.findall(events)
        whole = b"".join(texts)
        size = len(whole)
        if whole.find(b"\\") >= 0:
            for text in texts:
                if text.find(b"\\") >= 0:
                    size += _length(text) - len(text)
        return size

    def condense(self, pieces: list[bytes]) -> bytes:
        """Pieces of a stream, each of whole events, as one that is shorter and has the same strings.

        Events of a stream begin alike, with ids and models, up to their text: two thirds of their bytes. That much is left in the first
        piece alone. It ends where a member begins, so that nothing that is looked for can have begun in it.
        """
        first = pieces[0]
        found = self._pattern.search(first)
        alike = first[: found.start()] if found else b""
        if not alike.endswith((b"{", b",")):
            return b"".join(pieces)
        return first + b"".join([piece.removeprefix(alike) for piece in pieces[1:]])


def _length(escaped: bytes) -> int:
    try:
        return len(_decode(b'"' + escaped + b'"').encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeError):
        return len(escaped)


def data_of(event: bytes) -> bytes:
    """The data of a raw event; empty if it has none."""
    parsed = parse(event)
    return parsed.data if parsed else b""
