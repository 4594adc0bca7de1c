"""One request is followed: which target it is at, and what is learnt of those that were asked."""

from typing import Any

from extproc import Felt, Response, Target
from extproc.pulse import Pulse
from extproc.tried import LATE, NO_ANSWER, Tried
from tests.scene import CHAT, request, run

A, B = Target("a", "m"), Target("b", "m")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Followed:
    """A request to A, and to B if that fails."""

    def __init__(self, **more: Any) -> None:
        asked = request(body={**CHAT, **more})
        asked.targets = (A, B)
        self.clock = Clock()
        self.a, self.b = Pulse(), Pulse()
        self.tap = Felt(asked, {A: self.a, B: self.b}, self.clock)

    def head(self, *tried: Tried, status: int = 200, target: Target | None = None, at: float = 0.0, origin: Any = "provider") -> Response:
        self.clock.now = at
        response = Response(status, {}, origin=origin)
        response.tried, response.target = tried, target
        self.tap.start(response)
        return response

    def end(self, response: Response, at: float, ended: Any = "complete") -> None:
        self.clock.now = at
        response.ended, response.finished = ended, ended == "complete"
        run(self.tap.end(response))

    @property
    def busy(self) -> tuple[int, int]:
        return self.a.busy, self.b.busy

    def known(self) -> list[float]:
        now = self.clock.now
        return [round(one.seconds(now), 9) for pulse in (self.a, self.b) for one in (pulse.first[0], pulse.whole[0])]


def test_the_first_target_answers() -> None:
    made = Followed()
    assert made.busy == (1, 0)
    response = made.head(Tried("a", "m", 200, first=0.25), target=A, at=0.3)
    assert made.busy == (1, 0)
    assert made.known() == [0.25, 0, 0, 0]
    made.end(response, 2.3)
    assert made.busy == (0, 0)
    assert made.known()[1] == 2.25


def test_the_second_one_answers() -> None:
    made = Followed()
    failed = Tried("a", "m", 503, "overloaded", first=0.1)
    response = made.head(failed, Tried("b", "m", 200, first=0.5), target=B, at=0.7)
    assert made.busy == (0, 1)
    made.end(response, 0.7)
    assert made.known() == [5.0, 5.0, 0.5, 0.5]
    assert made.busy == (0, 0)


def test_nobody_answers() -> None:
    made = Followed()
    response = made.head(Tried("a", "m", reason=NO_ANSWER), Tried("b", "m", 429, "rate_limit_exceeded"), status=429, target=B, at=9.0)
    made.end(response, 9.0)
    assert made.known() == [5.0, 5.0, 5.0, 5.0]
    assert made.busy == (0, 0)


def test_the_only_attempt_is_timed_here() -> None:
    made = Followed()
    made.end(made.head(target=A, at=0.5), 1.0)
    assert made.a.first[0].seconds(0.5) == 0.5
    assert made.a.whole[0].seconds(1.0) == 1.0
    failing = Followed()
    failing.end(failing.head(target=A, status=503, at=0.5, origin="envoy"), 0.5)
    assert failing.known() == [5.0, 5.0, 0, 0]


def test_what_is_the_client_s_own_fault_says_nothing() -> None:
    for status in (101, 400, 404, 422):
        made = Followed()
        made.end(made.head(Tried("a", "m", status, "invalid_request" if status > 101 else "", first=0.1), status=status, target=A), 1.0)
        assert made.known() == [0, 0, 0, 0]


def test_an_answer_that_breaks_off() -> None:
    made = Followed()
    made.end(made.head(Tried("a", "m", 200, first=1.0), target=A, at=1.0), 8.0, "provider_broke")
    assert made.known()[1] == 8.0
    gone = Followed()
    gone.end(gone.head(Tried("a", "m", 200, first=1.0), target=A, at=1.0), 8.0, "client_closed")
    assert gone.known()[1] == 0


def test_who_gives_up_has_waited_so_long() -> None:
    made = Followed()
    made.end(Response(0, {}, origin="envoy"), 40.0, "client_closed")
    assert made.known() == [40.0, 0, 0, 0]
    assert made.busy == (0, 0)


def test_a_time_that_was_too_short_is_what_it_took_at_least() -> None:
    made = Followed()
    made.clock.now = 0.5
    response = Response(504, {}, origin="envoy")
    response.reason, response.target = LATE, A
    made.tap.start(response)
    made.end(response, 0.5)
    assert made.known() == [0.5, 0, 0, 0]
    assert made.busy == (0, 0)


def test_what_no_target_was_asked_for() -> None:
    for origin in ("cache", "gateway"):
        made = Followed()
        made.end(made.head(at=0.1, origin=origin), 0.2)
        assert made.busy == (0, 0)
        assert made.known() == [0, 0, 0, 0]


def test_each_class_of_size_by_itself() -> None:
    made = Followed(user="x" * 8000)
    made.head(Tried("a", "m", 200, first=0.25), target=A)
    assert made.a.first[1].seconds(0.0) == 0.25
    assert made.a.first[0].seconds(0.0) == 0
