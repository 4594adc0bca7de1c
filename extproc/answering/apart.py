"""Answers of the client's own dialect that are in the form of another SDK than the client's: content in parts, told as a text.

Only what has such a content is written anew; all else passes as it is.
"""

from collections.abc import Mapping

from extproc.answering.failure import BAD_REQUEST
from extproc.answering.terms import Terms, dropped
from extproc.answering.untouched import StreamUntouched, WholeUntouched
from extproc.answering.way import held
from extproc.dialects.dialect import Apart
from extproc.values import BodyMode


class WholeApart(WholeUntouched):
    """A whole answer."""

    rewrites = True

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str], apart: Apart) -> None:
        super().__init__(status, terms, headers)
        self._apart = apart
        self.mode = held(headers, BodyMode.STREAMED)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        passed = super().feed(chunk, end)
        if not end:
            return []
        if self.status >= BAD_REQUEST:
            return passed  # it was no answer
        told = self._body.whole()
        if not self._apart.is_told(told):
            return [told]
        told, lost = self._apart.answer(told)
        if lost:
            self.headers = {**self.headers, **dropped([*self._terms.dropped, *lost])}
        return [told]


class StreamApart(StreamUntouched):
    """A stream. What is lost of it is not named: its head has gone out."""

    def __init__(self, status: int, terms: Terms, apart: Apart) -> None:
        super().__init__(status, terms)
        self._apart = apart

    def may_wait(self, chunk: bytes) -> bool:
        return not self._apart.is_told(chunk) and super().may_wait(chunk)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        apart = self._apart
        return [apart.event(event) if apart.is_told(event) else event for event in super().feed(chunk, end)]
