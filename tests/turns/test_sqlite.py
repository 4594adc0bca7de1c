"""Turns on disk: found by owner and id, chained, forgotten, expired, and never more than there may be."""

import sqlite3
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.turns.sqlite import GRACE, SqliteTurns
from extproc.turns.turn import Keep
from tests.examples import examples
from tests.turns.made import turn

KEEP = Keep(100.0, 1 << 30)
LOTS = 1 << 30


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(tmp_path: Path, clock: Clock) -> SqliteTurns:
    return SqliteTurns(tmp_path, clock)


def ids(turns: SqliteTurns, id: str, owner: str = "o") -> list[str]:
    return [one.id for one in turns.chain(owner, id, LOTS).turns]


def rows(path: Path) -> int:
    with sqlite3.connect(path / "conversations.sqlite") as connection:
        count: int = connection.execute("SELECT count(*) FROM turns").fetchone()[0]
    connection.close()
    return count


def test_a_chain_is_what_was_kept_oldest_first(turns: SqliteTurns) -> None:
    for one in (turn("a"), turn("b", "a"), turn("c", "b"), turn("fork", "a")):
        assert turns.put("o", one, KEEP)
    assert ids(turns, "c") == ["a", "b", "c"]
    assert ids(turns, "fork") == ["a", "fork"]
    assert turns.chain("o", "c", LOTS).turns[1] == turn("b", "a")
    assert ids(turns, "nothing") == []


def test_another_owner_finds_nothing(turns: SqliteTurns) -> None:
    turns.put("o", turn("a"), KEEP)
    turns.put("p", turn("a", size=9), KEEP)
    assert turns.chain("o", "a", LOTS).turns == (turn("a"),)
    assert turns.chain("q", "a", LOTS).turns == ()
    assert not turns.delete("q", "a")
    assert turns.put("q", turn("b", "a"), KEEP) is False
    assert turns.count == 2


def test_it_is_there_after_a_restart_and_for_nobody_else(turns: SqliteTurns, tmp_path: Path, clock: Clock) -> None:
    turns.put("o", turn("a"), KEEP)
    mode = (tmp_path / "conversations.sqlite").stat().st_mode
    turns.close()
    again = SqliteTurns(tmp_path, clock)
    assert ids(again, "a") == ["a"]
    assert (again.count, again.size) == (turns.count, turns.size)
    assert stat.S_IMODE(mode) == 0o600


def test_side_files_are_for_nobody_else_either(turns: SqliteTurns, tmp_path: Path) -> None:
    turns.put("o", turn("a"), KEEP)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_what_is_too_large_is_told_by_its_size_alone(turns: SqliteTurns) -> None:
    turns.put("o", turn("a", size=5000), KEEP)
    chain = turns.chain("o", "a", 4000)
    assert chain.turns == () and chain.size > 5000


def test_a_deleted_turn_is_gone_but_for_those_that_build_on_it(turns: SqliteTurns, tmp_path: Path) -> None:
    for one in (turn("a"), turn("b", "a")):
        turns.put("o", one, KEEP)
    assert turns.delete("o", "a") and not turns.delete("o", "a")
    assert ids(turns, "a") == []
    assert [one.output for one in turns.chain("o", "b", LOTS).turns] == [turn("a").output, turn("b").output]
    assert turns.delete("o", "b")
    assert (rows(tmp_path), turns.count, turns.size) == (0, 0, 0)


def test_nothing_of_it_is_left_on_disk(turns: SqliteTurns, tmp_path: Path) -> None:
    turns.put("o", turn("secret-of-mine"), KEEP)
    turns.delete("o", "secret-of-mine")
    turns.close()
    assert all(b"secret-of-mine" not in file.read_bytes() for file in tmp_path.iterdir())


def test_an_expired_turn_is_not_found_and_then_gone(turns: SqliteTurns, tmp_path: Path, clock: Clock) -> None:
    turns.put("o", turn("a"), KEEP)
    clock.now += 60
    turns.put("o", turn("b", "a"), KEEP)
    clock.now += 60
    assert ids(turns, "a") == []
    assert len(turns.chain("o", "b", LOTS).turns) == 2
    assert not turns.delete("o", "a")
    clock.now += GRACE
    assert turns.sweep(LOTS) == (0, 0)
    clock.now += 60
    assert turns.sweep(LOTS) == (2, 0)
    assert (rows(tmp_path), turns.count, turns.size) == (0, 0, 0)


def test_a_sweep_makes_no_file(turns: SqliteTurns, tmp_path: Path) -> None:
    assert turns.sweep(0) == (0, 0)
    assert not list(tmp_path.iterdir())


