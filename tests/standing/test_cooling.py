"""Who said when to come again is not asked before; who did not is asked last for a moment."""

from hypothesis import given
from hypothesis import strategies as st

from extproc.standing.cooling import SOON, Cool, Coolings, Name

WHO = Name("openai", "gpt", "first")


def test_until_the_time_that_was_told() -> None:
    cooling = Coolings()
    assert cooling.limited(WHO, 100, 30, 3600)
    assert not cooling.limited(WHO, 110, 10, 3600), "it ends no later by that"
    assert not cooling.limited(WHO, 110, 0, 3600)
    assert cooling.limited(WHO, 110, 40, 3600)
    assert cooling.all(149) == {WHO: Cool(100, 150, told=True)}
    assert (cooling.left(WHO, 149), cooling.left(WHO, 150), cooling.left(Name("openai", "other"), 149)) == (1, 0, 0)
    assert cooling.all(150) == {}
    assert cooling.expire(150)
    assert not cooling.expire(150)


def test_never_longer_than_is_allowed() -> None:
    cooling = Coolings()
    assert cooling.limited(WHO, 0, 86_400, 3600)
    assert cooling.all(0)[WHO].until == 3600
    assert not Coolings().limited(WHO, 0, 30, 0), "it is switched off"


def test_without_a_time() -> None:
    cooling = Coolings()
    assert cooling.limited(WHO, 0, 0, 3600)
    assert cooling.all(1)[WHO] == Cool(0, SOON, told=False)
    assert cooling.limited(WHO, 1, 2, 3600), "and then one is told"
    assert cooling.all(1)[WHO] == Cool(0, 3, told=True)


def test_it_ends_with_an_answer_to_what_was_asked_since() -> None:
    cooling = Coolings()
    cooling.limited(WHO, 10, 30, 3600)
    assert not cooling.answered(WHO, 9)
    assert not cooling.answered(WHO._replace(key="second"), 11)
    assert cooling.answered(WHO, 11)
    assert cooling.all(11) == {}


@given(st.lists(st.tuples(st.integers(0, 9000), st.floats(0, 1e6)), max_size=30))
def test_they_are_bounded_and_end(told: list[tuple[int, float]]) -> None:
    cooling = Coolings()
    for number, resets in told:
        cooling.limited(Name("p", str(number)), 0, resets, 3600)
    assert all(0 < cool.until <= 3600 for cool in cooling.all(0).values())
    assert cooling.all(3600) == {}


def test_no_more_than_there_is_room_for() -> None:
    cooling = Coolings()
    for number in range(5000):
        cooling.limited(Name("p", str(number)), 0, 1 + number, 1e9)
    kept = cooling.all(0)
    assert len(kept) == 4096
    assert Name("p", "4999") in kept
