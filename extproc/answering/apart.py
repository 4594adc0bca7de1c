"""Answers of the client's own dialect that are in the form of another SDK than the client's: content in parts, told as a text.

Only what has such a content is written anew; all else passes as it is.
"""

from collections.abc import Mapping

from extproc.answering.failure import BAD_REQUEST
from extproc.answering.terms import Terms, dropped
from extproc.answering.untouched import StreamUntouched, WholeUntouched
from extproc.answering.way import BUFFERED_AT_MOST, length_of
from extproc.dialects.openai.apart import is_in_parts, told_apart
from extproc.dialects.sse import parse
from extproc.values import BodyMode


class WholeApart(WholeUntouched):
    """A whole answer."""

    rewrites = True

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str]) -> None:
        super().__init__(status, terms, headers)
        self.mode = BodyMode.BUFFERED if 0 < length_of(headers) <= BUFFERED_AT_MOST else BodyMode.STREAMED

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        passed = super().feed(chunk, end)
        if not end:
            return []
        if self.status >= BAD_REQUEST:
            return passed  # it was no answer
        told = self._body.whole()
        if not is_in_parts(told):
            return [told]
        told, lost = told_apart(told)
        if lost:
            names = dict.fromkeys(f"answer.choices[].message.content[].{kind}" for kind in lost)
            self.headers = {**self.headers, **dropped([*self._terms.dropped, *names])}
        return [told]


class StreamApart(StreamUntouched):
    """A stream."""

    def may_wait(self, chunk: bytes) -> bool:
        return not is_in_parts(chunk) and super().may_wait(chunk)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        return [_event(event) if is_in_parts(event) else event for event in super().feed(chunk, end)]


def _event(event: bytes) -> bytes:
    read = parse(event)
    if read is None:
        return event
    told, _ = told_apart(read.data)
    return event if told is read.data else b"data: " + told + b"\n\n"
