"""The table of limits, against a model that adds everything up anew each time."""

import gc
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.structs import replace

from extproc.limits.limit import Charge, Crossed, Granted, Look, Refused, Settlement, State
from extproc.limits.rule import Terms, Want
from extproc.limits.table import Table
from extproc.limits.window import UNDER_WAY, Window, spot
from tests.limits.model import SOURCE, START, TERMS, TTL, Counting, Reserved


class Tables(Counting):
    """A table."""

    def open(self) -> None:
        self.table = Table()

    def reserve(self, ticket: bytes, wants: tuple[Want, ...]) -> Granted | Refused:
        return self.table.reserve(ticket, wants, self.now, TTL)

    def release(self, ticket: bytes) -> None:
        self.table.release(ticket)

    def free(self, ticket: bytes, wants: tuple[Want, ...]) -> None:
        self.table.free(ticket)

    def hold(self, ticket: bytes, reserved: Reserved) -> None:
        self.table.hold(ticket, reserved.wants, reserved.at, self.now, TTL)

    def shrink(self, ticket: bytes, want: Want, at: float) -> None:
        self.table.shrink(ticket, want.counter, want.amount)

    def settle(self, settlements: list[Settlement]) -> list[Crossed]:
        return self.table.settle(SOURCE, settlements, self.now)

    def look(self, names: Iterable[str]) -> list[Look]:
        return [self.table.look(name, TERMS[name].window, self.now) for name in names]

    def let_go(self) -> None:
        for cell in self.table._cells.values():
            cell.tidy(self.ms)

    @rule()
    def is_started_again(self) -> None:
        """What was settled is known from the ledger; what is under way is told by those who have it."""
        self.table = Table({SOURCE: self.number})
        self.used.clear()
        self.told.clear()
        for settlement in self.settlements:
            self.table.resume(settlement.charges, settlement.at, self.now)
            self.crosses(settlement)
        self.live = {ticket: one._replace(over=self.over()) for ticket, one in self.under_way.items()}
        self.under_way = dict(self.live)
        self.left.clear()
        for ticket, one in self.live.items():
            self.hold(ticket, one)

    def close(self) -> None:
        """When all is over, nothing is remembered."""
        assert self.table.tickets == 0
        for _ in range(50):
            self.now += 100_000
            self.table.reserve(b"last", (Want("last", Terms(0, UNDER_WAY), 1),), self.now, TTL)
        assert self.table.cells == 0


TestTables = Tables.TestCase
TestTables.settings = settings(max_examples=25, stateful_step_count=30)

MINUTE = Terms(10, Window("minute"))
SLIDING = Terms(10, Window("sliding", 16))


def wants(terms: Terms, amount: int) -> tuple[Want, ...]:
    return (Want("c", terms, amount),)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 9), st.integers(1, 10), st.integers(0, 10), st.floats(0, 30)), max_size=40),
    st.sampled_from([1.0, 16.0]),
)
def test_no_span_of_a_sliding_window_has_more_in_it(requests: list[tuple[float, int, int, float]], span: float) -> None:
    """Of those who use what they have reserved, or less."""
    table, now, went, number = Table(), START, list[tuple[float, int]](), 0
    terms = Terms(10, Window("sliding", int(span)))
    for number, (pause, reserved, share, _) in enumerate(requests, 1):
        now += pause * span / 16
        ticket = b"%d" % number
        if isinstance(table.reserve(ticket, wants(terms, reserved), now, 999), Granted):
            used = reserved * share // 10
            went.append((now, used))
            table.settle(SOURCE, [Settlement(number, ticket, now, (Charge("c", terms, used),))], now)
        assert sum(used for at, used in went if at > now - span) <= 10


def test_all_or_nothing() -> None:
    table = Table()
    both = (Want("a", MINUTE, 5), Want("b", MINUTE, 11))
    found = table.reserve(b"1", both, START, TTL)
    assert found == Refused(1, 10, START + 60)
    assert table.look("a", MINUTE.window, START) == Look() and table.tickets == table.cells == 0


def test_who_is_refused_hears_of_the_rule_that_has_room_last() -> None:
    table = Table()
    hour = Terms(1, Window("hour"))
    table.reserve(b"1", (Want("a", MINUTE, 10), Want("b", hour, 1), Want("c", MINUTE, 10)), START, TTL)
    found = table.reserve(b"2", (Want("a", MINUTE, 1), Want("b", hour, 1), Want("c", MINUTE, 1)), START + 1, TTL)
    assert found == Refused(1, 0, START + 3600)


def test_when_a_sliding_window_has_room_again() -> None:
    table = Table()
    for second, amount in ((0, 4), (5, 3), (9, 3)):
        assert isinstance(table.reserve(b"%d" % second, wants(SLIDING, amount), START + second, 999), Granted)
    for amount, after in ((4, 17), (5, 22), (10, 26), (11, 26)):
        assert table.reserve(b"more", wants(SLIDING, amount), START + 10, 999) == Refused(0, 0, START + after)
    assert isinstance(table.reserve(b"more", wants(SLIDING, 4), START + 16.999, 999), Refused)
    assert isinstance(table.reserve(b"more", wants(SLIDING, 4), START + 17, 999), Granted)


