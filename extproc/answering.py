"""How a provider's answer becomes the client's: untouched, translated, or as an error. One small class a way.

Each is fed the provider's bytes and gives events in the client's dialect: whole server-sent events, or the whole body as one. While
that goes on it learns the answer's usage, and whether it came to its proper end.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from extproc.dialects.dialect import Dialect
from extproc.dialects.sse import Splitter, parse
from extproc.errors import Fault
from extproc.usage import Usage
from extproc.values import BodyMode

Headers = dict[str, str]

# Envoy stops reading for good when a body that it buffers for us passes its 1 MiB (tried on 1.40), so only what announces to be
# smaller is asked for whole; that is worth it, because the status can then still be changed when the body turns out to be no answer.
_BUFFERED_AT_MOST = 512 * 1024

# A provider that refuses our key is our trouble. To the client it is a bad gateway, or it would think its own key were wrong.
_OURS = (401, 403)


class BrokenAnswer(Exception):
    """The provider's answer is none, and the client's response has begun: it can only be broken off."""


class Answering(ABC):
    """One answer, on its way."""

    mode = BodyMode.STREAMED
    """How Envoy is to hand us the body."""
    stream = False
    """The client gets server-sent events."""
    rewrites = False
    """True: the body's length changes, so the provider's content-length is void."""

    def __init__(self, status: int) -> None:
        self.status = status
        """What the client gets. May change at the end, when a body turns out to be no answer."""
        self.headers: Headers = {}
        """To set on the response, beside the rest."""
        self.usage: Usage | None = None
        self.answered = ""
        """The model that the provider named."""
        self.text = 0
        """UTF-8 bytes of generated content so far."""
        self.finished = False
        """The answer is whole."""
        self.error = ""
        """The fault's code, where the answer is an error."""

    @abstractmethod
    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        """The provider's bytes, as events for the client; pieces of the body, where it is not a stream. `end`: there will be no more."""


class Untouched(Answering):
    """A body that nobody reads: audio, files, unknown paths, upgrades."""

    mode = BodyMode.NONE

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        return [chunk]


class WholeUntouched(Answering):
    """A JSON answer of the client's own dialect: its usage is read, not a byte of it changes."""

    def __init__(self, status: int, dialect: Dialect) -> None:
        super().__init__(status)
        self._dialect = dialect
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._pieces.append(chunk)
        if end:
            body = b"".join(self._pieces)
            self.usage, self.answered = self._dialect.usage(body)
            # What announced no length ends like a whole body where it was cut off; but then it is no JSON.
            self.finished = self.usage is not None or _is_json(body)
        return [chunk]


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


class StreamUntouched(Answering):
    """A stream of the client's own dialect. Only an event that exists because we forced usage is taken out."""

    stream = True

    def __init__(self, status: int, dialect: Dialect, hide_usage: bool) -> None:
        super().__init__(status)
        self._dialect = dialect
        self._hide = hide_usage
        self._split = Splitter()
        self._watch = dialect.stream_usage()

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        events = self._split.feed(chunk)
        watch = self._watch
        for event in events:
            if watch.feed(event):
                self.usage = watch.usage
        self.text, self.answered, self.finished = watch.text, watch.model, watch.finished
        if self._hide and self.usage is not None:
            events = [event for event in events if not self._dialect.is_usage_only(event)]
        if end and self._split.pending:
            events.append(self._split.pending)
        return events


class WholeTranslated(Answering):
    """A JSON answer of another dialect."""

    rewrites = True

    def __init__(self, status: int, length: int, client: Dialect, provider: Dialect, name: str, request_id: str) -> None:
        super().__init__(status)
        self.mode = BodyMode.BUFFERED if 0 < length <= _BUFFERED_AT_MOST else BodyMode.STREAMED
        self._client, self._provider, self._name, self._id = client, provider, name, request_id
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._pieces.append(chunk)
        if not end:
            return []
        self.finished = True
        try:
            answer = self._provider.read_answer(msgspec.json.decode(b"".join(self._pieces)))
        except (ValueError, msgspec.DecodeError) as error:
            fault = Fault(502, "bad_provider_answer", f"The provider {self._name} sent an answer that is none: {error}.")
            self.status, self.error = fault.status, fault.code
            return [msgspec.json.encode(self._client.write_error(fault, self._id))]
        self.usage, self.answered = answer.usage, answer.model
        return [msgspec.json.encode(self._client.write_answer(answer))]


