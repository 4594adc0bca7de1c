"""Events from values, whom they are for, and their words."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from extproc.config.notifications import Email, Webhook
from extproc.identity.named import Named
from extproc.identity.record import ExpiringKey
from extproc.limits.limit import Crossed
from extproc.limits.money import NANOS, reserved
from extproc.limits.news import Exhausted, Reached, exhausted
from extproc.limits.rule import Rule, Unit, Want
from extproc.limits.window import Window
from extproc.notifications import event
from extproc.notifications.words import text, title
from extproc.standing.board import Change
from extproc.standing.cooling import Name

BUDGET = Rule(
    id="organization acme: 50 USD a month", unit="cost", amount=reserved(Decimal(50)), window=Window("month"), per=("key", "tag:team"),
    group="org_1",
)  # fmt: skip
REQUESTS = Rule(id="team blue: 100 requests a day", unit="requests", amount=100, window=Window("day"), hard=False)
ACME = ("org_1", "acme")
KEY = ExpiringKey("key_1", "alice", "abcdefgh", 1_800_000_000_000, ACME, team="team_1")


def hook(**changes: Any) -> Webhook:
    return Webhook(**{"name": "hook", "url": "https://h", "secret": "s", **changes})


def counter(rule: Rule, **values: str) -> str:
    want = rule.want(1, values)
    assert want is not None
    return want.counter


def test_news_of_limits() -> None:
    name = counter(BUDGET, key="alice|%", **{"tag:team": "blue"})
    told = Reached(
        counter=name, per=BUDGET.per, unit="cost", window=BUDGET.window, group="org_1", threshold=0.8, used=NANOS, most=BUDGET.amount
    )  # fmt: skip
    found = event.limit_event(told)
    assert found is not None and found.type == "limit.threshold" and found.organization == ("org_1",)
    assert found.data["for"] == {"key": "alice|%", "tag:team": "blue"} and found.data["used"] == "1" and found.data["hard"]
    soft = event.limit_event(msgspec.structs.replace(told, hard=False, group=BUDGET.id))
    assert soft is not None and not soft.data["hard"] and soft.organization == ()
    empty = exhausted(Want(name, BUDGET.terms, 5, "org_1"), BUDGET, 1_800_000_000.0)
    assert empty is not None
    found = event.limit_event(empty)
    assert found is not None and found.type == "budget.exhausted" and found.data["limit"] == "50"
    often = exhausted(Want(REQUESTS.id, REQUESTS.terms, 1), REQUESTS, 1_800_000_000.0)
    assert often is not None and event.limit_event(often) is None, "no budget"


@pytest.mark.parametrize(
    ("unit", "window", "told"),
    [
        ("requests", Window("minute"), False), ("tokens", Window("hour"), False), ("requests", Window("sliding", 3600), False),
        ("requests", Window("day"), True), ("tokens", Window("sliding", 86_400), True), ("requests", Window("month"), True),
        ("cost", Window("minute"), False), ("cost", Window("sliding", 60), False),
        ("cost", Window("hour"), True), ("cost", Window("sliding", 3600), True),
    ],
)  # fmt: skip
def test_nobody_is_told_of_each_minute(unit: Unit, window: Window, told: bool) -> None:
    reached = Reached(counter="c", unit=unit, window=window, threshold=0.5, used=1, most=2)
    assert (event.limit_event(reached) is not None) is told
    over = Exhausted(counter="c", unit=unit, window=window, most=2)
    assert (event.limit_event(over) is not None) is (told and unit == "cost")


def test_a_threshold() -> None:
    name = counter(BUDGET, key="alice|%", **{"tag:team": "blue"})
    found = event.limit_threshold(BUDGET, Crossed(name, 0.8, reserved(Decimal("40.00000012")), BUDGET.amount), ACME)
    assert found.type == "limit.threshold"
    assert found.data == {
        "rule": BUDGET.id, "unit": "cost", "hard": True, "for": {"key": "alice|%", "tag:team": "blue"},
        "organization": {"id": "org_1", "name": "acme"}, "threshold": 0.8, "used": "40.00000012", "limit": "50",
    }  # fmt: skip
    assert title(found) == "80 % of a budget used: organization acme: 50 USD a month"
    for line in ("Organization: acme", "For key: alice|%", "Used: 40.00000012 of 50 USD", "refused once it is used up"):
        assert line in text(found)


def test_a_soft_one_and_a_counter_whose_name_is_too_long() -> None:
    found = event.limit_threshold(REQUESTS, Crossed("team blue: 100 requests a day", 1.0, 100, 100))
    assert (found.data["for"], found.data["organization"], found.organization) == ({}, None, ())
    assert title(found) == "100 % of a limit used: team blue: 100 requests a day"
    assert "Used: 100 of 100 requests" in text(found)
    assert "nothing is refused" in text(found)
    name = counter(BUDGET, key="k" * 300, **{"tag:team": "blue"})
    assert event.limit_threshold(BUDGET, Crossed(name, 0.5, 1, 2)).data["for"] == {}


def test_an_exhausted_budget() -> None:
    found = event.budget_exhausted(BUDGET, counter(BUDGET, key="alice", **{"tag:team": "b"}), 1_800_000_000.0, ACME)
    assert found.data["resets"] == "2027-01-15T08:00:00.000Z"
    assert (found.data["limit"], found.data["for"]["key"]) == ("50", "alice")
    assert title(found) == "Budget exhausted: organization acme: 50 USD a month"
    assert "Room again: 2027-01-15T08:00:00.000Z" in text(found)
    assert event.budget_exhausted(BUDGET, "x", 0).data["resets"] is None


def test_keys_that_expire_have_one_id_wherever_they_are_found() -> None:
    week, day, over = (event.key_expires(KEY, days) for days in (7, 1, 0))
    assert [one.type for one in (week, day, over)] == ["key.expiring", "key.expiring", "key.expired"]
    assert len({week.id, day.id, over.id}) == 3
    assert event.key_expires(KEY, 7).id == week.id
    assert week.data["key"] == {"id": "key_1", "name": "alice", "prefix": "hg-abcdefgh"}
    assert (week.data["days"], week.data["team"], week.data["user"], "days" in over.data) == (7, "team_1", None, False)
    assert [title(one) for one in (week, day, over)] == [
        "Key alice expires in less than 7 days", "Key alice expires in less than a day", "Key alice has expired",
    ]  # fmt: skip
    assert "It begins with: hg-abcdefgh" in text(week)
    assert "Team: team_1" in text(week)


def test_breakers() -> None:
    opened = event.breaker_opened(Change(Name("p", "m"), "open", "5 failures in a row", 60.0))
    closed = event.breaker_closed(Name("p", "", "second"))
    assert opened.data == {"provider": "p", "model": "m", "key": None, "reason": "5 failures in a row", "again_in": 60.0}
    assert (title(opened), title(closed)) == ("p/m is left alone", "Key second of provider p is asked again")
    assert "Why: 5 failures in a row" in text(opened)
    assert "This is the last of 3 such events." in text(closed, 3)


@pytest.mark.parametrize("name", ["a\r\nBcc: eve@example.com", "x" * 1000, "\u202e\x00\x1b[31m", "ü\n.\n"])
def test_names_are_harmless(name: str) -> None:
    found = event.key_expires(ExpiringKey("key_1", name, name, 0, ("org_1", name), team=name, user=name), 1)
    assert title(found).isprintable()
    assert len(title(found)) < 200
    assert all(line.isprintable() and len(line) < 200 for line in text(found).split("\n"))
    assert len(text(found).split("\n")) == 9


def test_whom_it_is_for() -> None:
    threshold = event.limit_threshold(REQUESTS, Crossed("c", 0.5, 1, 2), ACME)
    opened = event.breaker_opened(Change(Name("p", "m"), "open", ""))
    assert threshold.is_for(hook())
    assert threshold.is_for(hook(organizations=("acme",)))
    assert threshold.is_for(hook(organizations=("x", "org_1"), events=("key.expired", "limit.threshold")))
    assert not threshold.is_for(hook(organizations=("beta",)))
    assert not threshold.is_for(hook(events=("key.expired",)))
    assert opened.is_for(Email(name="m", smtp="s:25", sender="a@b", to=("c@d",)))
    assert not opened.is_for(hook(organizations=("acme",)))
    assert event.test("hook").is_for(hook(organizations=("acme",), events=("key.expired",)))
    assert ("notifications.dropped" in event.dropped("hook", 3).type) is event.dropped("hook", 3).is_for(hook(events=("key.expired",)))
    assert [title(event.dropped("h", 3)), title(event.test("h"))] == ["3 notifications dropped", "Test"]


def test_whose_a_limit_is_gets_names() -> None:
    key, team = "key_0123456789abcdefghjk", "team_red"
    rule = Rule(id=f"key {key}: cost a month", unit="cost", amount=reserved(Decimal(50)), window=Window("month"), group="org_acme")
    found = event.budget_exhausted(rule, rule.id, 0, ("org_acme",))
    assert event.ids_of(found) == {key, "org_acme"}
    known = {key: Named(key, "app", "abcdefgh", ("org_acme", "acme"), (team, "Reds"))}
    named = event.with_names(found, known)
    assert named.data["key"] == {"id": key, "name": "app", "prefix": "hg-abcdefgh"} and named.data["team"] == {"id": team, "name": "Reds"}
    assert named.data["organization"] == {"id": "org_acme", "name": "acme"} and named.organization == ("org_acme", "acme")
    assert named.is_for(hook(organizations=("acme",))) and not found.is_for(hook(organizations=("acme",)))
    assert title(named) == f"Budget exhausted: key app ({key}): cost a month"
    assert all(line in text(named).splitlines() for line in ("Organization: acme", "Team: Reds", "Key: app", "It begins with: hg-abcdefgh"))
    nobody = event.with_names(found, {})
    assert nobody.data["organization"] == {"id": "org_acme"} and "key" not in nobody.data
    assert event.ids_of(event.test("hook")) == set()
