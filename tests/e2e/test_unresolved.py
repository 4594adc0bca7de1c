"""A provider whose name cannot be resolved is one that fails: the next target is asked, wherever in the list it stands."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.clients import openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.upstream import Demo

LISTS = {
    "first": ("nohost", "beta"),
    "second": ("closed", "nohost", "beta"),
    "before-closed": ("nohost", "closed", "beta"),
    "after-failure": ("alpha", "nohost", "beta"),
    "twice": ("nohost", "nohost-too", "beta"),
    "last": ("alpha", "nohost"),
    "not-needed": ("beta", "nohost"),
}


@pytest.fixture(scope="module")
def config(openai_provider: Demo, anthropic_provider: Demo) -> dict[str, Any]:
    """Two that answer, one of them by its name; one that refuses; two whose names nobody knows (RFC 6761, section 6.4)."""
    urls = {
        "alpha": f"{openai_provider.url}/v1",
        "beta": f"{anthropic_provider.url}/v1".replace("127.0.0.1", "localhost"),
        "closed": f"http://127.0.0.1:{free_port()}/v1",
        "nohost": "http://nosuchhost.invalid/v1",
        "nohost-too": "https://nosuchhost-either.invalid/v1",
    }
    dialects = {"beta": "anthropic"}
    providers = {name: {"dialect": dialects.get(name, "openai"), "base_url": url} for name, url in urls.items()}
    models = [{"name": name, "targets": [f"{target}/m" for target in targets]} for name, targets in LISTS.items()]
    return {"providers": providers, "models": [*models, {"name": "only", "targets": ["nohost/m"]}]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Iterator[Gateway]:
    """A running gateway."""
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def ask(gateway: Gateway, text: str, model: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, model), verify=False, timeout=20)


def attempts(gateway: Gateway, answer: httpx.Response, many: int) -> list[dict[str, Any]]:
    """Lines of the request's failed attempts, once there are as many."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        lines = map(json.loads, (gateway.state / "attempts.log").read_text().splitlines())
        found[:] = [line for line in lines if line["request_id"] == answer.headers["x-request-id"]]
        return len(found) >= many

    gateway.until(there, f"{many} failed attempts are in the log")
    return found


@pytest.mark.parametrize("model", [name for name in LISTS if name != "last"])
def test_the_next_one_answers(gateway: Gateway, anthropic_provider: Demo, model: str) -> None:
    answer = ask(gateway, "Hello [demo@openai: status=503]", model)
    assert answer.status_code == 200, answer.text
    assert "Hello" in answer.json()["choices"][0]["message"]["content"]
    assert len(anthropic_provider.requests()) == 1


def test_a_stream_falls_over_as_well(gateway: Gateway) -> None:
    with openai_sdk(gateway.url, "unused") as client:
        chunks = list(client.chat.completions.create(**chat("Hello", "second", stream=True)))
    assert "Hello" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_each_attempt_has_its_line(gateway: Gateway) -> None:
    lines = attempts(gateway, ask(gateway, "Hello", "before-closed"), 2)
    assert [line["cluster"] for line in lines] == ["provider_nohost", "provider_closed"]
    assert lines[0]["host"].endswith("no-address.sock")


def test_the_log_blames_who_was_asked_last_and_says_why(gateway: Gateway) -> None:
    answer = ask(gateway, "Hello [demo@openai: status=503]", "last")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "provider_unavailable"
    request = answer.headers["x-request-id"]
    said = f"request {request}: no answer from nohost: its name cannot be resolved (before that: alpha)"
    gateway.until(lambda: said in gateway.log.read_text(), "the log says so")


def test_nobody_else_is_blamed_where_there_is_one_target(gateway: Gateway) -> None:
    answer = ask(gateway, "Hello", "only")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_unavailable")
    said = f"request {answer.headers['x-request-id']}: no answer from nohost: its name cannot be resolved\n"
    gateway.until(lambda: said in gateway.log.read_text(), "the log says so")
