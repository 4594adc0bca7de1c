"""The ledger says what the providers said, to the token, for every way through the gateway, and the truth about what broke off.

The demo provider counts by a rule that does not depend on the dialect; asked directly, without the gateway, it says what each request
costs. Money is compared as exact decimals.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.e2e.books import Entry, collected, entries, entry, when
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.upstream import Demo, Scripted

KEY = "sk-of-alice"
HEADERS = {"authorization": f"Bearer {KEY}"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
DIALECTS = tuple(PATHS)
# Without certificates, which take longer to load than most requests; and a connection for each request, as most clients have.
CLIENT = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0))
MODELS = {"o-only": "o", "a-only": "a", "o-then-a": "o", "a-then-o": "a"}
OTHER = {"o": "a", "a": "o"}
SPOKEN = {"o": "openai", "a": "anthropic"}
PRICES = [
    {"model": "o/*", "input": "0.15", "output": "0.6", "cache_read": "0.075"},
    {"model": "a/*", "input": "3", "output": "15", "cache_read": "0.3"},
]
_numbers = itertools.count(11)


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    """A provider whose bytes the test decides."""
    with Scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def config(openai_provider: Demo, anthropic_provider: Demo, scripted: Scripted) -> dict[str, Any]:
    key = {"name": "alice", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", "tenant": "wonderland"}
    return {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "key": "k"},
            "a": {"dialect": "anthropic", "base_url": f"{anthropic_provider.url}/v1", "key": "k"},
            "s": {"dialect": "openai", "base_url": f"{scripted.url}/v1", "key": "k"},
            "hasty": {"dialect": "openai", "base_url": f"{openai_provider.url}/v1", "timeouts": {"first_byte": 0.5, "idle": 0.5}},
        },
        "models": [
            {"name": "o-only", "targets": ["o/first"]},
            {"name": "a-only", "targets": ["a/first"]},
            {"name": "o-then-a", "targets": ["o/first", "a/second"]},
            {"name": "a-then-o", "targets": ["a/first", "o/second"]},
            {"name": "s-then-o", "targets": ["s/first", "o/second"]},
            {"name": "s-only", "targets": ["s/nobody-knows-this"]},
            {"name": "hasty", "targets": ["hasty/first"]},
        ],
        "prices": PRICES,
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}, {"headers": {}}, {"cache": {}}],
    }


def body(dialect: str, model: str, text: str, **more: Any) -> dict[str, Any]:
    """A conversation that both dialects' clients can have."""
    made = (chat if dialect == "openai" else message)(text, model, **more)
    return made if dialect == "openai" else {**made, "max_tokens": 4096}


def said(directives: str) -> str:
    """A message of a length of its own, so that no two requests cost the same."""
    number = next(_numbers)
    return f"{'word ' * number}[demo: tokens={number * 2} {directives}]"


def asked_directly(provider: Demo, text: str) -> tuple[int, int, int]:
    """Input, cached input and output tokens, as the provider itself reports them."""
    usage = CLIENT.post(f"{provider.url}/v1/chat/completions", json=chat(text)).json()["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"]


def cost(provider: str, input: int, cached: int, output: int) -> Decimal:
    """By the configured prices."""
    price = {name: Decimal(value) for name, value in PRICES[SPOKEN[provider] == "anthropic"].items() if name != "model"}
    return (price["input"] * (input - cached) + price["cache_read"] * cached + price["output"] * output) / 1_000_000


def ask(gateway: Gateway, dialect: str, document: dict[str, Any]) -> tuple[str, int]:
    """Request id and status of a request that is answered to its end, or broken off by somebody else."""
    with CLIENT.stream("POST", gateway.url + PATHS[dialect], json=document, headers=HEADERS, timeout=30) as answer:
        with contextlib.suppress(httpx.RemoteProtocolError):
            answer.read()
        return answer.headers["x-request-id"], answer.status_code


def total(gateway: Gateway, name: str, *labels: str) -> float:
    """Sum of a metric's series that have these labels."""
    found = gateway.metrics().items()
    return sum(value for series, value in found if series.partition("{")[0] == name and all(label in series for label in labels))


