"""Streams that fall silent: the gateway ends them in the client's dialect, as official clients read it, and hangs up on the provider."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest

from extproc.dialects import DIALECTS
from extproc.dialects.framing import split
from extproc.dialects.hub import Error, TextDelta
from tests.e2e.books import when
from tests.e2e.clients import anthropic_sdk, cohere_sdk, ollama_sdk, openai_sdk
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Demo

SILENT = "Hello there, my dear old friend [demo: silent=4]"
ASKED: list[Any] = [{"role": "user", "content": SILENT}]
WORDS = "silent for too long"
MODELS = ("one", "other", "two")
"""One target in OpenAI's dialect, one in Anthropic's, and both."""
READ: dict[str, tuple[str, dict[str, Any]]] = {
    "gemini": ("/v1beta/models/{}:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": SILENT}]}]}),
    "bedrock": ("/model/{}/converse-stream", {"messages": [{"role": "user", "content": [{"text": SILENT}]}]}),
}
"""Those whose official clients take long to be imported."""


@pytest.fixture(scope="module")
def config(config: dict[str, Any]) -> dict[str, Any]:
    for provider in config["providers"].values():
        provider["timeouts"] = {"idle": 0.5, "first_byte": 20}
    targets = (["o/m"], ["a/m"], ["o/m", "a/m"])
    return {**config, "models": [{"name": name, "targets": aims} for name, aims in zip(MODELS, targets, strict=True)]}


def by_openai(url: str, model: str) -> str:
    with openai_sdk(url) as client:
        stream = client.chat.completions.create(model=model, messages=ASKED, stream=True)
        assert next(iter(stream)).choices
        with pytest.raises(openai.APIError, match=WORDS):
            list(stream)
    return "openai"


def by_responses(url: str, model: str) -> str:
    with openai_sdk(url) as client:
        stream = client.responses.create(model=model, input=SILENT, stream=True)
        assert next(iter(stream)).type == "response.created"
        with pytest.raises(openai.APIError, match=WORDS):
            list(stream)
    return "responses"


def by_anthropic(url: str, model: str) -> str:
    with anthropic_sdk(url) as client:
        stream = client.messages.create(model=model, max_tokens=50, messages=ASKED, stream=True)
        assert next(iter(stream)).type == "message_start"
        with pytest.raises(anthropic.APIError, match=WORDS):
            list(stream)
    return "anthropic"


def by_ollama(url: str, model: str) -> str:
    with ollama_sdk(url) as client:
        stream = client.chat(model, ASKED, stream=True)
        assert next(stream).message is not None
        with pytest.raises(ollama.ResponseError, match=WORDS):
            list(stream)
    return "ollama"


def by_cohere(url: str, model: str) -> str:
    with cohere_sdk(url) as client:
        *_, last = client.chat_stream(model=model, messages=ASKED)
        assert last.type == "message-end"
        assert last.delta is not None
        assert last.delta.finish_reason == "ERROR"
        assert WORDS in str(last.delta.error)
    return "cohere"


def by_hand(dialect: str) -> Callable[[str, str], str]:
    path, body = READ[dialect]

    def ask(url: str, model: str) -> str:
        spoken = DIALECTS[dialect]
        reader = spoken.stream_reader()
        answer = httpx.post(url + path.format(model), json=body, timeout=20, verify=False)
        events = [spoken.framing.parse(raw) for raw in split(spoken.framing, answer.content)]
        read = [one for event in events if event is not None for one in reader.feed(event)]
        assert any(isinstance(one, TextDelta) for one in read)
        (fault,) = [one.fault for one in read if isinstance(one, Error)]
        assert WORDS in fault.message
        return dialect

    return ask


CLIENTS = (by_openai, by_responses, by_anthropic, by_ollama, by_cohere, by_hand("gemini"), by_hand("bedrock"))


def test_the_last_word(gateway: Gateway, openai_provider: Demo, anthropic_provider: Demo) -> None:
    """Each client, and each way that an answer may take."""
    cases = [(client, model) for model in MODELS for client in CLIENTS]
    with ThreadPoolExecutor(len(cases)) as threads:
        spoken = list(threads.map(lambda case: (case[0](gateway.url, case[1]), case[1]), cases))

    def entries(now: dict[str, Any]) -> list[Any]:
        return list(now.values())

    found = entries(when(gateway, lambda now: len(now) == len(cases), "all of it is in the ledger"))
    assert sorted((one["dialect"], one["route"]) for one in found) == sorted(spoken)
    for one in found:
        assert (one["outcome"], one["error"], one["status"], one["partial"]) == ("provider_broke", "stream_idle_timeout", 200, 1), one
        assert one["output"] > 0, one
        assert (one["route"] == "two") is ("stream_idle_timeout" in one["tried"]), one
    # Envoy has closed what its providers were still to say.
    for provider in (openai_provider, anthropic_provider):
        gateway.until(lambda provider=provider: not provider.open()["open"], "no provider waits for us")  # type: ignore[misc]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(verify=False, timeout=20) as made:
        yield made


def test_the_connection_serves_on(gateway: Gateway, client: httpx.Client) -> None:
    """It was a proper end, so what is asked next on the same connection is answered."""
    asked = {"model": "one", "stream": True, "messages": ASKED}
    with client.stream("POST", f"{gateway.url}/v1/chat/completions", json=asked) as answer:
        stream = answer.extensions["network_stream"]
        assert answer.read().endswith(b"data: [DONE]\n\n")
    with client.stream(
        "POST", f"{gateway.url}/v1/chat/completions", json={**asked, "messages": [{"role": "user", "content": "Hi"}]}
    ) as answer:
        assert answer.extensions["network_stream"] is stream
        assert b"provider_timeout" not in answer.read()


@pytest.mark.parametrize(("model", "who"), [("one", "o/m"), ("two", "o/m")])
def test_who_broke_off_is_logged_where_nobody_has_a_breaker(gateway: Gateway, client: httpx.Client, model: str, who: str) -> None:
    asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello there, my friend [demo: break=2]"}]}
    with client.stream("POST", f"{gateway.url}/v1/chat/completions", json=asked) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
        id = answer.headers["x-request-id"]
    gateway.until(lambda: f"request {id}: the answer of {who} broke off: reset" in gateway.log.read_text(), "the log says it")
