"""Streams that are over, as far as they are remembered: what is still under way to them is no mistake of the other end's."""

from collections import OrderedDict
from enum import IntEnum

_REMEMBERED = 1024


class Was(IntEnum):
    """How a stream came to its end."""

    ENDED = 0
    RESET_BY_US = 1
    RESET_BY_THEM = 2
    FORGOTTEN = 3
    """So long ago that nobody knows."""
    NEVER = 4
    """Its number was passed over, and can never be used any more (RFC 9113, section 5.1.1)."""


class Past:
    """The newest of the streams that are over."""

    __slots__ = ("_forgotten", "_streams")

    def __init__(self) -> None:
        self._streams: OrderedDict[int, Was] = OrderedDict()
        self._forgotten = 0
        """The highest number that is not remembered any more."""

    def add(self, number: int, how: Was) -> None:
        """A stream has ended."""
        streams = self._streams
        streams[number] = how
        if len(streams) > _REMEMBERED:
            self._forgotten = max(self._forgotten, streams.popitem(last=False)[0])

    def find(self, number: int) -> Was:
        """How the stream of this number ended, which is neither open nor still to come."""
        known = self._streams.get(number)
        if known is not None:
            return known
        return Was.FORGOTTEN if number <= self._forgotten else Was.NEVER
