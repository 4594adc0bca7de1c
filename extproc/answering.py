"""How a provider's answer becomes the client's: untouched, translated, or as an error. One small class a way.

Each is fed the provider's bytes and gives events in the client's dialect: whole server-sent events, or the whole body as one. While
that goes on it learns the answer's usage, and whether it came to its proper end. What is no answer is logged once, by the request's id
and without anything of its content.
"""

import logging
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import Struct

from extproc.amount import Amount, amount_of, searches_of
from extproc.aside import SMALL, is_bulky
from extproc.dialects import DIALECTS, heard, trouble
from extproc.dialects.dialect import Dialect, common
from extproc.dialects.failing import advised, speaks_of_credential
from extproc.dialects.fields import FieldError
from extproc.dialects.framing import Splitter, split
from extproc.dialects.hub import (
    Answer,
    BlockStart,
    Embedded,
    Error,
    Extra,
    Finish,
    Ranking,
    Reasoning,
    Refusal,
    Start,
    Stop,
    StopReason,
    StreamEvent,
    Text,
    ToolCall,
)
from extproc.errors import Fault
from extproc.usage import Usage
from extproc.values import BodyMode

_log = logging.getLogger(__name__)

Headers = dict[str, str]

DROPPED = "x-headgate-dropped"
"""Response header: what the provider could not be asked, and what the client's dialect has no words for."""
_DROPPED_MAX = 1024

# Envoy stops reading for good when a body that it buffers for us passes its 1 MiB (tried on 1.40), so only what announces to be
# smaller is asked for whole; that is worth it, because the status can then still be changed when the body turns out to be no answer.
_BUFFERED_AT_MOST = 512 * 1024

# What can be undone of a compression that nobody asked for; zlib tells the two forms apart when it is told 32 + 15.
_PACKED = ("gzip", "x-gzip", "deflate")
_EITHER_FORM = 47

# A provider that refuses our key is our trouble. To the client it is a bad gateway, or it would think its own key were wrong.
_UNKNOWN, _FORBIDDEN = 401, 403
_OURS = (_UNKNOWN, _FORBIDDEN)
_REFUSING = (400, _FORBIDDEN, 498)
"""Beside 401, what a key that is none is refused with: by Google, Amazon and Cohere."""
# What some have the same statuses for, though it is the request's or the account's trouble.
_THEIRS = ("content_filter", "insufficient_quota", "context_length_exceeded", "model_not_found")


_TAIL = 4
"""Pieces of a stream that are kept to see whether it was complete: the last choice's, those behind it, and a few more."""


class BrokenAnswer(Exception):
    """The provider's answer is none, or more than is taken, and the client's response has begun: it can only be broken off."""


class Terms(Struct, frozen=True):
    """What an answer is read by: who speaks what, and what the client asked for."""

    client: Dialect
    provider: Dialect
    kind: str
    """The operation, as the client's dialect calls it."""
    form: str
    """The same as the provider was asked for it."""
    provider_name: str
    request_id: str
    same: bool
    """Nothing is translated."""
    raw: bool
    """Nothing is read, either."""
    include_usage: bool
    """The client wants usage at the end of a stream."""
    hide_usage: bool
    """The stream tells usage only because we made it."""
    asked: Extra
    """See `Question.asked`."""
    most: int
    """Bytes of the largest body, or event of a stream, that is taken."""
    model: str = ""
    """What the provider was asked for."""
    id: str = ""
    """That of an answer, where it is ours to give."""
    dropped: tuple[str, ...] = ()
    """What the provider could not be asked."""
    sdk: str = ""
    """See `Endpoint.sdk`."""

    def name(self, answer: object) -> None:
        """Gives an answer, or the start of a stream, what some providers do not say and all clients want: an id, and the model."""
        if isinstance(answer, Answer | Start | Embedded | Ranking):
            answer.id = self.id or answer.id or self.request_id
            answer.model = answer.model or self.model

    def error(self, fault: Fault) -> bytes:
        """The fault as the client's dialect says it."""
        return msgspec.json.encode(self.client.write_error(fault, self.request_id))

    def log(self, what: str) -> None:
        """Says what is wrong with the provider's answer."""
        _log.warning("request %s: the provider %s %s", self.request_id, self.provider_name, what)


