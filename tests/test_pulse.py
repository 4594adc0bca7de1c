"""What a worker feels of a target: expectations that rise at once and fall slowly."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.pulse import SIZES, Expectation, Pulse, Pulses, size_class
from extproc.values import Target

SECONDS = st.floats(0.001, 1000.0)
GAPS = st.floats(0.0, 500.0)
FELT = st.lists(st.tuples(SECONDS, GAPS), min_size=1, max_size=20)


def expecting(felt: list[tuple[float, float]]) -> tuple[Expectation, float]:
    """What comes of times, each felt so long after the one before; and when the last one was."""
    made, now = Expectation(), 100.0
    for seconds, gap in felt:
        now += gap
        made.felt(seconds, now)
    return made, now


@given(FELT)
@settings(max_examples=40)
def test_it_stays_among_what_was_felt(felt: list[tuple[float, float]]) -> None:
    made, now = expecting(felt)
    least, most = min(seconds for seconds, _ in felt), max(seconds for seconds, _ in felt)
    assert least * (1 - 1e-9) <= made.seconds(now) <= most * (1 + 1e-9)


@given(FELT, SECONDS, GAPS)
@settings(max_examples=40)
def test_it_rises_at_once(felt: list[tuple[float, float]], slow: float, gap: float) -> None:
    made, now = expecting(felt)
    slow += made.seconds(now)
    made.felt(slow, now + gap)
    assert made.seconds(now + gap) == slow


@given(SECONDS, st.floats(0.001, 0.999), GAPS, GAPS)
@settings(max_examples=40)
def test_it_falls_the_more_the_longer_ago_the_last_one_was(slow: float, share: float, gap: float, more: float) -> None:
    sooner, later = Expectation(), Expectation()
    for made, after in ((sooner, gap), (later, gap + more)):
        made.felt(slow, 0.0)
        made.felt(slow * share, after)
    assert slow * share * (1 - 1e-9) <= later.seconds(gap + more) <= sooner.seconds(gap) * (1 + 1e-9) <= slow * (1 + 2e-9)


@given(FELT, GAPS, GAPS)
@settings(max_examples=40)
def test_it_fades(felt: list[tuple[float, float]], gap: float, more: float) -> None:
    made, now = expecting(felt)
    assert made.seconds(now + gap + more) <= made.seconds(now + gap) <= made.seconds(now)
    assert made.seconds(now + 30.0) == pytest.approx(made.seconds(now) * exp(-1))


@given(FELT, SECONDS, GAPS)
@settings(max_examples=40)
def test_what_would_have_taken_longer_lowers_nothing(felt: list[tuple[float, float]], waited: float, gap: float) -> None:
    made, now = expecting(felt)
    before = made.seconds(now + gap)
    made.at_least(waited, now + gap)
    assert made.seconds(now + gap) == max(before, waited)


def test_nothing_is_known_at_first() -> None:
    assert Expectation().seconds(5.0) == 0.0


def test_to_fail_at_once_is_not_quick() -> None:
    pulse = Pulse()
    pulse.first[0].felt(0.2, 0.0)
    pulse.failed(0, 0.0, 0.01)
    assert pulse.first[0].seconds(0.0) == pulse.whole[0].seconds(0.0) == 5.0
    pulse.failed(0, 0.0, 60.0)
    assert pulse.first[0].seconds(0.0) == 60.0
    assert pulse.first[1].seconds(0.0) == 0.0


def test_sizes() -> None:
    assert [size_class(tokens) for tokens in (0, 1000, 1001, 8000, 8001, 64_000, 64_001, 10**9)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(Pulse().first) == len(Pulse().whole) == len(SIZES) + 1


def test_there_are_not_more_than_that() -> None:
    pulses = Pulses(most=2)
    first, second = pulses.of(Target("a", "x")), pulses.of(Target("a", "y"))
    assert pulses.of(Target("a", "x")) is first
    pulses.of(Target("b", "x"))
    assert pulses.of(Target("a", "x")) is first, "it is used"
    assert pulses.of(Target("a", "y")) is not second
