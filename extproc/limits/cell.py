"""What one counter holds in one window: what was settled, and what is reserved, by when it is over."""

from collections.abc import Iterator

from extproc.limits.limit import Look
from extproc.limits.rule import Terms
from extproc.limits.window import PARTS

NEVER = 1 << 62
"""In milliseconds, later than anything."""


class Cell:
    """Sums, and nothing of single requests: what is reserved is known by the part of the window that it counts in and the moment when it is
    over, of which there are a few at a time. So a look costs the same however many requests are under way.
    """

    __slots__ = ("_gone", "_held", "_next", "_settled", "_told", "part", "settled", "used")

    def __init__(self, part: int) -> None:
        """`part`: milliseconds of each part of a sliding window; 0: it has no parts."""
        self.part = part
        self.used = 0
        self.settled = 0
        self._next = NEVER
        """Nothing leaves by itself before this."""
        self._gone = 0
        """What was over by then has been let go of."""
        self._settled: dict[int, int] | None = None
        """By part, where there are parts."""
        self._held: dict[tuple[int, int], int] | None = None
        """By part, and by when it is over."""
        self._told: dict[float, int] | None = None
        """Thresholds that have been told, and in which part."""

    def look(self, now: int) -> Look:
        """What it holds at `now`."""
        self.tidy(now)
        return Look(self.used, self.settled)

    def hold(self, part: int, over: int, amount: int) -> None:
        """Reserves, whether there is room or not, until `over`."""
        if self._held is None:
            self._held = {}
        at = part, over
        self._held[at] = self._held.get(at, 0) + amount
        self.used += amount
        self._next = min(self._next, self._leaves(part, over))

    def give_back(self, part: int, over: int, amount: int) -> None:
        """No longer reserved. If it was over already, nothing is to be given back: what has the same moment since then, because the clock
        was set back, is another one's.
        """
        if over > self._gone:
            self._drop((part, over), amount)

    def _drop(self, at: tuple[int, int], amount: int) -> None:
        if self._held is None or at not in self._held:
            return
        left = self._held[at] - amount
        self.used -= amount
        if left:
            self._held[at] = left
        else:
            del self._held[at]
            self._held = self._held or None

    def settle(self, part: int, amount: int) -> None:
        """It was used."""
        self.settled += amount
        self.used += amount
        if self.part and amount:
            if self._settled is None:
                self._settled = {}
            self._settled[part] = self._settled.get(part, 0) + amount
            self._next = min(self._next, self._leaves(part, NEVER))

    def crossed(self, part: int, terms: Terms) -> list[float]:
        """Thresholds that what is settled has reached, and that have not been told in this window: of a sliding one, since it was empty
        of what told them.
        """
        told = self._told or ()
        levels = terms.levels()
        if not levels or self.settled < levels[0]:
            return []
        new = [share for share, level in zip(terms.thresholds, levels, strict=True) if self.settled >= level and share not in told]
        if new:
            self._told = {**(self._told or {}), **dict.fromkeys(new, part)}
        return new

    def counts(self, part: int, now: int) -> bool:
        """Whether what is in a part still counts."""
        return not self.part or now < self._leaves(part, NEVER)

    def tidy(self, now: int) -> None:
        """Lets go of what is over."""
        if now < self._next:
            return
        for at, amount in list((self._held or {}).items()):
            if now >= self._leaves(*at):
                self._drop(at, amount)
                self._gone = max(self._gone, min(at[1], now))
        for part, amount in list((self._settled or {}).items()):
            if not self.counts(part, now):
                assert self._settled is not None
                del self._settled[part]
                self.settled -= amount
                self.used -= amount
        if self.part and self._told:
            self._told = {share: part for share, part in self._told.items() if self.counts(part, now)} or None
        self._settled = self._settled or None
        self._next = min((leaves for leaves, _ in self._leaving()), default=NEVER)

    def room(self, amount: int, most: int) -> int:
        """When there is room for so much, if nothing else comes, in milliseconds. 0: that is not for this counter to say."""
        if not self.part:
            return 0
        used = self.used
        last = 0
        for last, gone in sorted(self._leaving()):  # noqa: B007 - the one at which it ended
            used -= gone
            if used + amount <= most:
                break
        return last

    @property
    def last(self) -> int:
        """When nothing is in it any more, if nothing else comes; 0: there is nothing. For those that have no end of their own."""
        return max((leaves for leaves, _ in self._leaving()), default=0)

    def _leaving(self) -> Iterator[tuple[int, int]]:
        for at, amount in (self._held or {}).items():
            yield self._leaves(*at), amount
        for part, amount in (self._settled or {}).items():
            yield self._leaves(part, NEVER), amount

    def _leaves(self, part: int, over: int) -> int:
        return min(over, (part + PARTS + 1) * self.part) if self.part else over