def test_the_conversations_that_rested_longest_make_room(turns: SqliteTurns) -> None:
    for one in (turn("a", size=1000), turn("old", size=1000), turn("b", "a", size=1000), turn("c", "b", size=1000)):
        turns.put("o", one, KEEP)
    assert turns.sweep(turns.size - 1) == (0, 1)
    assert ids(turns, "old") == [] and ids(turns, "c") == ["a", "b", "c"]
    assert turns.sweep(2500) == (0, 2)  # of one conversation the last turns: no turn is left without those before it
    assert ids(turns, "a") == ["a"] and ids(turns, "b") == []


def test_who_holds_most_gives_way_first(turns: SqliteTurns, tmp_path: Path, clock: Clock) -> None:
    """One who fills it does not drive out the others, though theirs rested longer."""
    turns.put("small", turn("s", size=1000), KEEP)
    turns.put("middle", turn("m", size=5000), KEEP)
    for number in range(20):
        turns.put("large", turn(f"l{number}", size=1000), KEEP)
    turns.close()
    again = SqliteTurns(tmp_path, clock)
    assert again.sweep(15_000)[1] == 20 - sum(bool(again.chain("large", f"l{number}", LOTS).size) for number in range(20)) > 8
    assert ids(again, "s", "small") == ["s"] and ids(again, "m", "middle") == ["m"]
    assert ids(again, "l19", "large") == ["l19"]
    assert again.size <= 13_500
    # Then those who hold as much give way alike.
    again.sweep(2_500)
    assert ids(again, "s", "small") == ["s"] and ids(again, "m", "middle") == []
    again.close()


def test_a_file_of_the_version_before_is_taken_over(turns: SqliteTurns, tmp_path: Path, clock: Clock) -> None:
    turns.put("o", turn("a", size=1000), KEEP)
    turns.close()
    with sqlite3.connect(tmp_path / "conversations.sqlite") as connection:
        connection.execute("DROP INDEX turns_owner")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    again = SqliteTurns(tmp_path, clock)
    assert ids(again, "a") == ["a"]
    assert again.sweep(10) == (0, 1)
    again.close()


def test_a_second_answer_with_the_same_id_counts(turns: SqliteTurns) -> None:
    turns.put("o", turn("a"), KEEP)
    turns.put("o", turn("b", "a"), KEEP)
    turns.put("o", turn("a", size=3), KEEP)
    assert turns.chain("o", "a", LOTS).turns == (turn("a", size=3),)
    assert [one.output for one in turns.chain("o", "b", LOTS).turns] == [turn("a").output, turn("b").output]


def test_a_provider_whose_answers_all_have_one_id_makes_no_circle(turns: SqliteTurns) -> None:
    turns.put("o", turn("same"), KEEP)
    for size in (1, 2, 3):
        assert turns.put("o", turn("same", "same", size=size), KEEP)
    assert [len(one.input) for one in turns.chain("o", "same", LOTS).turns] == [len(turn("same", size=n).input) for n in range(4)]


def test_what_follows_a_turn_that_is_gone_is_not_kept(turns: SqliteTurns) -> None:
    assert turns.put("o", turn("b", "a"), KEEP) is False
    assert turns.count == 0


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["put", "put", "put", "delete", "sweep", "wait"]), st.integers(0, 9)), max_size=40))
def test_any_history_leaves_whole_conversations_and_true_counts(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The model: a dict of id to (everything said until then, when it expires)."""
    clock, folder = Clock(), tmp_path_factory.mktemp("turns")
    turns = SqliteTurns(folder, clock)
    known: dict[str, tuple[list[bytes], float]] = {}
    for number, (what, pick) in enumerate(steps):
        living = [id for id, (_, expires) in known.items() if expires > clock.now]
        chosen = living[pick % len(living)] if living else ""
        if what == "put":
            one = turn(f"t{number}", chosen if pick else "")
            before = known[chosen][0] if one.previous else []
            assert turns.put("o", one, KEEP)
            known[one.id] = [*before, one.input, one.output], clock.now + KEEP.ttl
        elif what == "delete" and chosen:
            assert turns.delete("o", chosen)
            del known[chosen]
        elif what == "sweep":
            turns.sweep(LOTS)
        elif what == "wait":
            clock.now += 15 * pick
        for id, (items, expires) in known.items():
            found = turns.chain("o", id, LOTS).turns
            assert [text for one in found for text in (one.input, one.output)] == (items if expires > clock.now else [])
    clock.now += KEEP.ttl + GRACE + 1
    turns.sweep(LOTS)
    assert (turns.count, turns.size, rows(folder) if known or turns.count else 0) == (0, 0, 0)
    turns.close()
