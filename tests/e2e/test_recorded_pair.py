"""What else OpenAI and Anthropic were recorded to say: errors, and usage that nobody asked for."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from extproc.usage import Usage
from tests.dialects.traffic import STREAMS, TRANSLATED, Exchange, data
from tests.e2e.books import collected
from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.recorded import RECORDINGS
from tests.e2e.replay import cuts, play, play_cut
from tests.e2e.said import openai as said
from tests.e2e.upstream import Scripted

ONE = {"openai": "to-o", "anthropic": "to-a"}
SEVERAL = {"openai": "o-then-a", "anthropic": "a-then-o"}
KINDS = {400: "invalid_request_error", 429: "rate_limit_error"}
QUESTION: Any = [{"role": "user", "content": "Hi"}]
TOLD = {recording.name: recording.said for recording in RECORDINGS}


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, Scripted]]:
    """A provider of each dialect, to be told what to say."""
    with Scripted() as o, Scripted() as a:
        yield {"openai": o, "anthropic": a}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Scripted]) -> Iterator[Gateway]:
    """A gateway without a cache: every recording is to come from its provider."""
    config = {
        "providers": {
            "o": {"dialect": "openai", "base_url": f"{providers['openai'].url}/v1", "key": "sk-o"},
            "a": {"dialect": "anthropic", "base_url": f"{providers['anthropic'].url}/v1", "key": "sk-a"},
        },
        "models": [
            {"name": "to-o", "targets": ["o/some-gpt"]},
            {"name": "to-a", "targets": ["a/some-claude"]},
            {"name": "o-then-a", "targets": ["o/some-gpt", "a/some-claude"]},
            {"name": "a-then-o", "targets": ["a/some-claude", "o/some-gpt"]},
        ],
        "filters": [{"meter": {}}, {"auth": {}}, {"route": {}}],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


def ask(gateway: Gateway, client: str, exchange: Exchange, model: str, *, stream: bool) -> None:
    """Asks with an SDK: what was asked when it was recorded, if the client speaks that dialect."""
    options: dict[str, Any] = {"messages": QUESTION, "max_tokens": 4096}
    if exchange.dialect == client:
        rest = {name: value for name, value in exchange.request.items() if name not in ("model", "messages", "stream", "max_tokens")}
        options = {name: exchange.request[name] for name in ("messages", "max_tokens") if name in exchange.request} | {"extra_body": rest}
    if client == "openai":
        with openai_sdk(gateway.url) as sdk:
            sdk.chat.completions.create(model=model, stream=stream, **options)
    else:
        with anthropic_sdk(gateway.url, timeout=20) as other:
            other.messages.create(model=model, stream=stream, **options)


@pytest.mark.parametrize("models", [ONE, SEVERAL], ids=["one-target", "several-targets"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", ONE)
def test_errors(gateway: Gateway, providers: dict[str, Scripted], client: str, stream: bool, models: dict[str, str]) -> None:
    # Who says that there is too much to do is not the last to be asked, where there is a second target.
    statuses = (400, 429) if models == ONE else (400,)
    errors = [exchange for exchange in TRANSLATED if exchange.status in statuses and exchange.dialect in ONE]
    assert errors
    for exchange in errors:
        providers[exchange.dialect].handler = play(exchange)
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
            ask(gateway, client, exchange, models[exchange.dialect], stream=stream)
        error: Any = caught.value
        told = error.body
        assert error.status_code == exchange.status
        assert exchange.answer["error"]["message"] in str(error)
        if client == exchange.dialect:
            assert told == exchange.answer["error"]
        elif client == "anthropic":
            assert told["type"] == "error"
            assert told["error"] == {"type": KINDS[exchange.status], "message": exchange.answer["error"]["message"]}
        else:
            assert told["type"] == KINDS[exchange.status]


@pytest.mark.parametrize("models", [ONE, SEVERAL], ids=["one-target", "several-targets"])
@pytest.mark.parametrize("provider", ONE)
def test_who_did_not_ask_for_usage_sees_none(
    gateway: Gateway, providers: dict[str, Scripted], provider: str, models: dict[str, str]
) -> None:
    due = {}
    for exchange in [exchange for exchange in STREAMS if exchange.dialect == provider]:
        stream = exchange.text.encode()
        providers[provider].handler = play_cut(stream, cuts(stream, 4))
        request = {"model": models[provider], "stream": True, "messages": QUESTION}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=request, verify=False)
        chunks = data(answer.content)
        # Some providers tell it beside the last words, which pass as they are.
        assert not any(chunk.get("usage") for chunk in chunks if provider != "openai" or not chunk["choices"]), exchange.name
        assert answer.content.endswith(b"data: [DONE]\n\n"), exchange.name
        assert said.streamed(chunks).text == TOLD[exchange.name].text, exchange.name
        due[answer.headers["x-request-id"]] = exchange.name
    books = collected(gateway, due)
    for id, name in due.items():
        assert (name, Usage(*(books[id][kind] for kind in Usage.__struct_fields__))) == (name, TOLD[name].usage)
