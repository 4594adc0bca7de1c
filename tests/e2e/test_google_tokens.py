"""Claude at Vertex through a real Envoy, with access tokens of a service account that are renewed while requests go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from aiohttp import web

from tests.e2e.clients import anthropic_sdk, openai_sdk
from tests.e2e.conftest import folder
from tests.e2e.gateway import Gateway
from tests.e2e.upstream import Scripted
from tests.google import TokenServer

PREFIX = "/v1/projects/p-1/locations/us-east5/publishers/anthropic/models/"
USAGE = {"input_tokens": 5, "output_tokens": 2}
HI: Any = [{"role": "user", "content": "Hi"}]


def _events() -> str:
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": USAGE}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


async def claude(request: web.Request) -> web.StreamResponse:
    """Claude at Vertex, as https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude has it."""
    body = await request.json()
    if "model" in body and "count-tokens" not in request.path:
        said = {"type": "error", "error": {"type": "invalid_request_error", "message": "model: Extra inputs are not permitted"}}
        return web.json_response(said, status=400)
    if body.get("anthropic_version") != "vertex-2023-10-16" or request.query_string:
        return web.json_response({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}, status=400)
    if "count-tokens" in request.path:
        return web.json_response({"input_tokens": 7})
    if request.path.endswith(":streamRawPredict"):
        return web.Response(text=_events(), content_type="text/event-stream")
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [{"type": "text", "text": "Hello"}]}
    return web.json_response({**answer, "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE})


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    with TokenServer(lasts=6) as server:
        yield server


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with Scripted(claude) as vertex:
        yield vertex


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Scripted, tokens: TokenServer) -> Iterator[Gateway]:
    place = folder(tmp_path_factory)
    Path(place, "sa.json").write_text(tokens.key_file())
    config = {
        "workers": 2,
        "providers": {
            "claude": {
                "catalogue": "vertex-anthropic",
                "base_url": f"{provider.url}{PREFIX.removesuffix('/models/')}",
                "google": {"credentials": "file:sa.json"},
            },
            "demo": {"dialect": "openai", "base_url": "demo:"},
        },
        "models": [
            {"name": "claude", "targets": ["claude/claude@1"]},
            {"name": "claude-or-demo", "targets": ["claude/claude@1", "demo/demo"]},
        ],
    }
    with Gateway(place, config) as running:
        yield running


def test_both_sdks_whole_and_streamed(gateway: Gateway, provider: Scripted) -> None:
    provider.paths.clear()
    with anthropic_sdk(gateway.url) as sdk, openai_sdk(gateway.url) as openai:
        whole = sdk.beta.messages.create(model="claude", max_tokens=9, messages=HI)
        assert whole.content[0].type == "text" and whole.content[0].text == "Hello"
        with sdk.messages.stream(model="claude", max_tokens=9, messages=HI) as stream:
            assert stream.get_final_text() == "Hello"
        assert sdk.messages.count_tokens(model="claude", messages=HI).input_tokens == 7
        for model in ("claude", "claude-or-demo"):
            assert openai.chat.completions.create(model=model, messages=HI).choices[0].message.content == "Hello"
            chunks = openai.chat.completions.create(model=model, messages=HI, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    named = PREFIX + "claude%401:"
    both = [named + "rawPredict", named + "streamRawPredict"]
    assert provider.paths == [*both, PREFIX + "count-tokens:rawPredict", *both, *both]
    assert all(headers["authorization"].startswith("Bearer token-") for headers in provider.headers)


def _refused(gateway: Gateway, model: str) -> bool:
    with anthropic_sdk(gateway.url) as sdk:
        try:
            sdk.messages.create(model=model, max_tokens=9, messages=HI)
        except anthropic.InternalServerError as error:
            return error.status_code == 503 and "no valid access token for the provider claude" in str(error)
    return False


def test_tokens_are_renewed_and_missed(gateway: Gateway, provider: Scripted, tokens: TokenServer) -> None:
    """No request is refused while Google answers; once it does not, the last token is used up first."""
    provider.headers.clear()

    def used() -> set[str]:
        assert not _refused(gateway, "claude")
        return {headers["authorization"] for headers in provider.headers}

    gateway.until(lambda: len(used()) >= 2, "two tokens have been used")
    tokens.refuses = True
    before = gateway.log.read_text().count("has been read again")
    gateway.until(lambda: _refused(gateway, "claude"), "the last token has ended")
    assert not _refused(gateway, "claude-or-demo"), "the next target answers"
    assert "Invalid JWT Signature" in gateway.log.read_text()
    assert gateway.metrics()['ai_proxy_provider_token_failures_total{provider="claude"}'] >= 1
    tokens.refuses = False
    gateway.until(lambda: not _refused(gateway, "claude"), "there is a token again", 60)
    assert gateway.log.read_text().count("has been read again") == before, "nothing was loaded anew"


def test_check_tells_whose_tokens_there_are(gateway: Gateway) -> None:
    done = gateway.run("check", "--no-envoy", str(gateway.path))
    assert done.returncode == 0, done.stderr
    assert "provider claude gets access tokens of Google for service_account gateway@p-1.iam.gserviceaccount.com" in done.stdout
    wrong = gateway.folder / "wrong.yaml"
    wrong.write_text(gateway.path.read_text().replace("file:sa.json", "'{}'"))
    done = gateway.run("check", "--no-envoy", str(wrong))
    assert done.returncode == 2
    assert "$.providers.claude.google" in done.stderr and "no JSON of Google's credentials" in done.stderr


def test_credentials_that_are_replaced_count_at_once(gateway: Gateway, provider: Scripted) -> None:
    """A reload has its first tokens before it is in force."""
    with TokenServer() as other:
        Path(gateway.folder, "sa.json").write_text(other.key_file())
        gateway.until(lambda: other.given == 1, "the new service account has been asked")
        gateway.until(lambda: _sent(gateway, provider) == "Bearer token-1", "its token is used")


def _sent(gateway: Gateway, provider: Scripted) -> str:
    body = {"model": "claude", "max_tokens": 9, "messages": HI}
    assert httpx.post(f"{gateway.url}/v1/messages", json=body, verify=False).status_code == 200
    return provider.headers[-1]["authorization"]