class StreamTranslated(Answering):
    """A stream of another dialect."""

    stream = True
    rewrites = True

    def __init__(self, status: int, client: Dialect, provider: Dialect, include_usage: bool) -> None:
        super().__init__(status)
        self.headers = {"content-type": "text/event-stream; charset=utf-8"}
        self._reader = provider.stream_reader()
        self._writer = client.stream_writer(include_usage=include_usage)
        self._watch = provider.stream_usage()
        self._split = Splitter()

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        written = []
        for block in self._split.feed(chunk):
            if self._watch.feed(block):
                self.usage = self._watch.usage
            if (event := parse(block)) is not None:
                written += [self._writer.write(part) for part in self._reader.feed(event)]
        self.text, self.answered, self.finished = self._watch.text, self._watch.model, self._watch.finished
        if end:
            written += [self._writer.write(part) for part in self._reader.end()]
            written.append(self._writer.end())
        return [event for event in written if event]


class Failure(Answering):
    """An error of the provider's, read whole, and told in the client's dialect where that is another or the error is ours."""

    def __init__(self, status: int, client: Dialect, provider: Dialect, same: bool, name: str, request_id: str) -> None:
        self.rewrites = not same or status in _OURS
        super().__init__(502 if status in _OURS else status)
        if self.rewrites:
            self.headers = {"content-type": "application/json"}
        self._told = status
        self._client, self._provider, self._name, self._id = client, provider, name, request_id
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self._pieces.append(chunk)
        if not end:
            return [] if self.rewrites else [chunk]
        fault = self._provider.read_error(self._told, b"".join(self._pieces))
        if self._told in _OURS:
            message = f"The provider {self._name} refused the gateway's credential ({self._told}). Its operator has to mend that."
            fault = Fault(502, "provider_authentication", message)
        self.error, self.finished = fault.code, True
        if not self.rewrites:
            return [chunk]
        return [msgspec.json.encode(self._client.write_error(fault, self._id))]


class NotAnAnswer(Answering):
    """A success that is neither JSON nor a stream where one of them was due: a captive portal, a wrong base URL."""

    rewrites = True

    def __init__(self, client: Dialect, name: str, content_type: str, request_id: str) -> None:
        super().__init__(502)
        self.headers = {"content-type": "application/json"}
        self.error = "bad_provider_answer"
        told = content_type or "no content type"
        fault = Fault(502, self.error, f"The provider {name} answered with {told}, which is no answer. Its base_url may be wrong.")
        self._body = msgspec.json.encode(client.write_error(fault, request_id))

    def feed(self, chunk: bytes, end: bool) -> list[bytes]:
        self.finished = end
        return [self._body] if end else []


def choose(
    status: int,
    headers: Mapping[str, str],
    *,
    client: Dialect,
    provider: Dialect,
    same: bool,
    raw: bool,
    stream: bool,
    include_usage: bool,
    hide_usage: bool,
    request_id: str,
    provider_name: str,
) -> Answering:
    """The way of an answer with this head."""
    if raw:
        return Untouched(status)
    if status >= 400:
        return Failure(status, client, provider, same, provider_name, request_id)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "text/event-stream":
        return StreamUntouched(status, client, hide_usage) if same else StreamTranslated(status, client, provider, include_usage)
    if content_type.endswith("json"):
        if same:
            return WholeUntouched(status, client)
        length = headers.get("content-length", "")
        return WholeTranslated(status, int(length) if length.isdigit() else 0, client, provider, provider_name, request_id)
    if same:
        return Untouched(status)
    return NotAnAnswer(client, provider_name, content_type, request_id)