class _Collected:
    """A body that is needed whole, piece by piece, up to a bound."""

    __slots__ = ("_pieces", "_terms", "size")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """One piece. Raises `BrokenAnswer` when it is too much."""
        self._pieces.append(chunk)
        self.size += len(chunk)
        if self.size > self._terms.most:
            raise _too_much(self._terms)

    def whole(self) -> bytes:
        """All of it, joined once."""
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]


def _too_much(terms: Terms) -> BrokenAnswer:
    return BrokenAnswer(f"the provider {terms.provider_name} sent more than {terms.most} bytes (limits.response_body)")


class Answering(ABC):
    """One answer, on its way."""

    mode = BodyMode.STREAMED
    """How Envoy is to hand us the body."""
    stream = False
    """The client gets server-sent events."""
    rewrites = False
    """True: the body's length changes, so the provider's content-length is void."""

    usage: Usage | None = None
    counted: Usage | None = None
    """What the answer's head says that it cost, for a body that says nothing of it."""
    amount: Amount | None = None
    """What is counted beside tokens."""
    answered = ""
    """The model that the provider named."""
    text = 0
    """UTF-8 bytes of generated content so far."""
    finished = False
    """The answer is whole."""
    error = ""
    """The fault's code, where the answer is an error, or became one: then it is not `finished`, whatever comes after."""
    begun = False
    """A stream has shown life: its first event, comments aside, has come."""
    opening: Fault | None = None
    """The error that a stream began with, if it did."""
    even = False
    """A stream stands between two events, all that came has been read, and what comes next may be offered to `may_wait`."""

    def __init__(self, status: int) -> None:
        self.status = status
        """What the client gets. May change at the end, when a body turns out to be no answer."""
        self.headers: Headers = {}
        """To set on the response, beside the rest."""

    @property
    def voids(self) -> tuple[str, ...]:
        """The provider's headers that belong to a body which the client does not get."""
        return ("content-encoding", "request-id") if self.rewrites else ()

    @abstractmethod
    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        """The provider's bytes, as events for the client; pieces of the body, where it is not a stream. `end`: there will be no more."""

    def may_wait(self, chunk: bytes) -> bool:
        """Asked while `even`. True: this chunk goes on as it is and leaves all `even`; what it tells may be learnt by `feed_later`."""
        return False

    def feed_later(self, chunks: list[bytes]) -> None:  # noqa: B027 - nothing to learn, where nothing waits
        """Chunks that were passed on and waited, before anything else is fed: learns what they tell. `usage` does not change."""


class Untouched(Answering):
    """A body that nobody reads: audio, files, unknown paths, upgrades."""

    mode = BodyMode.NONE

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        return [chunk]


class WholeUntouched(Answering):
    """A JSON answer of the client's own dialect: its usage is read, not a byte of it changes."""

    def __init__(self, status: int, terms: Terms) -> None:
        super().__init__(status)
        self._terms = terms
        self._dialect = terms.client
        self._generates = terms.kind in terms.client.operations
        self._ranks = common(terms.kind) == "rerank"
        self._body = _Collected(terms)

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
        return [chunk]

    def _end(self, body: bytes) -> None:
        """Whether it is an answer. What announced no length ends like a whole body where it was cut off, too."""
        terms = self._terms
        if fault := trouble.in_answer(body, self._dialect):
            self.error = fault.code
            terms.log(f"answered with an error ({fault.code[:50]}), which the client got as it is")
            return
        self.finished = self._is_answer(body)
        if not self.finished:
            terms.log("sent an answer that is none, which the client got as it is")

    def _is_answer(self, body: bytes) -> bool:
        """What counts tokens is one, unless it may have failed. Else a small one is read, as if it were to be translated."""
        if self.usage is not None and not trouble.is_suspect(body):
            return True
        kind = self._terms.kind
        try:
            if not self._generates or kind == "count" or is_bulky(body):
                msgspec.json.decode(body, type=msgspec.Raw)
            else:
                self._dialect.operations[kind].read_answer(msgspec.json.decode(body))
        except (ValueError, msgspec.DecodeError, RecursionError):
            return False
        return True


