"""What follows a failed attempt, where that is not simply the next target: the same one again, one that is named for it, or nobody."""

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.books import collected
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.upstream import Upstream

TOO_LONG = {"error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"}}
FILTERED = {"error": {"message": "no", "type": "invalid_request_error", "code": "content_filter"}}
ODD = {"error": {"message": "odd", "type": "invalid_request_error", "code": "odd"}}


class Provider(Upstream):
    """Answers each model with what is laid ready for it, and when that is used up, well."""

    def __init__(self) -> None:
        self.ready: dict[str, list[tuple[int, dict[str, Any], dict[str, str]]]] = defaultdict(list)
        self.asked: list[tuple[str, float]] = []
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        super().__init__(app)

    async def _answer(self, request: web.Request) -> web.Response:
        model = (await request.json())["model"]
        self.asked.append((model, time.monotonic()))
        if self.ready[model]:
            status, body, headers = self.ready[model].pop(0)
            if not status and request.transport is not None:
                request.transport.abort()
            return web.json_response(body, status=status, headers=headers)
        message = {"role": "assistant", "content": model}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
        )

    def will(self, model: str, status: int, body: dict[str, Any] | None = None, times: int = 1, **headers: str) -> None:
        self.ready[model] += [
            (status, body or {"error": {"message": "no", "code": None}}, {n.replace("_", "-"): v for n, v in headers.items()})
        ] * times


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    quick = {"again": 2, "pause": 0.05}
    config = {
        "providers": {
            "p": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "k"},
            "nobody": {"dialect": "openai", "base_url": f"http://127.0.0.1:{free_port()}/v1", "key": "k"},
        },
        "models": [
            {"name": "again", "targets": ["p/a"], "retries": quick},
            {"name": "both", "targets": ["p/a", "p/b"], "retries": {**quick, "longest": 1}},
            {"name": "frugal", "targets": ["p/f", "p/b"], "retries": {"again": 1, "pause": 0.01, "budget": 0}},
            {"name": "hasty", "targets": ["p/a"], "retries": {"again": 4, "pause": 1, "within": 3}},
            {"name": "choosy", "targets": ["p/a", "p/b"], "retries": {"on": [422]}},
            {"name": "named", "targets": ["p/a", "p/b"], "on_context_length": ["p/long"], "on_content_policy": ["p/free", "p/freer"]},
            {"name": "alone", "targets": ["p/a"], "on_context_length": ["p/long"]},
            {"name": "dead", "targets": ["nobody/x", "nobody/y"], "on_context_length": ["p/long"]},
        ],
    }  # fmt: skip
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


@pytest.fixture(autouse=True)
def forget(provider: Provider) -> None:
    provider.ready.clear()
    provider.asked.clear()


def ask(gateway: Gateway, model: str) -> tuple[int, str, list[str]]:
    """Status, who answered, and the attempts as the header has them, without their times."""
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), verify=False, timeout=20)
    body, told = answer.json(), answer.headers["x-headgate-attempts"].split(", ")
    assert "x-envoy-ratelimited" not in answer.headers
    said = body["choices"][0]["message"]["content"] if "choices" in body else body["error"]["code"] or ""
    return answer.status_code, said, [";".join(part for part in one.split(";") if not part.startswith("ms=")) for one in told]


def test_a_target_is_asked_again_after_a_pause_that_grows(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 503, times=2)
    assert ask(gateway, "again") == (200, "a", ['p/a;status=503;reason="overloaded"'] * 2 + ["p/a;status=200"])
    (_, first), (_, second), (_, third) = provider.asked
    assert second - first > 0.025
    assert third - second > 0.05
    provider.will("a", 503, times=3)
    assert ask(gateway, "again")[0] == 503
    assert len(provider.asked) == 6


def test_a_provider_that_gives_no_answer_has_its_pause_too(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 0, times=2)
    assert ask(gateway, "again") == (200, "a", ['p/a;reason="no_answer"'] * 2 + ["p/a;status=200"])
    (_, first), (_, second), (_, third) = provider.asked
    assert second - first > 0.025
    assert third - second > 0.05


def test_a_provider_that_wants_a_pause_gets_it_or_is_left_alone(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 429, retry_after="1")
    assert ask(gateway, "both")[:2] == (200, "a")
    (_, first), (_, second) = provider.asked
    assert second - first >= 1
    provider.will("a", 429, retry_after="30")
    assert ask(gateway, "both") == (200, "b", ['p/a;status=429;reason="rate_limit_exceeded"', "p/b;status=200"])


def test_who_has_asked_all_is_told_when_the_first_may_be_asked(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 429, retry_after="70")
    provider.will("b", 429, retry_after="Wed, 22 Nov 2098 10:00:00 GMT")
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", "both"), verify=False, timeout=20)
    assert answer.status_code == 429
    assert 60 < int(answer.headers["retry-after"]) <= 70


def test_only_so_many_requests_ask_again(gateway: Gateway, provider: Provider) -> None:
    provider.will("f", 500, times=30)
    answers = [ask(gateway, "frugal") for _ in range(12)]
    assert all(answer[:2] == (200, "b") for answer in answers)
    assert [len(answer[2]) for answer in answers] == [3] * 10 + [2] * 2


def test_no_attempt_begins_too_late(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 500, times=9)
    status, _, attempts = ask(gateway, "hasty")
    assert status == 500
    assert 1 < len(attempts) < 5


def test_what_is_worth_another_attempt_is_configured(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 422, ODD)
    assert ask(gateway, "choosy")[:2] == (200, "b")
    provider.will("a", 429)
    assert ask(gateway, "choosy") == (429, "", ['p/a;status=429;reason="rate_limit_exceeded"'])


@pytest.mark.parametrize("model", ["named", "alone"])
def test_a_refusal_goes_to_who_is_named_for_it(gateway: Gateway, provider: Provider, model: str) -> None:
    provider.will("a", 400, TOO_LONG)
    assert ask(gateway, model) == (200, "long", ['p/a;status=400;reason="context_length_exceeded"', "p/long;status=200"])
    provider.will("a", 400, TOO_LONG)
    provider.will("long", 400, TOO_LONG)
    assert ask(gateway, model)[:2] == (400, "context_length_exceeded")
    provider.will("a", 400, ODD)
    assert ask(gateway, model)[:2] == (400, "odd")
    assert [name for name, _ in provider.asked] == ["a", "long", "a", "long", "a"]


def test_a_second_target_may_refuse_and_a_named_one_fail(gateway: Gateway, provider: Provider) -> None:
    provider.will("a", 503)
    provider.will("b", 400, FILTERED)
    provider.will("free", 500)
    status, said, attempts = ask(gateway, "named")
    assert (status, said) == (200, "freer")
    assert [one.partition(";")[0] for one in attempts] == ["p/a", "p/b", "p/free", "p/freer"]
    # Those that are named for refusals step in for nothing else.
    provider.will("a", 503)
    provider.will("b", 503)
    assert ask(gateway, "named")[0] == 503
    assert [name for name, _ in provider.asked][4:] == ["a", "b"]


def test_who_is_named_for_refusals_does_not_step_in_for_the_dead(gateway: Gateway, provider: Provider) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", "dead"), verify=False, timeout=20)
    assert answer.status_code == 503
    assert answer.headers["x-headgate-attempts"].startswith('nobody/x;reason="no_answer", nobody/y;reason=')
    assert provider.asked == []
    assert collected(gateway, [answer.headers["x-request-id"]])