def test_a_soft_rule_refuses_nobody_and_says_how_it_stands() -> None:
    table = Table()
    soft = Terms(10, Window("minute"), hard=False)
    table.reserve(b"1", wants(soft, 30), START, TTL)
    table.settle(SOURCE, [Settlement(1, b"1", START, (Charge("c", soft, 9),))], START)
    assert table.reserve(b"2", wants(soft, 30), START, TTL) == Granted((State(-29, START + 60, 0.9),))
    assert table.state(wants(soft, 0)[0], START) == State(-29, START + 60, 0.9)


def test_more_than_was_reserved_is_counted_and_thresholds_are_told_once() -> None:
    table = Table()
    table.reserve(b"1", wants(MINUTE, 1), START, TTL)
    told = [
        table.settle(SOURCE, [Settlement(number, b"1", START, (Charge("c", MINUTE, used),))], START)
        for number, used in ((1, 5), (1, 5), (2, 20), (3, 1))
    ]
    assert [[each.threshold for each in one] for one in told] == [[0.5], [], [0.8, 0.9, 1.0], []]
    assert told[2][0] == Crossed("c", 0.8, 25, 10)
    assert table.reserve(b"2", wants(MINUTE, 1), START, TTL) == Refused(0, -16, START + 60)
    assert isinstance(table.reserve(b"2", wants(MINUTE, 0), START, TTL), Granted)


def test_a_request_counts_in_the_window_that_it_was_let_in_in() -> None:
    table = Table()
    table.reserve(b"1", wants(MINUTE, 10), START + 59, TTL)
    assert isinstance(table.reserve(b"2", wants(MINUTE, 10), START + 60, TTL), Granted)
    table.settle(SOURCE, [Settlement(1, b"1", START + 59, (Charge("c", MINUTE, 7),))], START + 61)
    assert table.look("c", MINUTE.window, START + 59) == Look(7, 7)
    assert table.look("c", MINUTE.window, START + 61) == Look(10, 0)


def test_what_is_over_is_not_given_back_to_another_one() -> None:
    table = Table()
    held = Terms(10, UNDER_WAY)
    table.reserve(b"old", wants(held, 4), START, 64)
    assert table.look("c", UNDER_WAY, START + 68) == Look()
    table.reserve(b"new", wants(held, 4), START, 64)  # the clock was set back
    table.release(b"old")
    assert table.look("c", UNDER_WAY, START).used == 4


def test_a_new_amount_counts_at_once() -> None:
    table = Table()
    table.reserve(b"1", wants(MINUTE, 10), START, TTL)
    assert isinstance(table.reserve(b"2", wants(Terms(15, MINUTE.window), 5), START, TTL), Granted)
    assert table.reserve(b"3", wants(Terms(5, MINUTE.window), 1), START, TTL) == Refused(0, -10, START + 60)


def test_memory_is_bounded_by_what_is_under_way() -> None:
    """Of requests that nobody settles, and of counters that nobody asks for again, no more than twice what counts is remembered."""
    table = Table()
    most = [0, 0]
    for second in range(1200):
        assert isinstance(
            table.reserve(b"%d" % second, (Want(f"c{second}", SLIDING, 1), Want("m", Terms(99, MINUTE.window), 1)), START + second, 32),
            Granted,
        )
        most = [max(most[0], table.tickets), max(most[1], table.cells)]
    assert most[0] <= 2 * 34
    # A counter is looked at in the minute after its last part has left, and a minute's window is remembered for a minute more.
    assert most[1] <= 2 * (17 + 60 + 60)
    assert len(table._over._at) <= 2 * 17 and sys.getsizeof(table._ending._moments) < 4096


def test_windows_of_a_clock_that_is_set_back_are_found_again() -> None:
    table = Table()
    table.reserve(b"1", wants(MINUTE, 10), START + 30, TTL)
    assert isinstance(table.reserve(b"2", wants(MINUTE, 10), START + 70, TTL), Granted)
    assert isinstance(table.reserve(b"3", wants(MINUTE, 1), START + 50, TTL), Refused)
    assert spot(MINUTE.window, 0).grace == 60_000


@pytest.mark.parametrize("live", [10, 3000])
def test_what_is_under_way_makes_nothing_slower(live: int) -> None:
    """As many calls of functions, Python's and built-in ones, as with nothing else under way. `bench.limits` times it."""

    def calls(table: Table) -> int:
        counted = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal counted
            counted += event in {"call", "c_call"}

        # A collection would call whatever watches what it takes away.
        gc.disable()
        sys.setprofile(count)
        try:
            assert isinstance(table.reserve(b"one", many, START, TTL), Granted)
            table.settle(SOURCE, [Settlement(1, b"one", START, charges)], START)
        finally:
            sys.setprofile(None)
            gc.enable()
        return counted

    many = tuple(Want(name, replace(terms, most=10_000), 1) for name, terms in TERMS.items())
    charges = tuple(Charge(want.counter, want.terms, 1) for want in many)
    found = []
    for count in (1, live):
        table = Table()
        for number in range(count):
            table.reserve(b"%d" % number, many, START, TTL)
        found.append(calls(table))
    assert found[0] == found[1] < 500
