"""Rules: their counters' names, their words, and their money."""

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.limits.money import NANOS, plain_dollars, reserved, settled
from extproc.limits.rule import MOST, Rule, Terms, Want, rule_of, title
from extproc.limits.window import UNDER_WAY, Window

MONTH = Window("month")
BUDGET = Rule(id="organization acme: 50 USD a month", unit="cost", amount=50 * NANOS, window=MONTH, group="org_1", on_outage="closed")


def test_what_a_request_wants() -> None:
    assert BUDGET.want(7, {}) == Want(BUDGET.id, Terms(50 * NANOS, MONTH), 7, "org_1", "closed")
    each = Rule(id="everybody", unit="requests", amount=5, window=Window("minute"), per=("model", "tag:env"), hard=False)
    assert each.want(1, {"model": "m"}) is None, "it says nothing of requests without the tag"
    want = each.want(1, {"model": "gpt|5%", "tag:env": "test"})
    assert want is not None
    assert want.counter == "everybody|gpt%7C5%25|test" and want.group == "everybody" and not want.terms.hard


texts = st.text("a|%7C\n\u00e9\ud800", max_size=6)


@settings(max_examples=60)
@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_each_combination_has_a_counter_of_its_own(one: tuple[str, str], other: tuple[str, str]) -> None:
    rule = Rule(id="r", unit="requests", amount=5, window=MONTH, per=("user", "end_user"))
    names = [rule.want(1, dict(zip(rule.per, values, strict=True))) for values in (one, other)]
    assert names[0] is not None and names[1] is not None
    assert (names[0].counter == names[1].counter) == (one == other)
    assert rule_of(names[0].counter) == "r"
    assert all(len(want.counter.encode()) <= 200 for want in names if want)


def test_names_that_are_long_or_no_text_travel() -> None:
    rule = Rule(id="r", unit="requests", amount=5, window=MONTH, per=("end_user",))
    for value in ("x" * 200, "\ud800", "a\nb"):
        want = rule.want(1, {"end_user": value})
        assert want is not None and want.counter.startswith("r|sha256:") and rule_of(want.counter) == "r"
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(want), type=Want) == want
    long = msgspec.structs.replace(rule, id="r" * 150)
    one, other = (long.want(1, {"end_user": letter * 200}) for letter in "xy")
    assert one is not None and other is not None and one.counter != other.counter and len(one.counter) <= 200
    assert rule_of(one.counter) == rule_of(other.counter), "however many end users there are, they are of one rule"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -1}, {"amount": MOST + 1}, {"unit": "concurrency"}, {"window": UNDER_WAY}, {"thresholds": (0.9, 0.5)},
        {"thresholds": (0.5, 0.5)}, {"thresholds": (0.0, 0.5)},
    ],
)  # fmt: skip
def test_rules_that_contradict_themselves(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"amount|concurrency|thresholds"):
        msgspec.structs.replace(BUDGET, **wrong)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (title("organization acme", 50 * NANOS, "cost", MONTH), "organization acme: 50 USD a month"),
        (title("key k", NANOS // 4, "cost", Window("day", zone="Europe/Berlin")), "key k: 0.25 USD a day (Europe/Berlin)"),
        (title("team t", 100, "input_tokens", Window("hour")), "team t: 100 input tokens an hour"),
        (title("user u", 10, "concurrency", UNDER_WAY), "user u: 10 at once"),
        (title("user u", 10, "requests", Window("sliding", 60)), "user u: 10 requests in 60 s"),
    ],
)
def test_words(made: str, words: str) -> None:
    assert made == words


def test_levels_are_what_reaches_a_threshold() -> None:
    assert Terms(10, MONTH).levels() == (5, 8, 9, 10)
    assert Terms(3, MONTH, thresholds=(0.5,)).levels() == (2,)


dollars = st.decimals(0, 10, places=15)


@settings(max_examples=40)
@given(st.lists(dollars, max_size=8))
def test_no_nano_dollar_is_lost_or_made(amounts: list[Decimal]) -> None:
    sums = [sum(amounts[:count], Decimal(0)) for count in range(len(amounts) + 1)]
    told = [settled(before, after - before) for before, after in pairwise(sums)]
    assert sum(told) == int(sums[-1] * NANOS) and all(part >= 0 for part in told)


@given(dollars)
def test_what_is_reserved_is_enough(amount: Decimal) -> None:
    nanos = reserved(amount)
    assert nanos - 1 < amount * NANOS <= nanos
    assert Decimal(plain_dollars(nanos)) * NANOS == nanos
