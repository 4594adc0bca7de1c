"""How many bytes of request bodies a worker holds: known from their heads, so that what would be too much is refused before it is read.

No caller may hold more than is left free, but for one body: one alone gets half, of two that want all each a third, and so on (dynamic
thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998). So there is room for one who comes with his first.
"""

from extproc.errors import Fault, Reject
from extproc.filter import Tap
from extproc.values import Response

DIGITS = 6
"""Of a content-length that is looked at: what has fewer is too small to matter."""
_SMALL = 10 ** (DIGITS - 1)
_UNSAID = 1024 * 1024
"""Bytes of a body that does not say how many it has, until it has been read."""

NO_ROOM = Fault(
    503, "overloaded", "This gateway holds as many large requests as it can, so it does not read this one. Try again, or send smaller ones."
)
"""What those are told who are refused."""


class Room:
    """A worker's own."""

    __slots__ = ("_by_caller", "held", "refused", "whole")

    def __init__(self, whole: int = 0) -> None:
        """`whole`: bytes; 0: no bound."""
        self.whole = whole
        self.held = 0
        self.refused = 0
        """Requests, since the worker began."""
        self._by_caller: dict[str, int] = {}

    def enter(self, caller: str, length: str) -> "Held | None":
        """Room for a body, by its content-length, empty where it has none. None: there is no room."""
        size = int(length) if length.isascii() and length.isdigit() else _UNSAID
        mine = self._by_caller.get(caller, 0)
        left = self.whole - self.held - size
        if self.whole and self.held and (left < 0 or (mine and mine + size > left)):
            self.refused += 1
            return None
        held = Held(self, caller)
        held.settle(size)
        return held

    def claim(self, caller: str, length: str) -> "Held | None":
        """Room for a body that is to wait in Envoy, by its content-length; None where it is too small to matter. Raises `Reject`."""
        if length and len(length) < DIGITS:
            return None
        held = self.enter(caller, length)
        if held is None:
            raise Reject(NO_ROOM.status, NO_ROOM.code, NO_ROOM.message, headers=(("retry-after", "1"),))
        return held

    def add(self, caller: str, size: int) -> None:
        """So many bytes more; or fewer."""
        self.held += size
        mine = self._by_caller.get(caller, 0) + size
        if mine:
            self._by_caller[caller] = mine
        else:
            self._by_caller.pop(caller, None)


class Held(Tap):
    """The room of one body, until its answer is over."""

    passes = True

    def __init__(self, room: Room, caller: str) -> None:
        self._room = room
        self._caller = caller
        self._size = 0
        """As it is counted."""

    def settle(self, size: int) -> None:
        """So many bytes it has. What is small does not count."""
        counted = size if size >= _SMALL else 0
        self._room.add(self._caller, counted - self._size)
        self._size = counted

    async def end(self, response: Response) -> None:
        """See `Tap`."""
        self.settle(0)
