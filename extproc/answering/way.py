"""What a way of reading an answer is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from extproc.amount import Amount
from extproc.answering.terms import Headers
from extproc.errors import Fault
from extproc.usage import Usage
from extproc.values import BodyMode

# Envoy stops reading for good when a body that it buffers for us passes its 1 MiB (tried on 1.40), so only what announces to be
# smaller is asked for whole; that is worth it, because the status can then still be changed when the body turns out to be no answer.
BUFFERED_AT_MOST = 512 * 1024


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
    resets = 0.0
    """Seconds after which the provider may be asked again, where the answer is an error that says so."""
    at_once = False
    """An error of ours that waits for nothing of the body, which may have no end."""
    begun = False
    """A stream has shown life: its first event, comments aside, has come."""
    opening: Fault | None = None
    """The error that a stream began with, or that a body is which passes as it is, with the status of an answer."""
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

    def break_off(self, fault: Fault, request_id: str) -> list[bytes]:
        """Ends a stream before its provider does: what its client is told instead of the rest. Nothing, where it has been told an error."""
        return []

    def completes(self, chunk: bytes) -> bool:
        """Whether all has come with this chunk of a JSON answer, which is to be fed next."""
        return False

    def check_end(self) -> None:  # noqa: B027 - how most answers end is told in them
        """Asked after the last chunk of an answer whose head has gone. Raises `BrokenAnswer` where a client would take the end for that of
        a whole one, and it is none.
        """

    def may_wait(self, chunk: bytes) -> bool:
        """Asked while `even`. True: this chunk goes on as it is and leaves all `even`; what it tells may be learnt by `feed_later`."""
        return False

    def feed_later(self, chunks: list[bytes]) -> None:  # noqa: B027 - nothing to learn, where nothing waits
        """Chunks that were passed on and waited, before anything else is fed: learns what they tell. `usage` does not change."""


def held(headers: Mapping[str, str], otherwise: BodyMode) -> BodyMode:
    """How a body is to come that is read whole: all of it at once where it announces to be small, else as `otherwise`."""
    return BodyMode.BUFFERED if 0 < length_of(headers) <= BUFFERED_AT_MOST else otherwise


def length_of(headers: Mapping[str, str]) -> int:
    """What a body announces to have; 0 if it does not."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0
