"""Strategies that go by what is known of targets: how busy they are, how quick, how dear."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import Candidate, Target
from extproc.price import Price, Step
from extproc.pulse import Pulse
from extproc.size import input_tokens
from extproc.strategies.cheapest import Cheapest, Least
from extproc.strategies.least_busy import Fewest, load
from extproc.strategies.least_latency import Quickest
from tests.scene import request

WEIGHT = st.one_of(st.just(0.0), st.just(1.0), st.floats(0.01, 100.0))


def felt(*busy: int, weights: tuple[float, ...] = (), first: tuple[float, ...] = ()) -> list[Candidate]:
    made = []
    for at, count in enumerate(busy):
        pulse = Pulse()
        pulse.busy = count
        if first and first[at]:
            pulse.first[0].felt(first[at], 0.0)
        made.append(Candidate(Target(f"p{at}", "m"), weights[at] if weights else 1.0, pulse))
    return made


BUSY = st.lists(st.tuples(st.integers(0, 50), WEIGHT), min_size=2, max_size=8)


@given(BUSY, st.integers())
@settings(max_examples=40)
def test_never_the_busier_of_two(given_: list[tuple[int, float]], seed: int) -> None:
    among = felt(*(busy for busy, _ in given_), weights=tuple(weight for _, weight in given_))
    told = Fewest(Random(seed)).arrange(request(), among)
    assert sorted(told, key=among.index) == among
    working = [one for one in among if one.weight] or among
    assert told[0] in working
    # It was compared with one other at least.
    assert len([one for one in working if load(one) >= load(told[0])]) >= min(2, len(working))
    for part in (told[1 : len(working)], told[len(working) :]):
        assert [load(one) for one in part] == sorted(map(load, part))
    assert all(not one.weight for one in told[len(working) :])


def test_the_busiest_of_many_is_never_first_and_the_least_busy_often() -> None:
    among, fewest = felt(9, 0, 5, 5), Fewest(Random(1))
    seen = Counter(fewest.arrange(request(), among)[0].target.provider for _ in range(4000))
    assert seen["p0"] == 0
    # Half of all pairs hold the least busy of four.
    assert abs(seen["p1"] - 2000) < 5 * 1000**0.5


def test_requests_under_way_count_for_their_weight() -> None:
    assert Fewest().arrange(request(), felt(2, 1, weights=(4.0, 1.0)))[0].target.provider == "p0"
    assert Fewest().arrange(request(), felt(8, 1, weights=(4.0, 1.0)))[0].target.provider == "p1"


def firsts(quickest: Quickest, among: list[Candidate], count: int = 20) -> set[str]:
    return {quickest.arrange(request(), among)[0].target.provider for _ in range(count)}


def test_the_quickest_for_those_who_wait_there() -> None:
    quickest = Quickest(clock=lambda: 0.0)
    assert firsts(quickest, felt(0, 0, 0, first=(0.3, 0.2, 0.4))) == {"p1"}
    assert firsts(quickest, felt(0, 1, 0, first=(0.3, 0.2, 0.4))) == {"p0"}
    assert [one.target.provider for one in quickest.arrange(request(), felt(0, 3, 0, first=(0.3, 0.2, 0.4)))] == ["p0", "p2", "p1"]
    assert firsts(quickest, felt(0, 0, first=(0.2, 0.2))) == {"p0", "p1"}
    assert firsts(quickest, felt(9, 0, first=(0.1, 0.2), weights=(1.0, 0.0))) == {"p0"}


def test_what_is_not_known_is_tried_by_one_at_a_time() -> None:
    quickest, among = Quickest(clock=lambda: 0.0), felt(0, 0, 0, first=(0.2, 0, 0))
    assert firsts(quickest, among) == {"p1", "p2"}
    for one in among[1:]:
        assert one.pulse is not None
        one.pulse.busy = 1
    assert firsts(quickest, among) == {"p0"}


def test_what_was_slow_is_tried_again() -> None:
    """Whoever is asked stays known; whoever is not is forgotten by and by."""
    among, now = felt(0, 0, first=(0.2, 2.0)), 0.0
    quickest = Quickest(clock=lambda: now)
    while now < 300.0 and firsts(quickest, among, 1) == {"p0"}:
        now += 1.0
        assert among[0].pulse is not None
        among[0].pulse.first[0].felt(0.2, now)
    assert 60.0 < now < 80.0


def test_classes_of_size_and_whole_answers_by_themselves() -> None:
    among = felt(0, 0, first=(0.1, 0.2))
    for one, seconds in zip(among, (9.0, 3.0), strict=True):
        assert one.pulse is not None
        one.pulse.whole[0].felt(seconds, 0.0)
        one.pulse.first[1].felt(seconds, 0.0)
    long = request(body=b"x " * 10_000)
    assert firsts(Quickest(clock=lambda: 0.0), among) == {"p0"}
    assert Quickest(clock=lambda: 0.0).arrange(long, among)[0].target.provider == "p1"
    assert firsts(Quickest(whole=True, clock=lambda: 0.0), among) == {"p1"}


DOLLARS = st.decimals("0", "0.01", places=12)
STEP = st.tuples(DOLLARS, DOLLARS)
PRICE = st.one_of(st.none(), st.lists(STEP, min_size=1, max_size=2))
ABOVE = 500


def priced(steps: list[tuple[Decimal, Decimal]] | None) -> Price | None:
    if steps is None:
        return None
    return Price(tuple(Step(above, *step) for above, step in zip((ABOVE, -1)[-len(steps) :], steps, strict=True)))


@given(st.lists(st.tuples(PRICE, WEIGHT), min_size=2, max_size=6), st.integers(0, 4000), st.integers(0, 10**6))
@settings(max_examples=40)
def test_the_cheapest_is_the_least_sum(given_: list[tuple[list[tuple[Decimal, Decimal]] | None, float]], size: int, limit: int) -> None:
    among = [Candidate(Target(f"p{at}", "m"), weight, price=priced(steps)) for at, (steps, weight) in enumerate(given_)]
    asked = request(body={"max_tokens": limit, "input": "x" * size})
    told = Least(500).arrange(asked, among)
    assert sorted(told, key=among.index) == among
    tokens = input_tokens(asked.body)

    def rank(one: Candidate) -> tuple[bool, bool, Fraction]:
        steps = given_[among.index(one)][0]
        if steps is None:
            return not one.weight, True, Fraction(0)
        bought, made = steps[0] if tokens > ABOVE else steps[-1]
        return not one.weight, False, Fraction(bought) * tokens + Fraction(made) * (limit or 500)

    assert [rank(one) for one in told] == sorted(map(rank, among))


def test_equal_prices_are_drawn_by_weight() -> None:
    free = Price((Step(-1, Decimal(0), Decimal(0)),))
    among = [Candidate(Target(f"p{at}", "m"), weight, price=free) for at, weight in enumerate((1.0, 3.0))]
    least = Least(500, Random(3).random)
    seen = Counter(least.arrange(request(), among)[0].target.provider for _ in range(4000))
    assert abs(seen["p1"] - 3000) < 5 * (4000 * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize(("limit", "first"), [(1000, "p1"), (10, "p0"), (None, "p1")])
def test_what_is_cheap_hangs_on_the_request(limit: int | None, first: str) -> None:
    cheap_input, cheap_output = (Decimal("0.000001"), Decimal("0.00001")), (Decimal("0.000002"), Decimal("0.000002"))
    among = [Candidate(Target(f"p{at}", "m"), price=priced([steps])) for at, steps in enumerate((cheap_input, cheap_output))]
    asked = request(body={"input": "x" * 4000} | ({} if limit is None else {"max_tokens": limit}))
    assert Cheapest().open().arrange(asked, among)[0].target.provider == first


def test_prices_travel() -> None:
    price = Price((Step(128_000, Decimal("1E-9"), Decimal("0.1") ** 15), Step(-1, Decimal(0), Decimal(12))))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({"a": price}), type=dict[str, Price]) == {"a": price}
