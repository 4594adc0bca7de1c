"""What is heard of attempts, and how targets and keys stand then."""

import msgspec

from extproc.config.breaker import Breaker
from extproc.standing.board import Board, Change
from extproc.standing.cooling import Name
from extproc.standing.told import Heard, Stand, decode_stands, encode

GPT = Name("openai", "gpt")


def board(**more: object) -> Board:
    settings = Breaker(failures=2, open=10, **more)  # type: ignore[arg-type]
    return Board(lambda provider: None if provider == "never" else settings)


def heard(status: int = 200, reason: str = "", model: str = "gpt", provider: str = "openai", **more: object) -> Heard:
    return Heard(provider, model, more.pop("key", ""), status, reason, **more)  # type: ignore[arg-type]


def shown(board: Board, now: float) -> dict[tuple[str, ...], str]:
    return {(one.provider, one.model, one.key): one.state for one in board.stands(now)}


def test_a_target_opens_and_closes_and_others_do_not() -> None:
    it = board()
    for at in range(2):
        it.hear(heard(503, "overloaded"), at)
        it.hear(heard(404, "not_found", "other"), at)
        it.hear(heard(500, provider="never"), at)
        it.hear(heard(500, model=""), at)
    assert it.stands(1) == [Stand("openai", "gpt", "", "open", 10, 0, "2 failures in a row, the last: 503 overloaded", 10)]
    assert it.changes() == [Change(GPT, "open", "2 failures in a row, the last: 503 overloaded", 10)]
    assert it.changes() == []
    assert shown(it, 11) == {GPT: "half_open"}
    lease = it.lease(GPT, 11)
    assert lease > 0
    assert it.lease(GPT, 11) == 0
    it.give_back(GPT, lease)
    assert it.lease(GPT, 11) > 0
    it.hear(heard(took=0.5), 12)
    assert it.stands(12) == []
    assert [change.state for change in it.changes()] == ["closed"]
    assert dict(it.states(12)) == {GPT: "closed"}
    assert it.lease(GPT, 12) == it.lease(Name("a", "b"), 12) == -1


def test_a_credential_counts_against_its_key_or_where_there_is_one_against_the_target() -> None:
    it = board()
    for at in range(2):
        it.hear(heard(401, "invalid_api_key", key="first"), at)
        it.hear(heard(200, key="second"), at)
        it.hear(heard(402, "insufficient_quota", "other"), at)
    assert shown(it, 1) == {("openai", "", "first"): "open", ("openai", "other", ""): "open"}
    assert it.lease(Name("openai", "", "first"), 11) > 0
    it.hear(heard(200, key="first"), 12)
    assert shown(it, 12) == {("openai", "other", ""): "half_open"}


def test_too_many_requests_cool_a_key_for_a_model() -> None:
    it = board(cool=60)
    for _ in range(9):
        it.hear(heard(429, "rate_limit_exceeded", key="first", resets=120), 0)
    it.hear(heard(429, "rate_limit_exceeded", "small"), 0)
    assert shown(it, 0) == {("openai", "gpt", "first"): "cooling", ("openai", "small", ""): "limited"}
    assert [change.left for change in it.changes()] == [60, 5]
    it.hear(heard(200, key="first", took=2), 1)
    assert shown(it, 10) == {("openai", "gpt", "first"): "cooling"}
    it.hear(heard(200, key="first", took=2), 10)
    assert shown(it, 10) == {}


def test_who_answers_429_to_a_probe_is_there() -> None:
    it = board()
    it.hear(heard(500, times=2), 0)
    it.lease(GPT, 10)
    it.hear(heard(429, "rate_limit_exceeded", resets=3), 11)
    assert shown(it, 11) == {GPT: "cooling"}


def test_a_key_that_is_at_its_limits_is_known() -> None:
    it = board()
    it.hear(heard(401, "invalid_api_key", key="first", times=2), 0)
    it.lease(Name("openai", "", "first"), 10)
    it.hear(heard(429, "rate_limit_exceeded", key="first", resets=3), 11)
    assert shown(it, 11) == {("openai", "gpt", "first"): "cooling"}
    assert shown(it, 15) == {}


def test_why_one_is_open() -> None:
    it = board(rate=0.5, least=4, over=30)
    it.hear(heard(500, "server_error", times=1), 0)
    it.hear(heard(times=2), 1)
    it.hear(heard(503, "overloaded"), 2)
    assert it.changes()[0].why == "2 of 4 attempts failed within 30 s, the last: 503 overloaded"
    assert it.stands(3)[0].reason == "2 of 4 attempts failed within 30 s, the last: 503 overloaded"
    it.hear(heard(0, "timeout"), 13)
    assert it.stands(13)[0].reason == "timeout", "the one that was to try it has failed"


