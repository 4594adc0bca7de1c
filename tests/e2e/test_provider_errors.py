"""Providers' errors through a real Envoy: each SDK raises its own class for what it means, and nobody hangs."""

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import cohere
import httpx
import ollama
import openai
import pytest
from aiohttp import web
from google import genai
from google.genai import errors, types

from tests.e2e.clients import anthropic_sdk, cohere_sdk, ollama_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted

HI: Any = [{"role": "user", "content": "Hi"}]
_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.4s"}


def _google(code: int, status: str, message: str, *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


SAID: dict[str, tuple[int, Any]] = {
    "key": (400, _google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", _KEY)),
    "limit": (429, _google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", _RETRY)),
    "long": (400, _google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).")),
    "gone": (404, _google(404, "NOT_FOUND", "models/x is not found for API version v1beta.")),
    "busy": (503, _google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    "quota": (429, {"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}}),
    "huge": (400, {"error": {"message": "x" * (2 << 20)}}),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """Says what the model's name asks for: of a known length, or in pieces."""

    async def fail(request: web.Request) -> web.StreamResponse:
        said = await request.json()
        named = request.path.partition("/models/")[2].partition(":")[0] or said["model"]
        name, _, form = named.partition("-")
        status, body = SAID[name]
        raw = json.dumps(body).encode()
        if form != "pieces":
            return web.Response(status=status, body=raw, content_type="application/json")
        response = web.StreamResponse(status=status, headers={"content-type": "application/json"})
        await response.prepare(request)
        for begin in range(0, len(raw), max(60, len(raw) // 16)):
            await response.write(raw[begin : begin + max(60, len(raw) // 16)])
        await response.write_eof()
        return response

    with Scripted(fail) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted) -> Iterator[Gateway]:
    config = {
        "providers": {
            "g": {"dialect": "gemini", "base_url": f"{provider.url}/v1beta", "key": "AIza-g"},
            "o": {"dialect": "openai", "base_url": f"{provider.url}/v1", "key": "sk-o"},
            "demo": {"dialect": "openai", "base_url": "demo:"},
        },
        "models": [
            {"name": "both-*", "targets": ["g/key-pieces", "demo/demo"]},
            {"name": "last-*", "targets": ["demo/demo", "g/limit-pieces"]},
            {"name": "quota*", "targets": ["o"]},
            {"name": "*", "targets": ["g"]},
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


@pytest.fixture
def google(gateway: Gateway) -> genai.Client:
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=gateway.url))


@pytest.mark.parametrize("form", ["whole", "pieces"])
@pytest.mark.parametrize(
    ("name", "status", "of_openai", "of_anthropic"),
    [
        ("key", 502, openai.InternalServerError, anthropic.InternalServerError),
        ("limit", 429, openai.RateLimitError, anthropic.RateLimitError),
        ("long", 400, openai.BadRequestError, anthropic.BadRequestError),
        ("gone", 404, openai.NotFoundError, anthropic.NotFoundError),
        ("busy", 503, openai.InternalServerError, anthropic.InternalServerError),
        ("quota", 402, openai.APIStatusError, anthropic.APIStatusError),
    ],
)
def test_each_sdk_raises_its_own(
    gateway: Gateway, google: genai.Client, name: str, form: str, status: int, of_openai: Any, of_anthropic: Any
) -> None:
    model = f"{name}-{form}"
    for stream in (False, True):
        with openai_sdk(gateway.url) as sdk, pytest.raises(of_openai) as told:
            sdk.chat.completions.create(model=model, messages=HI, stream=stream)
        # OpenAI's own client knows 429 for it, and that there is no use in trying again.
        assert told.value.status_code == (429 if name == "quota" else status)
        assert told.value.response.headers.get("retry-after") == ("27" if name == "limit" else None)
        if name == "key":
            assert told.value.code == "provider_authentication"
        if name == "quota":
            assert told.value.response.headers["x-should-retry"] == "false"
        with anthropic_sdk(gateway.url) as other, pytest.raises(of_anthropic) as heard:
            other.messages.create(model=model, messages=HI, max_tokens=9, stream=stream)
        assert heard.value.status_code == status
    with pytest.raises(errors.APIError) as failed:
        google.models.generate_content(model=model, contents="Hi")
    assert failed.value.code == status
    assert ("26.4s" in str(failed.value.details)) == (name == "limit")
    with ollama_sdk(gateway.url) as local, pytest.raises(ollama.ResponseError) as response:
        local.chat(model=model, messages=HI)
    assert response.value.status_code == status
    with cohere_sdk(gateway.url) as coral, pytest.raises(cohere.core.ApiError) as refused:
        coral.chat(model=model, messages=HI)
    assert refused.value.status_code == status
    assert isinstance(refused.value, cohere.TooManyRequestsError) == (status == 429)


def test_several_targets(gateway: Gateway) -> None:
    """A key that one provider refuses is a reason to ask the next; what the last one says is told with its meaning."""
    with openai_sdk(gateway.url) as sdk:
        assert sdk.chat.completions.create(model="both-x", messages=HI).choices[0].message.content
        with pytest.raises(openai.RateLimitError) as told:
            sdk.chat.completions.create(model="last-x", messages=[{"role": "user", "content": "Hello [demo: status=500]"}])
        assert told.value.response.headers["retry-after"] == "27"


@pytest.mark.parametrize("form", ["whole", "pieces"])
def test_an_error_of_megabytes_holds_nobody_up(gateway: Gateway, form: str) -> None:
    began = time.monotonic()
    body = {"model": f"huge-{form}", "messages": HI}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, verify=False, timeout=20)
    assert time.monotonic() - began < 15
    assert answer.status_code in (400, 502)
    assert answer.json()["error"]["message"]
    assert len(answer.content) < 10_000
