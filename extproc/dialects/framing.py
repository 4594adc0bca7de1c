"""How the events of a stream stand in its bytes: one object for each way, without state of its own.

`Splitter` cuts and changes no byte, so that what passes through untouched can be followed event by event; `parse` reads one event.
"""

from typing import NamedTuple, Protocol


class RawEvent(NamedTuple):
    """One event as its framing gives it: what kind it says it is ("" where it says nothing), and its data: JSON in UTF-8."""

    event: str
    data: bytes


class Splitter(Protocol):
    """Cuts a stream into whole raw events: joined together, and with `pending`, they are the input, byte for byte."""

    @property
    def pending(self) -> bytes:
        """The beginning of an event that is not complete yet."""

    @property
    def waiting(self) -> int:
        """Bytes of `pending`."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes."""


class Framing(Protocol):
    """One way."""

    content_type: str
    """What a client is told."""
    media_type: str
    """What tells that a provider streams in this way."""
    ends: tuple[bytes, bytes] | None
    """What a piece of whole events ends with, JSON's last sign included: wherever in a stream that stands, an event ends. None: nothing."""

    def splitter(self) -> Splitter: ...

    def parse(self, raw: bytes) -> RawEvent | None:
        """One raw event read; None if it carries no data. Never raises: what cannot be read is data that its reader will refuse."""


def split(framing: Framing, stream: bytes) -> list[bytes]:
    """A stream that is there whole, as raw events; the last one may lack its end."""
    splitter = framing.splitter()
    events = splitter.feed(stream)
    if splitter.waiting:
        events.append(splitter.pending)
    return events
