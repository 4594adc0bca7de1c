"""What follows a failed attempt."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from extproc.config.model import Model
from extproc.config.retries import Retries
from extproc.config.timeouts import Timeouts
from extproc.retrying import UNSAID, Budgets, Failed, Refusals, Retrying, Turn, after, planned, retrying_of
from extproc.values import Target
from extproc.ways import way_of

A, B, LONG, FREE = (Target("p", name) for name in ("a", "b", "long", "free"))
REFUSALS = Refusals((LONG,), (FREE,))


def always(_: Target) -> bool:
    return True


def never(_: Target) -> bool:
    return False


def test_only_what_envoy_does_not_do_is_told() -> None:
    usual = Retries()
    assert retrying_of(Model(name="m", targets=("p/a",)), usual) is None
    assert retrying_of(Model(name="m", targets=("p/a",), retries=Retries(again=1)), usual) == Retrying(Retries(again=1), model="m")
    named = retrying_of(Model(name="m", targets=("p/a",), on_context_length=("p/long",)), usual)
    assert named is not None
    assert (named.refusals, named.watches) == (Refusals((LONG,)), True)
    assert not Retrying(Retries(within=3)).watches


def test_who_is_named_for_one_refusal_may_give_the_other() -> None:
    """Envoy has to be told of all attempts beforehand."""
    plan: tuple[Turn, ...] = (Turn(A),)
    for number, reason in enumerate(("context_length_exceeded", "content_filter"), 1):
        following = after(Retrying(refusals=REFUSALS), plan, Failed(number, 400, reason), 0, never)
        plan = following.turns or plan
    assert plan == (Turn(A), Turn(LONG), Turn(FREE))
    assert len(plan) == 1 + REFUSALS.most
    assert Refusals((LONG, B), (B,)).most == 2


def test_an_attempt_that_envoy_made_beyond_the_list_is_one_of_the_last_target() -> None:
    """Else Envoy, which counts it, would leave out the first of those that are named."""
    retrying = Retrying(refusals=Refusals((LONG, B)))
    assert after(retrying, (Turn(A),), Failed(2, 400, "context_length_exceeded"), 0, never).turns == (Turn(A), Turn(A), Turn(LONG), Turn(B))


def test_who_gives_no_answer_is_asked_nothing_more_for_his_keys_sake() -> None:
    for careful in (Retrying(only=True), Retrying(refusals=REFUSALS, only=True)):
        assert (careful.retry_on, careful.again) == ("connect-failure,refused-stream,retriable-status-codes", 409)
    # The second of those that are named for a refusal is worth asking if the first one is silent.
    for other in (Retrying(), Retrying(Retries(again=1), only=True), Retrying(refusals=Refusals((LONG, B)), only=True)):
        assert (other.retry_on, other.again) == ("5xx,reset,connect-failure,refused-stream,retriable-status-codes", 503)
    assert planned((A, A, A), Retrying(Retries(again=1), only=True)) == (A, A, A)
    assert planned((A, A), Retrying(Retries(again=3), only=True)) == (A,) * 4


def test_each_target_has_its_attempts() -> None:
    assert planned((A, B), Retrying(Retries(again=2))) == (A, A, A, B, B, B)
    many = tuple(Target("p", str(which)) for which in range(20))
    again = Retrying(Retries(again=4))
    # None is left out for the others' repetitions.
    for count, times in ((3, 5), (4, 4), (5, 3), (8, 2), (9, 1), (20, 1)):
        assert planned(many[:count], again) == tuple(target for target in many[:count] for _ in range(times))


def test_a_pause_doubles_up_to_the_longest_and_heeds_the_provider() -> None:
    retrying, plan = Retrying(Retries(again=4, pause=1, longest=3)), (Turn(A),) * 5
    pauses = [after(retrying, plan, Failed(number, 503, "overloaded"), 0, always).pause for number in (1, 2, 3, 4)]
    for pause, most in zip(pauses, (1, 2, 3, 3), strict=True):
        assert most / 2 <= pause <= most
    assert after(retrying, plan, Failed(1, 429, "", resets=2.5), 0, always).pause == 2.5
    assert after(retrying, plan, Failed(1, 429, "", resets=4), 0, always)[:3] == (False, 0, None)
    turns = Turn(A), Turn(A), Turn(B)
    assert after(retrying, turns, Failed(1, 429, "", resets=4), 0, always)[:3] == (True, 0, (Turn(A), Turn(B)))


def test_another_key_is_somebody_else_where_it_is_the_key_that_failed() -> None:
    keys = Turn(A, "one"), Turn(A, "two"), Turn(B)
    by_key, by_provider = Failed(1, 429, "", resets=4, by_key=True), Failed(1, 503, "overloaded")
    assert after(UNSAID, keys, by_key, 0, never)[:3] == (True, 0, None)
    # Else the target is there again for its keys' sake alone.
    assert after(UNSAID, keys, by_provider, 0, always)[:3] == (True, 0, (Turn(A, "one"), Turn(B)))
    assert after(UNSAID, keys[:2], by_provider, 0, always)[:3] == (False, 0, None)
    retrying = Retrying(Retries(again=1, pause=1))
    assert 0.5 <= after(retrying, keys, by_provider, 0, always).pause <= 1
    assert after(retrying, keys, by_provider, 0, never)[:3] == (True, 0, (Turn(A, "one"), Turn(B)))
    # Once for each key, and then once more for each.
    twice = keys[:2] * 2
    assert [after(retrying, twice, Failed(at, 401, "", by_key=True), 0, never).goes_on for at in (1, 2, 3, 4)] == [True, True, True, False]


_STATUSES = some.sampled_from([200, 400, 401, 404, 422, 429, 500, 503, 529])
_REASONS = some.sampled_from(["", "overloaded", "context_length_exceeded", "content_filter"])


@given(
    targets=some.lists(some.sampled_from([A, B, LONG]), min_size=1, max_size=4, unique=True),
    again=some.integers(0, 3), status=_STATUSES, reason=_REASONS, resets=some.floats(0, 20), data=some.data(),
    until=some.sampled_from([0.0, 5.0, 50.0]), spare=some.sampled_from([always, never]),
)  # fmt: skip
def test_whatever_fails_the_rest_makes_sense(
    targets: list[Target],
    again: int,
    status: int,
    reason: str,
    resets: float,
    data: some.DataObject,
    until: float,
    spare: Callable[[Target], bool],
) -> None:
    retries = Retries(again=again, longest=10)
    retrying = Retrying(retries, REFUSALS, until)
    plan = tuple(map(Turn, planned(targets, retrying)))
    number = data.draw(some.integers(1, len(plan)))
    following = after(retrying, plan, Failed(number, status, reason, resets), 10.0, spare)
    rest = plan if following.turns is None else following.turns
    assert rest[:number] == plan[:number]
    if not following.goes_on:
        assert (following.pause, following.turns) == (0, None)
        return
    assert until != 5
    assert len(rest) > number
    again_here = rest[number] == rest[number - 1]
    assert (following.pause > 0) == again_here
    assert not again_here or (spare is always and resets <= following.pause <= retries.longest)
    if not retrying.refusals.after(reason):
        assert status >= 500 or status in retries.on
        assert set(rest[number:]) <= set(plan[number:])


@given(some.lists(some.booleans(), max_size=300), some.sampled_from([0.0, 0.1, 0.2, 1.0]))
def test_repetitions_are_a_share_of_the_requests(asked: list[bool], share: float) -> None:
    budgets, taken = Budgets(), 0
    for first in asked:
        if first:
            budgets.asked(A, share)
        else:
            taken += budgets.take(A)
    assert taken <= 10 + share * sum(asked) + 1e-6


def test_names_that_clients_make_up_are_not_remembered() -> None:
    budgets = Budgets()
    for which in range(5000):
        budgets.asked(Target("p", f"made-up-{which}"), 0.2)
    assert not len(budgets)
    while budgets.take(A):
        pass
    for which in range(5000):
        budgets.take(Target("p", f"made-up-{which}"))
        budgets.asked(A, 0.0)
    assert len(budgets) == 4096
    # Who is asked all the while is not the one that is forgotten.
    assert not budgets.take(A)


@pytest.mark.parametrize(
    ("retries", "status", "goes_on"),
    [
        (Retries(), 500, True),
        (Retries(server_errors=False), 500, False),
        (Retries(server_errors=False), 429, True),
        (Retries(on=(), no_answer=False), 500, True),
        (Retries(on=()), 429, False),
    ],
)
def test_which_failures_are_worth_another_attempt(retries: Retries, status: int, goes_on: bool) -> None:
    assert after(Retrying(retries), (Turn(A), Turn(B)), Failed(1, status, ""), 0, never).goes_on is goes_on


def test_silence_need_not_be() -> None:
    """Envoy would go on by itself, also after a status that it takes for silence's like."""
    told = Retrying(Retries(no_answer=False))
    assert told.again == Retrying(Retries(no_answer=False), only=True).again == 409
    said = way_of(("a", "b"), (Timeouts(), Timeouts()), "openai", told.more, "", upgrade=False, stream=False)
    assert said.headers["x-envoy-retry-on"] == "retriable-status-codes"
