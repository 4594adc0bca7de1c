"""What came compressed though nobody had asked for that."""

import zlib

from extproc.answering.terms import BrokenAnswer, Terms, too_much
from extproc.answering.way import Answering
from extproc.errors import Fault

# What can be undone of a compression that nobody asked for; zlib tells the two forms apart when it is told 32 + 15.
PACKED = ("gzip", "x-gzip", "deflate")
_EITHER_FORM = 47


class Unpacked(Answering):
    """An answer that came compressed though nobody had asked for that: read, and given on, as if it had not."""

    rewrites = True

    def __init__(self, inner: Answering, terms: Terms) -> None:
        super().__init__(inner.status)
        self.mode, self.stream, self.headers, self.error = inner.mode, inner.stream, inner.headers, inner.error
        self._inner, self._terms = inner, terms
        self._unpacker = zlib.decompressobj(_EITHER_FORM)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        inner = self._inner
        events = inner.feed(self._unpack(chunk), end)
        self.status, self.error, self.finished, self.headers = inner.status, inner.error, inner.finished, inner.headers
        self.usage, self.answered, self.text, self.amount = inner.usage, inner.answered, inner.text, inner.amount
        self.begun, self.opening, self.resets = inner.begun, inner.opening, inner.resets
        return events

    def break_off(self, fault: Fault, request_id: str) -> list[bytes]:
        return self._inner.break_off(fault, request_id)

    def _unpack(self, chunk: bytes) -> bytes:
        plain = b""
        while chunk:
            if self._unpacker.eof:  # several packed one after the other are one (RFC 1952, section 2.2)
                self._unpacker = zlib.decompressobj(_EITHER_FORM)
            try:
                plain += self._unpacker.decompress(chunk, self._terms.most + 1)
            except zlib.error as error:
                raise BrokenAnswer(f"the provider {self._terms.provider_name} sent what cannot be decompressed: {error}") from None
            if len(plain) > self._terms.most:
                raise too_much(self._terms)
            chunk = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        return plain
