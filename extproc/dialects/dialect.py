"""What a dialect is: one object that reads and writes requests, answers, streams and errors, and knows no other dialect.

Between two dialects lies the hub (`hub/`): the client's dialect reads the request into it, the provider's writes it out, and the
answer comes back the other way. Where both sides speak the same dialect none of this runs; only `usage`, `stream_usage` and errors.
Sans-IO: values in, values out; nothing here knows Envoy or gRPC.

What can be asked is an *operation*: a conversation (`chat`), vectors for texts (`embeddings`), an order of documents (`rerank`), the
tokens of a conversation (`count`). Each has hub types of its own; a request is translated where both dialects have its operation. A
dialect's `places` say at which paths its clients ask for which operation, and so where its providers take them.

A dialect may have several forms of one operation (`FORMS`): Ollama's `generate` is a conversation by other fields. Within the dialect they
are operations like any other. A provider of another dialect is asked for what they are forms of, and `Question.asked` tells the writer of
the answer which one it was.

What a provider cannot be asked is named to the client in the client's own words. A reader leaves a mapping of the hub's names to its own
paths in `Question.words`; a writer says `question.drop("stop")` in the hub's names (`Question.words` tells how they are made), and
`drop_path` for what is in the client's words already: `extra`, or a field that a provider of the client's own dialect refuses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from extproc.dialects.framing import Framing, RawEvent
from extproc.dialects.hub import Answer, Conversation, StreamEvent
from extproc.dialects.quirks import NONE, Quirks
from extproc.errors import Fault
from extproc.usage import Usage


class StreamReader(Protocol):
    """Reads one provider stream into hub events."""

    @property
    def keeps_words(self) -> bool:
        """Texts are kept for as long as the stream lasts."""

    def feed(self, event: RawEvent) -> list[StreamEvent]:
        """One event of the provider. A malformed one becomes an `Error` event, never an exception."""

    def end(self) -> list[StreamEvent]:
        """The provider closed the connection: what is still owed. A stream that did not end properly owes an `Error`."""


class StreamWriter(Protocol):
    """Writes hub events as one client stream."""

    @property
    def keeps_words(self) -> bool:
        """See `StreamReader`."""

    def write(self, event: StreamEvent) -> bytes:
        """The event in the client's grammar; empty if it has no counterpart. After an error or the end, always empty."""

    def end(self) -> bytes:
        """The terminator that the client waits for, unless it was written already."""


class StreamUsage(Protocol):
    """Watches a stream that passes through untouched, and learns its usage. Must cost next to nothing per event."""

    usage: Usage | None
    """What the provider has said so far."""
    model: str
    """The model named in the stream, once seen."""
    finished: bool
    """True once the stream's own terminal event has passed: what ends before it broke off."""
    text: int
    """UTF-8 bytes of generated content seen so far, for estimates of what broke off."""
    needle: ClassVar[bytes]
    """Stands in every event that counts anything as used. What has it not may wait, and be fed later."""
    trouble: ClassVar[bytes]
    """Stands in every event that tells an error."""

    def feed(self, event: bytes) -> bool:
        """One event as raw bytes, its blank line included. True if `usage` changed."""

    def feed_later(self, pieces: list[bytes]) -> bool:
        """Events that waited, in pieces of whole ones. The same as to `feed` each of them, at a fraction of the cost. True if one of them
        may tell an error.
        """


FORMS: Mapping[str, str] = {
    "completions": "chat",
    "generate": "chat",
    "embed_v1": "embeddings",
    "embed_content": "embeddings",
    "predict": "embeddings",
    "embed_prompt": "embeddings",
    "invoke": "embeddings",
    "invoke_messages": "chat",
    "invoke_count": "count",
    "rerank_voyage": "rerank",
    "rerank_texts": "rerank",
    "score": "rerank",
}
"""Operations that are a form of another one, with the same types of the hub."""


def common(kind: str) -> str:
    """What an operation is called among dialects."""
    return FORMS.get(kind, kind)


def names_model(operation: object) -> bool:
    """Whether the body of an operation's request names the model elsewhere than at its top, though the path does, too."""
    return getattr(operation, "names_model", False)