def test_only_failures_that_count() -> None:
    it = board(counts=("timeout",))
    for at in range(3):
        it.hear(heard(500), at)
    assert shown(it, 3) == {}
    for at in range(2):
        it.hear(heard(0, "timeout"), at)
    assert shown(it, 3) == {GPT: "open"}
    # Whoever tries it gets another failure: what it was opened for is over.
    it.lease(GPT, 12)
    it.hear(heard(500), 12)
    assert shown(it, 12) == {}


def test_another_configuration() -> None:
    it = board()
    it.hear(heard(500, times=2), 0)
    it.follow(lambda _: Breaker(failures=1, open=3))
    assert it.stands(0)[0].left == 10, "what was said stays"
    it.lease(GPT, 10)
    it.hear(heard(500), 11)
    assert it.stands(11)[0].left == 3
    it.follow(lambda _: None)
    assert it.stands(11) == []
    assert it._why == {}, "nothing is kept of one that nobody knows any more"


def test_what_is_not_any_more_what_it_was_is_not_known() -> None:
    it = board()
    other = Name("other", "gpt")
    for provider in ("openai", "other"):
        it.hear(heard(500, times=2, provider=provider), 0)
        it.hear(heard(429, "rate_limit_exceeded", model="small", provider=provider, resets=600), 0)
    told = it.forget([Name("openai", "")], 5)
    assert {(change.name, change.state, change.left) for change in told} == {(GPT, "closed", 0), (Name("openai", "small"), "cooling", 0)}
    assert shown(it, 5) == {other: "open", ("other", "small", ""): "cooling"}
    # What began before is no news of who is there now, and what begins at once may be with the old one.
    for took in (6.0, 0.1):
        it.hear(heard(500, times=9, took=took), 5.9)
        it.hear(heard(429, "rate_limit_exceeded", resets=600, took=took), 5.9)
        it.adopt(Change(GPT, "open", "", 60), 5.9)
    assert GPT not in shown(it, 6)
    it.hear(heard(500, times=2, took=0.5), 7)
    assert shown(it, 7)[GPT] == "open"
    assert it.changes()[-1].name == GPT


def test_a_key_that_is_replaced_is_another_one() -> None:
    it = board()
    for key in ("a", "b"):
        it.hear(heard(401, times=2, key=key), 0)
        it.hear(heard(429, "rate_limit_exceeded", key=key, resets=600), 0)
    it.hear(heard(500, times=2), 0)
    told = it.forget([Name("openai", "", "a")], 0)
    assert {(change.name, change.state) for change in told} == {
        (Name("openai", "", "a"), "closed"),
        (Name("openai", "gpt", "a"), "cooling"),
    }
    assert shown(it, 0) == {GPT: "open", ("openai", "", "b"): "open", ("openai", "gpt", "b"): "cooling"}
    # Another machine has replaced it, too.
    it.adopt(Change(Name("openai", "gpt", "b"), "cooling", "", -0.1), 0)
    assert ("openai", "gpt", "b") not in shown(it, 0)


def test_what_other_machines_found_out() -> None:
    it = board(cool=60)
    it.adopt(Change(GPT, "open", "3 failures", 4), 0)
    it.adopt(Change(Name("openai", "small"), "cooling", "429", 90, told=True), 0)
    it.adopt(Change(Name("never", "x"), "open", "", 4), 0)
    it.adopt(Change(Name("openai", "unheard"), "closed", ""), 0)
    assert {one.name: (one.state, one.left) for one in it.stands(0)} == {GPT: ("open", 4), ("openai", "small", ""): ("cooling", 60)}
    it.adopt(Change(GPT, "closed", ""), 5)
    assert shown(it, 5) == {("openai", "small", ""): "cooling"}
    assert it.changes() == [], "it is not told back"


def test_callers_decide_how_many_targets_there_are_but_not_how_many_are_remembered() -> None:
    it = board()
    for number in range(5000):
        it.hear(heard(500, model=str(number)), 0)
    assert len(dict(it.states(0))) == 4096
    it.hear(heard(500, model="4999"), 0)
    assert shown(it, 0) == {("openai", "4999", ""): "open"}


def test_over_the_wire() -> None:
    stand = Stand("openai", "gpt", "", "open", 1.5, 2.5, "503", 10)
    assert decode_stands(encode([stand])) == [stand]
    assert msgspec.msgpack.decode(encode([heard(500, "x")]), type=list[Heard]) == [heard(500, "x")]
