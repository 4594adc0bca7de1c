"""Providers' errors through a real Envoy: each SDK raises its own class for what it means, and nobody hangs."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from aiohttp import web

from tests.e2e.clients import openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.sdks import Sdk
from tests.e2e.sdks.known import CLIENTS, Client
from tests.e2e.upstream import Scripted

HI: Any = [{"role": "user", "content": "Hi"}]
_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.4s"}


_FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."


def _google(code: int, status: str, message: str, *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


SAID: dict[str, tuple[int, Any]] = {
    "key": (400, _google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", _KEY)),
    "limit": (429, _google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", _RETRY)),
    "long": (400, _google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).")),
    "gone": (404, _google(404, "NOT_FOUND", "models/x is not found for API version v1beta.")),
    "busy": (503, _google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    "quota": (429, {"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}}),
    "filter": (400, {"error": {"message": _FILTERED, "type": None, "param": "prompt", "code": "content_filter", "status": 400}}),
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
            {"name": "filter*", "targets": ["o"]},
            {"name": "*", "targets": ["g"]},
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


class Told(NamedTuple):
    """What an SDK has raised."""

    error: Any
    status: int
    headers: Mapping[str, str]


Raised = Mapping[tuple[str, str], list[Told]]
"""By the SDK, and what the provider said."""


class Meaning(NamedTuple):
    """What SDKs raise for it: the status, and a class where they have one."""

    status: int
    usual: str
    """OpenAI's and Anthropic's class."""
    cohere: str
    litellm: str


MEANINGS = {
    "key": Meaning(502, "InternalServerError", "ApiError", "BadGatewayError"),
    "limit": Meaning(429, "RateLimitError", "TooManyRequestsError", "RateLimitError"),
    "long": Meaning(400, "BadRequestError", "BadRequestError", "ContextWindowExceededError"),
    "filter": Meaning(400, "BadRequestError", "BadRequestError", "BadRequestError"),
    "gone": Meaning(404, "NotFoundError", "NotFoundError", "NotFoundError"),
    "busy": Meaning(503, "InternalServerError", "ServiceUnavailableError", "ServiceUnavailableError"),
    "quota": Meaning(402, "APIStatusError", "ApiError", "RateLimitError"),
}
_ONE_CLASS = {"google-genai": "APIError", "ollama chat": "ResponseError", "ollama generate": "ResponseError", "mistralai": "SDKError"}
"""Who tells everything by status and words."""
_UNTOUCHED = ("openai chat", "litellm")
"""Who hears a provider of OpenAI's dialect in its own words, which have 429 for a quota."""


@pytest.fixture(scope="module")
def raised(gateway: Gateway) -> Raised:
    """All that is raised, whole and where a stream was asked for, of errors whose length is known and of others: some SDKs take seconds
    to be imported, so all is asked in one go.
    """
    return asyncio.run(_all_raised(gateway.url))


async def _all_raised(url: str) -> Raised:
    async def of_one(name: str, client: Client) -> Raised:
        async with client.open(url) as sdk:
            return {(name, said): await _raised(sdk, said) for said in MEANINGS}

    found = await asyncio.gather(*(of_one(name, client) for name, client in CLIENTS.items()))
    return {key: told for one in found for key, told in one.items()}


async def _raised(sdk: Sdk, said: str) -> list[Told]:
    found = []
    for ask, form in itertools.product((sdk.whole, sdk.streamed), ("whole", "pieces")):
        try:
            await ask(f"{said}-{form}", ours=True)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what came of it
            found.append(_told(error))
    return found


def _told(error: Any) -> Told:
    status = error.status_code if hasattr(error, "status_code") else error.code
    # Ollama's has none.
    keeper = next((one for one in (error, getattr(error, "response", None)) if hasattr(one, "headers")), None)
    return Told(error, status, getattr(error, "litellm_response_headers", keeper.headers if keeper is not None else {}))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("said", MEANINGS)
def test_each_sdk_raises_its_own(raised: Raised, said: str, client: str) -> None:
    meaning = MEANINGS[said]
    name = {**_ONE_CLASS, "cohere": meaning.cohere, "litellm": meaning.litellm}.get(client, meaning.usual)
    words = "refused the gateway's credential" if said == "key" else SAID[said][1]["error"]["message"]
    assert len(raised[client, said]) == 4
    for error, status, _ in raised[client, said]:
        assert name in [kind.__name__ for kind in type(error).__mro__], repr(error)
        assert status == (429 if said == "quota" and client in _UNTOUCHED else meaning.status)
        assert words in str(error)


@pytest.mark.parametrize("client", [name for name in CLIENTS if not name.startswith("ollama")])
def test_whether_and_when_to_try_again(raised: Raised, client: str) -> None:
    for said in MEANINGS:
        for _, _, headers in raised[client, said]:
            assert headers.get("retry-after") == ("27" if said == "limit" else None)
            assert headers.get("x-should-retry") == ("false" if said == "quota" else None)


def test_what_more_there_is_to_know(raised: Raised) -> None:
    codes = {said: {told.error.code for told in raised["openai chat", said]} for said in MEANINGS}
    assert codes["key"] == {"provider_authentication"}
    assert codes["long"] == {"context_length_exceeded"}
    assert codes["filter"] == {"content_filter"}
    for said in MEANINGS:
        assert {"26.4s" in str(told.error.details) for told in raised["google-genai", said]} == {said == "limit"}


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
