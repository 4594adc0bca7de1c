"""Who has used how much, and what is reserved. Synchronous; time is passed in.

    reserve ──► Granted: reserved until `settle`, `release`, or its time is over
            └─► Refused: nothing is

A request counts in the windows that it was let in in, whenever it ends. What is reserved and not settled is over after its time to live and
at most a sixteenth of that later, unless `hold` renews it. Each call costs the same, however many requests are under way and however many
counters there are: what is over is known by sums, and forgotten a few at a time by those who come later.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from extproc.limits.cell import Cell
from extproc.limits.due import Due
from extproc.limits.limit import Charge, Crossed, Granted, Look, Refused, Settlement, State, full, granted, refused
from extproc.limits.rule import Want
from extproc.limits.window import PARTS, UNDER_WAY, Spot, Window, spot

Key = tuple[str, str]
"""A counter, and the window: see `Spot.name`."""

_FORGET = 2
"""For each that a call may have added, it looks at so many that may be over."""
_MINUTE = 60_000


class _Held(Struct):
    """What one ticket has reserved."""

    over: int
    wants: tuple[Want, ...]
    at: tuple[tuple[Cell, int], ...]
    """Where each want is, and in which part."""


class Table:
    """All counters of one machine. Tickets are names that callers give their wishes, each used once."""

    def __init__(self, told: Mapping[str, int] | None = None) -> None:
        """`told`: the number of the last settlement of each source that `resume` makes up for."""
        self._cells: dict[Key, Cell] = {}
        self._held: dict[bytes, _Held] = {}
        self._over: Due[bytes] = Due()
        """Tickets, by when they are over."""
        self._ending: Due[Key] = Due()
        """Cells, by when they have to be looked at."""
        self._last = dict(told or {})
        """The number of each source's last settlement."""

    @property
    def tickets(self) -> int:
        """How many are remembered."""
        return len(self._held)

    @property
    def cells(self) -> int:
        """How many counters' windows are remembered."""
        return len(self._cells)

    def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float, ttl: float) -> Granted | Refused:
        """Reserves all that is wanted for `ttl` seconds from `at`, seconds since 1970; or nothing. A ticket that has reserved it has it."""
        now = int(at * 1000)
        self._forget(now, len(wants))
        spots = [spot(want.terms.window, now) for want in wants]
        known = ticket in self._held
        looks = [self._look((want.counter, where.name), now) for want, where in zip(wants, spots, strict=True)]
        if not known and any(full(want, look.used) for want, look in zip(wants, looks, strict=True)):
            return refused(wants, self._rooms(wants, spots, looks), spots, now)
        if not known:
            self._reserve(ticket, wants, spots, now, ttl)
        return granted(wants, looks, spots)

    def hold(self, ticket: bytes, wants: tuple[Want, ...], at: float, now: float, ttl: float) -> None:
        """Holds what was reserved at `at` for `ttl` seconds from now: of one who has had it all the time, whether that is known or not."""
        moment, known = int(now * 1000), self._held.get(ticket)
        self._forget(moment, len(wants))
        if known is not None:
            wants = known.wants
            self.release(ticket)
        self._reserve(ticket, wants, [spot(want.terms.window, int(at * 1000)) for want in wants], moment, ttl)

    def release(self, ticket: bytes) -> None:
        """Gives back what the ticket holds, if it does."""
        held = self._held.pop(ticket, None)
        if held is None:
            return
        self._over.drop(held.over, ticket)
        for (cell, part), want in zip(held.at, held.wants, strict=True):
            cell.give_back(part, held.over, want.amount)

    def free(self, ticket: bytes) -> None:
        """Gives back the slots that the ticket holds, and nothing else: the request is over, and what it used is still to be settled."""
        held = self._held.get(ticket)
        if held is None:
            return
        slots = [want.terms.window == UNDER_WAY for want in held.wants]
        for (cell, part), want, is_slot in zip(held.at, held.wants, slots, strict=True):
            if is_slot:
                cell.give_back(part, held.over, want.amount)
        held.wants = tuple(want for want, is_slot in zip(held.wants, slots, strict=True) if not is_slot)
        held.at = tuple(at for at, is_slot in zip(held.at, slots, strict=True) if not is_slot)

    def shrink(self, ticket: bytes, counter: str, amount: int) -> None:
        """Gives back so much of what the ticket holds of a counter, if it does. It is remembered even when nothing is left, so that whoever
        says that it is under way does not reserve it anew.
        """
        held = self._held.get(ticket)
        if held is None:
            return
        for place, want in enumerate(held.wants):
            if want.counter == counter:
                cell, part = held.at[place]
                less = min(amount, want.amount)
                cell.give_back(part, held.over, less)
                held.wants = (*held.wants[:place], replace(want, amount=want.amount - less), *held.wants[place + 1 :])

    def use(self, ticket: bytes) -> None:
        """What the ticket has reserved is what it has used, as far as is known here."""
        held = self._held.get(ticket)
        self.release(ticket)
        for (cell, part), want in zip(held.at, held.wants, strict=True) if held is not None else ():
            if want.terms.window != UNDER_WAY:
                cell.settle(part, want.amount)

    def settle(self, source: str, settlements: Sequence[Settlement], now: float) -> list[Crossed]:
        """Tells the truth about requests, in the order of their numbers. The thresholds that were reached by it."""
        moment = int(now * 1000)
        crossed: list[Crossed] = []
        for each in settlements:
            if each.number > self._last.get(source, 0):
                self._last[source] = each.number
                crossed += self._settle(each, moment)
        return crossed

    def resume(self, charges: Iterable[Charge], at: float, now: float) -> None:
        """What had been settled at `at`, or in the same window, before there was this table. Its thresholds have been told."""
        for charge in charges:
            self._charge(charge, int(at * 1000), int(now * 1000))

    def look(self, counter: str, window: Window, at: float) -> Look:
        """What a counter holds in the window that `at` is in."""
        now = int(at * 1000)
        return self._look((counter, spot(window, now).name), now)

    def state(self, want: Want, at: float) -> State:
        """How a rule stands."""
        now = int(at * 1000)
        where = spot(want.terms.window, now)
        return granted((want,), (self._look((want.counter, where.name), now),), (where,)).states[0]

    def _reserve(self, ticket: bytes, wants: tuple[Want, ...], spots: list[Spot], now: int, ttl: float) -> None:
        over = _over(now, ttl)
        at = []
        for want, where in zip(wants, spots, strict=True):
            cell = self._cell((want.counter, where.name), want.terms.window, where, now)
            cell.hold(where.part, over, want.amount)
            at.append((cell, where.part))
        self._held[ticket] = _Held(over, wants, tuple(at))
        self._over.add(over, ticket)

    def _settle(self, settlement: Settlement, now: int) -> list[Crossed]:
        self.release(settlement.ticket)
        self._forget(now, len(settlement.charges))
        for charge in settlement.charges:
            if charge.lease:
                self.shrink(charge.lease, charge.counter, charge.taken)
        return [each for charge in settlement.charges for each in self._charge(charge, int(settlement.at * 1000), now)]

    def _charge(self, charge: Charge, at: int, now: int) -> list[Crossed]:
        terms, where = charge.terms, spot(charge.terms.window, at)
        if not where.ends or now >= where.ends + where.grace:
            return []  # under way no more, or of a window that is over
        key = charge.counter, where.name
        cell = self._cell(key, terms.window, where, now)
        cell.tidy(now)
        cell.settle(where.part, charge.amount)
        return [Crossed(charge.counter, share, cell.settled, terms.most) for share in cell.crossed(where.part, terms)]

    def _cell(self, key: Key, window: Window, where: Spot, now: int) -> Cell:
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(window.part)
            calendar = where.ends and not window.part
            self._ending.add(_up(where.ends + where.grace if calendar else now + _MINUTE, _MINUTE), key)
        return cell

    def _look(self, key: Key, now: int) -> Look:
        cell = self._cells.get(key)
        return cell.look(now) if cell is not None else _NOTHING

    def _rooms(self, wants: tuple[Want, ...], spots: list[Spot], looks: list[Look]) -> list[Look]:
        """The same looks, and when there is room where windows slide."""
        return [
            Look(look.used, look.settled, cell.room(want.amount, want.terms.most))
            if (cell := self._cells.get((want.counter, where.name))) is not None
            else look
            for want, where, look in zip(wants, spots, looks, strict=True)
        ]

    def _forget(self, now: int, added: int) -> None:
        """Forgets what is over, as much as a call may add and once more: so there is never more than was in use at the same time, twice."""
        for ticket in self._over.take(now, _FORGET):
            self.release(ticket)
        for key in self._ending.take(now, _FORGET * (added + 1)):
            self._look_again(key, now)

    def _look_again(self, key: Key, now: int) -> None:
        cell = self._cells[key]
        cell.tidy(now)
        last = cell.last
        # A calendar's window is over. Another one goes on while there is something in it.
        if key[1].startswith(_OPEN) and last:
            self._ending.add(_up(max(last, now + 1), _MINUTE), key)
        else:
            del self._cells[key]


_NOTHING = Look()
_OPEN = ("sliding/", "under way")


def _over(now: int, ttl: float) -> int:
    """When a reservation is over: on a grid, so that there are few such moments at a time."""
    life = max(PARTS, int(ttl * 1000))
    return _up(now + life, life // PARTS)


def _up(moment: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-moment // step) * step
