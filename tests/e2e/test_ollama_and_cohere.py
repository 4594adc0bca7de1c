"""Clients and providers of Ollama and Cohere, through a real gateway: untouched among themselves, translated to and from the others."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest
from aiohttp import web
from cohere.core.api_error import ApiError

from tests.dialects.traffic import ANSWERS, STREAMS, Exchange
from tests.e2e.books import entry
from tests.e2e.clients import anthropic_sdk, cohere_sdk, ollama_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.replay import play, play_cut
from tests.e2e.upstream import Demo, Scripted

NDJSON = {"content-type": "application/x-ndjson"}
ASK: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Scripted]]:
    with Scripted() as local, Scripted() as command:
        yield {"ollama": local, "cohere": command}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Scripted]) -> Iterator[Gateway]:
    with Demo() as demo:
        config = {
            "providers": {
                "o": {"dialect": "openai", "base_url": f"{demo.url}/v1", "key": "sk-o"},
                "a": {"dialect": "anthropic", "base_url": demo.url, "key": "sk-a"},
                "local": {"dialect": "ollama", "base_url": providers["ollama"].url},
                "command": {"dialect": "cohere", "base_url": providers["cohere"].url, "key": "co-key"},
            },
            "models": [
                {"name": "gpt", "targets": ["o/gpt"]},
                {"name": "claude", "targets": ["a/claude"]},
                {"name": "llama", "targets": ["local/llama3.2"]},
                {"name": "command", "targets": ["command/command-a"]},
                {"name": "several", "targets": ["local/llama3.2", "o/gpt"]},
            ],
            "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
        }
        with Gateway(folder(tmp_path_factory), config) as running:
            yield running


def some(exchanges: list[Exchange], dialect: str) -> Exchange:
    """One with words and no calls."""
    return next(e for e in exchanges if e.dialect == dialect and not e.request.get("tools"))


# Ollama's clients.


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_ollamas_client_reaches_other_providers(gateway: Gateway, model: str) -> None:
    with ollama_sdk(gateway.url) as client:
        whole = client.chat(model, ASK)
        assert whole.message.content and whole.done_reason == "stop" and whole.eval_count
        pieces = list(client.chat(model, ASK, stream=True))
        assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
        assert pieces[-1].done and pieces[-1].eval_count == whole.eval_count
        written = client.generate(model, "Hello")
        assert written.response == whole.message.content and written.eval_count
        pieces_of_it = list(client.generate(model, "Hello", stream=True))
        assert "".join(piece.response or "" for piece in pieces_of_it) == whole.message.content
        assert pieces_of_it[-1].done


@pytest.mark.parametrize(("path", "body"), [("/api/chat", {"messages": ASK}), ("/api/generate", {"prompt": "Hello"})])
def test_a_stream_is_what_there_is_without_a_word(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{gateway.url}{path}", json={"model": "gpt", **body}, verify=False)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    booked = entry(gateway, answer.headers["x-request-id"])
    assert (booked["stream"], booked["outcome"], booked["dialect"]) == (1, "complete", "ollama")
    assert booked["output"] == lines[-1]["eval_count"] > 0


def test_ollamas_client_sees_the_models(gateway: Gateway) -> None:
    with ollama_sdk(gateway.url) as client:
        assert [model.model for model in client.list().models] == ["gpt", "claude", "llama", "command", "several"]
        assert client.show("gpt").capabilities
        with pytest.raises(ollama.ResponseError) as missing:
            client.show("gppt")
        assert missing.value.status_code == 404 and "'gpt'" in missing.value.error
        assert "version" in httpx.get(f"{gateway.url}/api/version", verify=False).json()


def test_ollamas_client_and_ollama_are_left_alone(gateway: Gateway, providers: dict[str, Scripted]) -> None:
    exchange = some(STREAMS, "ollama")
    providers["ollama"].handler = play_cut(exchange.text.encode(), [10, 50, 51], NDJSON)
    body = {"model": "llama", "messages": ASK, "keep_alive": "5m"}
    answer = httpx.post(f"{gateway.url}/api/chat", json=body, verify=False)
    assert answer.text == exchange.text
    assert json.loads(providers["ollama"].bodies[-1]) == {**body, "model": "llama3.2"}
    assert providers["ollama"].paths[-1] == "/api/chat"
    booked = entry(gateway, answer.headers["x-request-id"])
    last = json.loads(exchange.text.splitlines()[-1])
    assert (booked["input"], booked["output"], booked["outcome"]) == (last["prompt_eval_count"], last["eval_count"], "complete")


def test_the_second_target_answers_ollamas_client(gateway: Gateway, providers: dict[str, Scripted]) -> None:
    async def busy(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "server busy, please try again"}, status=503)

    providers["ollama"].handler = busy
    with ollama_sdk(gateway.url) as client:
        pieces = list(client.generate("several", "Hello", stream=True))
    assert providers["ollama"].paths[-1] == "/api/generate"
    assert "".join(piece.response or "" for piece in pieces) and pieces[-1].done


# Cohere's clients.


@pytest.mark.parametrize("model", ["gpt", "claude"])
def test_coheres_client_reaches_other_providers(gateway: Gateway, model: str) -> None:
    with cohere_sdk(gateway.url) as client:
        whole = client.chat(model=model, messages=ASK)
        assert whole.finish_reason == "COMPLETE" and whole.message.content
        (text,) = whole.message.content
        events = list(client.chat_stream(model=model, messages=ASK))
        words = [event.delta.message.content.text for event in events if event.type == "content-delta"]  # type: ignore[union-attr]
        assert text.type == "text" and "".join(word or "" for word in words) == text.text
        assert events[0].type == "message-start" and events[-1].type == "message-end"


def test_coheres_client_sees_the_models(gateway: Gateway) -> None:
    with cohere_sdk(gateway.url) as client:
        assert [model.name for model in client.models.list().models] == ["gpt", "claude", "llama", "command", "several"]
        assert client.models.get("gpt").name == "gpt"
        with pytest.raises(ApiError) as missing:
            client.chat(model="gppt", messages=ASK)
        assert missing.value.status_code == 404 and "'gpt'" in missing.value.body["message"]


def test_coheres_client_and_cohere_are_left_alone(gateway: Gateway, providers: dict[str, Scripted]) -> None:
    exchange = some(ANSWERS, "cohere")
    providers["cohere"].handler = play(exchange)
    answer = httpx.post(f"{gateway.url}/v2/chat", json={"model": "command", "messages": ASK}, verify=False)
    assert answer.json() == exchange.answer
    assert providers["cohere"].paths[-1] == "/v2/chat"
    assert providers["cohere"].headers[-1]["authorization"] == "Bearer co-key"
    booked = entry(gateway, answer.headers["x-request-id"])
    assert (booked["input"], booked["output"]) == tuple(exchange.answer["usage"]["billed_units"].values())


# Their providers, and the clients of others.


@pytest.mark.parametrize(("dialect", "model"), [("ollama", "llama"), ("cohere", "command")])
def test_their_answers_reach_others(gateway: Gateway, providers: dict[str, Scripted], dialect: str, model: str) -> None:
    exchange = some(ANSWERS, dialect)
    providers[dialect].handler = play(exchange)
    content = exchange.answer["message"]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    with openai_sdk(gateway.url) as one, anthropic_sdk(gateway.url) as two:
        completion = one.chat.completions.create(model=model, messages=ASK)
        assert completion.choices[0].message.content == text
        assert completion.model == exchange.answer.get("model", "command-a")
        (block,) = two.messages.create(model=model, messages=ASK, max_tokens=9).content
        assert block.type == "text" and block.text == text
    assert json.loads(providers[dialect].bodies[-1])["messages"] == ASK


@pytest.mark.parametrize(("dialect", "model"), [("ollama", "llama"), ("cohere", "command")])
def test_their_streams_reach_others(gateway: Gateway, providers: dict[str, Scripted], dialect: str, model: str) -> None:
    for exchange in [e for e in STREAMS if e.dialect == dialect]:
        stream = exchange.text.encode()
        providers[dialect].handler = play_cut(stream, list(range(0, len(stream), 97)), NDJSON if dialect == "ollama" else None)
        with openai_sdk(gateway.url) as client:
            chunks = list(client.chat.completions.create(model=model, messages=ASK, stream=True))
        assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] in ("stop", "length", "tool_calls")
        assert json.loads(providers[dialect].bodies[-1])["stream"] is True
