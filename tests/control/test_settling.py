"""Settling from the ledger: once, in the place that counts, and people are told."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from extproc.config.model import Redis
from extproc.control import counted
from extproc.control.settling import Settling, log_news
from extproc.identity.named import Named
from extproc.ledger.prices import Priced
from extproc.ledger.record import Record
from extproc.ledger.spent import Spent
from extproc.ledger.store import Store
from extproc.limits import messages
from extproc.limits.limit import Crossed, LimitsDown, Look, Settlement
from extproc.limits.money import NANOS
from extproc.limits.news import Exhausted, News, Reached
from extproc.limits.reserved import Counted, Reserved
from extproc.limits.rule import Rule, Want
from extproc.limits.service import LimitService
from extproc.limits.table import Table
from extproc.limits.window import UNDER_WAY, Window
from extproc.usage import Usage

NOW = 1_790_000_000.0
MONTH = Window("month")
BUDGET = Rule(id="budget", unit="cost", amount=10 * NANOS, window=MONTH)
EACH = Rule(id="each", unit="tokens", amount=100, window=Window("sliding", 3600), per=("key",))
SLOTS = Rule(id="slots", unit="concurrency", amount=3, window=UNDER_WAY)


class Ledger:
    """A ledger, and its thread, which is this one."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.spent = Spent(self.store.db)
        self.news: list[News] = []
        self.service = LimitService(clock=lambda: NOW)
        self.far = Far()
        self.settling = Settling(self.service, self.news.append, opens=lambda _: self.far, clock=lambda: NOW)

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def enter(self, id: str, cost: str, *, tokens: int = 0) -> None:
        wants = (BUDGET.want(0, {}), EACH.want(0, {"key": "k"}), SLOTS.want(0, {}))
        each = zip(wants, ("cost", "tokens", "concurrency"), strict=True)
        reserved = Reserved(id.encode().hex(), NOW, tuple(Counted(want.counter, unit, want.terms) for want, unit in each if want))  # type: ignore[arg-type]
        record = Record(id=id, time=NOW, usage=Usage(tokens), reserved=reserved)
        with self.store.transaction():
            self.spent.enter(record, Priced(Decimal(cost)), NOW, in_ledger=True, replaces=False)

    def settle(self, redis: Redis | None = None) -> None:
        async def both() -> None:
            await self.settling.follow(redis, self.spent, self.run)
            await self.settling.step(self.spent, self.store, self.run)

        asyncio.run(both())

    def used(self, counter: str = "budget", window: Window = MONTH) -> int:
        return self.service.table.look(counter, window, NOW).used


class Far:
    """A fleet's counters, which may be away."""

    def __init__(self) -> None:
        self.table, self.away, self.closed = Table(), False, 0

    async def settle(self, source: str, settlements: Sequence[Settlement]) -> list[Crossed]:
        found = self.table.settle(source, settlements, NOW)
        if self.away:
            raise LimitsDown("no answer: it may have heard")
        return found

    async def look(self, group: str, counter: str, window: Window, at: float) -> Look:
        if self.away:
            raise LimitsDown("away")
        return self.table.look(counter, window, at)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.store.close()


def test_what_was_reserved_comes_back_and_what_was_used_is_counted(ledger: Ledger) -> None:
    ledger.settle()
    table = ledger.service.table
    table.reserve(b"a", (Want("budget", BUDGET.terms, 9 * NANOS),), NOW, 300)
    assert ledger.used() == 9 * NANOS
    ledger.enter("a", "2.5")
    ledger.settle()
    ledger.settle()
    assert ledger.used() == 5 * NANOS // 2 and ledger.spent.waiting() == 0 and table.tickets == 0


def test_a_restart_finds_what_was_used_and_tells_no_threshold_again(ledger: Ledger, tmp_path: Path) -> None:
    ledger.settle()
    ledger.enter("a", "6", tokens=90)
    ledger.settle()
    assert [(each.counter, each.threshold) for each in ledger.news if isinstance(each, Reached)] == [
        ("budget", 0.5), ("each|k", 0.5), ("each|k", 0.8), ("each|k", 0.9),
    ]  # fmt: skip
    assert ledger.settling.crossed == {"budget": 1, "each": 3}
    again = Ledger(tmp_path / "ledger.sqlite3")
    again.enter("b", "1")
    again.settle()
    assert again.used() == 7 * NANOS and again.used("each|k", EACH.window) == 90 and not again.news
    again.store.close()


