"""Answers in another dialect."""

from collections.abc import Mapping

from extproc.amount import searches_of
from extproc.answering.retold import EmptyAnswer, Retell, Retold, retell, said, unusable, unusable_in_log
from extproc.answering.terms import BrokenAnswer, Collected, Terms, dropped, in_short
from extproc.answering.untouched import completed, look_at_first
from extproc.answering.way import Answering, held
from extproc.aside import SMALL, is_bulky
from extproc.dialects.dialect import StreamUsage, common
from extproc.dialects.failing import advised
from extproc.dialects.fields import length
from extproc.dialects.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Error,
    Finish,
    ReasoningDelta,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    TextDelta,
    Used,
)
from extproc.errors import Fault
from extproc.usage import Usage, higher
from extproc.values import BodyMode

_PIECE = 64
"""Bytes that a piece of text takes in memory beside its own (CPython: a string's head, and its place in a list)."""


class WholeTranslated(Answering):
    """A JSON answer of another dialect."""

    rewrites = True

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str]) -> None:
        super().__init__(status)
        self.mode = held(headers, BodyMode.STREAMED)
        self._head = headers
        self._terms = terms
        self._body = Collected(terms)
        self._ahead: Retold | None = None

    def completes(self, chunk: bytes) -> bool:
        return self._body.completes(chunk)

    def job(self, last: bytes) -> tuple[Retell, bytes] | None:
        """What can be done aside before the last piece is fed, and given to `take`: the job, and the whole body. None: it is small."""
        terms = self._terms
        size = self._body.size + len(last)
        if not SMALL < size <= terms.most:
            return None
        whole = self._body.whole() + last
        if not is_bulky(whole):
            return None
        return Retell(
            terms.client.name, terms.provider.name, terms.kind, terms.form, terms.provider_name, terms.request_id, terms.asked, terms.model,
            self.status, self.counted, terms.id, terms.sdk,
        ), whole  # fmt: skip

    def take(self, retold: Retold) -> None:
        """The job is done: the last piece can be fed."""
        self._ahead = retold

    def forgo(self, whole: bytes) -> tuple[Usage | None, str]:
        """The job is not done: what the answer cost, and whose it is."""
        usage, self.answered = self._terms.provider.usage(whole)
        self.usage = usage or self.counted
        return self.usage, self.answered

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._body.add(chunk)
        if not end:
            return []
        self.finished = True
        body = self._body.whole()
        told = self._ahead or retell(body, self.status, self._terms, self.counted)
        if common(self._terms.kind) == "rerank":
            self.amount = searches_of(body)
        self.status, self.error, self.usage, self.answered = told.status, told.error, told.usage, told.answered
        self.text = told.text
        if told.error:
            self.headers = {**self.headers, **advised(Fault(told.status, told.error, "", retry_after=told.retry_after), self._head)[1]}
        if told.wrong:
            self._terms.log(unusable_in_log(self._terms, told.wrong))
        if told.dropped:
            self.headers = {**self.headers, **dropped([*self._terms.dropped, *(f"answer.{name}" for name in told.dropped)])}
        return [told.body]


