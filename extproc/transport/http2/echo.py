"""How long what the other end sends waits until we get to it. Synchronous; the time is passed in.

What has come waits in the socket, and in the other end's buffers before that. The answer to a ping (RFC 9113, section 6.7) stands behind
all of it, so it takes as long as whatever else is sent now.
"""

PING_OF_OURS = b"how late"
"""What the ping says: 8 bytes, as all do."""


class Echo:
    """Of one connection: the last answer, and how long the next one is out. One ping at a time."""

    __slots__ = ("_last", "_sent")

    def __init__(self) -> None:
        self._last = 0.0
        self._sent: float | None = None

    def seconds(self, now: float) -> float:
        """So long the last answer took, or the next one has taken until now if that is longer."""
        return self._last if self._sent is None else max(self._last, now - self._sent)

    def ask(self, now: float) -> bool:
        """Whether a ping is to be sent now."""
        if self._sent is not None:
            return False
        self._sent = now
        return True

    def heard(self, now: float) -> None:
        """An answer has come, to a ping of ours or to none."""
        if self._sent is not None:
            self._last, self._sent = now - self._sent, None