def check(found: Entry, provider: str, expected: tuple[int, int, int]) -> None:
    """The entry has these tokens, and their exact price."""
    assert (found["provider"], found["input"], found["cache_read"], found["output"]) == (provider, *expected)
    assert Decimal(found["cost"]) == cost(provider, *expected)
    assert (found["outcome"], found["status"], found["partial"], found["estimated"]) == ("complete", 200, 0, 0)
    assert (found["key"], found["tenant"], found["witness"]) == ("alice", "wonderland", "worker")


def test_every_way_through_is_counted_to_the_token(gateway: Gateway, openai_provider: Demo) -> None:
    def one(way: tuple[str, str, dict[str, Any], bool]) -> tuple[str, str, tuple[int, int, int], int, bool]:
        dialect, model, options, falls_over = way
        provider = MODELS[model]
        text = said(f"cached={next(_numbers) // 3}")
        expected = asked_directly(openai_provider, text)
        if falls_over:
            text += f"[demo@{SPOKEN[provider]}: status=503]"
            # The directive itself is a part of the message, and is counted.
            expected = asked_directly(openai_provider, text.replace("status=503", "stop=503").replace("@openai", "@anthropic"))
            provider = OTHER[provider]
        id, status = ask(gateway, dialect, body(dialect, model, text, **options))
        assert status == 200
        return id, provider, expected, 1 + falls_over, bool(options.get("stream"))

    usage = {"stream": True, "stream_options": {"include_usage": True}}
    ways: list[tuple[str, str, dict[str, Any], bool]] = []
    for dialect, model in itertools.product(DIALECTS, MODELS):
        forms: list[dict[str, Any]] = [{}, {"stream": True}, *([usage] if dialect == "openai" else [])]
        ways += [(dialect, model, form, falls) for form in forms for falls in ((False, True) if "then" in model else (False,))]
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(one, ways))
    assert len(asked) == len(ways) == 30
    found = collected(gateway, [id for id, *_ in asked])
    for id, provider, expected, attempts, stream in asked:
        check(found[id], provider, expected)
        assert (found[id]["attempts"], bool(found[id]["stream"])) == (attempts, stream)
        assert found[id]["target"] == ("first", "second")[attempts - 1]


