"""Who counts for a worker, and what it does at its end."""

import asyncio
import time
from collections.abc import Iterable

from extproc.limits.counters import Counters
from extproc.limits.limit import Granted, Held, Refused
from extproc.limits.rule import Terms, Want
from extproc.limits.shared import SharedLimits
from extproc.limits.table import Table
from extproc.limits.window import Window

NOW = time.time()
WANT = Want("busy", Terms(10_000, Window("month")), 1, "org", lease=True)


class Place:
    """A `Source`: a table of its own."""

    def __init__(self) -> None:
        self.table = Table()
        self.closed = False

    async def reserve(self, ticket: bytes, wants: tuple[Want, ...], at: float) -> Granted | Refused:
        return self.table.reserve(ticket, wants, at, 300)

    def release(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.table.release(ticket)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.table.free(ticket)

    def hold(self, held: Iterable[Held]) -> None:
        pass

    def shrink(self, held: Held) -> None:
        for want in held.wants:
            self.table.shrink(held.ticket, want.counter, want.amount)

    async def close(self) -> None:
        self.closed = True

    @property
    def used(self) -> int:
        return self.table.look(WANT.counter, WANT.terms.window, NOW).used


async def test_what_was_leased_comes_back_at_the_end_wherever_it_is_counted() -> None:
    places: dict[str | None, Place] = {None: Place(), "redis": Place()}
    shared = {name: SharedLimits(place, lambda: 1) for name, place in places.items()}
    counters: Counters[str] = Counters(shared[None], lambda name: shared[name])
    for name, place in places.items():
        leased = counters.leased(name)
        assert leased is counters.leased(name) and counters.of(name) is shared[name]
        most = 0
        for number in range(20):
            assert isinstance(await leased.reserve(b"%d" % number, (WANT,), NOW), Granted)
            await asyncio.sleep(0)
            most = max(most, place.used)
        assert most > 20, "some of it was leased"
    await counters.close()
    assert [place.used for place in places.values()] == [20, 20] and all(place.closed for place in places.values())
