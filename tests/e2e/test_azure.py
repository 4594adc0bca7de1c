"""Azure OpenAI in front of the gateway and behind it, in both forms of its API, through a real Envoy: the official SDKs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from google import genai
from google.genai import types

from tests.e2e.clients import anthropic_sdk, cohere_sdk, ollama_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted

HI: Any = [{"role": "user", "content": "Hi"}]
SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1760000000, "model": "gpt-5-2025-08-07"}
FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
}
GONE = {
    "error": {
        "code": "DeploymentNotFound",
        "message": "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again.",
    }
}
BUSY = {"error": {"code": "429", "message": "Requests to the ChatCompletions_Create Operation have exceeded the token rate limit."}}


def _stream() -> str:
    """The first chunk has no choice and no id, and says what the filter found in the prompt."""
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0}]}
    delta: Any = {"index": 0, "finish_reason": None, "content_filter_results": SAFE}
    chunks: list[dict[str, Any]] = [
        first,
        {**CHUNK, "choices": [{**delta, "delta": {"role": "assistant", "content": ""}}]},
        {**CHUNK, "choices": [{**delta, "delta": {"content": "Hello"}}]},
        {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**CHUNK, "choices": [], "usage": USAGE},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def _answered(body: dict[str, Any], path: str) -> web.StreamResponse:
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        return web.json_response({"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 2, "total_tokens": 2}})
    if path.endswith("/images/generations"):
        return web.json_response({"created": 1, "data": [{"b64_json": "AAAA"}]})
    if path.endswith("/audio/speech"):
        return web.Response(body=b"RIFF", content_type="audio/wav")
    if path.endswith("/responses"):
        content = [{"type": "output_text", "text": "Hello", "annotations": []}]
        output = [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}]
        usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
        answer = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5", "output": output}
        return web.json_response({**answer, "usage": usage})
    if body.get("stream"):
        return web.Response(text=_stream(), content_type="text/event-stream")
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop", "content_filter_results": SAFE}
    answer = {**CHUNK, "object": "chat.completion", "choices": [choice], "usage": USAGE, "prompt_filter_results": []}
    return web.json_response(answer)


async def azure(request: web.Request) -> web.StreamResponse:
    """A resource with one deployment, `mine`, as https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference has it."""
    body = await request.json()
    if "/deployments/" in request.path and request.query_string != "api-version=2024-10-21":
        return web.json_response({"error": {"code": "404", "message": "Resource not found"}}, status=404)
    if "/deployments/" not in request.path and (request.query_string or not request.path.startswith("/openai/v1/")):
        return web.json_response({"error": {"code": "BadRequest", "message": "API version not supported"}}, status=400)
    deployment = request.path.split("/")[3] if "/deployments/" in request.path else body["model"]
    match deployment:
        case "gone":
            return web.json_response(GONE, status=404)
        case "filtered":
            return web.json_response(FILTERED, status=400)
        case "busy":
            return web.json_response(BUSY, status=429, headers={"retry-after": "26", "retry-after-ms": "25500"})
    return _answered(body, request.path)


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with Scripted(azure) as resource:
        yield resource


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted) -> Iterator[Gateway]:
    config = {
        "providers": {
            "old": {"catalogue": "azure-deployments", "base_url": f"{provider.url}/openai", "key": "az-old"},
            "new": {"catalogue": "azure-openai", "base_url": f"{provider.url}/openai/v1", "key": "az-new"},
            "entra": {"catalogue": "azure-openai", "base_url": f"{provider.url}/openai/v1", "key": "eyJ.entra", "auth": "bearer"},
        },
        "models": [
            *({"name": name, "targets": [f"{name}/mine"]} for name in ("old", "new", "entra")),
            *({"name": f"{name}-*", "targets": [name]} for name in ("old", "new")),
            *(
                {"name": f"{name}-{what}", "targets": [f"{name}/{what}"]}
                for name in ("old", "new")
                for what in ("gone", "filtered", "busy")
            ),
        ],
    }
    with Gateway(folder(tmp_path_factory), config) as running:
        yield running


@contextmanager
def azure_sdk(gateway: Gateway, **more: Any) -> Iterator[openai.AzureOpenAI]:
    client = openai.DefaultHttpxClient(verify=False)
    sdk = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key="mine", api_version="2025-04-01-preview", max_retries=0, http_client=client, **more
    )
    with sdk:
        yield sdk


def _all(sdk: openai.OpenAI, model: str) -> None:
    """All that is asked of a model."""
    assert sdk.chat.completions.create(model=model, messages=HI).choices[0].message.content == "Hello"
    chunks = list(sdk.chat.completions.create(model=model, messages=HI, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 7
    assert sdk.responses.create(model=model, input="Hi").output_text == "Hello"
    assert sdk.embeddings.create(model=model, input="Hi", encoding_format="float").data[0].embedding == [0.5, 0.25]
    images = sdk.images.generate(model=model, prompt="x").data
    assert images is not None and images[0].b64_json == "AAAA"
    assert sdk.audio.speech.create(model=model, voice="alloy", input="Hi").read() == b"RIFF"


@pytest.mark.parametrize("model", ["old", "new", "entra"])
def test_openai_s_clients_reach_both_forms(gateway: Gateway, provider: Scripted, model: str) -> None:
    provider.headers.clear()
    with openai_sdk(gateway.url) as sdk:
        _all(sdk, model)
    keys = {(headers.get("api-key"), headers.get("authorization")) for headers in provider.headers}
    assert keys == {{"old": ("az-old", None), "new": ("az-new", None), "entra": (None, "Bearer eyJ.entra")}[model]}


@pytest.mark.parametrize("model", ["old", "new"])
def test_azure_s_clients_reach_both_forms(gateway: Gateway, provider: Scripted, model: str) -> None:
    """Their deployments are the gateway's models."""
    provider.headers.clear()
    with azure_sdk(gateway) as sdk:
        _all(sdk, model)
    with azure_sdk(gateway, azure_deployment=model) as sdk:
        assert sdk.chat.completions.create(model="whatever", messages=HI).choices[0].message.content == "Hello"
    with openai_sdk(f"{gateway.url}/openai") as sdk:
        _all(sdk, model)
        assert model in [one.id for one in sdk.models.list().data]
    assert {headers["api-key"] for headers in provider.headers} == {f"az-{model}"}


