"""Several targets: the next one answers where one fails, each attempt with its own path, host, key and body, and nobody else's."""

import json
import re
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.books import collected
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo

_FAILURES = ["status=503", "status=429", "status=500", "reset"]
FAILURES = [*_FAILURES, "malformed", "content-type=text/html", "break"]
STREAM_FAILURES = [*_FAILURES, "break-before-first", "close=0", "error=0"]


@pytest.fixture(scope="module")
def config(config: dict[str, Any]) -> dict[str, Any]:
    """With models whose targets a strategy orders, and such that are for some requests only."""
    far, near = {"to": "a/last-a", "tier": 2}, {"to": "o/mostly-o", "when": {"headers": {"x-region": "eu-*"}}}
    chosen = [
        {"name": "either", "targets": ["o/one-o", "a/one-a"], "strategy": "round_robin"},
        {"name": "staged", "targets": [far, near]},
        {"name": "able", "targets": [{"to": "o/blind", "lacks": ["images", "tools"]}, {"to": "a/tagged", "when": {"tags": ["slow"]}}]},
        {"name": "cheap", "targets": ["o/dear", "a/cheap"], "strategy": "cheapest"},
        {"name": "quick", "targets": ["o/late", "a/early"], "strategy": "least_latency"},
        {"name": "idle", "targets": ["o/one", "a/other"], "strategy": "least_busy"},
    ]
    prices = [{"model": "o/dear", "input": "2", "output": "2"}, {"model": "a/cheap", "input": "1", "output": "1"}]
    return {**config, "models": [*config["models"], *chosen], "prices": prices}


def only(demo: Demo) -> dict[str, Any]:
    (request,) = demo.requests()
    request["headers"] = dict(request["headers"])
    return request


def check_attempts(openai_provider: Demo, anthropic_provider: Demo, gateway: Gateway, models: tuple[str, str]) -> None:
    """Each provider was asked once, properly, and saw nothing of the other's or of the caller's credentials."""
    to_openai, to_anthropic = only(openai_provider), only(anthropic_provider)
    assert to_openai["path"] == "/v1/chat/completions"
    assert to_anthropic["path"] == "/v1/messages"
    assert to_openai["headers"]["authorization"] == "Bearer sk-provider-o"
    assert to_anthropic["headers"]["x-api-key"] == "sk-provider-a"
    assert "x-api-key" not in to_openai["headers"]
    assert "anthropic-version" not in to_openai["headers"]
    assert "authorization" not in to_anthropic["headers"]
    for request, demo, model in ((to_openai, openai_provider, models[0]), (to_anthropic, anthropic_provider, models[1])):
        assert request["headers"]["host"] == demo.url.removeprefix("http://")
        assert int(request["headers"]["content-length"]) == request["size"]
        assert f'"{model}"' in request["body"]
        assert "caller-secret" not in str(request)
        assert not [name for name in request["headers"] if name.startswith(("x-envoy", "x-headgate", "x-forwarded"))]


@pytest.mark.parametrize("failure", FAILURES)
def test_openai_fails_anthropic_answers(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, failure: str) -> None:
    with openai_sdk(gateway.url, "caller-secret") as client:
        answer = client.chat.completions.create(**chat(f"Hello [demo@openai: {failure}]", "o-then-a"))
    assert answer.choices[0].finish_reason == "stop"
    assert "Hello" in (answer.choices[0].message.content or "")
    assert answer.usage
    assert answer.usage.total_tokens > 0
    check_attempts(openai_provider, anthropic_provider, gateway, ("first-o", "second-a"))


STRICT = {"x-headgate-strict": "true"}


