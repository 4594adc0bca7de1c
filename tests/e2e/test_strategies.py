"""Conditions and strategies behind a real Envoy: who is asked is what the client, and the targets themselves, have said."""

from typing import Any

import httpx
import pytest

from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Demo

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}


@pytest.fixture(scope="module")
def config(config: dict[str, Any]) -> dict[str, Any]:
    """With a model for each."""
    models = [
        {"name": "able", "targets": [{"to": "o/blind", "lacks": ["images", "tools"]}, {"to": "a/tagged", "when": {"tags": ["slow"]}}]},
        {"name": "cheap", "targets": ["o/dear", "a/cheap"], "strategy": "cheapest"},
        {"name": "quick", "targets": ["o/late", "a/early"], "strategy": "least_latency"},
        {"name": "idle", "targets": ["o/one", "a/other"], "strategy": "least_busy"},
    ]
    prices = [{"model": "o/dear", "input": "2", "output": "2"}, {"model": "a/cheap", "input": "1", "output": "1"}]
    return {**config, "models": models, "prices": prices}


def ask(gateway: Gateway, body: dict[str, Any], path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}{path}", json=body, headers=headers, verify=False, timeout=20)


def began(answer: httpx.Response) -> str:
    """The target that was asked first, if there was a choice."""
    answer.raise_for_status()
    return answer.headers["x-headgate-attempts"].partition(";")[0]


def test_needs_and_tags(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    slow, calling = {"x-headgate-tags": "slow,test"}, {**chat("Hello", "able"), "tools": [TOOL]}
    assert ask(gateway, chat("Hello", "able")).status_code == 200
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (1, 0)
    refused = ask(gateway, calling)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_target")
    assert "`lacks` (it needs tools), `tags`" in refused.json()["error"]["message"]
    assert ask(gateway, calling, **slow).status_code == 200
    looking = {"model": "able", "max_tokens": 9, "messages": [{"role": "user", "content": [PICTURE]}]}
    assert ask(gateway, looking, "/v1/messages", **slow, **{"x-litellm-tags": "other"}).status_code == 200
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (1, 2)
    assert "-tags" not in str(anthropic_provider.requests())


def test_the_cheapest_the_quickest_and_the_less_busy(gateway: Gateway) -> None:
    assert {began(ask(gateway, chat("Hello", "cheap"))) for _ in range(4)} == {"a/cheap"}
    slow = chat("Hello [demo@openai: delay=0.4]", "quick")
    told = [began(ask(gateway, slow)) for _ in range(6)]
    assert set(told[:2]) == {"o/late", "a/early"}
    assert told[2:] == ["a/early"] * 4
    waiting = chat("Hello [demo: gap=0.2 tokens=100]", "idle", stream=True)
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=waiting, verify=False) as stream:
        busy = began(stream)
        (idle,) = {began(ask(gateway, chat("Hello", "idle"))) for _ in range(6)}
        assert {busy, idle} == {"o/one", "a/other"}
    # What its client has left is not busy any more.
    gateway.until(lambda: began(ask(gateway, chat("Hello", "idle"))) == busy, "the other target is asked again")
