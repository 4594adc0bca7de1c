"""Headers cross only where they may: nobody's credential reaches somebody else, what is internal stays inside, and rules are obeyed.

All of it by every way that an answer can take: the client's own dialect, translated, and by the adapter (several targets).
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.gateway import Gateway, chat
from tests.e2e.ports import free_port
from tests.e2e.upstream import Scripted

CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
WAYS = {"same": "o/m", "translated": "a/m", "several": "o/m", "several-translated": "a/m"}
each_way = pytest.mark.parametrize("way", WAYS)

SECRETS = {
    "authorization": "Bearer caller-secret",
    "x-api-key": "caller-secret",
    "api-key": "caller-secret",
    "x-goog-api-key": "caller-secret",
    "x-openai-key": "caller-secret",
    "x-anthropic-key": "caller-secret",
    "x-litellm-api-key": "caller-secret",
    "proxy-authorization": "Basic caller-secret",
    "cookie": "session=caller-secret",
    "x-auth-token": "caller-secret",
    "x-amz-security-token": "caller-secret",
    "x-csrf-token": "caller-secret",
    "x-my-secret": "caller-secret",
    "x-forwarded-client-cert": "caller-secret",
    "ocp-apim-subscription-key": "caller-secret",
    "helicone-auth": "caller-secret",
    "openai-organization": "caller-secret",
    "openai-project": "caller-secret",
}
INTERNAL = {
    "x-forwarded-for": "10.1.2.3",
    "x-forwarded-host": "caller-inside",
    "x-real-ip": "10.1.2.3",
    "forwarded": "for=caller-inside",
    "via": "1.1 caller-inside",
    "referer": "http://caller-inside/",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-headgate-internal": "caller-inside",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-max-retries": "7",
    "x-envoy-retry-on": "5xx",
    "x-envoy-original-path": "/caller-inside",
}
ANSWERED = {
    "set-cookie": "__cf_bm=provider-secret",
    "openai-organization": "provider-secret",
    "openai-project": "provider-secret",
    "anthropic-organization-id": "provider-secret",
    "server": "provider-server",
    "via": "1.1 provider-server",
    "x-powered-by": "provider-server",
    "x-envoy-upstream-service-time": "4711",
    "x-headgate-cache": "hit",
    "x-headgate-internal": "provider-secret",
    "www-authenticate": "Basic realm=provider-secret",
    "alt-svc": 'h3=":443"',
    "cf-ray": "provider-server",
    "strict-transport-security": "max-age=31536000",
    "access-control-allow-origin": "*",
    "x-request-id": "provider-request",
    "location": "http://provider-server/",
}
BODIES = {
    "/v1/chat/completions": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
    "/v1/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


async def talkative(request: web.Request) -> web.StreamResponse:
    """Answers in the path's dialect, and tells more than it should."""
    body = BODIES.get(request.path, {"raw": True})
    extra = {"x-ratelimit-remaining-requests": "59", "x-from-provider": "yes", "retry-after": "3"}
    return web.Response(body=json.dumps(body).encode(), headers={"content-type": "application/json", **ANSWERED, **extra})


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """A provider in both dialects."""
    with Scripted(talkative) as running:
        yield running


@pytest.fixture(autouse=True)
def anew(provider: Scripted) -> None:
    """Each test sees its own requests."""
    provider.headers.clear()
    provider.paths.clear()
    provider.bodies.clear()


@pytest.fixture(scope="module")
def config(provider: Scripted) -> dict[str, Any]:
    """Every way, and rules for all models, for some, and for one provider."""
    providers = {
        "o": {
            "dialect": "openai",
            "base_url": f"{provider.url}/v1",
            "key": "sk-provider-o",
            "headers": {
                "request": {"set": {"x-rule": "provider-o", "x-only-o": "1"}, "remove": ["x-caller-unwanted"]},
                "response": {"set": {"x-answered-by": "o"}, "remove": ["x-from-provider"]},
            },
        },
        "a": {"dialect": "anthropic", "base_url": f"{provider.url}/v1", "key": "sk-provider-a"},
        "gone": {"dialect": "openai", "base_url": f"http://127.0.0.1:{free_port()}/v1", "key": "sk-provider-gone"},
    }
    rules = [
        {"request": {"set": {"x-rule": "all", "x-tenant": "us"}, "remove": ["x-removed"]}, "response": {"set": {"x-served": "all"}}},
        {
            "models": ["sev*"],
            "request": {"set": {"x-tenant": "several"}},
            "response": {"set": {"x-served": "several"}, "remove": ["retry-after"]},
        },
    ]
    models = [
        {"name": "same", "targets": ["o/m"]},
        {"name": "translated", "targets": ["a/m"]},
        {"name": "several", "targets": ["gone/m", "o/m"]},
        {"name": "several-translated", "targets": ["gone/m", "a/m"]},
    ]
    filters = [{"meter": {}}, {"auth": {}}, {"route": {}}, {"headers": {"rules": rules}}, {"cache": {}}]
    return {"providers": providers, "models": models, "filters": filters}


def ask(gateway: Gateway, way: str, headers: dict[str, str] | None = None) -> httpx.Response:
    answer = CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Hello", way), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    return answer


