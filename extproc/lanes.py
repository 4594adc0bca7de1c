"""Whose turn it is, where one thing is done after another for many: each has a lane of its own, and all lanes get the same share.

What is shared is cost, not turns: a job's tag is its lane's last one, or else that of the job being done, and the job's own cost on top;
the smallest tag is next (self-clocked fair queueing: S. J. Golestani, https://doi.org/10.1109/INFCOM.1994.337677). So who comes with little
waits for the job being done, and not for all that others have brought; and nobody waits for ever, as tags only grow. Within a lane the
order is that in which they came.
"""

import asyncio
from collections import Counter

from extproc.aside import Undone


class Ticket:
    """A place in a lane."""

    __slots__ = ("called", "lane", "size", "tag")

    def __init__(self, lane: str, size: int, tag: float) -> None:
        self.lane, self.size, self.tag = lane, size, tag
        self.called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it is this one's turn. `Undone`, where it had to give way."""


class Lanes:
    """One is served, the others wait. Bytes of those that wait are bounded."""

    def __init__(self, most: int) -> None:
        """`most`: bytes that may wait, beside the one that is served."""
        self._most = most
        self._served: Ticket | None = None
        self._waiting: list[Ticket] = []

    def enter(self, lane: str, size: int, cost: float) -> Ticket:
        """Takes a place. `size`: bytes that wait; `cost`: what serving it takes, in any unit. Raises `Undone` where there is no room.

        Room is made by the last ones of the lane in which most waits, unless that comes to be the one that asks: then all of them stay.
        """
        if self._served is None:
            self._served = ticket = Ticket(lane, size, cost)
            ticket.called.set_result(None)
            return ticket
        self._make_room(lane, size)
        last = max((one.tag for one in self._waiting if one.lane == lane), default=self._served.tag)
        ticket = Ticket(lane, size, last + cost)
        self._waiting.append(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Its turn is over, or it does not want one any more: the next is called."""
        if ticket is not self._served:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            return
        # Who has given up, and not left yet, has a future that is done.
        self._waiting = [one for one in self._waiting if not one.called.done()]
        self._served = min(self._waiting, key=lambda one: one.tag, default=None)
        if self._served is not None:
            self._waiting.remove(self._served)
            self._served.called.set_result(None)

    def _make_room(self, lane: str, size: int) -> None:
        held = Counter({lane: size})
        for one in self._waiting:
            held[one.lane] += one.size
        staying, going = list(self._waiting), []
        while held.total() > self._most:
            longest = max(held, key=lambda name: (held[name], name == lane))
            if longest == lane:
                # Nobody has given way yet: it would have been for nothing.
                raise _overloaded()
            last = max(at for at, one in enumerate(staying) if one.lane == longest)
            going.append(staying.pop(last))
            held[longest] -= going[-1].size
        self._waiting = staying
        for one in going:
            if not one.called.done():
                one.called.set_exception(_overloaded())


def _overloaded() -> Undone:
    return Undone(503, "overloaded", "Too many large bodies are being translated. Try again in a moment.")
