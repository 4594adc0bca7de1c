"""What one connection may cost us, whatever its other end does."""

from typing import NamedTuple

from msgspec import Struct

_MIB = 1024 * 1024


class Rate(NamedTuple):
    """How often something may be done."""

    a_second: float
    at_once: float
    """Before the rate counts."""


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
    pings: Rate = Rate(100, 1_000)
    settings: Rate = Rate(10, 100)
    resets: Rate = Rate(5_000, 20_000)
    """Streams that end before they were answered: they make work for nothing, whoever ends them (CVE-2023-44487, CVE-2025-8671).

    One costs 7 us, so 5,000 a second are 4 % of a processor. Closing a connection of Envoy's hits all its callers, so it must not come of
    what a few of these do. Of their requests Envoy ends so only those that wait here, for somebody else's answer or for a store: if all
    `streams` of them were given up at once, it would be half of what may be at once.
    """
    hang_ups: Rate = Rate(10_000, 20_000)
    """Streams that are reset later. Envoy ends every call so, also one that went well; but it cannot make so many of them: one whose
    request's head was answered has cost 90 us, so at this rate nothing is left of a processor."""
    chatter: Rate = Rate(10_000, 100_000)
    """Frames that say nothing."""
    earned: int = 100_000
    """Window updates that are free, one for each piece that we have said: some clients answer every frame with one."""
    handshake: float = 10.0
    """Seconds until the other end has said that it speaks HTTP/2."""
