"""Whose turn it is: every lane gets its share, in its own order; what waits is bounded, and who has most of it gives way."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.aside import Undone
from extproc.lanes import Lanes, Ticket


def served(lanes: Lanes, waiting: list[Ticket]) -> list[Ticket]:
    """All of them, in the order in which they are called."""
    order = []
    left = list(waiting)
    while left:
        (now,) = (one for one in left if one.called.done())
        order.append(now)
        left.remove(now)
        lanes.leave(now)
    return order


def entered(lanes: Lanes, *given: tuple[str, int]) -> list[Ticket]:
    return [lanes.enter(lane, 1, cost) for lane, cost in given]


async def test_lanes_take_turns() -> None:
    lanes = Lanes(100)
    tickets = entered(lanes, ("a", 10), ("a", 10), ("a", 10), ("b", 10), ("b", 10), ("c", 10))
    assert [one.lane for one in served(lanes, tickets)] == ["a", "a", "b", "c", "a", "b"]


async def test_what_costs_little_is_not_behind_what_costs_much() -> None:
    lanes = Lanes(100)
    tickets = entered(lanes, ("a", 100), ("a", 100), ("b", 30), ("b", 30), ("b", 30), ("b", 30))
    assert [one.lane for one in served(lanes, tickets)] == ["a", "b", "b", "b", "a", "b"]


async def test_nobody_waits_for_ever() -> None:
    """However many come with little: who has waited is before those that come later."""
    lanes = Lanes(1000)
    now, large = entered(lanes, ("a", 10), ("b", 100))
    turns = 0
    while not large.called.done():
        small = lanes.enter(f"c{turns}", 1, 10)
        lanes.leave(now)
        now, turns = small, turns + 1
    assert turns < 12


async def test_one_lane_keeps_its_order() -> None:
    lanes = Lanes(100)
    tickets = entered(lanes, ("a", 10), ("a", 90), ("a", 1), ("a", 50))
    assert served(lanes, tickets) == tickets


async def test_who_gives_up_is_passed_over() -> None:
    lanes = Lanes(100)
    first, second, third = entered(lanes, ("a", 1), ("a", 1), ("a", 1))
    second.called.cancel()
    lanes.leave(first)
    assert third.called.done()
    lanes.leave(second)
    lanes.leave(third)
    assert lanes.enter("b", 1, 1).called.done()


async def test_the_longest_lane_gives_way() -> None:
    lanes = Lanes(10)
    lanes.enter("a", 50, 1)
    waiting = [lanes.enter("a", 4, 1), lanes.enter("a", 4, 1), lanes.enter("b", 2, 1)]
    given_up = waiting[1].called
    with pytest.raises(Undone):
        lanes.enter("a", 1, 1)
    last = lanes.enter("c", 3, 1)
    with pytest.raises(Undone) as undone:
        given_up.result()
    assert (undone.value.fault.status, undone.value.fault.code) == (503, "overloaded")
    assert not any(one.called.done() for one in (waiting[0], waiting[2], last))
    with pytest.raises(Undone):
        lanes.enter("d", 11, 1)


async def test_nobody_gives_way_for_nothing() -> None:
    lanes = Lanes(128)
    lanes.enter("a", 1, 1)
    waiting = [lanes.enter("a", 40, 1) for _ in range(3)]
    with pytest.raises(Undone):
        lanes.enter("b", 100, 1)
    assert not any(one.called.done() for one in waiting)
    lanes.enter("b", 40, 1)
    assert [one.called.done() for one in waiting] == [False, False, True]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40), st.booleans()), max_size=60))
def test_whatever_comes(steps: list[tuple[str, int, bool]]) -> None:
    """Somebody is served as long as there is somebody, only one, and each lane in its order; what waits is within the bound."""

    async def run() -> None:
        lanes, most = Lanes(100), 100
        live: list[Ticket] = []
        for lane, size, done in steps:
            before = list(live)
            with contextlib.suppress(Undone):
                live.append(lanes.enter(lane, size, size))
            assert len(live) > len(before) or not any(one.called.done() and one.called.exception() for one in live)
            live = [one for one in live if not (one.called.done() and one.called.exception())]
            called = [one for one in live if one.called.done()]
            assert len(called) == (1 if live else 0)
            assert sum(one.size for one in live) - sum(one.size for one in called) <= most
            for one in called:
                assert one is next(other for other in live if other.lane == one.lane)
            if done and called:
                live.remove(called[0])
                lanes.leave(called[0])
        assert len(served(lanes, live)) == len(live)

    asyncio.run(run())