@pytest.mark.parametrize("model", ["old", "new"])
def test_other_clients_are_not_confused_by_the_first_chunk(gateway: Gateway, model: str) -> None:
    with anthropic_sdk(gateway.url) as sdk, sdk.messages.stream(model=model, max_tokens=9, messages=HI) as stream:
        message = stream.get_final_message()
        assert message.content[0].type == "text" and message.content[0].text == "Hello"
        assert (message.id, message.model, message.stop_reason) == ("chatcmpl-1", "gpt-5-2025-08-07", "end_turn")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 2)
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=gateway.url))
    assert "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=model, contents="Hi")) == "Hello"
    with ollama_sdk(gateway.url) as local:
        assert "".join(part.message.content or "" for part in local.chat(model=model, messages=HI, stream=True)) == "Hello"
    with cohere_sdk(gateway.url) as coral:
        events = coral.chat_stream(model=model, messages=HI)
        texts = [event.delta.message.content.text for event in events if event.type == "content-delta"]  # type: ignore[union-attr]
        assert "".join(text or "" for text in texts) == "Hello"


@pytest.mark.parametrize("form", ["old", "new"])
def test_errors(gateway: Gateway, form: str) -> None:
    """Whole for OpenAI's clients, with their meaning for others."""
    with azure_sdk(gateway) as sdk, anthropic_sdk(gateway.url) as other:
        with pytest.raises(openai.BadRequestError) as filtered:
            sdk.chat.completions.create(model=f"{form}-filtered", messages=HI)
        assert filtered.value.body == FILTERED["error"]
        with pytest.raises(openai.NotFoundError) as gone:
            sdk.chat.completions.create(model=f"{form}-gone", messages=HI)
        assert gone.value.code == "DeploymentNotFound"
        with pytest.raises(openai.RateLimitError) as busy:
            sdk.chat.completions.create(model=f"{form}-busy", messages=HI)
        assert (busy.value.response.headers["retry-after"], busy.value.response.headers["retry-after-ms"]) == ("26", "25500")
        with pytest.raises(anthropic.BadRequestError, match="content management policy"):
            other.messages.create(model=f"{form}-filtered", max_tokens=9, messages=HI)
        with pytest.raises(anthropic.NotFoundError, match="deployment for this resource does not exist"):
            other.messages.create(model=f"{form}-gone", max_tokens=9, messages=HI)
        with pytest.raises(anthropic.RateLimitError) as limited:
            other.messages.create(model=f"{form}-busy", max_tokens=9, messages=HI)
        assert limited.value.response.headers["retry-after"] == "26"
