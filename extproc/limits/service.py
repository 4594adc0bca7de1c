"""The limits of one machine: counted by the control process, exactly, for all its workers."""

import time
from collections.abc import Callable, Mapping

from extproc.limits import messages
from extproc.limits.table import Table

TTL = 300.0
"""Seconds for which something stays reserved, unless its worker says that it is still under way."""


class LimitService:
    """`handlers` go to the `LinkServer`. It knows no configuration: who asks says what the rules are.

    What a worker that dies had reserved stays until it is settled, since its journal tells what it used; or until its time is over.
    """

    def __init__(self, table: Table | None = None, *, ttl: float = TTL, clock: Callable[[], float] = time.time) -> None:
        """`table`: with what had been settled before (`Table.resume`), and the one that settlements are told to. `clock`: since 1970."""
        self.table = table or Table()
        self._ttl = ttl
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Callable[[object, bytes], bytes]]:
        """What workers may call."""
        return {
            messages.RESERVE: self._reserve, messages.HOLD: self._hold, messages.RELEASE: self._release, messages.FREE: self._free,
            messages.SHRINK: self._shrink,
        }  # fmt: skip

    def _reserve(self, peer: object, payload: bytes) -> bytes:
        reserve, ttl = self.table.reserve, self._ttl
        return messages.encode([reserve(wish.ticket, wish.wants, wish.at, ttl) for wish in messages.read_held(payload)])

    def _hold(self, peer: object, payload: bytes) -> bytes:
        now = self._clock()
        for held in messages.read_held(payload):
            self.table.hold(held.ticket, held.wants, held.at, now, self._ttl)
        return b""

    def _release(self, peer: object, payload: bytes) -> bytes:
        for ticket in messages.read_tickets(payload):
            self.table.release(ticket)
        return b""

    def _free(self, peer: object, payload: bytes) -> bytes:
        for ticket in messages.read_tickets(payload):
            self.table.free(ticket)
        return b""

    def _shrink(self, peer: object, payload: bytes) -> bytes:
        for held in messages.read_held(payload):
            for want in held.wants:
                self.table.shrink(held.ticket, want.counter, want.amount)
        return b""