class StreamUntouched(Answering):
    """A stream of the client's own dialect. Only an event that exists because we forced usage is taken out."""

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
            self._terms.log(_failed(fault))

    def _is_complete(self) -> bool:
        """Asked at the end of a stream without an end of its own: whether all was said all the same, as who translates it sees that."""
        framing, reader = self._terms.client.framing, self._terms.client.stream_reader()
        for event in split(framing, b"".join(self._tail)):
            if (read := framing.parse(event)) is not None:
                reader.feed(read)
        return any(type(one) is Finish for one in reader.end())

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        events = _events(self._split, chunk, end, self._terms)
        if not self.begun:
            _open(self, events, self._terms.client)
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
        hide = self._terms.hide_usage and self.usage is not None
        self.even = self._cut_surely and self.begun and not self._split.waiting and not hide
        if hide:
            events = [event for event in events if not self._terms.client.is_usage_only(event)]
        return events


def _open(answering: Answering, events: list[bytes], provider: Dialect) -> None:
    """Looks at the first events of a stream: it may be an error that comes with status 200."""
    first = next((event for event in map(provider.framing.parse, events) if event is not None), None)
    if first is None:
        return
    answering.begun = True
    if b'"error"' in first.data or first.event.startswith("error"):
        said = provider.stream_reader().feed(first)
        answering.opening = next((one.fault for one in said if isinstance(one, Error)), None)


def _events(split: Splitter, chunk: bytes, end: bool, terms: Terms) -> list[bytes]:
    """The events that a chunk completes; at the end, also one that lacks its blank line: providers forget it."""
    events = split.feed(chunk)
    if split.waiting:
        if split.waiting > terms.most:
            raise _too_much(terms)
        if end:
            events.append(split.pending)
    return events


def dropped(names: Sequence[str]) -> Headers:
    """The header that names what was lost; none if nothing was."""
    text = ", ".join(names)
    return {DROPPED: text if len(text) <= _DROPPED_MAX else text[: _DROPPED_MAX - 4] + " ..."} if text else {}


class Retold(Struct, frozen=True, tag=True):
    """A whole answer, translated."""

    body: bytes
    status: int
    error: str
    usage: Usage | None
    answered: str
    wrong: str = ""
    """Why it is an error instead, in words that may be logged."""
    text: int = 0
    """See `Answering.text`; counted where nothing else is."""
    retry_after: float | None = None
    """Seconds, where it is an error."""
    dropped: list[str] = []
    """What the client's dialect has no words for, in the hub's."""


class Retell(Struct, frozen=True, tag=True):
    """The job to translate a whole answer, see `aside`: `Terms` in plain values."""

    client: str
    provider: str
    kind: str
    form: str
    provider_name: str
    request_id: str
    asked: Extra
    model: str
    status: int
    counted: Usage | None = None
    id: str = ""
    sdk: str = ""

    def work(self, body: bytes) -> Retold:
        """Does it."""
        terms = Terms(
            client=heard(self.client, "", self.sdk), provider=DIALECTS[self.provider], kind=self.kind, form=self.form,
            provider_name=self.provider_name, request_id=self.request_id, same=False, raw=False, include_usage=False, hide_usage=False,
            asked=self.asked, most=len(body), model=self.model, id=self.id, sdk=self.sdk,
        )  # fmt: skip
        return retell(body, self.status, terms, self.counted)


