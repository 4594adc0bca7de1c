"""How many bytes of bodies a worker holds, and for whom there is room."""

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.room import Held, Room
from extproc.values import Response
from tests.scene import run

MB = 1_000_000


def enter(room: Room, caller: str, size: int) -> Held:
    held = room.enter(caller, str(size))
    assert held is not None
    return held


def test_one_alone_gets_half_and_the_next_has_room() -> None:
    room = Room(100 * MB)
    for _ in range(5):
        enter(room, "noisy", 10 * MB)
    assert room.enter("noisy", str(MB)) is None
    enter(room, "quiet", 20 * MB)
    enter(room, "other", 30 * MB)
    assert room.enter("last", str(MB)) is None, "there is none left at all"
    assert (room.held, room.refused) == (100 * MB, 2)


def test_one_that_is_alone_is_always_taken() -> None:
    room = Room(MB)
    held = enter(room, "a", 30 * MB)
    assert room.enter("b", str(MB)) is None
    run(held.end(Response(200, {})))
    assert room.held == 0
    enter(room, "b", MB)


def test_what_is_not_said_counts_until_it_is_known() -> None:
    room = Room(10 * MB)
    held = room.enter("a", "")
    assert held is not None and held.passes
    assert room.held == 1 << 20
    held.settle(99_999)
    assert room.held == 0, "small ones do not count"
    held.settle(5 * MB)
    assert room.held == 5 * MB
    run(held.end(Response(0, {})))
    assert room.held == 0


def test_without_a_bound() -> None:
    room = Room()
    for _ in range(9):
        enter(room, "a", 1 << 40)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40 * MB), st.booleans()), max_size=40))
def test_it_holds_no_more_than_it_may(steps: list[tuple[str, int, bool]]) -> None:
    room = Room(64 * MB)
    all_: list[tuple[str, int, Held]] = []
    for caller, size, ends in steps:
        if ends and all_:
            run(all_.pop(0)[2].end(Response(200, {})))
            continue
        before, mine = room.held, sum(size for whose, size, _ in all_ if whose == caller and size >= 100_000)
        held = room.enter(caller, str(size))
        if held is None:
            assert before and (before + size > room.whole or (mine and mine + size > room.whole - before - size))
            continue
        all_.append((caller, size, held))
        assert room.held <= room.whole or not before
    assert room.held == sum(size for _, size, _ in all_ if size >= 100_000)
