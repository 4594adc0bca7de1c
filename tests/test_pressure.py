"""Whether a worker keeps up, and whom it refuses: looks and lags in, decisions out."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.pressure import Pressure, Reason

FAST, SLOW = 0.001, 0.5
MEGABYTE = 1 << 20


class Guest:
    def __init__(self, caller: str | None) -> None:
        self.caller = caller
        self.counted = False


def pressed(callers: Iterable[str | None] = (), *, memory: int = 0) -> Pressure:
    pressure = Pressure()
    pressure.follow(enabled=True, lag=0.1, memory=memory)
    pressure.guests |= {Guest(caller) for caller in callers}
    return pressure


def look(pressure: Pressure, lag: float, times: int = 1, resident: int = 0, waits: float = 0.0) -> list[Reason]:
    return [pressure.look(lag, lambda: resident, waits) for _ in range(times)]


def test_one_late_moment_is_none() -> None:
    pressure = pressed("x" * 100)
    assert look(pressure, SLOW, 4) + look(pressure, FAST) + look(pressure, SLOW, 4) == [""] * 9
    assert pressure.limit == 0
    assert look(pressure, SLOW) == ["lag"]
    assert pressure.limit == 90


def test_the_bound_follows_what_there_is_and_never_grows_meanwhile() -> None:
    pressure = pressed("x" * 100)
    look(pressure, SLOW, 5)
    pressure.guests |= {Guest("y") for _ in range(50)}
    look(pressure, SLOW)
    assert pressure.limit == 90
    pressure.guests.clear()
    look(pressure, SLOW)
    assert pressure.limit == 16, "some always come in"


def test_it_grows_until_it_is_none() -> None:
    pressure = pressed("x" * 100)
    look(pressure, SLOW, 5)
    grown = [pressure.limit]
    while pressure.limit and len(grown) < 100:
        look(pressure, FAST)
        grown.append(pressure.limit)
    assert grown[1:4] == [94, 98, 102]
    assert grown[-1] == 0, "nobody is near it any more"
    assert len(grown) < 60
    assert look(pressure, FAST) == [""]


def test_what_waits_in_sockets_may_be_a_burst_until_there_is_a_bound() -> None:
    pressure = pressed("x" * 100)
    assert look(pressure, FAST, 9, waits=0.39) == [""] * 9
    assert look(pressure, FAST, 4, waits=0.41) == [""] * 4
    assert look(pressure, FAST, waits=0.41) == ["lag"]
    assert look(pressure, FAST, 2, waits=0.11) == ["lag"] * 2, "as long as whatever else is late"
    assert look(pressure, FAST, waits=0.09) == [""]


def test_who_is_answered_is_not_counted_out_again() -> None:
    pressure = pressed("x" * 100)
    look(pressure, SLOW, 5)
    there = list(pressure.guests)
    assert all(guest.counted for guest in there)
    pressure.guests = {Guest(None), *there[:50]}
    look(pressure, SLOW)
    assert [guest.counted for guest in pressure.guests if guest.caller is None] == [False]
    assert sum(guest.counted for guest in pressure.guests) == 50
    assert pressure.limit == 45


def test_memory() -> None:
    pressure = pressed("x" * 100, memory=100 * MEGABYTE)
    assert look(pressure, FAST, resident=99 * MEGABYTE) == [""]
    assert look(pressure, FAST, resident=101 * MEGABYTE) == ["memory"]
    assert pressure.limit == 90
    assert look(pressed("x"), FAST, resident=10**15) == [""], "no bound"


def test_who_has_most_goes_first() -> None:
    pressure = pressed(["noisy"] * 90 + ["quiet"] * 5 + [None] * 50)
    look(pressure, SLOW, 5)
    assert pressure.limit == 85, "what is answered is not counted"
    assert not pressure.admits("noisy")
    assert pressure.admits("quiet")
    assert pressure.admits("stranger")
    assert pressure.refused == 1
    for _ in range(13):
        pressure.left("noisy")
    assert pressure.admits("noisy"), "there is room again"
    assert not pressure.admits("noisy")


def test_beyond_the_bound_there_is_room_for_some() -> None:
    pressure = pressed(["noisy"] * 40)
    look(pressure, SLOW, 5)
    came = sum(pressure.admits(f"caller {number}") for number in range(99))
    assert came == 36 + 9 - 40


def test_who_left_is_not_counted_twice() -> None:
    pressure = pressed(["one"] * 20)
    look(pressure, SLOW, 5)
    for _ in range(50):
        pressure.left("one")
        pressure.left("nobody")
    assert sum(pressure.admits("one") for _ in range(50)) == pressure.limit


def test_off() -> None:
    pressure = pressed("x" * 100)
    look(pressure, SLOW, 5)
    pressure.follow(enabled=False, lag=0.1, memory=1)
    assert pressure.limit == 0
    assert look(pressure, SLOW, 9) == [""] * 9


def test_when_to_come_again() -> None:
    pressure = Pressure()
    assert [pressure.again() for _ in range(5)] == [1, 2, 3, 1, 2]


@settings(max_examples=25)
@given(st.lists(st.sampled_from("abcd"), max_size=60), st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=80))
def test_a_caller_below_his_share_is_never_refused_before_one_above(there: list[str], steps: list[tuple[str, bool]]) -> None:
    pressure = pressed(there)
    look(pressure, SLOW, 5)
    held = {caller: there.count(caller) for caller in set(there)}
    for caller, comes in steps:
        if not comes:
            pressure.left(caller)
            held[caller] = max(0, held.get(caller, 0) - 1)
            continue
        total, limit, sharing = sum(held.values()), pressure.limit, len(held.keys() | {caller})
        admitted = pressure.admits(caller)
        if total < limit:
            assert admitted
        elif held.get(caller, 0) * sharing >= limit:
            assert not admitted
        else:
            assert admitted == (total < limit + max(16, limit) // 4)
        if admitted:
            held[caller] = held.get(caller, 0) + 1


@pytest.mark.parametrize("lag", [FAST, SLOW])
def test_the_guests_are_not_looked_at_while_all_is_well(lag: float) -> None:
    class Never:
        counted = False

        @property
        def caller(self) -> str | None:
            raise AssertionError("looked at")

    pressure = pressed()
    pressure.guests.add(Never())
    assert look(pressure, lag, 4) == [""] * 4
