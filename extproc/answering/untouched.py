"""Answers that pass as they are."""

import re
from collections import deque
from collections.abc import Mapping

import msgspec

from extproc.amount import amount_of, searches_of
from extproc.answering.failure import Told, instead
from extproc.answering.retold import EmptyAnswer, in_full, in_plain_words, unusable, unusable_in_log
from extproc.answering.terms import BrokenAnswer, Collected, Terms, in_short, too_much
from extproc.answering.way import Answering
from extproc.aside import is_bulky
from extproc.dialects import trouble
from extproc.dialects.dialect import Dialect, common
from extproc.dialects.framing import Splitter, split
from extproc.dialects.hub import Answer, Error, Finish
from extproc.errors import Fault
from extproc.values import BodyMode

_TAIL = 4
"""Pieces of a stream that are kept to see whether it was complete: the last choice's, those behind it, and a few more."""


_NOTHING = (b"", b"null", b"{}", b"[]")
"""JSON that says nothing, or none at all."""


STILLBORN = Fault(502, "empty_stream", "The provider ended its stream before the first event.")
INTERRUPTED = Fault(502, "stream_interrupted", "the provider closed the stream before its end")
_DONE = b"[DONE]"
_EMPTY = re.compile(rb'"choices"\s*:\s*\[\s*\]')


class Untouched(Answering):
    """A body that nobody reads: audio, files, unknown paths, upgrades."""

    mode = BodyMode.NONE

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        return [chunk]


_CLOSED = (b"}", b"]")
"""How JSON that is worth the name ends."""


