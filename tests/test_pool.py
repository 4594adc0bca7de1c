"""Which of a provider's keys an attempt takes."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from msgspec.structs import replace

from extproc.config.model import Provider
from extproc.config.pool import Choice, ProviderKey
from extproc.errors import Reject
from extproc.pool import Lease, Pool, Pools, plan
from extproc.standing.told import Stand, encode
from extproc.standing.view import View
from extproc.tried import Tried

BEARER = ("authorization", "Bearer ")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key(name: str, **said: Any) -> ProviderKey:
    return ProviderKey(key=f"sk-{name}", name=name, **said)


def provider(*keys: ProviderKey, pool: Choice = "round_robin") -> Provider:
    return Provider(dialect="openai", base_url="https://it.test", keys=keys, pool=pool)


def opened(pools: Pools, *keys: ProviderKey, pool: Choice = "round_robin", workers: int = 1) -> Pool:
    made = pools.open("it", provider(*keys, pool=pool), BEARER, workers)
    assert made is not None
    return made


def refused(name: str, *, resets: float = 0.0, model: str = "m", status: int = 429, reason: str = "rate_limit_exceeded") -> Tried:
    return Tried("it", model, status, reason, name, resets=resets)


def names(pool: Pool, count: int, model: str = "m") -> list[str]:
    """Who is taken, one attempt after the other."""
    found = []
    for _ in range(count):
        lease = pool.lease(model)
        found.append(lease.name)
        lease.end()
    return found


def test_a_key_is_what_the_header_says() -> None:
    pool = opened(Pools(), key("a"), key("b"))
    lease = pool.lease("m")
    assert (pool.header, lease.name, lease.credential) == ("authorization", "a", "Bearer sk-a")


def test_nobody_has_a_pool_who_has_one_key() -> None:
    pools = Pools()
    assert pools.open("it", Provider(dialect="openai", base_url="https://it.test", key="k"), BEARER, 1) is None
    assert pools.open("it", provider(key("a"), key("b")), None, 1) is None


def test_keys_take_turns() -> None:
    pool = opened(Pools(), key("a"), key("b"), key("c"))
    assert names(pool, 6) == ["a", "b", "c", "a", "b", "c"]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_keys_take_turns_by_their_weights(weights: list[int]) -> None:
    pool = opened(Pools(), *(key(str(at), weight=weight) for at, weight in enumerate(weights)))
    for _ in range(2):
        assert Counter(names(pool, sum(weights))) == {str(at): weight for at, weight in enumerate(weights)}


def test_the_key_with_the_fewest_requests_under_way_is_the_least_used() -> None:
    clock = Clock()
    pool = opened(Pools(clock=clock), key("a"), key("b", weight=2), pool="least_used")
    held = [pool.lease("m") for _ in range(6)]
    assert Counter(lease.name for lease in held) == {"a": 2, "b": 4}
    for lease in held:
        if lease.name == "a":
            lease.end()
    assert pool.lease("m").name == "a"


def test_where_nothing_is_under_way_the_one_that_was_used_least_lately_is() -> None:
    clock = Clock()
    pool = opened(Pools(clock=clock), key("a"), key("b"), pool="least_used")
    assert names(pool, 4) == ["a", "b", "a", "b"]
    first, second = pool.lease("m", "b"), pool.lease("m", "b")
    first.end()
    second.end()
    assert names(pool, 2) == ["a", "a"]


def test_a_lease_ends_once() -> None:
    pool = opened(Pools(), key("a", concurrency=1), key("b", concurrency=1))
    one, two = pool.lease("m"), pool.lease("m")
    assert not pool.ready
    one.end()
    one.end()
    assert pool.ready
    assert pool.lease("m").name == one.name
    assert not pool.ready
    two.end()
    assert pool.ready


def test_a_limit_of_requests_at_once_is_shared_among_workers() -> None:
    pool = opened(Pools(), key("a", concurrency=5), key("b", concurrency=1), workers=2)
    held = [pool.lease("m", alone=True) for _ in range(3)]
    assert Counter(lease.name for lease in held) == {"a": 2, "b": 1}
    with pytest.raises(Reject) as caught:
        pool.lease("m", alone=True)
    assert (caught.value.fault.status, caught.value.fault.code) == (503, "overloaded")
    assert dict(caught.value.headers) == {"retry-after": "1"}
    assert "sk-" not in caught.value.fault.message and "it" in caught.value.fault.message
    # One of several attempts goes over it: its refusal would be the last word.
    assert pool.lease("m").name in ("a", "b")


def test_requests_per_minute() -> None:
    clock = Clock()
    pool = opened(Pools(clock=clock), key("a", requests_per_minute=2), key("b", requests_per_minute=1))
    assert sorted(names(pool, 3)) == ["a", "a", "b"]
    clock.now += 59
    with pytest.raises(Reject) as caught:
        pool.lease("m", alone=True)
    assert dict(caught.value.headers) == {"retry-after": "1"}
    clock.now += 1
    assert pool.ready
    assert sorted(names(pool, 3)) == ["a", "a", "b"]


@settings(max_examples=40)
@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.lists(st.floats(0, 40), min_size=1, max_size=60),
    st.sampled_from(["round_robin", "least_used"]),
)
def test_no_minute_has_more_requests_than_allowed(limit: int, workers: int, pauses: list[float], choice: Choice) -> None:
    clock = Clock()
    pool = opened(Pools(clock=clock), key("a", requests_per_minute=limit * workers), key("b", weight=5), pool=choice, workers=workers)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        lease = pool.lease("m", "a")
        if lease.name == "a":
            taken.append(clock.now)
        lease.end()
    for at, begin in enumerate(taken):
        assert sum(1 for time in taken[at:] if time < begin + 60) <= limit


def test_a_key_that_is_told_to_wait_waits_for_that_model() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"))
    pools.hear(refused("a", resets=30))
    assert names(pool, 3) == ["b", "b", "b"]
    assert "a" in names(pool, 2, model="other")
    assert pool.worth("m") == 1
    clock.now += 29.9
    assert "a" not in names(pool, 2)
    clock.now += 0.2
    assert "a" in names(pool, 2)
    assert pool.worth("m") == 2


@pytest.mark.parametrize(
    ("tried", "waits"),
    [
        (refused("a"), 5),
        (refused("a", resets=0.5), 0.5),
        (refused("a", reason="insufficient_quota"), 60),
        (refused("a", status=402, reason="insufficient_quota"), 60),
        (refused("a", status=401, reason="invalid_api_key"), 0),
        (refused("a", status=500, reason="internal_error", resets=9), 0),
        (Tried("it", "m", 200, key="a"), 0),
        (Tried("other", "m", 429, "rate_limit_exceeded", "a", resets=9), 0),
        (Tried("it", "m", 429, "rate_limit_exceeded", "", resets=9), 0),
        (Tried("it", "m", 429, "rate_limit_exceeded", "nobody", resets=9), 0),
    ],
)
def test_how_long_a_key_waits(tried: Tried, waits: float) -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"))
    pools.hear(tried)
    if waits:
        clock.now += waits - 0.1
        assert pool.worth("m") == 1
    clock.now += 0.2
    assert pool.worth("m") == 2


@pytest.mark.parametrize(
    ("cool", "tried", "waits"),
    [
        (0.0, refused("a", resets=30), 0),
        (0.0, refused("a"), 0),
        (0.0, refused("a", reason="insufficient_quota"), 60),
        (10.0, refused("a", resets=30), 10),
        (10.0, refused("a", resets=3), 3),
        (2.0, refused("a"), 2),
    ],
)
def test_for_how_long_a_429_is_believed(cool: float, tried: Tried, waits: float) -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"))
    pools.follow({"it": cool})
    pools.hear(tried)
    if waits:
        clock.now += waits - 0.1
        assert pool.worth("m") == 1
    clock.now += 0.2
    assert pool.worth("m") == 2


def test_what_is_told_of_a_key_that_was_replaced_is_no_news_of_the_new_one() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    opened(pools, key("a"), key("b"))
    clock.now += 10
    rotated = opened(pools, ProviderKey(key="sk-new", name="a"), key("b"))
    clock.now += 1
    late = refused("a", resets=600)
    pools.hear(replace(late, first=2.0))
    assert rotated.worth("m") == 2
    pools.hear(replace(late, first=0.5))
    assert rotated.worth("m") == 1


def test_keys_of_a_provider_that_is_asked_otherwise_wait_for_nothing() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b", requests_per_minute=1))
    pools.follow({}, {"it": "there"})
    assert names(pool, 2) == ["a", "b"]
    clock.now += 10
    pools.hear(refused("a", resets=600))
    pools.follow({}, {"it": "there", "other": "anywhere"})
    assert pool.worth("m") == 0
    pools.follow({}, {"it": "elsewhere"})
    assert names(pool, 2) == ["a", "a"], "the other one is at its limit, as before"
    clock.now += 1
    pools.hear(replace(refused("a", resets=600), first=2.0))
    assert pool.worth("m") == 1, "that was where it is not asked any more"
    pools.hear(refused("a", resets=600))
    assert pool.worth("m") == 0


def test_a_later_end_counts() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"))
    pools.hear(refused("a", resets=30))
    pools.hear(refused("a", resets=1))
    clock.now += 10
    assert pool.worth("m") == 1


def test_where_all_wait_the_one_that_waits_for_the_shortest_time_is_asked() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"), key("c"))
    for name, wait in (("a", 30), ("b", 10), ("c", 20)):
        pools.hear(refused(name, resets=wait))
    assert pool.worth("m") == 0
    assert names(pool, 2) == ["b", "b"]
    assert pool.plan("m", 2) == ("b", "c")


def test_models_that_clients_make_up_are_forgotten() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"))
    for number in range(2000):
        pools.hear(refused("a", resets=5, model=f"m{number}"))
        clock.now += 0.01
    (state, _) = pools._states.values()
    assert len(state.waits) <= 512
    assert pool.worth("m1999") == 1


def stands(view: View, *told: Stand) -> None:
    view.take(encode(list(told)))


def test_what_else_speaks_against_a_key() -> None:
    clock = Clock()
    view = View(clock=clock)
    pool = opened(Pools(view, clock), key("a"), key("b"), key("c"))
    stands(view, Stand("it", "", "a", "open", 30, 0), Stand("it", "m", "b", "cooling", 20, 0))
    assert names(pool, 2) == ["c", "c"]
    assert "b" in names(pool, 2, model="other") and "a" not in names(pool, 3, model="other")
    assert (pool.worth("m"), pool.worth("other")) == (1, 2)
    assert pool.plan("m", 1) == ("c",)
    # If nobody may be asked, somebody is all the same: who refuses such requests is the gate.
    stands(view, *(Stand("it", "", name, "open", 30, 0) for name in "abc"))
    assert (pool.worth("m"), set(names(pool, 9)) <= {"a", "b", "c"}) == (0, True)
    stands(view)
    assert pool.worth("m") == 3


def test_a_key_that_has_failed_is_tried_again() -> None:
    clock = Clock()
    view = View(clock=clock)
    pool = opened(Pools(view, clock), key("a"), key("b"))
    stands(view, Stand("it", "", "a", "open", 30, 0, open=30))
    assert names(pool, 2) == ["b", "b"]
    clock.now += 31
    # To plan with it asks nobody.
    assert pool.worth("m") == 2 and set(pool.plan("m", 2)) == {"a", "b"}
    assert "a" in names(pool, 2)
    view.alone("it", "m", "a", good=False)
    assert (pool.worth("m"), names(pool, 2)) == (1, ["b", "b"])
    clock.now += 31
    assert "a" in names(pool, 2)
    view.alone("it", "m", "a", good=True)
    assert pool.lease("m", "a").name == "a"


def test_a_request_that_is_tried_again_takes_another_key() -> None:
    pool = opened(Pools(), key("a"), key("b"), key("c"))
    for _ in range(4):
        assert len(set(pool.plan("m", 3))) == 3
    assert Counter(pool.plan("m", 3)[0] for _ in range(9)) == {"a": 3, "b": 3, "c": 3}
    assert len(pool.plan("m", 5)) == 5 and set(pool.plan("m", 5)) == {"a", "b", "c"}


def test_the_plan_is_kept_as_long_as_nothing_speaks_against_it() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    pool = opened(pools, key("a"), key("b"), key("c"))
    assert pool.lease("m", "c").name == "c"
    pools.hear(refused("c", resets=9))
    assert pool.lease("m", "c", ("a",)).name == "b"
    assert pool.lease("m", "", ("a", "b", "c")).name in ("a", "b")


def test_attempts_at_several_providers_are_planned_one_by_one() -> None:
    pools = Pools()
    it, other = opened(pools, key("a"), key("b")), pools.open("other", provider(key("x"), key("y")), BEARER, 1)
    assert other is not None
    attempts = [("it", "m"), ("single", "m"), ("other", "m"), ("it", "n"), ("other", "m")]
    planned = plan(attempts, {"it": it, "other": other})
    assert planned[1] == "" and {planned[0], planned[3]} == {"a", "b"} and {planned[2], planned[4]} == {"x", "y"}
    assert plan([("single", "m")], {"it": it}) == ()


def test_what_is_known_of_a_key_outlives_a_reload_unless_the_key_is_another_one() -> None:
    clock = Clock()
    pools = Pools(clock=clock)
    before = opened(pools, key("a", concurrency=1), key("b"))
    lease = before.lease("m", "a")
    pools.hear(refused("b", resets=60))
    same = opened(pools, key("a", concurrency=1), key("b"), key("c"))
    assert names(same, 2) == ["c", "c"]
    rotated = opened(pools, ProviderKey(key="sk-new", name="a", concurrency=1), ProviderKey(key="sk-newer", name="b"))
    assert sorted(names(rotated, 2)) == ["a", "b"]
    # What began with the old one ends with it.
    lease.end()
    assert names(rotated, 2) and before.ready
    assert pools.open("it", Provider(dialect="openai", base_url="https://it.test", key="k"), BEARER, 1) is None
    del before, same, rotated, lease
    assert not pools._states, "nothing is known of keys that are nowhere"


def test_what_is_heard_of_a_key_is_known_where_an_earlier_snapshot_is_in_force_again() -> None:
    pools = Pools(clock=Clock())
    first = opened(pools, key("a"), key("b"))
    other = opened(pools, key("a"), key("c"))
    pools.hear(refused("b", resets=60))
    assert names(first, 2) == ["a", "a"]
    pools.hear(refused("a", resets=60))
    assert names(other, 2) == ["c", "c"], "both have that one"


class Model(RuleBasedStateMachine):
    """Any history of attempts, refusals and time, against the rules as they are written."""

    leases: Bundle[Lease] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.pools = Pools(clock=self.clock)
        keys = (key("a", concurrency=2), key("b", weight=3), key("c", requests_per_minute=3))
        self.pool = opened(self.pools, *keys, pool="least_used")
        self.under_way: Counter[str] = Counter()
        self.times: list[float] = []
        self.waits: dict[str, float] = {}

    def free(self, name: str) -> bool:
        busy = {
            "a": self.under_way["a"] >= 2, "b": False, "c": sum(time > self.clock.now - 60 for time in self.times) >= 3,
        }  # fmt: skip
        return self.waits.get(name, 0) <= self.clock.now and not busy[name]

    @rule(target=leases, without=st.sets(st.sampled_from("abc"), max_size=2), wanted=st.sampled_from(["", "a", "b", "c"]))
    def take(self, without: set[str], wanted: str) -> Lease:
        free = {name for name in "abc" if self.free(name)} - without
        lease = self.pool.lease("m", wanted, without)
        assert lease.name not in without
        if free:
            assert lease.name in free
        if wanted in free:
            assert lease.name == wanted
        elif free:
            least = min(self.under_way[name] / (3 if name == "b" else 1) for name in free)
            assert self.under_way[lease.name] / (3 if lease.name == "b" else 1) == least
        self.under_way[lease.name] += 1
        if lease.name == "c":
            self.times.append(self.clock.now)
        return lease

    @rule(lease=consumes(leases))
    def end(self, lease: Lease) -> None:
        lease.end()
        self.under_way[lease.name] -= 1

    @rule(name=st.sampled_from("abc"), seconds=st.sampled_from([0.5, 10.0, 3600.0]))
    def refuse(self, name: str, seconds: float) -> None:
        self.pools.hear(refused(name, resets=seconds))
        self.waits[name] = max(self.waits.get(name, 0.0), self.clock.now + seconds)

    @rule(seconds=st.sampled_from([0.1, 7.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: any(self.free(name) for name in "abc"))
    @rule()
    def alone(self) -> None:
        lease = self.pool.lease("m", alone=True)
        assert self.free(lease.name)
        if lease.name == "c":
            self.times.append(self.clock.now)
        lease.end()

    @invariant()
    def offers_what_is_free(self) -> None:
        assert self.pool.worth("m") == min(3, sum(self.free(name) for name in "abc"))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
