"""Limits and budgets on a whole gateway: what is refused and how, what answers say, and that counters end where the ledger does."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from extproc.identity.settings import Limit, Settings
from tests import stored
from tests.e2e.gateway import Gateway, chat, message

CONFIG: dict[str, Any] = {
    "providers": {"demo": {"base_url": "demo:", "dialect": "openai"}},
    "models": [{"name": name, "targets": ["demo"]} for name in ("demo", "few", "dear", "soft", "slots", "wild-*")],
    "prices": [{"model": "demo/*", "input": "10000", "output": "10000"}],
    "workers": 2,
    "filters": [
        {"meter": {}}, {"auth": {}}, {"route": {}},
        {"limits": {"rules": [
            {"name": "all", "requests": 10_000, "window": "month"},
            {"name": "tokens", "tokens": 1_000_000, "window": "month", "thresholds": [0.000001]},
            {"name": "few", "requests": 3, "seconds": 3600, "per": ["model", "end_user"], "only": {"model": ["few"]}},
            {"name": "budget", "cost": "2.5", "window": "month", "zone": "Europe/Berlin", "only": {"model": ["dear"]}},
            {"name": "gentle", "requests": 2, "window": "month", "hard": False, "only": {"model": ["soft"]}},
            {"name": "wild", "cost": "5", "window": "day", "per": "model", "only": {"model": ["wild-*"]}},
            {"name": "at once", "concurrency": 2, "only": {"model": ["slots"]}},
        ]}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("limits"), CONFIG) as gateway:
        yield gateway


def ask(gateway: Gateway, text: str = "hello", **more: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, **more), timeout=30)


def counters(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """What the operator's port says of each counter."""
    return {row["counter"]: row for row in httpx.get(f"{gateway.operator}/v1/limits").json()["data"]}


def test_answers_say_what_is_left(gateway: Gateway) -> None:
    first, second = (ask(gateway, max_tokens=10) for _ in range(2))
    assert first.status_code == 200 and first.headers["x-ratelimit-limit-requests"] == "10000"
    assert int(second.headers["x-ratelimit-remaining-requests"]) == int(first.headers["x-ratelimit-remaining-requests"]) - 1
    assert first.headers["x-ratelimit-reset-requests"].endswith("s") and first.headers["x-ratelimit-limit-tokens"] == "1000000"
    theirs = httpx.post(f"{gateway.url}/v1/messages", json=message("hello"))
    assert theirs.headers["anthropic-ratelimit-requests-limit"] == "10000" and "x-ratelimit-limit-requests" not in theirs.headers
    assert theirs.headers["anthropic-ratelimit-tokens-reset"].endswith("T00:00:00Z")


