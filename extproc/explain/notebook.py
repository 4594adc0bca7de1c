"""What an engine that explains has behind it: it writes down what it is asked, and keeps nothing. Limits are unused, so they
refuse only what is more than they let pass in all.
"""

from extproc.cachestore.entry import Entry, Lead
from extproc.ledger.record import Record
from extproc.limits.limit import Granted, Refused
from extproc.limits.news import Exhausted
from extproc.limits.rule import Want
from extproc.limits.table import Table
from extproc.turns.turn import Chain, Keep, Turn

_TTL = 60.0


class Notebook:
    """Journal, cache and counters in one: each is asked for by its own protocol."""

    def __init__(self) -> None:
        self.looked_up = False
        """The cache was asked."""
        self.wants: tuple[Want, ...] = ()
        """What limits were asked for."""

    def append(self, record: Record) -> None:
        """See `environment.Journal`."""

    async def begin(self, key: bytes, *, lead: bool, wait: float) -> Entry | Lead | None:
        """See `cachestore.entry.Store`."""
        self.looked_up = True
        return None

    async def put(self, key: bytes, entry: Entry, ttl: float, lead: Lead | None) -> None:
        """See `cachestore.entry.Store`."""

    async def abandon(self, key: bytes, lead: Lead) -> None:
        """See `cachestore.entry.Store`."""

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        """See `limits.limit.Limits`."""
        self.wants = wants
        return Table().reserve(ticket, wants, at, _TTL)

    def release(self, ticket: bytes) -> None:
        """See `limits.limit.Limits`."""

    def ended(self, ticket: bytes) -> None:
        """See `limits.limit.Limits`."""

    def refused(self, label: str, exhausted: Exhausted | None) -> None:
        """See `limits.limit.Limits`."""


class Past:
    """Conversations: none."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Responses that were looked for."""

    async def chain(self, owner: str, id: str, most: int) -> Chain:
        """See `turns.turn.Turns`."""
        self.asked.append(id)
        return Chain()

    async def put(self, owner: str, turn: Turn, keep: Keep) -> None:
        """See `turns.turn.Turns`."""

    async def delete(self, owner: str, id: str) -> bool:
        """See `turns.turn.Turns`."""
        return False