def test_a_strict_client_is_refused_by_the_target_whose_turn_it_is(
    gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo
) -> None:
    """Each target is held to it when it is asked, and Envoy asks nobody after a refusal: docs/envoy.md."""
    with openai_sdk(gateway.url) as client:
        assert client.chat.completions.create(**chat("Hello", "o-then-a"), seed=4, extra_headers=STRICT).choices
        assert '"seed":4' in only(openai_provider)["body"].replace(" ", "")
        openai_provider.reset()
        for text, model in (("Hello", "a-then-o"), ("Hello [demo@openai: status=503]", "o-then-a")):
            with pytest.raises(openai.BadRequestError, match="cannot express: seed") as refused:
                client.chat.completions.create(**chat(text, model), seed=4, extra_headers=STRICT)
            assert refused.value.code == "unsupported_fields"
    assert anthropic_provider.requests() == []


@pytest.mark.parametrize("failure", FAILURES)
def test_anthropic_fails_openai_answers(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, failure: str) -> None:
    with anthropic_sdk(gateway.url, "caller-secret") as client:
        answer = client.messages.create(**message(f"Hello [demo@anthropic: {failure}]", "a-then-o"))
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens > 0
    check_attempts(openai_provider, anthropic_provider, gateway, ("second-o", "first-a"))


@pytest.mark.parametrize("failure", STREAM_FAILURES)
def test_openai_stream_fails_anthropic_streams(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, failure: str) -> None:
    request = chat(f"Hello [demo@openai: {failure}]", "o-then-a", stream=True, stream_options={"include_usage": True})
    with openai_sdk(gateway.url, "caller-secret") as client:
        chunks = list(client.chat.completions.create(**request))
    assert "Hello" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0
    check_attempts(openai_provider, anthropic_provider, gateway, ("first-o", "second-a"))


@pytest.mark.parametrize("failure", STREAM_FAILURES)
def test_anthropic_stream_fails_openai_streams(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, failure: str) -> None:
    with (
        anthropic_sdk(gateway.url, "caller-secret") as client,
        client.messages.stream(**message(f"Hello [demo@anthropic: {failure}]", "a-then-o")) as stream,
    ):
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "Hello" in text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0
    check_attempts(openai_provider, anthropic_provider, gateway, ("second-o", "first-a"))


def test_every_target_fails(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello [demo: status=503]", "o-then-a"), verify=False)
    assert answer.status_code == 503
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    assert len(openai_provider.requests()) == len(anthropic_provider.requests()) == 1


def test_a_line_for_each_failed_attempt_and_none_for_others(gateway: Gateway) -> None:
    def ask(text: str) -> str:
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, "o-then-a"), verify=False)
        assert answer.status_code == 200
        return answer.headers["x-request-id"]

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (gateway.state / "attempts.log").read_text().splitlines()]

    good, refused, reset = ask("Hello"), ask("Hello [demo@openai: status=429]"), ask("Hello [demo@openai: reset]")
    # Envoy writes in order, so the line before the last one's is there, too, if there is one.
    gateway.until(lambda: [line for line in lines() if line["request_id"] == reset], "the last attempt's line is there")
    told = [(line["request_id"], line["cluster"], line["status"]) for line in lines() if line["request_id"] in (good, refused, reset)]
    assert told == [(refused, "provider_o", 429), (reset, "provider_o", 0)]


def test_each_attempt_is_told_to_the_client_and_to_the_ledger(gateway: Gateway) -> None:
    def ask(text: str) -> httpx.Response:
        return httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, "o-then-a"), verify=False)

    answers = [ask(text) for text in ("Hello", "Hello [demo@openai: status=429 retry-after=7]", "Hello [demo@openai: reset]")]
    good, limited, reset = (re.sub(r";ms=\d+", "", answer.headers["x-headgate-attempts"]) for answer in answers)
    assert good == "o/first-o;status=200"
    assert limited == 'o/first-o;status=429;reason="rate_limit_exceeded", a/second-a;status=200'
    assert reset == 'o/first-o;reason="no_answer", a/second-a;status=200'
    ids = [answer.headers["x-request-id"] for answer in answers]
    books = collected(gateway, ids)
    tried = [json.loads(books[id]["tried"] or "[]") for id in ids]
    assert [[(one["provider"], one.get("status", 0)) for one in each] for each in tried] == [
        [], [("o", 429), ("a", 200)], [("o", 0), ("a", 200)],
    ]  # fmt: skip
    assert tried[1][0]["resets"] == 7