@pytest.mark.parametrize("model", ["o-only", "a-only", "o-then-a", "a-then-o"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_that_hangs_up_ends_the_provider_s_work_and_is_billed_for_what_was_seen(
    gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo, dialect: str, model: str
) -> None:
    provider = {"o": openai_provider, "a": anthropic_provider}[MODELS[model]]
    document = body(dialect, model, "Tell me. [demo: tokens=2000 gap=0.02]", stream=True)
    before = total(gateway, "ai_proxy_requests_total", 'outcome="client_closed"')
    began = time.time()
    with CLIENT.stream("POST", gateway.url + PATHS[dialect], json=document, headers=HEADERS) as answer:
        seen = 0
        for line in answer.iter_lines():
            seen += "word" in line
            if seen == 12:
                break
    gateway.until(lambda: provider.open()["hung_up"], "the provider was told")
    lasted = provider.open()["hung_up"][0]["client_gone"] - began
    # It is counted only when Envoy's log has had its say, too.
    gateway.until(lambda: total(gateway, "ai_proxy_requests_total", 'outcome="client_closed"') == before + 1, "it is in the metrics")
    found = entry(gateway, answer.headers["x-request-id"])
    assert (found["outcome"], found["partial"], found["estimated"], found["status"]) == ("client_closed", 1, 1, 200)
    assert (found["provider"], found["attempts"], found["witness"]) == (MODELS[model], 1, "worker")
    # Twelve times ` wordN`, at four bytes a token, and what came until the provider was told.
    assert 17 <= found["output"] <= 2 * (lasted / 0.02 + 2)
    assert Decimal(found["cost"]) == cost(MODELS[model], found["input"], 0, found["output"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_that_hangs_up_before_the_answer(gateway: Gateway, openai_provider: Demo, dialect: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        CLIENT.post(gateway.url + PATHS[dialect], json=body(dialect, "o-only", "Hm? [demo: delay=20]"), headers=HEADERS, timeout=2)
    gateway.until(lambda: openai_provider.open()["hung_up"], "the provider was told")
    (asked,) = openai_provider.requests()
    id = dict(asked["headers"])["x-request-id"]
    found = entry(gateway, id)
    assert (found["outcome"], found["partial"], found["status"], found["provider"]) == ("client_closed", 1, 0, "o")
    assert found["output"] == 0


def settled(gateway: Gateway, id: str) -> Entry:
    """The entry, once Envoy's log has had its say, too."""
    return when(gateway, lambda now: id in now and now[id]["outcome"] != "client_closed", "Envoy's word is in the ledger")[id]


def test_a_provider_that_breaks_off_in_its_stream(gateway: Gateway) -> None:
    def one(way: tuple[str, str, str]) -> Entry:
        dialect, model, how = way
        id, status = ask(gateway, dialect, body(dialect, model, f"Go on. [demo: tokens=100 gap=0.02 {how}]", stream=True))
        assert status == 200
        return settled(gateway, id)

    ways = list(itertools.product(DIALECTS, MODELS, ("break=8", "close=8")))
    with ThreadPoolExecutor(8) as pool:
        for found, way in zip(pool.map(one, ways), ways, strict=True):
            assert (found["outcome"], found["partial"], found["estimated"], found["witness"]) == ("provider_broke", 1, 1, "worker"), way
            # Events before the first word: one of OpenAI's, three of Anthropic's; each word has five letters or six.
            assert 6 <= found["output"] <= 11, way
            assert (found["provider"], found["attempts"]) == (MODELS[way[1]], 1), way


@pytest.mark.parametrize("model", ["s-only", "s-then-o"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_client_that_hangs_up_on_an_error_has_nothing_to_do_with_it(
    gateway: Gateway, scripted: Scripted, dialect: str, model: str
) -> None:
    async def die(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        choice = {"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}
        events = (
            {"id": "c", "object": "chat.completion.chunk", "choices": [choice]},
            {"error": {"message": "died", "type": "server_error"}},
        )
        for event in events:
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        # It would go on, as official SDKs do not.
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.05)
                await response.write(b": waiting\n\n")
        return response

    scripted.handler = die
    document = body(dialect, model, "Go on.", stream=True)
    with CLIENT.stream("POST", gateway.url + PATHS[dialect], json=document, headers=HEADERS) as answer:
        assert any("died" in line for line in answer.iter_lines())
    found = entry(gateway, answer.headers["x-request-id"])
    assert (found["outcome"], found["partial"], found["status"], found["provider"]) == ("provider_broke", 1, 200, "s")
    assert found["error"]


def test_a_provider_that_breaks_off_in_a_whole_body(gateway: Gateway) -> None:
    def one(way: tuple[str, str, str]) -> tuple[int, str, Entry]:
        dialect, model, how = way
        id, status, text = "", 0, ""
        document = body(dialect, model, f"Go on. [demo: {how}]")
        with (
            contextlib.suppress(httpx.RemoteProtocolError),
            CLIENT.stream("POST", gateway.url + PATHS[dialect], json=document, headers=HEADERS) as answer,
        ):
            id, status = answer.headers["x-request-id"], answer.status_code
            text = answer.read().decode()
        return status, text, settled(gateway, id)

    ways = list(itertools.product(DIALECTS, ("o-only", "a-only"), ("break", "close")))
    with ThreadPoolExecutor(8) as pool:
        for (status, text, found), way in zip(pool.map(one, ways), ways, strict=True):
            # The client sees a failure: an error in its dialect, or a body that is none.
            assert status in (500, 502) or not text.endswith("}"), way
            assert (found["outcome"], found["partial"], found["attempts"], found["output"]) == ("provider_broke", 1, 1, 0), way


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_breaks_off_is_asked_for_elsewhere(gateway: Gateway, openai_provider: Demo, dialect: str) -> None:
    text = said("")
    expected = asked_directly(openai_provider, f"{text}[demo@anthropic: break]")
    id, status = ask(gateway, dialect, body(dialect, "a-then-o", f"{text}[demo@anthropic: break]"))
    assert status == 200
    found = entry(gateway, id)
    check(found, "o", expected)
    assert found["attempts"] == 2


def test_usage_of_a_failed_attempt_is_not_the_answer_s(gateway: Gateway, openai_provider: Demo, scripted: Scripted) -> None:
    usage = {"prompt_tokens": 777_777, "completion_tokens": 888_888, "total_tokens": 1_666_665}
    for number, status in enumerate((503, 429, 200)):

        async def fail(_: web.Request, status: int = status) -> web.Response:
            return web.json_response({"usage": usage, "error": {"message": "no"}, "choices": 5}, status=status)

        scripted.handler = fail
        text = said("")
        expected = asked_directly(openai_provider, text)
        # An answer that is none counts as a failure only where it has to be read: for Anthropic's clients.
        dialect = "anthropic" if status == 200 else DIALECTS[number % 2]
        id, told = ask(gateway, dialect, body(dialect, "s-then-o", text))
        assert told == 200
        found = entry(gateway, id)
        check(found, "o", expected)
        assert found["attempts"] == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_that_nobody_answers_is_an_error_without_tokens(gateway: Gateway, dialect: str, stream: bool) -> None:
    id, status = ask(gateway, dialect, body(dialect, "o-then-a", "Anybody? [demo: status=503]", stream=stream))
    assert status == 503
    found = entry(gateway, id)
    assert (found["outcome"], found["attempts"], found["status"], found["partial"]) == ("error", 2, 503, 0)
    assert (found["input"], found["output"], found["cost"]) == (0, 0, "0")


def test_an_unknown_price_is_not_free(gateway: Gateway, scripted: Scripted) -> None:
    async def answer(_: web.Request) -> web.Response:
        told = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        return web.json_response({"id": "c", "object": "chat.completion", "model": "nobody-knows-this", "choices": [choice], "usage": told})

    scripted.handler = answer
    id, _ = ask(gateway, "openai", body("openai", "s-only", "What does this cost?"))
    found = entry(gateway, id)
    assert (found["input"], found["output"], found["cost"], found["priced"]) == (1000, 100, None, 0)
    (row,) = [row for row in gateway.ledger("provider") if row["provider"] == "s"]
    assert (row["unpriced"], row["cost"]) == (row["requests"], "0")
    assert "+?" in gateway.run("usage", str(gateway.path), "--by", "provider").stdout


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["o-only", "a-then-o"])
def test_a_provider_that_never_counts_is_estimated(gateway: Gateway, model: str, stream: bool) -> None:
    id, status = ask(gateway, "openai", body("openai", model, "Count? [demo: no-usage tokens=50]", stream=stream))
    assert status == 200
    found = entry(gateway, id)
    assert (found["estimated"], found["partial"], found["outcome"]) == (1, 0, "complete")
    assert found["input"] > 0
    assert found["output"] >= (50 if stream else 0)


def test_counting_tokens_is_not_billed(gateway: Gateway, anthropic_provider: Demo) -> None:
    document = {name: value for name, value in message("How many?", "a-only").items() if name != "max_tokens"}
    answer = CLIENT.post(f"{gateway.url}/v1/messages/count_tokens", json=document, headers={**HEADERS, "anthropic-version": "2023-06-01"})
    assert answer.json()["input_tokens"] > 0
    found = entry(gateway, answer.headers["x-request-id"])
    assert (found["input"], found["output"], found["cost"] or "0", found["outcome"]) == (0, 0, "0", "complete")


def test_a_silent_provider_is_said_to_have_broken_off(gateway: Gateway) -> None:
    id, _ = ask(gateway, "openai", chat("Then? [demo: tokens=50 silent=9]", "hasty", stream=True))
    found = settled(gateway, id)
    assert (found["outcome"], found["partial"], found["estimated"]) == ("provider_broke", 1, 1)
    assert found["output"] >= 8


def small(provider: Demo) -> dict[str, Any]:
    """A gateway with a key and a price."""
    key = {"name": "alice", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    return {
        "providers": {"o": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "k"}},
        "models": [{"name": "demo", "targets": ["o/demo"]}],
        "prices": PRICES[:1],
        "filters": [{"meter": {}}, {"auth": {"keys": [key]}}, {"route": {}}, {"cache": {}}],
    }


def test_metrics_and_reports_agree_and_survive_a_restart(tmp_path_factory: pytest.TempPathFactory, openai_provider: Demo) -> None:
    path: Path = folder(tmp_path_factory)
    text = "Hello [demo: tokens=40 cached=2]"
    given, cached, made = asked_directly(openai_provider, text)
    each = cost("o", given, cached, made)
    gateway = Gateway(path, small(openai_provider))
    with gateway:
        for stream in (False, True):
            assert ask(gateway, "openai", chat(text, stream=stream))[1] == 200
        for _ in range(3):
            assert ask(gateway, "openai", chat(text, temperature=0))[1] == 200
        assert ask(gateway, "openai", chat("No [demo: status=500]"))[1] == 500
        assert ask(gateway, "openai", chat("Who?", "nobody"))[1] == 404
        assert CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Me!")).status_code == 401
        assert CLIENT.post(f"{gateway.url}/v1/chat/completions", json=chat("Me!"), headers={"x-api-key": "wrong"}).status_code == 401
        when(gateway, lambda found: len(found) == 6, "all that reached somebody is in the ledger")
        gateway.until(lambda: total(gateway, "ai_proxy_requests_total") == 9, "all of them are in the metrics")
        assert total(gateway, "ai_proxy_requests_total", 'outcome="rejected"', 'status="401"') == 2
        assert total(gateway, "ai_proxy_requests_total", 'outcome="rejected"', 'status="404"') == 1
        assert total(gateway, "ai_proxy_requests_total", 'outcome="error"', 'status="500"', 'provider="o"', 'model="demo"') == 1
        assert total(gateway, "ai_proxy_requests_total", 'outcome="complete"', 'cache="hit"') == 2
        assert total(gateway, "ai_proxy_cache_hits_total") == 2
        assert total(gateway, "ai_proxy_request_duration_seconds_count") == 9
        assert 0 < total(gateway, "ai_proxy_request_duration_seconds_sum") < 60
        assert total(gateway, "ai_proxy_tokens_used_total", 'type="input"', 'provider="o"', 'model="demo"') == 3 * given
        assert total(gateway, "ai_proxy_tokens_used_total", 'type="output"') == 3 * made
        assert total(gateway, "ai_proxy_tokens_used_total", 'type="cache_read"') == 3 * cached
        assert total(gateway, "ai_proxy_cost_total") == pytest.approx(float(3 * each))
        assert 'ai_proxy_provider_full{provider="o"}' in gateway.metrics()
        running = gateway.ledger("key,model,provider", requests=6)
    assert gateway.ledger("key,model,provider") == running
    (row,) = running
    assert (row["key"], row["requests"], row["errors"], row["cache_hits"], row["unpriced"]) == ("alice", 6, 1, 2, 0)
    assert (row["input"], row["cache_read"], row["output"], Decimal(row["cost"])) == (3 * given, 3 * cached, 3 * made, 3 * each)
    assert (row["saved_input"], row["saved_output"]) == (2 * given, 2 * made)
    before = entries(gateway)
    with gateway:
        id, _ = ask(gateway, "openai", chat(text))
        after = collected(gateway, [id])
    assert {name: value for name, value in after.items() if name != id} == before


def test_what_is_under_way_when_the_gateway_stops_is_in_the_ledger(tmp_path_factory: pytest.TempPathFactory, openai_provider: Demo) -> None:
    gateway = Gateway(folder(tmp_path_factory), small(openai_provider))
    document = chat("Slowly [demo: tokens=500 gap=0.02]", stream=True)
    with gateway, CLIENT.stream("POST", gateway.url + PATHS["openai"], json=document, headers=HEADERS) as answer:
        for _ in zip(range(20), answer.iter_lines(), strict=False):
            pass
        gateway.stop()
    gateway.ledger(requests=1)
    found = entries(gateway)[answer.headers["x-request-id"]]
    assert (found["partial"], found["estimated"]) == (1, 1)
    assert found["output"] >= 9


def test_a_request_that_never_ends_is_nobody_s(gateway: Gateway, openai_provider: Demo) -> None:
    before = len(entries(gateway))
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"
            b"authorization: Bearer " + KEY.encode() + b'\r\n\r\n{"model": '
        )
    id, _ = ask(gateway, "openai", body("openai", "o-only", "After that."))
    assert entry(gateway, id)["outcome"] == "complete"
    assert len(openai_provider.requests()) == 1
    assert len(entries(gateway)) == before + 1
