"""Which targets a worker asks, by what it knows of how they stand."""

from collections.abc import Coroutine

import pytest

from extproc.errors import Fault
from extproc.standing.cooling import Name
from extproc.standing.refusal import unavailable
from extproc.standing.told import NONE, Lease, Stand, encode
from extproc.standing.view import Chosen, View
from extproc.values import Target
from tests.scene import run

A, B, C = Target("a", "one"), Target("b", "two"), Target("c", "three")


class Control:
    """The other end of the line."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.back: list[Lease] = []
        self.begun: list[Coroutine[None, None, None]] = []

    async def probe(self, name: Name) -> int:
        self.asked.append(name.provider)
        return self.answers.pop(0) if self.answers else NONE

    def give_back(self, lease: Lease) -> None:
        self.back.append(lease)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        self.begun.append(work)


def stand(target: Target, state: str = "open", left: float = 10.0, key: str = "") -> Stand:
    return Stand(target.provider, target.model, key, state, left, 5.0, "5 failures in a row")  # type: ignore[arg-type]


class Bench:
    """A view with a clock of its own."""

    def __init__(self, *stands: Stand, control: Control | None = None) -> None:
        self.now = 1000.0
        self.view = View(control, clock=lambda: self.now)
        self.push(*stands)

    def push(self, *stands: Stand) -> None:
        self.view.take(encode(list(stands)))

    def choose(self, *targets: Target, keys: tuple[str, ...] = ()) -> Chosen:
        return run(self.view.choose(targets, {target.provider: keys for target in targets}))


def test_nothing_is_looked_at_while_all_stand_well() -> None:
    bench = Bench()
    assert not bench.view.troubled
    bench.push(stand(A))
    assert bench.view.troubled
    bench.push()
    assert not bench.view.troubled
    bench.view.ill({"a": "connection refused"})
    assert bench.view.troubled


def test_open_and_cooling_ones_are_passed_over() -> None:
    bench = Bench(stand(A), stand(B, "cooling"))
    chosen = bench.choose(A, B, C)
    assert (chosen.targets, chosen.passed, chosen.lease, chosen.why) == ((C,), (A, B), None, ())
    assert bench.choose(Target("a", "other"), Target("a", "")).passed == (), "others of the same provider are asked"
    bench.now += 10.5
    assert bench.choose(B, C).targets == (B, C), "it ends by itself"


def test_limited_and_ill_ones_are_asked_last() -> None:
    bench = Bench(stand(A, "limited"))
    bench.view.ill({"b": "connection refused"})
    assert bench.choose(A, B, C).targets == (C, A, B)
    assert bench.choose(A).targets == (A,)
    assert bench.choose(A).passed == ()


def test_one_that_is_half_open_is_tried_by_who_gets_the_probe() -> None:
    control = Control(7, 0)
    bench = Bench(stand(A), control=control)
    bench.now += 10
    chosen = bench.choose(A, B)
    assert (chosen.targets, chosen.lease) == ((A, B), Lease(Name("a", "one"), 7))
    chosen = bench.choose(A, B)
    assert (chosen.targets, chosen.passed, chosen.lease) == ((B,), (A,), None)
    assert bench.choose(A, B).targets == (B,)
    assert control.asked == ["a", "a"], "after a refusal nobody asks for a moment"
    assert bench.choose(B, A).targets == (B, A), "it steps in for others, and nobody is asked"
    bench.view.give_back(Lease(Name("a", "one"), 7))
    assert control.back == [Lease(Name("a", "one"), 7)]


def test_what_is_pushed_while_somebody_asks() -> None:
    control = Control(0, 7)
    bench = Bench(stand(A, left=0), control=control)
    asking = bench.view.choose((A, B), {})

    async def pushed(name: Name) -> int:
        bench.push(stand(A, left=0))
        return 0

    control.probe = pushed  # type: ignore[method-assign]
    assert run(asking).targets == (B,)
    del control.probe
    control.answers = [7]
    bench.now += 0.1
    assert bench.choose(A, B).targets == (A, B), "another one may ask"


def test_without_the_control_process_a_worker_helps_itself() -> None:
    for control in (Control(), None):
        bench = Bench(stand(A), control=control)
        bench.now += 10
        assert bench.choose(A, B).targets == (A, B)
        assert bench.choose(A, B).targets == (B,), "one at a time"
        bench.view.alone("a", "one", "", good=False)
        bench.now += 59
        assert bench.choose(A, B).targets == (B,)
        bench.now += 2
        assert bench.choose(A, B).targets == (A, B)
        bench.view.alone("a", "one", "", good=True)
        assert bench.choose(A, B).targets == (A, B)
        assert not bench.view.troubled


def test_several_keys() -> None:
    open_key, cool_key = Stand("a", "", "k1", "open", 10, 0), Stand("a", "one", "k2", "cooling", 20, 0)
    bench = Bench(open_key, cool_key)
    assert bench.choose(A, B, keys=("k1", "k2", "k3")).targets == (A, B)
    chosen = bench.choose(A, keys=("k1", "k2"))
    assert (chosen.targets, [one.until for one in chosen.why]) == ((), [1010])
    assert bench.choose(Target("a", "other"), keys=("k1", "k2")).passed == (), "the second cools down for one model"
    assert [bench.view.able("a", "one", key) for key in ("k1", "k2", "k3")] == [False, False, True]
    assert bench.view.able("a", "other", "k2")
    bench.now += 15
    assert bench.choose(A, keys=("k1", "k2")).targets == (A,), "the first is half open"
    bench.push()
    assert bench.view.able("a", "one", "k1")


def test_a_key_that_is_half_open_is_used_for_a_moment_by_one_worker() -> None:
    half_open = Stand("a", "", "k1", "open", 0, 60)
    control = Control(3, 0)
    bench = Bench(half_open, control=control)
    assert not bench.view.able("a", "one", "k1"), "it is asked for"
    assert not bench.view.able("a", "one", "k1")
    (work,) = control.begun
    run(work)
    assert [bench.view.able("a", "one", "k1") for _ in range(2)] == [True, True]
    bench.now += 0.2
    assert not bench.view.able("a", "one", "k1")
    run(control.begun[1])
    assert not bench.view.able("a", "one", "k1")
    alone = Bench(half_open)
    assert alone.view.able("a", "one", "k1")
    alone.now += 59
    assert not alone.view.able("a", "one", "k1")


@pytest.mark.parametrize(
    ("stands", "status", "code", "wait"),
    [
        ((stand(A, left=9.5), stand(B, "cooling", 3.0)), 503, "no_target_available", "3"),
        ((stand(A, "cooling", 9.5), stand(B, "cooling", 0.2)), 429, "rate_limit_exceeded", "1"),
    ],
)
def test_what_those_are_told_for_whom_nobody_is_left(stands: tuple[Stand, ...], status: int, code: str, wait: str) -> None:
    view = View()
    view.take(encode(list(stands)))
    chosen = run(view.choose((A, B), {}))
    assert chosen.targets == ()
    reject = unavailable("gpt", chosen.why)
    assert (reject.fault.status, reject.fault.code, dict(reject.headers)) == (status, code, {"retry-after": wait})
    assert "since 5 s (5 failures in a row)" in reject.fault.message
    assert isinstance(reject.fault, Fault)


def test_no_caller_is_told_the_names_of_keys() -> None:
    view = View()
    view.take(encode([Stand("a", "", "team-blue", "open", 9.5, 5.0, "5 failures in a row")]))
    reject = unavailable("gpt", run(view.choose((A,), {"a": ("team-blue",)})).why)
    assert "a (with each of its keys) fails and is left alone" in reject.fault.message
    assert "team-blue" not in reject.fault.message


def test_what_is_shown_of_it() -> None:
    bench = Bench(stand(A), stand(B, "cooling", 3))
    bench.now += 4
    assert [(one.provider, one.state, one.left, one.ago) for one in bench.view.stands()] == [("a", "open", 6, 9)]
    bench.now += 6
    assert [one.state for one in bench.view.stands()] == ["half_open"]