@pytest.mark.parametrize("model", ["demo", "o-then-a"])
def test_a_caller_names_no_cluster(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, model: str) -> None:
    headers = {"x-headgate-cluster": "provider_a"}
    httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", model), headers=headers, verify=False).raise_for_status()
    assert "x-headgate-cluster" not in only(openai_provider)["headers"]
    assert anthropic_provider.requests() == []


def test_targets_take_turns_and_step_in_for_one_another(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    with openai_sdk(gateway.url, "caller-secret") as client:
        for _ in range(4):
            assert client.chat.completions.create(**chat("Hello", "either")).choices[0].finish_reason == "stop"
        assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (2, 2)
        for _ in range(4):
            client.chat.completions.create(**chat("Hello [demo@anthropic: status=503]", "either"))
    # Whoever was first, the one that can has answered all; the other was asked only where it was its turn.
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (2 + 4, 2 + 2)


def test_tiers_and_conditions(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    def ask(text: str, **headers: str) -> str:
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat(text, "staged"), headers=headers, verify=False)
        assert answer.status_code == 200
        asked = [name for name, demo in (("o", openai_provider), ("a", anthropic_provider)) if demo.requests()]
        openai_provider.reset()
        anthropic_provider.reset()
        return "".join(asked)

    assert ask("Hello", **{"x-region": "eu-west"}) == "o"
    assert ask("Hello [demo@openai: status=500]", **{"x-region": "eu-west"}) == "oa"
    assert ask("Hello", **{"x-region": "us-east"}) == "a"
    assert ask("Hello") == "a"


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}


def asked(gateway: Gateway, body: dict[str, Any], path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}{path}", json=body, headers=headers, verify=False, timeout=20)


def began(answer: httpx.Response) -> str:
    """The target that was asked first, if there was a choice."""
    answer.raise_for_status()
    return answer.headers["x-headgate-attempts"].partition(";")[0]


def test_needs_and_tags(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    slow, calling = {"x-headgate-tags": "slow,test"}, {**chat("Hello", "able"), "tools": [TOOL]}
    assert asked(gateway, chat("Hello", "able")).status_code == 200
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (1, 0)
    refused = asked(gateway, calling)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_target")
    assert "`lacks` (it needs tools), `tags`" in refused.json()["error"]["message"]
    assert asked(gateway, calling, **slow).status_code == 200
    looking = {"model": "able", "max_tokens": 9, "messages": [{"role": "user", "content": [PICTURE]}]}
    assert asked(gateway, looking, "/v1/messages", **slow, **{"x-litellm-tags": "other"}).status_code == 200
    assert (len(openai_provider.requests()), len(anthropic_provider.requests())) == (1, 2)
    assert "-tags" not in str(anthropic_provider.requests())


def test_the_cheapest_the_quickest_and_the_less_busy(gateway: Gateway) -> None:
    assert {began(asked(gateway, chat("Hello", "cheap"))) for _ in range(4)} == {"a/cheap"}
    slow = chat("Hello [demo@openai: delay=0.4]", "quick")
    told = [began(asked(gateway, slow)) for _ in range(6)]
    assert set(told[:2]) == {"o/late", "a/early"}
    assert told[2:] == ["a/early"] * 4
    waiting = chat("Hello [demo: gap=0.2 tokens=100]", "idle", stream=True)
    with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=waiting, verify=False) as stream:
        busy = began(stream)
        (idle,) = {began(asked(gateway, chat("Hello", "idle"))) for _ in range(6)}
        assert {busy, idle} == {"o/one", "a/other"}
    # What its client has left is not busy any more.
    gateway.until(lambda: began(asked(gateway, chat("Hello", "idle"))) == busy, "the other target is asked again")
