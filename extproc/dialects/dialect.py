"""What a dialect is: one object that reads and writes requests, answers, streams and errors, and knows no other dialect.

Between two dialects lies the hub (`hub.py`): the client's dialect reads the request into it, the provider's writes it out, and the
answer comes back the other way. Where both sides speak the same dialect none of this runs; only `usage`, `stream_usage` and errors.
Sans-IO: values in, values out; nothing here knows Envoy or gRPC.
"""

from typing import Any, ClassVar, Protocol

from extproc.dialects.hub import Answer, Conversation, StreamEvent
from extproc.dialects.sse import ServerSentEvent
from extproc.errors import Fault
from extproc.usage import Usage


class StreamReader(Protocol):
    """Reads one provider stream into hub events."""

    def feed(self, event: ServerSentEvent) -> list[StreamEvent]:
        """One event of the provider. A malformed one becomes an `Error` event, never an exception."""

    def end(self) -> list[StreamEvent]:
        """The provider closed the connection: what is still owed. A stream that did not end properly owes an `Error`."""


class StreamWriter(Protocol):
    """Writes hub events as one client stream."""

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

    def feed(self, event: bytes) -> bool:
        """One event as raw bytes, its blank line included. True if `usage` changed."""

    def feed_later(self, pieces: list[bytes]) -> None:
        """Events that waited, in pieces of whole ones. The same as to `feed` each of them, at a fraction of the cost."""


class Dialect(Protocol):
    """One provider API. Its instances hold no state."""

    name: str

    def read_request(self, body: dict[str, Any]) -> Conversation:
        """The client's request. Raises `Reject` 400, naming the field, when a field that we read has the wrong type."""

    def write_request(self, conversation: Conversation, model: str) -> dict[str, Any]:
        """The request for a provider; what it cannot express is added to `conversation.dropped`."""

    def read_answer(self, body: dict[str, Any]) -> Answer:
        """A provider's whole answer. Raises `ValueError` when it is none."""

    def write_answer(self, answer: Answer) -> dict[str, Any]:
        """A whole answer for a client."""

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

    def credential(self, key: str) -> tuple[tuple[str, str], ...]:
        """Headers that carry a provider's key, and those that the provider always needs beside it."""
