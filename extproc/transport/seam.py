"""The seam between a transport and the engine: bytes of a message in, bytes of messages out.

A transport carries gRPC streams from Envoy. For each stream it opens a `Session`, hands it every message, and writes what it answers,
in order. It knows nothing of what the messages mean; the engine knows nothing of gRPC. There are two transports, `native` and `grpcio`.
A session that is a `Speaker` may also say something when nothing has come.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

from extproc.drive import Waiting

Replies = list[bytes]
"""Messages to write, usually one; none where the engine holds an answer back."""


class Status(IntEnum):
    """How a gRPC call ends; those that we use (https://grpc.io/docs/guides/status-codes/)."""

    OK = 0
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Refused(Exception):
    """A session ends its stream with this status. Anything else that it raises is a bug of ours: INTERNAL, and no word more."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Session(Protocol):
    """One stream: one request at the gate, or one attempt at the adapter."""

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        """One message. What has to wait comes back as `Waiting`; the transport awaits it in a task before the next message."""

    def close(self) -> Waiting[None] | None:
        """The stream has ended: half-closed or cancelled, both are normal. Called once. What is left to do may wait."""


def unheard(replies: Replies) -> None:
    """What a session says that nobody carries."""


class Speaker:
    """A session that may speak unasked."""

    __slots__ = ("say",)

    say: Callable[[Replies], None]
    """Writes messages after all that was answered so far. Set by the transport when it has opened the session; in vain once the stream
    has ended. For the loop's own thread, and never within `receive`."""


Opener = Callable[[], Session]
"""Opens a session, when the first message of a stream has come."""

Methods = Mapping[str, Opener]
"""What a server offers: full names of gRPC methods, `/package.Service/Method`."""


class Server(Protocol):
    """A transport that listens on one address."""

    @property
    def handshakes_failed(self) -> int:
        """TLS handshakes that failed, as far as the transport knows."""

    def late(self) -> float:
        """Seconds for which what Envoy sends waits in sockets until this process gets to it, as far as the transport knows. Is to be asked
        every so often: it measures from one time to the next.
        """

    async def start(self) -> None:
        """Begins to take streams. Raises `OSError` when it cannot listen."""

    async def stop(self, grace: float) -> None:
        """Takes no new streams, and gives those under way `grace` seconds. Returns when all sessions are closed and their ends are over.

        A session that hangs in its end is waited for some seconds, and no longer.
        """
