"""Streams of HTTP/2 providers that trailers end before all is said: the client gets what is left to say, whoever makes the attempts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from h2.connection import H2Connection

from tests.e2e.books import when
from tests.e2e.gateway import Gateway, chat, message
from tests.e2e.spoken_h2 import Provider, Said, ask

OPENAI = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
}
CLIENTS = {"/v1/chat/completions": (chat, "data: [DONE]"), "/v1/messages": (message, "message_stop")}
"""How each asks, and what the end of a whole stream is to it."""
MODELS = [f"{provider}-{many}" for provider in ("o", "g") for many in (1, 2)]
JSON = {"content-type": "application/json"}


def answer(connection: H2Connection, stream: int, asked: Said) -> None:
    event = GEMINI if "streamGenerateContent" in asked.headers[":path"] else OPENAI
    connection.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
    connection.send_data(stream, b"data: " + json.dumps(event).encode() + b"\n\n")
    connection.send_headers(stream, [("x-took", "1")], end_stream=True)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("tls"), answer) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    providers: dict[str, Any] = {
        "o": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "k"},
        "g": {"dialect": "gemini", "base_url": f"{provider.url}/v1beta", "key": "k"},
    }
    models = [{"name": name, "targets": [f"{name[0]}/m", f"{name[0]}/n"][: int(name[-1])]} for name in MODELS]
    with Gateway(
        tmp_path_factory.mktemp("gateway"), {"providers": providers, "models": models}, {"SSL_CERT_FILE": str(provider.trusted)}
    ) as running:
        yield running


def test_it_ends_with_what_is_left_to_say(gateway: Gateway) -> None:
    """An error, of one that breaks off; of Gemini's, which have no last event, what says the end in another dialect."""
    for model in MODELS:
        for path, (asks, last) in CLIENTS.items():
            told = ask(gateway.port, path, json.dumps(asks("Hello", model, stream=True)).encode(), JSON, {})
            assert (told.headers[":status"], told.cut) == ("200", False)
            text = told.body.decode()
            assert "Hel" in text
            if model.startswith("o"):
                assert '"error"' in text, (model, path, text)
            else:
                assert '"error"' not in text, (model, path, text)
                assert last in text, (model, path, text)
    found = when(gateway, lambda now: len(now) == 2 * len(MODELS), "all of it is in the ledger").values()
    outcomes = {(one["route"], one["outcome"]) for one in found}
    assert outcomes == {(model, "provider_broke" if model.startswith("o") else "complete") for model in MODELS}
    assert all(one["output"] > 0 for one in found)