@each_way
def test_no_callers_credential_reaches_a_provider(gateway: Gateway, provider: Scripted, way: str) -> None:
    ask(gateway, way, SECRETS)
    (seen,) = provider.headers
    assert "caller-secret" not in str(seen)
    credential = {name: seen[name] for name in ("authorization", "x-api-key") if name in seen}
    expected = {"x-api-key": "sk-provider-a"} if "translated" in way else {"authorization": "Bearer sk-provider-o"}
    assert credential == expected


@each_way
def test_nothing_internal_reaches_a_provider(gateway: Gateway, provider: Scripted, way: str) -> None:
    # It is for the gate, which leaves only targets at that provider.
    told = {} if way.startswith("several") else {"x-headgate-provider": WAYS[way].partition("/")[0]}
    ask(gateway, way, {**INTERNAL, **told})
    (seen,) = provider.headers
    assert "caller-inside" not in str(seen)
    assert "10.1.2.3" not in str(seen)
    assert "127.0.0.1" not in str({**seen, "host": ""})
    assert [name for name in seen if name.startswith(("x-envoy", "x-headgate", "x-forwarded", "traceparent", "via"))] == []


@each_way
def test_harmless_headers_reach_a_provider_of_the_same_dialect(gateway: Gateway, provider: Scripted, way: str) -> None:
    ask(
        gateway,
        way,
        {"openai-beta": "assistants=v2", "x-stainless-lang": "python", "user-agent": "OpenAI/Python", "idempotency-key": "k-1"},
    )
    (seen,) = provider.headers
    assert seen["user-agent"] == "OpenAI/Python"
    kept = {"openai-beta", "x-stainless-lang", "idempotency-key"} & set(seen)
    assert kept == (set() if "translated" in way else {"openai-beta", "x-stainless-lang", "idempotency-key"})


@each_way
def test_nothing_of_the_providers_own_reaches_a_client(gateway: Gateway, way: str) -> None:
    answer = ask(gateway, way)
    assert "provider-s" not in str(answer.headers)
    assert answer.headers["server"] == "headgate"
    for name in ANSWERED.keys() - {"server", "x-request-id"}:
        assert name not in answer.headers, name
    assert answer.headers.get_list("x-request-id") != ["provider-request"]
    assert len(answer.headers.get_list("x-request-id")) == 1
    if "translated" in way:
        assert "x-ratelimit-remaining-requests" not in answer.headers
    else:
        assert answer.headers["x-ratelimit-remaining-requests"] == "59"


def test_nothing_crosses_by_unknown_paths_either(gateway: Gateway, provider: Scripted) -> None:
    answer = CLIENT.get(f"{gateway.url}/v1/unknown", headers={**SECRETS, **INTERNAL, "x-headgate-provider": "o"})
    assert answer.json() == {"raw": True}
    (seen,) = provider.headers
    assert "caller-" not in str(seen)
    assert seen["authorization"] == "Bearer sk-provider-o"
    assert "provider-s" not in str(answer.headers)
    assert answer.headers["x-request-id"] != "provider-request"


@each_way
def test_the_request_id_is_ours(gateway: Gateway, provider: Scripted, way: str) -> None:
    """Two requests with the same id of the client's are two requests, and two entries of the ledger."""
    before = sum(row["requests"] for row in gateway.ledger())
    ids = {ask(gateway, way, {"x-request-id": "the-same", "x-client-request-id": "theirs"}).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert "the-same" not in ids
    # Before `several` comes to this provider, another one is tried, with the same id.
    assert {seen["x-request-id"] for seen in provider.headers} == ids
    assert {seen["x-client-request-id"] for seen in provider.headers} == {"theirs"}
    journal = gateway.state / "journal"
    gateway.until(lambda: all(id in "".join(path.read_text() for path in journal.iterdir()) for id in ids), "both are in the journal")
    gateway.ledger(requests=before + 2)


@each_way
def test_a_client_commands_neither_envoy_nor_us(gateway: Gateway, provider: Scripted, way: str) -> None:
    commands = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-envoy-retry-on": "retriable-status-codes",
        "x-envoy-retriable-status-codes": "200",
        "x-envoy-max-retries": "9",
        "x-envoy-decorator-operation": "x",
        "x-headgate-dialect": "anthropic",
        "x-headgate-target": "gone",
    }
    ask(gateway, way, commands)
    assert len(provider.headers) == 1


@each_way
def test_rules(gateway: Gateway, provider: Scripted, way: str) -> None:
    answer = ask(gateway, way, {"x-removed": "1", "x-caller-unwanted": "1"})
    (seen,) = provider.headers
    several = way.startswith("several")
    translated = "translated" in way
    assert "x-removed" not in seen
    # A provider's own rules come last.
    assert seen["x-rule"] == ("all" if translated else "provider-o")
    assert seen["x-tenant"] == ("several" if several else "us")
    assert ("x-only-o" in seen) is not translated
    assert "x-caller-unwanted" not in seen
    assert answer.headers["x-served"] == ("several" if several else "all")
    assert answer.headers.get("x-answered-by") == (None if translated else "o")
    assert "x-from-provider" not in answer.headers
    assert ("retry-after" in answer.headers) is not several