def retell(body: bytes, status: int, terms: Terms, counted: Usage | None = None) -> Retold:
    """Translates a whole answer; one that is none becomes an error. `counted`: what its head says that it cost."""
    if fault := trouble.in_answer(body, terms.provider):
        return _failed_whole(body, fault, terms, f"an error ({fault.code[:50]})")
    try:
        answer = terms.provider.operations[terms.form].read_answer(msgspec.json.decode(body))
        if word := trouble.empty(answer):
            raise EmptyAnswer(word)
        answer.asked = terms.asked
        told = getattr(answer, "model", "")
        terms.name(answer)
        if counted and getattr(answer, "usage", counted) is None:
            answer.usage = counted
        written = terms.client.operations[terms.kind].write_answer(answer)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        fault = unusable(terms, error)
        return _failed_whole(body, fault, terms, _plain(error), counted)
    usage = getattr(answer, "usage", None)
    text = size_of(answer) if usage is None and isinstance(answer, Answer) else 0
    return Retold(msgspec.json.encode(written), status, "", usage, told, text=text, dropped=getattr(answer, "dropped", []))


def unusable(terms: Terms, error: Exception) -> Fault:
    """What cannot be read as an answer."""
    return Fault(502, "bad_provider_answer", f"The provider {terms.provider_name} sent an answer that is none: {error}.")


class EmptyAnswer(ValueError):
    """The model failed, and there is nothing that it said before."""

    def __init__(self, word: str) -> None:
        super().__init__(f"the model failed, and said nothing: {word[:500]}")


def _failed_whole(body: bytes, fault: Fault, terms: Terms, wrong: str, counted: Usage | None = None) -> Retold:
    """An answer that is an error. What it cost is told all the same."""
    if _is_ours(fault.status, fault):
        fault = _refused(terms, fault.status)
    usage, answered = terms.provider.usage(body)
    return Retold(terms.error(fault), fault.status, fault.code, usage or counted, answered, wrong, retry_after=fault.retry_after)


def size_of(answer: Answer) -> int:
    """UTF-8 bytes of what an answer says."""
    size = 0
    for choice in answer.choices:
        for block in choice.blocks:
            if isinstance(block, Text | Reasoning | Refusal):
                size += len(block.text.encode("utf-8", "surrogatepass"))
            elif isinstance(block, ToolCall):
                size += len(block.arguments.encode("utf-8", "surrogatepass"))
    return size


class WholeTranslated(Answering):
    """A JSON answer of another dialect."""

    rewrites = True

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str]) -> None:
        super().__init__(status)
        self.mode = BodyMode.BUFFERED if 0 < _length(headers) <= _BUFFERED_AT_MOST else BodyMode.STREAMED
        self._head = headers
        self._terms = terms
        self._body = _Collected(terms)
        self._ahead: Retold | None = None

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
            self._terms.log(f"sent an answer that is none: {told.wrong}")
        if told.dropped:
            self.headers = {**self.headers, **dropped([*self._terms.dropped, *(f"answer.{name}" for name in told.dropped)])}
        return [told.body]


def _plain(error: Exception) -> str:
    """What is wrong, without the words of a provider that tells a failure of its own: they may repeat a caller's."""
    words = str(error)
    return words if isinstance(error, FieldError | msgspec.DecodeError | RecursionError) else words.partition(":")[0]


