"""What a worker tells of its attempts: failures soon, answers summed up, in their order."""

from collections.abc import Callable

from msgspec.structs import replace

from extproc.config.breaker import Breaker
from extproc.standing.board import Board
from extproc.standing.ear import TOGETHER, Ear
from extproc.standing.told import Heard, Stand, encode
from extproc.standing.view import View
from extproc.tried import Tried

GOOD = Tried("openai", "gpt", 200, first=0.5, whole=2.0)
BAD = Tried("openai", "gpt", 503, "overloaded", first=0.25, whole=0.25)


class Line:
    """A line, and a loop's timer."""

    def __init__(self, *, up: bool = True) -> None:
        self.up = up
        self.sent: list[list[Heard]] = []
        self.timers: list[Callable[[], None]] = []

    def tell(self, heard: list[Heard]) -> bool:
        if self.up:
            self.sent.append(heard)
        return self.up

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == TOGETHER
        self.timers.append(call)


def test_order_is_kept_and_answers_are_summed_up() -> None:
    line = Line()
    ear = Ear(View(), line)
    other = Tried("anthropic", "claude", 200, whole=1.0)
    for tried in (GOOD, GOOD, other, GOOD, BAD, BAD, GOOD, other):
        ear.hear(tried)
    assert line.sent == []
    assert len(line.timers) == 1
    line.timers.pop()()
    (told,) = line.sent
    assert [(one.provider, one.status, one.times) for one in told] == [
        ("openai", 200, 3),
        ("anthropic", 200, 2),
        ("openai", 503, 1),
        ("openai", 503, 1),
        ("openai", 200, 1),
    ]
    assert told[2].took == 0.25
    ear.flush()
    assert len(line.sent) == 1, "there is nothing more to tell"


def test_an_answer_with_one_key_ends_a_row_of_failures_with_another() -> None:
    """The breaker is the target's, whichever key it is asked with; and a key's, whichever model it is used for."""
    line = Line()
    ear = Ear(View(), line)
    good, bad = Tried("openai", "gpt", 200, key="b", whole=1.0), Tried("openai", "gpt", 500, "internal_error", "a", whole=1.0)
    refused = Tried("openai", "mini", 401, "invalid_api_key", "b", whole=1.0)
    other = Tried("anthropic", "claude", 200, whole=1.0)
    for _ in range(5):
        for tried in (good, good, other, bad, good, refused):
            ear.hear(tried)
    ear.flush()
    (told,) = line.sent
    assert [(one.key, one.status, one.times) for one in told if one.provider == "openai"] == [
        ("b", 200, 2), ("a", 500, 1), ("b", 200, 1), ("b", 401, 1),
    ] * 5  # fmt: skip
    assert [one.times for one in told if one.provider == "anthropic"] == [5]
    board = Board(lambda _: Breaker())
    for one in told:
        board.hear(one, 1000.0)
    assert board.stands(1000.0) == []


def test_an_answer_that_lasts_is_told_at_its_end_unless_somebody_waits_for_it() -> None:
    line = Line()
    view = View()
    ear = Ear(view, line)
    begun = Tried("openai", "gpt", 200, first=0.5)
    ear.hear(begun)
    assert line.timers == []
    view.take(encode([Stand("openai", "gpt", "", "open", 0, 60)]))
    ear.hear(begun)
    line.timers.pop()()
    assert [(one.status, one.took) for one in line.sent[0]] == [(200, 0.5)]
    ear.hear(replace(begun, whole=2.0, again=True))
    assert line.timers == [], "one answer is one probe"
    ear.hear(replace(begun, whole=2.0, again=True, reason="broken_off"))
    line.timers.pop()()
    assert [(one.reason, one.took) for one in line.sent[1]] == [("broken_off", 2.0)], "and a failure is news all the same"


def test_many_failures_are_told_at_once() -> None:
    line = Line()
    ear = Ear(View(), line)
    for _ in range(1024):
        ear.hear(BAD)
    assert len(line.sent[0]) == 1024


def test_nobody_listens() -> None:
    """The worker goes on with what it knows."""
    line = Line(up=False)
    view = View(clock=lambda: 100.0)
    ear = Ear(view, line)
    view.take(encode([Stand("openai", "gpt", "", "open", 0, 60), Stand("openai", "other", "", "open", 30, 30)]))
    ear.hear(GOOD)
    ear.hear(Tried("openai", "other", 200, whole=1.0))
    ear.flush()
    assert [stand.model for stand in view.stands()] == ["other"]
