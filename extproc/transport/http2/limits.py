"""What one connection may cost us, whatever its other end does."""

from msgspec import Struct

_MIB = 1024 * 1024


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of a connection. The defaults are far above what Envoy does, and far below what hurts."""

    streams: int = 10_000
    """At once. Envoy opens another connection before it comes to that."""
    message: int = 65 * _MIB
    """Bytes of one message: bodies of 64 MiB, and what stands around them. At least 16 KiB: what comes in one frame is taken."""
    memory: int = 256 * _MIB
    """Bytes that are held: messages that are not whole yet, or that wait for a filter, and answers that wait for a window."""
    answers: int = _MIB
    """Bytes of answers that are made before they are written; the message that asks for more waits."""
    window: int = _MIB
    """Bytes that one stream may send before it is listened to; at least HTTP/2's default of 65,535."""
    connection_window: int = 16 * _MIB
    """The same for all streams together; no less than that either."""
    headers: int = 16 * 1024
    """Bytes of a header block, packed and unpacked."""
    continuations: int = 16
    """Frames that a header block may be cut into."""
    known_blocks: int = 256
    """Header blocks that are remembered."""
    handshake: float = 10.0
    """Seconds until the other end has said that it speaks HTTP/2."""


class Budget:
    """So many a second, and so many at once before that counts. What costs us little and the other end nothing is bounded by one."""

    __slots__ = ("_burst", "_left", "_rate", "_when")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._when = 0.0

    def spend(self, now: float) -> bool:
        """Takes one; False if there is none left."""
        left = min(self._burst, self._left + (now - self._when) * self._rate)
        self._when = now
        self._left = left - 1
        return left >= 1