class StreamTranslated(Answering):
    """A stream of another dialect."""

    stream = True
    rewrites = True

    def __init__(self, status: int, terms: Terms) -> None:
        super().__init__(status)
        self.headers = {"content-type": terms.client.framing.content_type}
        self._terms = terms
        self._reader = terms.provider.stream_reader()
        self._writer = terms.client.stream_writer(include_usage=terms.include_usage)
        self._watch = terms.provider.stream_usage()
        self._split = terms.provider.framing.splitter()
        self._parse = terms.provider.framing.parse
        self._ended = False
        """The reader has seen the end."""
        self._said = False
        """It has seen content."""

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        written = []
        blocks = _events(self._split, chunk, end, self._terms)
        if not self.begun:
            _open(self, blocks, self._terms.provider)
        for block in blocks:
            if self._watch.feed(block):
                self.usage = self._watch.usage
            if (event := self._parse(block)) is not None:
                written += [self._write(part) for part in self._reader.feed(event)]
        if end:
            written += [self._write(part) for part in self._reader.end()]
            written.append(self._writer.end())
        self.text, self.answered = self._watch.text, self._watch.model
        self.finished = (self._watch.finished or self._ended) and not self.error
        return [event for event in written if event]

    def _write(self, part: StreamEvent) -> bytes:
        if type(part) is Start:
            part.asked = self._terms.asked
            self._terms.name(part)
        elif type(part) is BlockStart:
            self._said = True
        elif type(part) is Finish:
            self._ended = True
        elif type(part) is Stop and part.reason is StopReason.ERROR and not self._said:
            empty = EmptyAnswer(part.raw or "error")
            part = Error(
                Fault(502, "bad_provider_answer", f"The provider {self._terms.provider_name} sent an answer that is none: {empty}.")
            )
        if type(part) is Error and not self.error:
            self.error = part.fault.code
            self._terms.log(_failed(part.fault))
        return self._writer.write(part)


def _failed(fault: Fault) -> str:
    """What became of a stream: in our words, or where the provider itself says it, only the kind of error."""
    if fault.code in trouble.UNREADABLE:
        return f"broke its stream: {fault.message}"
    return f"ended its stream with an error ({fault.code[:50]})"


class Failure(Answering):
    """An error of the provider's, read whole, and told in the client's dialect where it is not in that, or the error is ours.

    What it means stands in its body, and decides its status; so the head waits for that.
    """

    def __init__(self, status: int, terms: Terms, headers: Mapping[str, str], *, json: bool = True) -> None:
        """`json`: False for a load balancer's page, which no client's dialect knows."""
        super().__init__(502 if status == _UNKNOWN or (status in _OURS and not terms.raw) else status)
        self.mode = BodyMode.BUFFERED if 0 < _length(headers) <= _BUFFERED_AT_MOST else BodyMode.BUFFERED_PARTIAL
        self.rewrites = not terms.same or status == _UNKNOWN or not json
        if self.rewrites:
            self.headers = {"content-type": "application/json"}
        self._told = status
        self._head = headers
        self._terms = terms
        self._body = _Collected(terms)

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._body.add(chunk)
        if not end:
            return []
        terms, body = self._terms, self._body.whole()
        fault = terms.provider.read_error(self._told, body)
        # Of what is not inference, 403 is often told for a file that is not there.
        if _is_ours(self._told, fault) and (fault.code == "invalid_api_key" or not terms.raw or self._told == _UNKNOWN):
            fault, advice = _refused(terms, self._told), {"content-type": "application/json"}
            if terms.client.id_header:
                advice[terms.client.id_header] = terms.request_id
            self.rewrites = True
        else:
            fault, advice = advised(fault, self._head)
        # A client of the provider's own dialect knows its status for what it is.
        self.status = fault.status if self.rewrites else self._told
        self.headers = {**self.headers, **advice}
        self.error, self.finished = fault.code, True
        return [terms.error(fault)] if self.rewrites else [body]


def _is_ours(status: int, fault: Fault) -> bool:
    """Whether a provider refuses our credential, whatever status it has for that."""
    if fault.code == "invalid_api_key" or status not in _OURS or fault.code in _THEIRS:
        return fault.code == "invalid_api_key"
    return status == _UNKNOWN or speaks_of_credential(fault.message)