def test_what_redis_does_not_hear_is_kept_and_told_again(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    redis = Redis(url="redis://x")
    ledger.far.away = True
    ledger.enter("a", "1")
    ledger.settle(redis)
    ledger.enter("b", "2")
    ledger.settle(redis)
    assert ledger.spent.waiting() == 2 and "is kept until it can" in caplog.text
    ledger.far.away = False
    ledger.settle(redis)
    assert ledger.far.table.look("budget", MONTH, NOW).settled == 3 * NANOS and ledger.spent.waiting() == 0
    assert ledger.used() == 0
    ledger.settle()
    assert ledger.far.closed == 1 and ledger.used() == 3 * NANOS, "without Redis it is counted here, with what the ledger knows"


def test_what_is_used_up_is_told_once_in_a_window(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    (hear,) = ledger.settling.handlers.values()
    news = Exhausted(counter="budget", unit="cost", window=MONTH, most=10 * NANOS, resets=NOW)
    for _ in range(3):
        hear(object(), messages.encode(news))
    assert ledger.news == [news]
    with caplog.at_level(logging.WARNING):
        log_news(news)
        log_news(Exhausted(counter="each minute", unit="requests", window=Window("minute"), most=1))
    assert "no room for them in 10 USD" in caplog.text and "each minute" not in caplog.text


def test_people_see_what_is_used_reserved_and_left(ledger: Ledger) -> None:
    ledger.settle()
    ledger.service.table.reserve(b"x", (Want("slots", SLOTS.terms, 1), Want("budget", BUDGET.terms, NANOS)), NOW, 300)
    ledger.enter("a", "2.5", tokens=90)
    ledger.settle()
    own = (BUDGET, EACH, SLOTS)
    told = asyncio.run(counted.counters(ledger.settling, ledger.spent, ledger.run, own, NOW))
    rows = {row["counter"]: row for row in told["data"]}
    assert list(rows) == ["each|k", "budget", "slots"], "the fullest first"
    budget = rows["budget"]
    assert [budget[name] for name in ("used", "reserved", "left", "amount")] == ["2.5", "1", "6.5", "10"]
    assert budget["resets"] == "2026-10-01T00:00:00Z" and rows["slots"]["reserved"] == "1" and rows["slots"]["resets"] is None
    assert rows["each|k"]["rule"] == "each"
    assert asyncio.run(counted.stand(ledger.settling, own, NOW)) == {"budget": (3.5, 10.0), "slots": (1.0, 3.0)}
    ledger.far.away = True
    asyncio.run(ledger.settling.follow(Redis(url="redis://x"), ledger.spent, ledger.run))
    told = asyncio.run(counted.counters(ledger.settling, ledger.spent, ledger.run, own, NOW))
    assert all(row["used"] is None for row in told["data"]) and len(told["data"]) == 3
    assert asyncio.run(counted.stand(ledger.settling, own, NOW)) == {}


def test_metrics_have_few_labels() -> None:
    own = {"budget", "cost a month per team"}
    assert [counted.label(name, own) for name in ("budget", "cost a month per team", "team t1: cost a month", "gateway: tokens a day")] == [
        "budget", "cost a month per team", "team", "gateway",
    ]  # fmt: skip
    assert counted.label("key k1, plan free: cost a month", own) == "key"
    assert counted.label("sha256:e3b0", own) == "other"


def test_counters_have_names_and_those_of_nobody_are_left_out() -> None:
    team, key, gone = "team_red", "key_0123456789abcdefghjk", "org_0123456789abcdefghjk"
    counters = [
        f"team {team}, plan plan_free: cost a month|{key}",
        f"organization {gone}: cost a month",
        "cost a month|team_x",
        "team red: mine",
    ]
    told = {"data": [{"counter": counter, "rule": counter.partition("|")[0]} for counter in counters], "next_cursor": None}
    assert counted.ids(told) == {team, "plan_free", key, gone, "team_x"}
    shown = counted.with_names(told, {team: Named(team, "Reds"), key: Named(key, "app")})
    assert [row["title"] for row in shown["data"]] == [
        f"team Reds ({team}), plan plan_free: cost a month|app ({key})", "cost a month|team_x", "team red: mine",
    ]  # fmt: skip
