"""Two gateways that share one Redis count together; and each goes by its rules' own policy while that is away."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Gateway, chat
from tests.servers import RedisServer, running_redis

MODELS = ("shared", "open", "closed", "part", "dear")


def config(redis: str) -> dict[str, Any]:
    def rule(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "requests": 8, "window": "month", "only": {"model": [name]}, **more}

    return {
        "providers": {"demo": {"base_url": "demo:", "dialect": "openai"}},
        "models": [{"name": name, "targets": ["demo"]} for name in MODELS],
        "prices": [{"model": "demo/*", "input": "1000", "output": "1000"}],
        "redis": {"url": redis, "timeout": 2, "machines": 2},
        "filters": [
            {"meter": {}}, {"auth": {}}, {"route": {}},
            {"limits": {"rules": [
                rule("shared"), rule("open", on_outage="open"), rule("closed", on_outage="closed"), rule("part"),
                {"name": "budget", "cost": "100", "window": "month", "only": {"model": ["dear"]}, "thresholds": [0.0001]},
            ]}},
        ],
    }  # fmt: skip


def ask(gateway: Gateway, model: str) -> int:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("hello", model, max_tokens=20), timeout=30).status_code


def row(gateway: Gateway, counter: str) -> dict[str, Any]:
    rows = httpx.get(f"{gateway.operator}/v1/limits").json()["data"]
    found: dict[str, Any] = next(each for each in rows if each["counter"] == counter)
    return found


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """What it was told is on its disk."""
    with running_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


def test_two_gateways_count_together(tmp_path: Path, redis: RedisServer) -> None:
    with contextlib.ExitStack() as stack:
        folders = [tmp_path / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        one, two = (stack.enter_context(Gateway(folder, config(redis.url))) for folder in folders)
        codes = [ask(gateway, "shared") for _ in range(5) for gateway in (one, two)]
        assert codes == [200] * 8 + [429] * 2
        for _ in range(2):
            assert (ask(one, "part"), ask(two, "dear"), ask(one, "dear")) == (200, 200, 200)
        for name in ("shared", "part", "budget"):
            one.until(lambda name=name: row(one, name)["reserved"] == "0", "all is settled", 60)  # type: ignore[misc]
        spent = [sum(float(each["cost"]) for each in gateway.ledger("model") if each["model"] == "dear") for gateway in (one, two)]
        assert float(row(one, "budget")["used"]) == pytest.approx(sum(spent)) and min(spent) > 0
        logs = one.log.read_text() + two.log.read_text()
        assert logs.count("limit 'budget': 0% of 100 USD are used") == 1, "one of the two tells of a threshold"

        redis.kill()
        # Of 8 two are used: half of the others for each of two machines with one worker.
        assert [ask(one, "part") for _ in range(4)] == [200, 200, 200, 429]
        assert {ask(two, "open") for _ in range(10)} == {200}
        assert {ask(two, "closed") for _ in range(2)} == {503}
        assert row(one, "part")["used"] is None, "nobody can be asked"

        redis.start()
        one.until(lambda: row(one, "part")["used"] == "5", "what was let in meanwhile is settled", 60)
        two.until(lambda: row(two, "open")["used"] == "10", "here, too", 60)
        one.until(lambda: ask(one, "closed") == 200, "it is counted together again", 60)
        two.until(lambda: two.metrics()['ai_proxy_limit_alone_total{decision="refused"}'] == 2, "metrics say what was decided alone")
