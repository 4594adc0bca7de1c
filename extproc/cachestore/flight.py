"""Single flight: one caller fetches what is missing, the others wait for it. Synchronous; time is passed in.

A lead ends with `release`, with the death of its owner, or when its lease runs out and somebody else asks. The first two wake the
waiters at once, the last hands the lead on and leaves them waiting for whoever has it now.
"""

from collections.abc import Callable

from msgspec import Struct, field

Wake = Callable[[bytes | None], None]
"""Is called once, with the value, or with None: nothing came of it."""


class _Flight(Struct):
    owner: object
    token: bytes
    until: float
    waiters: dict[bytes, tuple[object, Wake]] = field(default_factory=dict)


class Flights:
    """The fetches that are under way, by key. Owners are whoever may die: connections."""

    def __init__(self, lease: float) -> None:
        self.lease = lease
        """Seconds that a lead holds at most."""
        self._flights: dict[bytes, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def waiting(self) -> int:
        """How many wait, over all keys."""
        return sum(len(flight.waiters) for flight in self._flights.values())

    def lead(self, key: bytes, token: bytes, owner: object, now: float) -> bool:
        """Takes the lead, if nobody has it."""
        flight = self._flights.get(key)
        if flight is None:
            self._sweep(now)
            self._flights[key] = _Flight(owner, token, now + self.lease)
            return True
        if flight.until > now:
            return False
        flight.owner, flight.token, flight.until = owner, token, now + self.lease
        return True

    def wait(self, key: bytes, token: bytes, owner: object, wake: Wake) -> None:
        """Waits for the one who has the lead. `token` is the waiter's own name, for `leave`. Raises `KeyError` if nobody has it."""
        self._flights[key].waiters[token] = (owner, wake)

    def leave(self, key: bytes, token: bytes) -> None:
        """Waits no longer, without being woken."""
        flight = self._flights.get(key)
        if flight is not None:
            flight.waiters.pop(token, None)

    def deliver(self, key: bytes, token: bytes, value: bytes) -> None:
        """Gives a value to all who wait for it, and ends the lead, if it is that of this token; whoever else has it ends it later."""
        flight = self._flights.get(key)
        if flight is None:
            return
        waiters, flight.waiters = flight.waiters, {}
        if flight.token == token:
            del self._flights[key]
        _wake(waiters, value)

    def release(self, key: bytes, token: bytes) -> None:
        """Ends the lead of this token, or its waiting. Those who wait for a lead that ends go on with nothing."""
        flight = self._flights.get(key)
        if flight is None:
            return
        if flight.token == token:
            del self._flights[key]
            _wake(flight.waiters, None)
        else:
            flight.waiters.pop(token, None)

    def dead(self, owner: object) -> None:
        """Ends all leads and all waiting of one who died."""
        for key, flight in list(self._flights.items()):
            flight.waiters = {token: waiter for token, waiter in flight.waiters.items() if waiter[0] is not owner}
            if flight.owner is owner:
                self.release(key, flight.token)

    def _sweep(self, now: float) -> None:
        """Drops leads that ran out, that nobody waits for, and that nobody ended; the oldest come first."""
        while self._flights:
            key, flight = next(iter(self._flights.items()))
            if flight.until > now or flight.waiters:
                return
            del self._flights[key]


def _wake(waiters: dict[bytes, tuple[object, Wake]], value: bytes | None) -> None:
    for _, wake in waiters.values():
        wake(value)