class WholeUntouched(Answering):
    """A JSON answer of the client's own dialect: its usage is read, not a byte of it changes.

    What is no answer becomes the error that it is where the head can wait for the body: in the gate that is a body which says that it is
    small, so that Envoy may hand it over whole (`mode`), in the adapter all that comes soon enough (`failure`).
    """

    _suspect = False
    """Something in it may be an error."""
    _wrong = ""
    """Why it is no answer, where that is known."""
    _logged = ""
    """The same in words that may be logged."""
    _stands = False
    """It is an answer all the same, which tells an error of its own."""

    def __init__(self, status: int, terms: Terms, head: Mapping[str, str]) -> None:
        super().__init__(status)
        self._terms = terms
        self._head = head
        self._dialect = terms.client
        self._generates = terms.kind in terms.client.operations
        self._ranks = common(terms.kind) == "rerank"
        self._body = Collected(terms)

    def completes(self, chunk: bytes) -> bool:
        return self._body.completes(chunk)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._body.add(chunk)
        if end:
            body = self._body.whole()
            usage, self.answered = self._dialect.usage(body)
            self.usage = usage or self.counted
            if self._ranks:
                self.amount = searches_of(body)
            elif not self._generates:
                self.amount = amount_of(body)
            elif self.usage is None:
                watch = self._dialect.stream_usage()
                watch.feed(body)
                self.text = watch.text
            self._end(body)
            if self.opening is not None and self.mode >= BodyMode.BUFFERED and body is chunk:
                return self._own_up(chunk)
        return [chunk]

    def _own_up(self, body: bytes) -> list[bytes]:
        """The body that the client gets of what is no answer, whose head has not gone out."""
        if (told := self.failure()) is None:
            return [body]
        self.status, self.error, self.headers, self.finished = told.status, told.error, told.headers, True
        return told.feed(b"", True)

    def failure(self) -> Told | None:
        """The error that came in place of an answer; None for an answer, if only one that says itself that something has failed."""
        if self.opening is None or self._stands:
            return None
        return instead(self._terms, self.opening, self._body.whole(), self._head)

    def _end(self, body: bytes) -> None:
        """Whether it is an answer. What announced no length ends like a whole body where it was cut off, too."""
        terms = self._terms
        self._suspect = suspect = trouble.is_suspect(body)
        fault = trouble.in_answer(body, self._dialect) if suspect else None
        if fault is None and not self._generates:
            fault = trouble.instead(body, self._dialect)
        if fault is not None:
            self.error, self.opening = fault.code, fault
            self._stands = self._generates and self._is_answer(body)
            terms.log(f"answered with status {self.status}, and an error ({fault.code[:50]})")
            return
        # What counts tokens is an answer, unless it may have failed, or breaks off.
        self.finished = (self.usage is not None and not suspect and body.rstrip().endswith(_CLOSED)) or self._is_answer(body)
        if not self.finished:
            self._is_none()

    def check_end(self) -> None:
        if self.finished or not self._wrong:
            return
        try:
            msgspec.json.decode(self._body.whole(), type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            # Of HTTP it may have been the end: a client shall not take it for one.
            raise BrokenAnswer(f"the provider {self._terms.provider_name} sent JSON that breaks off") from None

    def _is_none(self) -> None:
        self.opening = unusable(self._terms, self._wrong)
        self._terms.log(unusable_in_log(self._terms, self._logged))

    def _is_wrong(self, error: Exception) -> None:
        body = self._body.whole()
        self._wrong, self._logged = in_full(error, body), in_plain_words(error, body)

    def verify(self) -> None:
        """Whether what was taken for an answer, since it counts tokens, is JSON to its end: for who can still ask somebody else."""
        try:
            msgspec.json.decode(self._body.whole(), type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            self.finished = False
            self._is_wrong(error)
            self._is_none()

    def _is_answer(self, body: bytes) -> bool:
        """A small one is read, as if it were to be translated."""
        kind, gives = self._terms.kind, self._terms.gives
        if body.strip() in _NOTHING:
            self._is_wrong(ValueError("there is nothing in it"))
            return False
        try:
            if gives == "audio":
                # Mistral's `audio_data`: https://docs.mistral.ai/studio/audio/text-to-speech/generate-speech
                return any(name.startswith("audio") for name in msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
            if not self._generates and gives != "text":
                msgspec.json.decode(body, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
            elif not self._generates or is_bulky(body):
                msgspec.json.decode(body, type=msgspec.Raw)
            else:
                answer = self._dialect.operations[kind].read_answer(msgspec.json.decode(body))
                if self._suspect and type(answer) is Answer and (word := trouble.failed(answer)) is not None:
                    self._is_wrong(EmptyAnswer(word))
                    return False
        except (ValueError, msgspec.DecodeError, RecursionError) as error:
            self._is_wrong(error)
            return False
        return True


class StreamUntouched(Answering):
    """A stream of the client's own dialect. Only an event that exists because we forced usage is taken out, and one that breaks off gets
    the error event that its provider owes: HTTP's end is no end of a stream, and SDKs would take it for one.
    """

    stream = True

    def __init__(self, status: int, terms: Terms) -> None:
        super().__init__(status)
        self._terms = terms
        framing = terms.client.framing
        self._split = framing.splitter()
        self._watch = terms.client.stream_usage()
        self._needle, self._trouble = self._watch.needle, self._watch.trouble
        self._tail: deque[bytes] = deque(maxlen=_TAIL)
        self._cut_surely = framing.ends is not None
        self._end, self._end_crlf = framing.ends or (b"", b"")

    def break_off(self, fault: Fault, request_id: str) -> list[bytes]:
        return [] if self.error else [told_instead(self._terms.client, fault, request_id, begun=self.begun)]

    def may_wait(self, chunk: bytes) -> bool:
        # What has nothing to take off comes back itself. `removesuffix` and `partition`, which take one argument, cost half of `endswith`
        # and `find`, whose arguments are parsed at each call, and a third of `in` (CPython 3.11, seen with callgrind).
        if chunk.removesuffix(self._end) is chunk and chunk.removesuffix(self._end_crlf) is chunk:
            return False
        return not chunk.partition(self._needle)[1]

    def feed_later(self, chunks: list[bytes]) -> None:
        if self._watch.feed_later(chunks):
            for event in split(self._terms.client.framing, b"".join(chunks)):
                self._hear(event)
        self._tail.extend(chunks)
        self._learn()

    def _learn(self) -> None:
        watch = self._watch
        self.text, self.answered, self.finished = watch.text, watch.model, watch.finished and not self.error

    def _hear(self, event: bytes) -> None:
        """Learns the error that an event may tell."""
        if not self.error and (fault := trouble.in_event(event, self._terms.client)) is not None:
            self.error = fault.code
            self._terms.log(in_short(fault))

    def _is_complete(self) -> bool:
        """Asked at the end of a stream without an end of its own: whether all was said all the same, as who translates it sees that."""
        framing, reader = self._terms.client.framing, self._terms.client.stream_reader()
        for event in split(framing, b"".join(self._tail)):
            if (read := framing.parse(event)) is not None:
                reader.feed(read)
        return any(type(one) is Finish for one in reader.end())

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        events = completed(self._split, chunk, end, self._terms)
        if not self.begun:
            look_at_first(self, events, self._terms.client)
        watch = self._watch
        for event in events:
            if watch.feed(event):
                self.usage = watch.usage
            if event.find(self._trouble) >= 0:
                self._hear(event)
        self._tail.extend(events)
        self._learn()
        if end and not self.finished and not self.error:
            self.finished = self._is_complete()
            if not self.finished and self._terms.kind in self._terms.client.operations:
                events = self._interrupted(events)
        hide = self._terms.hide_usage and self.usage is not None
        self.even = self._cut_surely and self.begun and not self._split.waiting and not hide
        if hide:
            events = [event for event in events if not self._terms.client.is_usage_only(event)]
        return events

    def _interrupted(self, events: list[bytes]) -> list[bytes]:
        """The last events of a stream that has no end, and the error. Half an event would swallow that, and tells nobody anything.

        Only for what has a reader: how others end (a transcription, or speech) is their provider's to say.
        """
        terms = self._terms
        if self._split.waiting:
            watch = terms.client.stream_usage()
            watch.feed(events.pop())
            self.text = max(self.text - watch.text, 0)
        self.error = INTERRUPTED.code
        return [*events, told_instead(terms.client, INTERRUPTED, terms.request_id, begun=self.begun)]


def told_instead(client: Dialect, fault: Fault, request_id: str, *, begun: bool) -> bytes:
    """What ends a stream before its time. `begun`: something of it has gone out."""
    if begun:
        return client.stream_error(fault, request_id)
    writer = client.stream_writer(include_usage=False)
    return writer.write(Error(fault, request_id)) + writer.end()


def look_at_first(answering: Answering, events: list[bytes], provider: Dialect) -> None:
    """Looks at the first events of a stream: it may be an error that comes with status 200, or none at all. One that says nothing leaves
    that to the next one.
    """
    for event in map(provider.framing.parse, events):
        if event is None or (_EMPTY.search(event.data) and _has_no_choices(event.data)):
            continue
        answering.begun = True
        if event.data.strip() == _DONE:
            answering.opening = STILLBORN
        elif event.data[:1] != b"{" or b'"error"' in event.data or event.event.startswith("error"):
            said = provider.stream_reader().feed(event)
            answering.opening = next((one.fault for one in said if isinstance(one, Error)), None)
        return


def _has_no_choices(data: bytes) -> bool:
    """Whether it is a chunk of OpenAI's with nothing in it: Azure begins so, and so do some that fail right after."""
    try:
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(members.get("choices", b"")).strip(b"[] \n\r\t") == b"" and "choices" in members and "error" not in members


def completed(split: Splitter, chunk: bytes, end: bool, terms: Terms) -> list[bytes]:
    """The events that a chunk completes; at the end, also one that lacks its blank line: providers forget it."""
    events = split.feed(chunk)
    if split.waiting:
        if split.waiting > terms.most:
            raise too_much(terms)
        if end:
            events.append(split.pending)
    return events
