"""Who holds which slots, and who waits for them. Synchronous; time is passed in.

    take ──► a choice's index: held until `release`
         └─► None ──► wait ──► woken with the index ──► held until `release`
                           └─► leave: given up

Two rules hold after each call. As many slots are handed out as there are: nobody waits who could have one. And of those who wait for the
same, who came first is served first; who can be served is not kept back by one before him who cannot, since that one wants something else.
"""

import heapq
from collections.abc import Callable, Iterable
from operator import attrgetter

from msgspec import Struct, field

from extproc.slots.slot import Choice

Wake = Callable[[int], None]
"""Is called once, with the index of the choice whose slots are held from now on."""

_BACK_OFF = 0.7
"""What is left of an adapting limit after a sign of overload."""
_PAUSE = 1.0
"""Seconds after such a sign in which others count as the same one: they are of requests that were under way already."""
_SMOOTH = 0.2
_AGAIN = 1.0, 30.0
"""Seconds between which `after` answers."""
_number = attrgetter("number")


class _Scope(Struct):
    """One scope that somebody holds or waits for, or whose limit has adapted."""

    most: int
    limit: float
    held: int = 0
    stay: float = 0.0
    """Seconds that slots are held, smoothed; 0: none has come back yet."""
    cut: float = float("-inf")
    """When the limit was last lowered."""
    line: dict[bytes, "_Waiter"] = field(default_factory=dict)

    @property
    def room(self) -> bool:
        return self.held < int(self.limit)


class _Waiter(Struct):
    number: int
    """In the order in which they came."""
    ticket: bytes
    owner: object
    choices: tuple[Choice, ...]
    wake: Wake


class _Held(Struct):
    owner: object
    choice: Choice
    since: float