class Place(NamedTuple):
    """A path of a dialect, and what is asked for there."""

    kind: str
    """An operation; or `models` (a list that we make), `model` (one of them, named in the body), `fixed` (answered with `body`); or `json`
    and `form`: JSON, or a form (`forms.py`), that names a model, and goes to providers of this dialect only; or `live`: a WebSocket, whose
    model is in the query, if anywhere."""
    path: str
    """`{model}` stands for a model's name, `{}` for anything without a slash."""
    stream: bool | None = None
    """Whether an answer is streamed, where a path that names the model says so, or else where the body says nothing; None where only the
    body does."""
    method: str = "POST"
    asks_usage: bool = False
    """A stream tells its usage only if `stream_options.include_usage` asks for it."""
    body: bytes = b""
    """JSON that is all the answer, whoever asks."""
    spoken: bool = False
    """A text is to be spoken: the request's `input`, by whose length it is paid for."""
    gives: str = ""
    """What is answered there, where that is not JSON or a stream: `audio`; or `text`, which may be JSON as well."""
    reading: str = ""
    """How a client's body is to be looked at before anything else is: see `bodies.py`. Empty: the path says all."""

    def streams(self, wanted: bool) -> bool:
        """Whether answers are to be had here in the way that is wanted."""
        return self.stream in (None, wanted) or "{model}" not in self.path


Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Apart(Protocol):
    """What tells answers of a dialect in the form of an SDK to the dialect's other clients. Must be cheap to ask."""

    def is_asked(self, asked: bytes) -> bool:
        """Whether a request may have what is said in another way in that form."""

    def is_told(self, told: bytes) -> bool:
        """Whether an answer, or a raw event, may have it."""

    def answer(self, told: bytes) -> tuple[bytes, list[str]]:
        """A whole answer as the other clients read it, and what is lost of it. What is no such answer comes back itself."""

    def event(self, event: bytes) -> bytes:
        """The same of one raw event of a stream."""


class Operation(Protocol, Generic[Question, Reply]):
    """One thing that can be asked, in the words of one dialect. Bodies are JSON objects, decoded."""

    def read_request(self, body: dict[str, Any]) -> Question:
        """The client's request. Raises `Reject` 400, naming the field, when a field that we read has the wrong type.

        Where the path names the model, `body` has it all the same, as `model`, and `stream` too. It also has `stream` where an answer is
        streamed because the body said nothing.
        """

    def write_request(self, question: Question, model: str, quirks: Quirks = NONE) -> dict[str, Any]:
        """The request for a provider, which departs from the dialect in `quirks`; what it cannot express is added to the question's
        `dropped`. Raises `Reject` 400 where nothing would be left of what is asked.
        """

    def read_answer(self, body: Any) -> Reply:
        """A provider's whole answer, decoded. Raises `ValueError` when it is none."""

    def write_answer(self, answer: Reply) -> dict[str, Any]:
        """A whole answer for a client."""


class Dialect(Operation[Conversation, Answer], Protocol):
    """One provider API; itself the operation `chat`. Its instances hold no state."""

    name: str
    framing: Framing
    """Of its streams."""
    root: str
    """What a `base_url` already has of the paths of `places`: `/v1` where it ends so, for example `https://api.openai.com/v1`."""
    places: tuple[Place, ...]
    """All that can be asked. The first one for an operation (and for streams) is where its providers are asked."""
    prefixes: tuple[str, ...]
    """Paths that begin so are this dialect's, also those that nobody knows."""
    beside: tuple[str, ...]
    """Begins paths that are not below `root`, but beside it, at its providers as well."""
    mark: str
    """A header that all of its clients send, and no others. Empty: there is none."""
    id_header: str
    """Where its clients look for a request's id, beside `x-request-id`; or empty."""

    counts: tuple[str, str]
    """Response headers that count the tokens of a whole answer, of the input and of the output; or empty."""

    @property
    def operations(self) -> Mapping[str, Operation[Any, Any]]:
        """By kind: `chat` is the dialect itself. Made once for each instance, as it is asked for several times a request."""

    def stream_reader(self) -> StreamReader: ...

    def stream_writer(self, *, include_usage: bool) -> StreamWriter:
        """`include_usage`: the client asked for it (OpenAI's `stream_options`); dialects that always tell it ignore this."""

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Usage and model of a whole answer that passes through, reading no more of it than that. (None, "") if it has none."""

    def stream_usage(self) -> StreamUsage: ...

    def read_error(self, status: int, body: bytes) -> Fault:
        """A provider's error, whatever it looks like (HTML from a load balancer, too)."""

    def write_error(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """An error body for a client."""

    def stream_error(self, fault: Fault, request_id: str) -> bytes:
        """An error in mid-stream, with whatever ends the stream cleanly."""

    def is_usage_only(self, event: bytes) -> bool:
        """True for the event that exists only because we forced usage on a stream, and that a client that did not ask must not see."""

    def list_models(self, names: Sequence[str]) -> dict[str, Any]:
        """The list of all models that a client may use, as its API gives it."""

    def describe_model(self, name: str) -> dict[str, Any]:
        """One of them."""

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        """Headers that carry a provider's key, and those that the provider always needs beside it."""


class Usual:
    """What most dialects have in common: see `Dialect`."""

    beside: tuple[str, ...] = ()
    mark: str = ""
    id_header: str = ""
    counts: tuple[str, str] = ("", "")

    def is_usage_only(self, event: bytes) -> bool:
        """No event is there for usage alone."""
        return False

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        """A bearer's (RFC 6750)."""
        return (("authorization", f"Bearer {key}"),)