class StreamTranslated(Answering):
    """A stream of another dialect.

    A reader and a writer may keep what was said until it is complete: arguments that one side tells in pieces and the other whole, or all
    of it, which the last event of a Responses API repeats. That is bounded by `Terms.most`, as one event is; past it the client gets an
    error in its own dialect, and the end. Words that nobody keeps may be as many as they like.

    Usage and the rest are learnt from what the reader reads; only what comes after an error is watched as what passes untouched is.
    """

    stream = True
    rewrites = True

    def __init__(self, status: int, terms: Terms) -> None:
        super().__init__(status)
        self.headers = {"content-type": terms.client.framing.content_type}
        self._terms = terms
        self._reader = terms.provider.stream_reader()
        self._writer = terms.client.stream_writer(include_usage=terms.include_usage)
        self._watch: StreamUsage | None = None
        """There has been an error: what comes after it is read for its usage alone."""
        self._split = terms.provider.framing.splitter()
        self._parse = terms.provider.framing.parse
        self._ended = False
        """The reader has seen the end."""
        self._stopped = False
        """It has seen a reason to stop."""
        self._said = False
        """It has seen content."""
        self._room = terms.most
        """Bytes that reader and writer may still be given to keep."""

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        written: list[bytes] = []
        try:
            blocks = completed(self._split, chunk, end, self._terms)
        except BrokenAnswer:
            if self._watch is not None:
                # The client has been told, and as much again has come since: nobody else would end it.
                raise
            self._split = self._terms.provider.framing.splitter()
            return [self._too_much()]
        if not self.begun:
            look_at_first(self, blocks, self._terms.provider)
        for block in blocks:
            if self._watch is not None:
                self._count(self._watch, block)
            elif (event := self._parse(block)) is not None:
                parts = self._reader.feed(event)
                written += [self._write(part) for part in parts]
                self._room -= self._weight(parts, block)
                if self._room <= 0 and not self._ended:
                    written.append(self._too_much())
        if end and self._watch is None:
            written += [self._write(part) for part in self._reader.end()]
            written.append(self._writer.end())
        self.finished = (self._ended or (self._stopped and self.usage is not None)) and not self.error
        return [event for event in written if event]

    def break_off(self, fault: Fault, request_id: str) -> list[bytes]:
        if self.error:
            return []
        writer = self._writer
        return [event for event in (writer.write(Error(fault, request_id)), writer.end()) if event]

    def _count(self, watch: StreamUsage, block: bytes) -> None:
        """One raw event, after an error. What was told before and what is told now are parts of the same sums, and none goes down."""
        before = watch.text
        if watch.feed(block) and watch.usage is not None:
            self.usage = higher(self.usage, watch.usage) if self.usage is not None else watch.usage
        self.text += watch.text - before

    def _too_much(self) -> bytes:
        """An error of ours and the end; nothing is kept any more."""
        terms, writer = self._terms, self._writer
        self._reader, self._writer = terms.provider.stream_reader(), terms.client.stream_writer(include_usage=False)
        self._watch = terms.provider.stream_usage()
        told = f"The provider {terms.provider_name} sent more in a stream than {terms.most} bytes (limits.response_body)."
        fault = Fault(502, "bad_provider_answer", told)
        if not self.begun:
            self.begun, self.opening = True, fault
        if not self.error:
            self.error, self.finished = fault.code, False
            terms.log("sent more in a stream than is taken (limits.response_body)")
        return writer.write(Error(fault, terms.request_id)) + writer.end()

    def _write(self, part: StreamEvent) -> bytes:
        if type(part) is TextDelta or type(part) is ReasoningDelta or type(part) is ArgumentsDelta:
            self.text += length(part.text)
        elif type(part) is Used:
            if part.usage != self.usage:
                self.usage = part.usage
        elif type(part) is not BlockStop:
            part = self._learn(part)
        return self._writer.write(part)

    def _learn(self, part: StreamEvent) -> StreamEvent:
        """What a part tells of the answer beside its words. Returns it, or the error that it is."""
        match part:
            case BlockStart():
                self._said = True
                self.text += said(part.block)
            case Start():
                self.answered, self.usage = part.model, part.usage or self.usage
                part.asked = self._terms.asked
                self._terms.name(part)
            case Finish():
                self._ended = True
            case Stop() if part.reason is StopReason.ERROR and not self._said:
                return self._learn(Error(unusable(self._terms, str(EmptyAnswer(part.raw or "error")))))
            case Stop():
                self._stopped = True
            case Error():
                part.request = self._terms.request_id
                if not self.error:
                    self.error = part.fault.code
                    self._watch = self._terms.provider.stream_usage()
                    self._terms.log(in_short(part.fault))
        return part

    def _weight(self, parts: list[StreamEvent], event: bytes) -> int:
        """Bytes that may be kept of an event: its words, if it is one more piece of a text, or else as much as it has."""
        part = parts[0] if len(parts) == 1 else None
        if type(part) is ArgumentsDelta:
            return _PIECE + len(part.text)
        if (type(part) is TextDelta and not part.logprobs) or type(part) is ReasoningDelta:
            return _PIECE + len(part.text) if self._reader.keeps_words or self._writer.keeps_words else 0
        return len(event)
