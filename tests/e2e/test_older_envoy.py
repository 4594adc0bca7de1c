"""Several targets where Envoy has to have their orders compiled in: as an Envoy before 1.40 is told, which 1.40 takes as well."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.books import entry
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo, Scripted

CLIENT = httpx.Client(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


PIECE = b"data: " + json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "x" * 8000}}]}).encode() + b"\n\n"
STOP = b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture(scope="module")
def bursting() -> Iterator[Scripted]:
    """A provider that says 4 MB at once."""

    async def burst(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(PIECE * 500 + STOP)
        return answer

    with Scripted(burst) as running:
        yield running


@pytest.fixture(scope="module")
def config(config: dict[str, Any], bursting: Scripted) -> dict[str, Any]:
    """The same, with providers by name and by address, one that is given up soon, and one that says much at once."""
    there = config["providers"]
    named = {f"{name}-named": {**one, "base_url": one["base_url"].replace("127.0.0.1", "localhost")} for name, one in there.items()}
    gone = {
        "refuses": {"dialect": "openai", "base_url": f"http://localhost:{free_port()}/v1"},
        "nowhere": {"dialect": "openai", "base_url": "http://nobody.invalid/v1"},
        "soon": {**there["o"], "timeouts": {"idle": 0.5, "first_byte": 20}},
        "burst": {"dialect": "openai", "base_url": f"{bursting.url}/v1"},
    }
    models = [
        {"name": "named", "targets": ["o-named/first-o", "a-named/second-a"]},
        {"name": "gone", "targets": ["refuses/m", "nowhere/m", "a-named/second-a"]},
        {"name": "unresolved", "targets": ["nowhere/m", "a-named/second-a"]},
        {"name": "turns", "targets": ["o/one", "a/two"], "strategy": "round_robin"},
        {"name": "staged", "targets": [{"to": "o/first-o", "when": {"headers": {"x-region": "eu"}}}, "a/second-a"]},
        {"name": "twice", "targets": ["o/first", "o/second"]},
        *({"name": f"{one}-{count}", "targets": [f"{one}/m", f"{one}/n"][:count]} for one in ("soon", "burst") for count in (1, 2)),
    ]
    return {**config, "envoy_version": "1.36", "providers": {**there, **named, **gone}, "models": [*config["models"], *models]}


def ask(gateway: Gateway, text: str, model: str, **headers: str) -> httpx.Response:
    return CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat(text, model), headers=headers)


@pytest.mark.parametrize("model", ["o-then-a", "named"])
@pytest.mark.parametrize("failure", ["status=503", "status=429", "reset"])
def test_the_next_one_answers(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, model: str, failure: str) -> None:
    answer = ask(gateway, f"Hello [demo@openai: {failure}]", model)
    assert answer.status_code == 200
    (first,), (second,) = openai_provider.requests(), anthropic_provider.requests()
    headers = [{name.lower(): value for name, value in asked["headers"]} for asked in (first, second)]
    assert [one.get("authorization") for one in headers] == ["Bearer sk-provider-o", None]
    assert [one.get("x-api-key") for one in headers] == [None, "sk-provider-a"]
    assert [asked["path"] for asked in (first, second)] == ["/v1/chat/completions", "/v1/messages"]
    found = entry(gateway, answer.headers["x-request-id"])
    provider = "a-named" if model == "named" else "a"
    assert (found["provider"], found["target"], found["attempts"], found["outcome"]) == (provider, "second-a", 2, "complete")
    assert found["output"] == answer.json()["usage"]["completion_tokens"] > 0


def test_who_is_not_there_is_passed_over(gateway: Gateway, anthropic_provider: Demo) -> None:
    for model in ("gone", "unresolved"):
        answer = ask(gateway, "Hello", model)
        assert answer.status_code == 200, answer.text
        assert entry(gateway, answer.headers["x-request-id"])["provider"] == "a-named"
    assert len(anthropic_provider.requests()) == 2


def test_the_strategy_says_who_is_first(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    assert [ask(gateway, "Hello", "turns").status_code for _ in range(4)] == [200] * 4
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (2, 2)
    assert [ask(gateway, "Hello [demo@openai: status=500]", "turns").status_code for _ in range(2)] == [200] * 2
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (3, 4)


def test_a_target_that_a_request_is_not_for_is_never_asked(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    assert ask(gateway, "Hello [demo@anthropic: status=503]", "staged").status_code == 503
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (0, 1)
    assert ask(gateway, "Hello [demo@openai: status=503]", "staged", **{"x-region": "eu"}).status_code == 200


@pytest.mark.parametrize("targets", [1, 2])
def test_streams_have_their_last_word(gateway: Gateway, openai_provider: Demo, targets: int) -> None:
    """The gate ends one that falls silent, and one that comes all at once is whole."""

    def told(model: str) -> bytes:
        asked = chat("Hello there, my friend [demo: silent=4]", f"{model}-{targets}", stream=True)
        with CLIENT.stream("POST", f"{gateway.url}/v1/chat/completions", json=asked) as answer:
            return answer.read()

    silent = told("soon")
    assert silent.endswith(b"data: [DONE]\n\n") and b"silent for too long" in silent
    gateway.until(lambda: not openai_provider.open()["open"], "nobody waits for it")
    assert told("burst") == PIECE * 500 + STOP


def test_the_last_ones_error(gateway: Gateway, openai_provider: Demo) -> None:
    assert ask(gateway, "Hello [demo: status=500]", "twice").status_code == 500
    assert ['"first"' in asked["body"] for asked in openai_provider.requests()] == [True, False]