def _refused(terms: Terms, status: int) -> Fault:
    message = f"The provider {terms.provider_name} refused the gateway's credential ({status}). Its operator has to mend that."
    return Fault(502, "provider_authentication", message)


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
        self.begun, self.opening = inner.begun, inner.opening
        return events

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
                raise _too_much(self._terms)
            chunk = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        return plain


class Told(Answering):
    """An error of ours to tell, whatever the provider still sends."""

    rewrites = True

    def __init__(self, terms: Terms, fault: Fault) -> None:
        super().__init__(fault.status)
        self.headers = {"content-type": "application/json"}
        self.error = fault.code
        self._body = [terms.error(fault)]

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        told, self._body = (self._body, []) if end else ([], self._body)
        return told


def no_answer(terms: Terms, why: str, status: int = 502) -> Told:
    """What cannot be read: neither JSON nor a stream where one of them was due, or too large. A captive portal, a wrong base URL.

    `status`: the provider's, which stands if it is that of an error.
    """
    terms.log(why)
    return Told(terms, Fault(status if status >= 400 else 502, "bad_provider_answer", f"The provider {terms.provider_name} {why}."))


def choose(status: int, headers: Mapping[str, str], terms: Terms) -> Answering:
    """The way of an answer with this head."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if terms.raw:
        return _refused(status, headers, terms, encoding) or Untouched(status)
    if encoding in ("", "identity"):
        return _choose(status, headers, terms)
    if encoding in _PACKED:
        # Its length is that of the packed body, and says nothing.
        plain = _choose(status, {name: value for name, value in headers.items() if name != "content-length"}, terms)
        return plain if plain.mode is BodyMode.NONE else Unpacked(plain, terms)
    return no_answer(terms, f"compressed its answer ({encoding[:50]}) though it was not asked to", status)


def _refused(status: int, headers: Mapping[str, str], terms: Terms, encoding: str) -> Answering | None:
    """What passes unread is read after all where it may be that a provider refuses our credential, and repeat it."""
    if status == _UNKNOWN:
        # Whatever it says: the key was ours, and none of it is told.
        return Failure(status, terms, headers)
    if status not in _REFUSING or encoding not in ("", "identity", *_PACKED):
        return None
    if _form(headers.get("content-type", ""), terms.provider.framing.media_type) != "json":
        return None
    failure = Failure(status, terms, headers)
    return Unpacked(failure, terms) if encoding in _PACKED else failure


def _choose(status: int, headers: Mapping[str, str], terms: Terms) -> Answering:
    told = headers.get("content-type", "no content type")
    form = _form(told, terms.provider.framing.media_type)
    if status >= 400:
        return Failure(status, terms, headers, json=form == "json")
    if form == "stream":
        return StreamUntouched(status, terms) if terms.same else StreamTranslated(status, terms)
    if form == "json":
        size = _length(headers)
        if size > terms.most:
            return no_answer(terms, f"sent an answer of {size} bytes, and at most {terms.most} are taken (limits.response_body)")
        whole = WholeUntouched(status, terms) if terms.same else WholeTranslated(status, terms, headers)
        if terms.provider.counts[0] in headers:
            whole.counted = _counted(headers, terms.provider.counts)
        return whole
    if terms.same:
        return Untouched(status)
    return no_answer(terms, f"answered with {told[:100]}, which is no answer; its base_url may be wrong")


def _counted(headers: Mapping[str, str], counts: tuple[str, str]) -> Usage:
    given, made = (int(value) if (value := headers.get(name, "")).isascii() and value.isdigit() else 0 for name in counts)
    return Usage(input=given, output=made)


def _length(headers: Mapping[str, str]) -> int:
    """What a body announces to have; 0 if it does not."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


@lru_cache(maxsize=256)
def _form(content_type: str, stream: str) -> Literal["json", "stream", "other"]:
    bare = content_type.partition(";")[0].strip().lower()
    if bare == stream:
        return "stream"
    return "json" if bare.endswith("json") else "other"
