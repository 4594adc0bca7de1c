"""Slots of one process whose callers never wait: there is no line to stand in."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping

from extproc.slots.slot import NO_LINE, Choice, Count, Full, Line, Taken, kind
from extproc.slots.table import Table


class AtOnce:
    """`Slots` that are to be had at once, or not at all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from anywhere."""
        self.table = Table()
        self.clock = clock
        self._tickets = itertools.count(1)
        self._held: dict[bytes, Choice] = {}
        self._waiting: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    async def take(self, choices: tuple[Choice, ...], line: Line = NO_LINE) -> Taken | Full:
        """See `Slots`."""
        return self.try_(choices)

    def try_(self, choices: tuple[Choice, ...]) -> Taken | Full:
        """Takes what is free now."""
        ticket = self._ticket()
        at = self.table.take(ticket, self, choices, self.clock())
        return self.refused(choices, waited=False) if at is None else self.keep(ticket, choices, at)

    def keep(self, ticket: bytes, choices: tuple[Choice, ...], at: int) -> Taken:
        """It is held by now."""
        self._held[ticket] = choices[at]
        return Taken(ticket, at)

    def refused(self, choices: tuple[Choice, ...], *, waited: bool) -> Full:
        """There was none."""
        scope = self.table.full(choices)
        self._refused[kind(scope)] += 1
        return Full(scope, self.table.after(scope), waited)

    def release(self, ticket: bytes) -> None:
        """See `Slots`."""
        if self._held.pop(ticket, None) is not None:
            self.table.release(ticket, self.clock())

    def give_back(self, ticket: bytes) -> None:
        """See `Slots`."""
        self.release(ticket)

    def hand_over(self, ticket: bytes) -> None:
        """See `Slots`."""

    def adopt(self, ticket: bytes, choice: Choice) -> None:
        """See `Slots`."""

    def is_full(self, choice: Choice) -> bool:
        """See `Slots`."""
        return not self.table.room(choice)

    def overloaded(self, scope: str) -> None:
        """See `Slots`."""
        self.table.overloaded(scope, self.clock())

    def counts(self) -> Mapping[str, Count]:
        """See `Slots`."""
        held = Counter(kind(want.scope) for choice in self._held.values() for want in choice)
        return {name: Count(held[name], self._waiting[name]) for name in held.keys() | self._waiting.keys()}

    def refusals(self) -> Mapping[str, int]:
        """See `Slots`."""
        return dict(self._refused)

    def _ticket(self) -> bytes:
        return b"%d" % next(self._tickets)