def test_a_limit_is_a_429_in_the_clients_dialect(gateway: Gateway) -> None:
    assert [ask(gateway, model="few", user="ann").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(gateway, model="few", user="ann")
    error = refused.json()["error"]
    assert error["code"] == "rate_limit_exceeded" and "few: 3 requests in 3600 s" in error["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 4000 and refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert ask(gateway, model="few", user="bob").status_code == 200, "a counter of his own"
    header = {"x-headgate-user": "ann"}
    theirs = httpx.post(f"{gateway.url}/v1/messages", json=message("hello", model="few"), headers=header)
    assert theirs.status_code == 429 and theirs.json()["error"]["type"] == "rate_limit_error"


def test_a_budget_is_a_402_once_it_is_spent(gateway: Gateway) -> None:
    answers = [ask(gateway, model="dear", max_tokens=100) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert answers[0].status_code == 200 and {answer.status_code for answer in refused} == {402}
    error = refused[0].json()["error"]
    assert error["code"] == "insufficient_quota" and "budget: 2.5 USD a month (Europe/Berlin)" in error["message"]
    gateway.until(
        lambda: "limit 'budget': requests are refused, there is no room for them in 2.5 USD" in gateway.log.read_text(), "the log says so"
    )
    gateway.until(lambda: counters(gateway)["budget"]["reserved"] == "0", "what was reserved is settled")
    spent = sum(float(row["cost"]) for row in gateway.ledger("model") if row["model"] == "dear")
    assert float(counters(gateway)["budget"]["used"]) == pytest.approx(spent) and spent <= 2.5


def test_a_model_that_a_pattern_stands_for_has_its_price(gateway: Gateway) -> None:
    refused = ask(gateway, model="wild-1", max_tokens=1000)
    assert refused.status_code == 402 and "which is more than may be used in all: wild: 5 USD a day" in refused.json()["error"]["message"]
    assert ask(gateway, model="wild-1", max_tokens=100).status_code == 200


@pytest.mark.parametrize("cap", [10**30, 1e30])
def test_what_no_answer_can_have_is_refused_at_once(gateway: Gateway, cap: float) -> None:
    refused = ask(gateway, model="dear", max_tokens=cap)
    assert (refused.status_code, "more than may be used in all" in refused.json()["error"]["message"]) == (429, True)
    assert ask(gateway, model="wild-2", max_tokens=10).status_code == 200


def test_a_soft_rule_warns(gateway: Gateway) -> None:
    for _ in range(3):
        assert ask(gateway, model="soft").status_code == 200

    def warned() -> bool:
        return "gentle: 100% of 2 requests used" in ask(gateway, model="soft").headers.get("x-headgate-limit-warning", "")

    gateway.until(warned, "what was settled is told")
    gateway.until(lambda: "limit 'tokens': 0% of 1000000 tokens are used" in gateway.log.read_text(), "a threshold is told")
    assert gateway.log.read_text().count("limit 'tokens'") == 1


def test_what_is_under_way_is_bounded_and_comes_back(gateway: Gateway) -> None:
    def stream(number: int) -> int:
        asked = chat("hello [demo: tokens=100 gap=0.01]", model="slots", stream=True)
        with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=asked, timeout=30) as answer:
            for _ in answer.iter_bytes():
                if number % 2:
                    break  # hangs up
            return answer.status_code

    with ThreadPoolExecutor(6) as threads:
        codes = list(threads.map(stream, range(6)))
    assert codes.count(200) >= 2 and set(codes) <= {200, 429}
    gateway.until(lambda: counters(gateway)["at once"]["reserved"] == "0", "slots come back")
    # One after the other, nobody waits for anybody.
    assert [ask(gateway, model="slots").status_code for _ in range(4)] == [200] * 4


def test_what_a_killed_worker_had_reserved_is_settled(gateway: Gateway) -> None:
    with ThreadPoolExecutor(4) as threads:

        def cut(_: int) -> None:
            asked = chat("hello [demo: tokens=500 gap=0.02]", stream=True, max_tokens=600)
            try:
                with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=asked, timeout=30) as answer:
                    for _piece in answer.iter_bytes():
                        pass
            except httpx.HTTPError:
                pass

        futures = [threads.submit(cut, n) for n in range(4)]
        gateway.until(lambda: counters(gateway)["all"]["reserved"] == "4", "four are under way")
        for pid in gateway.workers():
            os.kill(pid, signal.SIGKILL)
        for future in futures:
            future.result()

    def settled() -> bool:
        rows = counters(gateway)
        return all(rows[name]["reserved"] == "0" for name in ("all", "tokens", "budget"))

    gateway.until(settled, "nothing is reserved any more")
    told = sum(int(row["requests"]) for row in gateway.ledger("model"))
    assert counters(gateway)["all"]["used"] == str(told)


def test_counters_outlive_a_restart_and_people_can_look(gateway: Gateway) -> None:
    before = {name: row["used"] for name, row in counters(gateway).items()}
    gateway.stop()
    with gateway:
        assert {name: row["used"] for name, row in counters(gateway).items() if name in before} == before
        shown = gateway.run("limits", str(gateway.path))
        assert shown.returncode == 0 and "budget" in shown.stdout and "USD" in shown.stdout
        rows = json.loads(gateway.run("limits", str(gateway.path), "--json").stdout)["data"]
        assert {"few|few|ann", "all", "tokens"} <= {row["counter"] for row in rows}
        metrics = gateway.metrics()
        assert metrics['ai_proxy_limit_used{rule="budget"}'] <= 2.5 == metrics['ai_proxy_limit_amount{rule="budget"}']
        assert ask(gateway, model="few", user="ann").status_code == 429
        gateway.until(lambda: gateway.metrics().get('ai_proxy_limit_refused_total{rule="few"}', 0) >= 1, "refusals are counted")


def test_limits_of_an_organization_hold_for_all_of_its_keys(gateway: Gateway) -> None:
    limits = (Limit(unit="requests", amount=Decimal(2), window="day", zone="Europe/Berlin", hard=True),)
    with gateway:
        first, second = (stored.create(gateway.state, name) for name in ("first", "second"))
        told = {"settings": Settings(limits=limits)}
        id = stored.change(gateway.state, lambda tables, holder: tables.organizations.change(holder.organization_id, told).id)

        def asked(key: str) -> httpx.Response:
            body, headers = chat("hello", max_tokens=5), {"authorization": f"Bearer {key}"}
            return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30)

        gateway.until(lambda: asked(first).headers.get("x-ratelimit-limit-requests") == "2", "the limit is in force")
        codes = [asked(key).status_code for key in (second, first, second)]
        assert codes in ([200, 429, 429], [429] * 3), "one of them has been used, or two"
        refused = asked(second)
        assert f"organization {id}: requests a day (Europe/Berlin)" in refused.json()["error"]["message"]
        gateway.until(lambda: f"organization {id}: requests a day (Europe/Berlin)" in counters(gateway), "it is shown")
        gateway.until(lambda: gateway.metrics().get('ai_proxy_limit_refused_total{rule="organization"}', 0) >= 1, "it is counted")


def test_a_key_has_its_limits_where_nobody_has_listed_filters(tmp_path: Path) -> None:
    config: dict[str, Any] = {name: CONFIG[name] for name in ("providers", "models")}
    one = Gateway(tmp_path, config)
    made = one.run("keys", "create", "ci", str(one.path), "--limit", "requests=2/month")
    assert made.returncode == 0, made.stderr
    headers = {"authorization": f"Bearer {made.stdout.strip()}"}
    with one:
        # Each says something else: what the cache answers counts nowhere.
        asked = [
            httpx.post(f"{one.url}/v1/chat/completions", json=chat(text, max_tokens=5), headers=headers, timeout=30)
            for text in ("one", "two", "three")
        ]
    assert [answer.status_code for answer in asked] == [200, 200, 429]
