"""The seam between a transport and the engine: bytes of a message in, bytes of messages out.

A transport carries gRPC streams from Envoy. For each stream it opens a `Session`, hands it every message, and writes what it answers,
in order. It knows nothing of what the messages mean; the engine knows nothing of gRPC.
"""

from collections.abc import Callable
from typing import Protocol

from extproc.drive import Waiting

Replies = list[bytes]
"""Messages to write, usually one; none where the engine holds an answer back."""


class Session(Protocol):
    """One ext_proc stream: one request at the gate, or one attempt at the adapter."""

    def receive(self, message: bytes) -> Replies | Waiting[Replies]:
        """One message. What has to wait comes back as `Waiting`; the transport awaits it in a task before the next message."""

    def close(self) -> Waiting[None] | None:
        """The stream has ended: half-closed or cancelled, both are normal. Called once. What is left to do may wait."""


Opener = Callable[[], Session]
"""Opens a session for a new stream."""