class Table:
    """All scopes. A ticket is the name of one caller's wish; owners are whoever may die: connections."""

    def __init__(self) -> None:
        self._scopes: dict[str, _Scope] = {}
        self._held: dict[bytes, _Held] = {}
        self._waiting: dict[bytes, _Waiter] = {}
        self._came = 0

    def held(self, scope: str) -> int:
        """How many slots are."""
        found = self._scopes.get(scope)
        return found.held if found is not None else 0

    def limit(self, scope: str) -> float | None:
        """How many slots it has now; None: nobody has anything to do with it."""
        found = self._scopes.get(scope)
        return found.limit if found is not None else None

    def room(self, choice: Choice) -> bool:
        """Whether all of these slots are free."""
        return all((scope := self._scopes.get(want.scope)) is None or scope.room for want in choice)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def scopes(self) -> int:
        """How many there is something to remember of."""
        return len(self._scopes)

    def take(self, ticket: bytes, owner: object, choices: tuple[Choice, ...], now: float) -> int | None:
        """Takes the slots of the first choice that are all free: its index. None: there is no such choice."""
        self._follow(choices, now)
        at = self._try(ticket, owner, choices, now)
        self._tidy(_scopes(choices))
        return at

    def wait(self, ticket: bytes, owner: object, choices: tuple[Choice, ...], most: int, wake: Wake, now: float) -> bool:
        """Stands in line, after `take` has found nothing. False: `most` stand there already, in front of one of the scopes."""
        scopes = _scopes(choices)
        if any(len(self._scopes[scope].line) >= most for scope in scopes if scope in self._scopes):
            return False
        self._follow(choices, now)
        self._came += 1
        self._waiting[ticket] = waiter = _Waiter(self._came, ticket, owner, choices, wake)
        for scope in scopes:
            self._scopes[scope].line[ticket] = waiter
        return True

    def leave(self, ticket: bytes, now: float) -> None:
        """Waits no longer, without being woken; or gives back what it was woken with meanwhile."""
        waiter = self._waiting.pop(ticket, None)
        if waiter is None:
            self.release(ticket, now)
            return
        self._out_of_line(waiter)

    def hold(self, ticket: bytes, owner: object, choice: Choice, now: float) -> None:
        """Holds the slots, whether they are free or not: of one who has had them all the time, or to whom they were handed over."""
        if (held := self._held.get(ticket)) is not None:
            held.owner = owner
            return
        self._follow((choice,), now)
        self._grant(ticket, owner, choice, now)

    def abandon(self, ticket: bytes, owner: object, now: float) -> None:
        """The same as `release`, if it is this owner's still."""
        if (held := self._held.get(ticket)) is not None and held.owner is owner:
            self.release(ticket, now)

    def release(self, ticket: bytes, now: float) -> None:
        """Gives back what the ticket holds, to those who wait for it."""
        held = self._held.pop(ticket, None)
        if held is None:
            return
        stayed = now - held.since
        for want in held.choice:
            scope = self._scopes[want.scope]
            scope.held -= 1
            scope.stay = stayed if scope.stay <= 0 else scope.stay + _SMOOTH * (stayed - scope.stay)
            if want.adapt and scope.limit < scope.most:
                scope.limit = min(float(scope.most), scope.limit + 1 / scope.limit)
        scopes = [want.scope for want in held.choice]
        self._serve(scopes, now)
        self._tidy(scopes)

    def overloaded(self, scope: str, now: float) -> None:
        """Lowers the limit of an adapting scope, which said that it has too much to do: at once, and once for all that say so together.
        With each slot that comes back it grows again, by one for as many as it has.
        """
        found = self._scopes.get(scope)
        if found is None or now - found.cut < _PAUSE:
            return
        found.cut = now
        # What was not used says nothing of how much would have been too much; but one request that is refused says little.
        found.limit = max(1.0, _BACK_OFF * min(found.limit, max(float(found.held), found.limit / 2)))

    def dead(self, owner: object, now: float) -> None:
        """Gives up all that one who died holds and waits for."""
        for ticket in [ticket for ticket, waiter in self._waiting.items() if waiter.owner is owner]:
            self.leave(ticket, now)
        for ticket in [ticket for ticket, held in self._held.items() if held.owner is owner]:
            self.release(ticket, now)

    def full(self, choices: tuple[Choice, ...]) -> str:
        """A scope of the first choice that has no room; the first one where all have."""
        first = next((choice for choice in choices if choice), ())
        scopes = [want.scope for want in first]
        return next((scope for scope in scopes if scope in self._scopes and not self._scopes[scope].room), scopes[0] if scopes else "")

    def after(self, scope: str) -> float:
        """Seconds after which one who comes then is likely to find a slot: what those before him take, as far as is known."""
        found = self._scopes.get(scope)
        least, most = _AGAIN
        if found is None:
            return least
        return min(most, max(least, found.stay * (len(found.line) + 1) / max(1.0, found.limit)))

    def _follow(self, choices: tuple[Choice, ...], now: float) -> None:
        """What the configuration says by now."""
        for choice in choices:
            for want in choice:
                scope = self._scopes.get(want.scope)
                if scope is None:
                    self._scopes[want.scope] = _Scope(want.most, float(want.most))
                elif scope.most != want.most or (not want.adapt and scope.limit != want.most):
                    scope.limit = min(scope.limit, float(want.most)) if want.adapt else float(want.most)
                    scope.most = want.most
                    self._serve([want.scope], now)

    def _try(self, ticket: bytes, owner: object, choices: tuple[Choice, ...], now: float) -> int | None:
        for at, choice in enumerate(choices):
            if all(self._scopes[want.scope].room for want in choice):
                self._grant(ticket, owner, choice, now)
                return at
        return None

    def _grant(self, ticket: bytes, owner: object, choice: Choice, now: float) -> None:
        for want in choice:
            self._scopes[want.scope].held += 1
        self._held[ticket] = _Held(owner, choice, now)

    def _serve(self, freed: list[str], now: float) -> None:
        """Those who wait for what was freed, in the order in which they came."""
        while (served := self._next(freed, now)) is not None:
            waiter, at = served
            del self._waiting[waiter.ticket]
            self._out_of_line(waiter)
            waiter.wake(at)

    def _next(self, freed: list[str], now: float) -> tuple[_Waiter, int] | None:
        """The first who can be served, who then holds what he wants."""
        lines = [scope.line.values() for name in freed if (scope := self._scopes.get(name)) is not None and scope.line and scope.room]
        for waiter in heapq.merge(*lines, key=_number) if len(lines) > 1 else (lines[0] if lines else ()):
            at = self._try(waiter.ticket, waiter.owner, waiter.choices, now)
            if at is not None:
                return waiter, at
        return None

    def _out_of_line(self, waiter: _Waiter) -> None:
        scopes = _scopes(waiter.choices)
        for scope in scopes:
            self._scopes[scope].line.pop(waiter.ticket, None)
        self._tidy(scopes)

    def _tidy(self, names: Iterable[str]) -> None:
        """Forgets scopes that nobody has anything to do with, unless they have learnt something."""
        for name in names:
            scope = self._scopes.get(name)
            if scope is not None and not scope.held and not scope.line and scope.limit >= scope.most:
                del self._scopes[name]


def _scopes(choices: Iterable[Choice]) -> list[str]:
    """All scopes of all choices, each once."""
    return list(dict.fromkeys(want.scope for choice in choices for want in choice))
