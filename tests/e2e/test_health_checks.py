"""Checked providers: one that is ill is asked last by every worker: not at all while another one answers, and where it is alone."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.upstream import Demo, Scripted

CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


class Checked:
    """A provider that is ill or well, as the test says; it answers whoever asks all the same."""

    def __init__(self) -> None:
        self.status = 503

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/health":
            return web.Response(status=self.status)
        choice = {"index": 0, "message": {"role": "assistant", "content": "from the first"}, "finish_reason": "stop"}
        return web.json_response({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


@pytest.fixture(scope="module")
def first() -> Checked:
    return Checked()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, first: Checked, openai_provider: Demo) -> Iterator[Gateway]:
    with Scripted(first.answer) as upstream:
        health = {"path": "/health", "every": 0.05, "failures": 1}
        config: dict[str, Any] = {
            "workers": 2,
            "providers": {
                "first": {"dialect": "openai", "base_url": f"{upstream.url}/v1", "health": health},
                "other": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1"},
            },
            "models": [{"name": "both", "targets": ["first/m", "other/m"]}, {"name": "alone", "targets": ["first/m"]}],
        }
        with Gateway(folder(tmp_path_factory), config) as running:
            yield running


def answers(gateway: Gateway, model: str) -> set[str]:
    """Who answers six requests, which come to both workers."""
    texts = []
    for _ in range(6):
        answer = CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model))
        assert answer.status_code == 200, answer.text
        texts.append(answer.json()["choices"][0]["message"]["content"])
    return {"first" if text == "from the first" else "other" for text in texts}


def test_passed_over_while_it_is_ill(gateway: Gateway, first: Checked) -> None:
    healthy = 'ai_proxy_provider_healthy{provider="first"}'
    gateway.until(lambda: gateway.metrics().get(healthy) == 0, "it is found to be ill")
    gateway.until(lambda: answers(gateway, "both") == {"other"}, "all workers know")
    assert answers(gateway, "alone") == {"first"}
    first.status = 200
    gateway.until(lambda: gateway.metrics().get(healthy) == 1, "it is found to be well")
    gateway.until(lambda: answers(gateway, "both") == {"first"}, "all workers know")
    assert "provider first is unhealthy: status 503" in gateway.log.read_text()
