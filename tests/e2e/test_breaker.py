"""A target that fails is left alone, by all workers, until one request finds it well again; who says when to come again is heeded."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.upstream import Scripted

OPEN = 3.0
LONG = {"failures": 5, "open": 600}
"""Of those that nobody waits for: what stays open does so however slow the machine is."""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Provider(Scripted):
    """Answers each model as it is told to, and counts."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.statuses: dict[str, int] = {}
        self.headers_told: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.go = threading.Event()
        """Until it is set, everybody waits for an answer."""
        self.go.set()
        self.breaks: set[str] = set()
        """Ids of requests whose answers are broken off; else the client is waited for."""
        self._lock = threading.Lock()

    async def _say(self, request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        with self._lock:
            self.asked[model] += 1
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        if model.startswith("half"):
            return await self._stop(request)
        credential = request.headers["authorization"].removeprefix("Bearer ")
        with self._lock:
            self.asked[credential] += 1
        status = self.statuses.get(credential) or self.statuses.get(model, 200)
        body = ANSWER if status == 200 else {"error": {"message": "no", "type": "x", "code": None}}
        return web.json_response(body, status=status, headers=self.headers_told if status == 429 else None)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        """Half an answer, until either side has had enough of it."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        choice = {"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}
        await response.write(b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n")
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.01)
            if request.headers["x-request-id"] in self.breaks:
                request.transport.abort()
        return response


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    own = {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "sk-1"}
    config: dict[str, Any] = {
        "workers": 2,
        "breaker": {"failures": 5, "open": OPEN},
        "providers": {
            "p": own,
            "q": own,
            "long": {**own, "breaker": LONG},
            "dead": {**own, "base_url": f"http://127.0.0.1:{free_port()}/v1", "breaker": LONG},
            "never": {**own, "breaker": "off"},
            "pool": {
                "dialect": "openai",
                "base_url": own["base_url"],
                "breaker": LONG,
                "keys": [{"key": "sk-a", "name": "first"}, {"key": "sk-b", "name": "second"}],
            },
        },
        "models": [
            {"name": "one", "targets": ["p/one"]},
            {"name": "two", "targets": ["long/first", "q/second"]},
            {"name": "limited", "targets": ["p/limited"]},
            {"name": "limited-first", "targets": ["p/limited", "q/after-limited"]},
            {"name": "beside", "targets": ["p/beside"]},
            {"name": "dead", "targets": ["dead/x", "q/after-dead"]},
            {"name": "never", "targets": ["never/never"]},
            {"name": "pooled", "targets": ["pool/pooled"]},
            {"name": "half", "targets": ["p/half"]},
            {"name": "half-of-two", "targets": ["p/half-first", "q/second"]},
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def ask(gateway: Gateway, model: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), verify=False, timeout=20)


def metric(gateway: Gateway, name: str, **labels: str) -> float:
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(value for series, value in gateway.metrics().items() if series.startswith(name) and all(part in series for part in wanted))


def is_open(gateway: Gateway, provider: str, model: str) -> bool:
    return metric(gateway, "ai_proxy_circuit_breaker_state", provider=provider, model=model) == 1


def all_at_once(gateway: Gateway, provider: Provider, model: str) -> Counter[int]:
    """What twelve requests of one moment are answered with, as soon as one of them is let through. It gets its answer when the others have
    had theirs.
    """
    found: list[Counter[int]] = []

    def let_through() -> bool:
        provider.go.clear()
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(ask, gateway, model) for _ in range(12)]
            try:
                gateway.until(lambda: sum(one.done() for one in asked) >= 11, "all others are answered")
            finally:
                provider.go.set()
        found.append(Counter(one.result().status_code for one in asked))
        return found[-1] != {503: 12}

    gateway.until(let_through, "somebody is let through")
    return found[-1]


def test_it_opens_and_is_tried_by_one_and_closes(gateway: Gateway, provider: Provider) -> None:
    provider.statuses["one"] = 500
    assert [ask(gateway, "one").status_code for _ in range(5)] == [500] * 5
    gateway.until(lambda: is_open(gateway, "p", "one"), "it is open")
    with ThreadPoolExecutor(6) as pool:
        # One after the other, they might take as long as it is open.
        refused = list(pool.map(lambda _: ask(gateway, "one"), range(6)))
    assert {one.status_code for one in refused} == {503}
    error = refused[0].json()["error"]
    assert error["code"] == "no_target_available"
    assert "p/one fails and is left alone since" in error["message"]
    assert "5 failures in a row, the last: 500 " in error["message"]
    assert 1 <= int(refused[0].headers["retry-after"]) <= 3
    assert provider.asked["one"] == 5
    # The probe fails, and it is open again; a second one answers.
    for status, asked in ((500, 6), (200, 7)):
        provider.statuses["one"] = status
        assert all_at_once(gateway, provider, "one") == {status: 1, 503: 11}
        assert provider.asked["one"] == asked
    gateway.until(lambda: ask(gateway, "one").status_code == 200, "it is closed")
    assert [ask(gateway, "one").status_code for _ in range(4)] == [200] * 4
    assert metric(gateway, "ai_proxy_circuit_breaker_changes_total", provider="p", model="one", state="open") == 2
    assert metric(gateway, "ai_proxy_circuit_breaker_probes_total", provider="p") == 2
    assert metric(gateway, "ai_proxy_attempt_failures_total", provider="p", reason="server_error") == 6


def test_others_step_in_and_it_is_asked_no_more(gateway: Gateway, provider: Provider) -> None:
    provider.statuses["first"] = 503
    for _ in range(5):
        assert ask(gateway, "two").headers["x-headgate-attempts"].startswith("long/first;status=503")
    gateway.until(lambda: is_open(gateway, "long", "first"), "it is open")
    for _ in range(6):
        assert ask(gateway, "two").status_code == 200
    assert (provider.asked["first"], provider.asked["second"]) == (5, 11)
    provider.statuses["never"] = 503
    assert [ask(gateway, "never").status_code for _ in range(7)] == [503] * 7
    assert provider.asked["never"] == 7


def test_what_envoy_alone_has_seen_counts(gateway: Gateway, provider: Provider) -> None:
    for _ in range(5):
        assert ask(gateway, "dead").headers["x-headgate-attempts"].startswith("dead/x;reason=")
    gateway.until(lambda: is_open(gateway, "dead", "x"), "it is open")
    assert "x-headgate-attempts" not in ask(gateway, "dead").headers
    assert metric(gateway, "ai_proxy_attempt_failures_total", provider="dead") == 5
    assert metric(gateway, "ai_proxy_attempt_failures_total", provider="dead", reason="connect") > 0


def test_a_key_that_is_refused_is_used_no_more(gateway: Gateway, provider: Provider) -> None:
    provider.statuses["sk-a"] = 401
    for _ in range(30):
        assert ask(gateway, "pooled").status_code == 200
        if metric(gateway, "ai_proxy_circuit_breaker_state", provider="pool", key="first") == 1:
            break
    gateway.until(lambda: metric(gateway, "ai_proxy_circuit_breaker_state", provider="pool", key="first") == 1, "it is open")
    refused = provider.asked["sk-a"]
    assert [ask(gateway, "pooled").status_code for _ in range(4)] == [200] * 4
    assert provider.asked["sk-a"] == refused >= 5
    told = httpx.get(f"{gateway.url}/v1/providers/status", verify=False).json()["providers"]
    keys = {one["key"]: one["state"] for one in next(one for one in told if one["provider"] == "pool")["keys"]}
    assert keys == {"first": "open", "second": "closed"}


def test_too_many_requests(gateway: Gateway, provider: Provider) -> None:
    provider.statuses["limited"], provider.headers_told = 429, {"retry-after": "8"}
    assert ask(gateway, "limited-first").status_code == 200
    gateway.until(lambda: metric(gateway, "ai_proxy_cooling", provider="p", model="limited") == 1, "it cools down")
    refused = ask(gateway, "limited")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 8
    assert "x-headgate-attempts" not in ask(gateway, "limited-first").headers
    assert provider.asked["limited"] == 1
    assert ask(gateway, "beside").status_code == 200, "the provider's other models are asked"
    for url in (gateway.url, gateway.operator):
        told = httpx.get(f"{url}/v1/providers/status", verify=False).json()
        (target,) = [one for one in told["providers"][0]["targets"] if one["model"] == "limited"]
        assert (told["status"], target["state"], target["asked_as"]) == ("degraded", "cooling", ["limited", "limited-first"])
        assert "sk-1" not in str(told)
    provider.statuses["limited"] = 200
    gateway.until(lambda: ask(gateway, "limited").status_code == 200, "its time is over")


@pytest.mark.parametrize(("model", "target"), [("half", "half"), ("half-of-two", "half-first")])
def test_a_provider_that_breaks_off_its_answers_fails_and_one_that_is_hung_up_on_does_not(
    gateway: Gateway, provider: Provider, model: str, target: str
) -> None:
    def half(provider_breaks: bool) -> str:
        url, asked = f"{gateway.url}/v1/chat/completions", chat("Hello", model, stream=True)
        with contextlib.suppress(httpx.RemoteProtocolError), httpx.stream("POST", url, json=asked, verify=False) as answer:
            assert answer.status_code == 200
            for _ in answer.iter_raw():
                if not provider_breaks:
                    break
                provider.breaks.add(answer.headers["x-request-id"])
        return str(answer.headers["x-request-id"])

    def failed() -> float:
        return metric(gateway, "ai_proxy_attempt_failures_total", provider="p", reason="reset")

    before, asked = failed(), provider.asked[target]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(half, [False] * 6))
        broken = list(pool.map(half, [True] * 4))
    gateway.until(lambda: failed() == before + 4, "four have failed")
    assert not is_open(gateway, "p", target)
    broken.append(half(True))
    gateway.until(lambda: is_open(gateway, "p", target), "the fifth opens it")
    assert (failed(), provider.asked[target]) == (before + 5, asked + 11), "each counts once, and none is asked again"
    log = gateway.log.read_text()
    assert all(log.count(f"request {id}: the answer of p/{target} broke off: reset") == 1 for id in broken)
